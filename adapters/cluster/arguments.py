"""What a person says of a cluster from Python, checked, and as keys of the autoscaler's file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from costplan.adapters.dask.adaptive_options import (
    ArgumentError,
    deadline_of,
    dollars_of,
    seconds_of,
)
from costplan.planner.config_fields import MAX_WORKERS, suggestion

PROVIDERS = ("local", "aws", "gcp", "azure")
BUDGET_KEYS = ("usd_per_hour", "usd_per_day", "usd_per_month")
ADAPT_KEYS = (
    "minimum", "maximum", "deadline", *BUDGET_KEYS, "target", "target_duration", "idle_timeout",
)  # fmt: skip
_BUDGET = re.compile(
    r"\s*\$?\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*(?:USD|\$|dollars?)?\s*(?:/|per|an?)\s*"
    r"(h|hr|hour|d|day|month)\s*",
    re.IGNORECASE,
)
_PERIODS = {"h": "usd_per_hour", "d": "usd_per_day", "m": "usd_per_month"}
_DURATIONS = {"target_duration": "target", "target": "target", "idle_timeout": "idle"}
_BUDGET_EXAMPLE = "write it like '40 USD/h', '600 USD/day' or {'usd_per_hour': 40}"

Workers = int | Mapping[str, int]
"""How many: a number where there is one kind of worker, else numbers by kind."""


def provider_of(said: Any) -> str:
    """The one provider of a cluster; raises ArgumentError."""
    names = [said] if isinstance(said, str) else said
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ArgumentError("providers", f"{said!r} is no list of names", "write ['aws']")
    for name in names:
        if name not in PROVIDERS:
            near = suggestion(name, PROVIDERS) or f"name one of {', '.join(PROVIDERS)}"
            raise ArgumentError("providers", f"{name!r} is no provider", near)
    if len(names) != 1:
        problem = f"{list(names)!r} is not one provider, and a cluster's machines are of one"
        raise ArgumentError("providers", problem, "name one; start a cluster for each")
    return str(names[0])


def budget_of(said: Any) -> dict[str, str]:
    """Limits in dollars by key of `budget`, as exact text; raises ArgumentError."""
    if said is None:
        return {}
    if isinstance(said, str):
        return _budget_in_words(said)
    if not isinstance(said, Mapping):
        raise ArgumentError("budget", f"{said!r} is no budget", _BUDGET_EXAMPLE)
    for key in said:
        if key not in BUDGET_KEYS:
            near = suggestion(str(key), BUDGET_KEYS) or f"keys are {', '.join(BUDGET_KEYS)}"
            raise ArgumentError("budget", f"{key!r} is no limit", near)
    limits = {key: dollars_of(f"budget[{key!r}]", amount) for key, amount in said.items()}
    return {key: _money(amount) for key, amount in limits.items() if amount is not None}


def _budget_in_words(said: str) -> dict[str, str]:
    limits: dict[str, str] = {}
    for part in re.split(r",\s+|\s+and\s+", said):
        match = _BUDGET.fullmatch(part)
        if match is None:
            raise ArgumentError("budget", f"{part!r} is no budget", _BUDGET_EXAMPLE)
        key = _PERIODS[match[2][0].lower()]
        if key in limits:
            raise ArgumentError("budget", f"{said!r} says {key} twice", "keep one")
        amount = dollars_of("budget", match[1].replace("_", ""))
        limits[key] = _money(amount or Decimal(0))
    return limits


def _money(amount: Decimal) -> str:
    return f"{amount:f}"


def adapt_changes(
    said: Mapping[str, Any], kinds: Sequence[str], now: datetime
) -> dict[str, dict[str, Any]]:
    """What `adapt` changes of the file: 'budget', 'scaling', 'minimum' and 'maximum', the last two
    by kind. What is not said stays, `deadline=None` takes one back. Raises ArgumentError."""
    for name in said:
        if name not in ADAPT_KEYS:
            near = suggestion(name, ADAPT_KEYS) or f"arguments are {', '.join(ADAPT_KEYS)}"
            raise ArgumentError(name, "is no argument of adapt", near)
    if said.get("target") is not None and said.get("target_duration") is not None:
        raise ArgumentError("target_duration", "says the same as target", "leave one out")
    changes: dict[str, dict[str, Any]] = {"budget": {}, "scaling": {}, "minimum": {}, "maximum": {}}
    for name in ("minimum", "maximum"):
        if said.get(name) is not None:
            changes[name] = workers_by_kind(name, said[name], kinds)
    for name in BUDGET_KEYS:
        if name in said:
            amount = dollars_of(name, said[name])
            changes["budget"][name] = None if amount is None else _money(amount)
    if "deadline" in said:
        at = deadline_of(said["deadline"], now)
        changes["scaling"]["deadline"] = None if at is None else at.isoformat()
    for name, key in _DURATIONS.items():
        if said.get(name) is not None:
            seconds = round(seconds_of(name, said[name], 0.0))
            if key == "target" and seconds < 1:
                raise ArgumentError(name, f"{said[name]!r} is too short", "write 1s or more")
            changes["scaling"][key] = seconds
    return changes


def workers_by_kind(name: str, said: Any, kinds: Sequence[str]) -> dict[str, int]:
    """Numbers of workers by kind; raises ArgumentError, of the kind where `name` is ''."""
    if not isinstance(said, Mapping):
        if len(kinds) > 1:
            by_kind = ", ".join(f"{kind!r}: {said if _is_count(said) else 1}" for kind in kinds)
            problem = f"{said!r} does not say of which kind"
            raise ArgumentError(name, problem, f"write {{{by_kind}}}")
        said = {kinds[0]: said}
    for kind, count in said.items():
        if kind not in kinds:
            near = suggestion(str(kind), kinds) or f"kinds are {', '.join(kinds)}"
            raise ArgumentError(name or kind, f"{kind!r} is no kind of worker here", near)
        if not _is_count(count):
            raise ArgumentError(
                name or kind, f"{count!r} is no number of workers", "write 0 or more"
            )
        if count > MAX_WORKERS:
            problem, way_out = f"{count:,} workers are too many", f"write up to {MAX_WORKERS:,}"
            raise ArgumentError(name or kind, problem, way_out)
    return dict(said)


def _is_count(said: Any) -> bool:
    return type(said) is int and said >= 0
