"""Demand to come, as a tick reads it: by kind of worker, in steps from now, as quantiles.

And what a plan made of it, as it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from costplan.planner.errors import InputError
from costplan.planner.types import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How many workers of each kind the work will ask for in the steps after `at`.

    Step i ends `ends_seconds` [T] after `at` and begins where the one before it ends, the first
    at 0. `workers` has, for each kind, a row for each of `shares` [Q] (0-1, rising) with the mean
    demand of each step [T]. `notes` say what the forecast had to do without. Raises InputError
    where the axes do not agree.
    """

    at: datetime
    ends_seconds: tuple[int, ...]
    shares: tuple[float, ...]
    workers: Mapping[str, tuple[tuple[float, ...], ...]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_utc(self.at, "outlook.at")
        edges = (0, *self.ends_seconds)
        if any(end <= start for start, end in pairwise(edges)):
            raise InputError("outlook.ends_seconds", f"{self.ends_seconds} do not rise from 0")
        inside = all(0 <= share <= 1 for share in self.shares)
        if not self.shares or not inside or any(b <= a for a, b in pairwise(self.shares)):
            raise InputError("outlook.shares", f"{self.shares} do not rise from 0 to 1 at most")
        for kind, rows in self.workers.items():
            if len(rows) != len(self.shares) or any(len(r) != len(edges) - 1 for r in rows):
                axes = f"{len(self.shares)} shares of {len(edges) - 1} steps"
                raise InputError(f"outlook.workers.{kind}", f"is not a row for each of {axes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """Workers of a kind that were planned for: `now` are wanted at the moment, and `most` at once
    in the time looked at, the first time `in_seconds` from now."""

    shape: str
    now: int
    most: int
    in_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a plan did for the outlook that was made at `outlook_at`.

    It looked `seconds` ahead in `steps` steps, at the quantile `share` of the demand, for new
    machines that take `boot_seconds`. `expected_usd` is what the fleet costs over that time by
    the plan, with workers that are not there, and no plan for it costs less than `bound_usd`.
    `bought` nodes are launched and `held` kept for demand to come alone. `left_out` says why
    less was done than planned, '' where it was not; `notes` are the outlook's.
    """

    outlook_at: datetime
    seconds: int
    steps: int
    share: float
    boot_seconds: float
    demand: tuple[Foreseen, ...]
    bought: int
    held: int
    expected_usd: Decimal
    bound_usd: Decimal
    termination: str
    left_out: str = ""
    notes: tuple[str, ...] = ()
