"""Outlooks for tests: demand to come from a few numbers, in steps of five minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from costplan.planner.outlook import Outlook
from tests.fleets import NOON

STEP_SECONDS = 300


def outlook(
    kinds: Mapping[str, Sequence[float]] | Sequence[float], at: datetime = NOON, **more: Any
) -> Outlook:
    """So many workers ('w', unless kinds are named) in each step, for certain."""
    paths = kinds if isinstance(kinds, Mapping) else {"w": kinds}
    steps = max((len(path) for path in paths.values()), default=0)
    values: dict[str, Any] = {
        "ends_seconds": tuple(STEP_SECONDS * (n + 1) for n in range(steps)),
        "shares": (0.5,),
        "workers": {name: (tuple(path),) for name, path in paths.items()},
    }
    return Outlook(at=at, **{**values, **more})
