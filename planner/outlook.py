"""Demand to come, as a tick reads it: by kind of worker, in steps from now, as quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from costplan.planner.types import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How many workers of each kind the work will ask for in the steps after `at`.

    Step i ends `ends_seconds` [T] after `at` and begins where the one before it ends, the first
    at 0. `workers` has, for each kind, a row for each of `shares` [Q] (0-1, rising) with the mean
    demand of each step [T]. `notes` say what the forecast had to do without.
    """

    at: datetime
    ends_seconds: tuple[int, ...]
    shares: tuple[float, ...]
    workers: Mapping[str, tuple[tuple[float, ...], ...]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.at, "outlook.at")
