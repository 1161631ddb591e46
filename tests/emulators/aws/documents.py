"""What `docs/clouds/aws.md` says in JSON, so that tests hold it to what is done."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[3] / "docs/clouds/aws.md"

_PREFIXES = {"service-quotas": "servicequotas"}
_ACTIONS = {"sqs:DeleteMessageBatch": "sqs:DeleteMessage"}
"""Calls whose permission has another name."""

IMPLIED = frozenset({"iam:PassRole"})
"""Permissions for what EC2 does on our behalf, which is no call."""


def block(name: str) -> Any:
    """The JSON block of that name."""
    found = re.search(rf"<!-- {name} -->\n```json\n(.*?)\n```", GUIDE.read_text(), re.DOTALL)
    assert found is not None, f"{GUIDE} has no block {name!r}"
    return json.loads(found[1])


def permitted(name: str = "policy") -> set[str]:
    """Every action that a policy of the guide allows."""
    found: set[str] = set()
    for statement in block(name)["Statement"]:
        actions = statement["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
    return found


def needed(made: Counter[str]) -> set[str]:
    """The actions that these calls need."""
    found = set()
    for call in made:
        service, _, operation = call.partition(":")
        name = f"{_PREFIXES.get(service, service)}:{operation}"
        found.add(_ACTIONS.get(name, name))
    return found
