"""What a report may be by, and what its words are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

from costplan.planner.config_fields import suggestion
from costplan.planner.errors import InputError

DIMENSIONS = {
    "workload": "workload",
    "team": "team",
    "project": "project",
    "cost_center": "cost centre",
    "environment": "environment",
    "user": "user",
    "run": "run",
    "span": "span",
    "prefix": "task prefix",
    "cluster": "cluster",
    "provider": "provider",
    "account": "account",
    "region": "region",
    "zone": "zone",
    "instance_type": "type",
    "market": "market",
    "charge": "what is paid for",
    "kind": "kind of line",
    "purpose": "dollars for",
    "commitment_id": "commitment",
    "node_id": "node",
    "resource_id": "resource",
    "day": "day (UTC)",
}
"""A column of the charge lines (and the day they began) with what a table calls it."""

TAG = "tag:"
LINE = "line"
"""Each charge line by itself: of CSV files alone."""

OWN_TAGS = ("workload", "team", "project", "cost_center", "environment", "user", "run")
"""What tags of these names say stands in columns of its own."""

DEFAULT = ("team", "workload")
MOST = 4

_TAG_NAME = re.compile(r"[A-Za-z0-9_.:/=+@-]{1,128}")


def dimensions(text: str) -> tuple[str, ...]:
    """The dimensions of '--by team,workload,tag:model'; raises InputError."""
    names = tuple(part.strip() for part in text.split(","))
    subject = f"--by {text}"
    for name in names:
        if name == LINE and len(names) == 1:
            continue
        tag = name.removeprefix(TAG) if name.startswith(TAG) else ""
        if tag in OWN_TAGS:
            raise InputError(subject, f"the tag {tag} has a column of its own", f"write --by {tag}")
        if _TAG_NAME.fullmatch(tag):
            continue
        if name not in DIMENSIONS:
            known = ", ".join(DIMENSIONS)
            way_out = suggestion(name, DIMENSIONS) or f"name some of {known}, or {TAG}NAME"
            raise InputError(subject, f"{name or 'nothing'} is nothing to report by", way_out)
    if len(set(names)) < len(names):
        raise InputError(subject, "names one twice", "name each once")
    if len(names) > MOST:
        raise InputError(subject, f"names {len(names)}", f"name at most {MOST}")
    return names


def head(name: str) -> str:
    """What a column of it is called."""
    return name if name.startswith(TAG) else DIMENSIONS[name]


def heads(names: Sequence[str]) -> str:
    """'team and workload'."""
    shown = [head(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
