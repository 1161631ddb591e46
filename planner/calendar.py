"""Jobs that come by the clock, as a person lists them, and the workers they will ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from costplan.planner.types import require

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_PER_DAY = 24 * 60
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """A job that begins at a minute of the UTC day, on some days of the week (0 is Monday), and
    asks for `workers` of a kind for as long as it takes."""

    name: str
    kind: str
    workers: int
    start_minute: int
    duration_seconds: int
    days: tuple[int, ...] = tuple(range(len(DAYS)))

    def __post_init__(self) -> None:
        require(0 <= self.start_minute < MINUTES_PER_DAY, "no minute of a day:", self)
        require(self.duration_seconds > 0 and self.workers > 0, "asks for nothing:", self)
        require(bool(self.days) and set(self.days) <= set(range(7)), "no day of a week:", self)


def runs(job: ScheduledJob, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """When the job runs between two moments: intervals, not cut there, the earliest first."""
    length = timedelta(seconds=job.duration_seconds)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    day = midnight - _DAY * (1 + length // _DAY)
    found = []
    while day < end:
        begin = day + timedelta(minutes=job.start_minute)
        if day.weekday() in job.days and begin < end and begin + length > start:
            found.append((begin, begin + length))
        day += _DAY
    return found


def scheduled(
    jobs: Iterable[ScheduledJob], kind: str, at: datetime, ends_seconds: Sequence[int]
) -> list[float]:
    """The mean number of workers of a kind that jobs ask for in each step after `at`.

    Step i ends `ends_seconds[i]` after it and begins where the one before ends. Jobs that run at
    the same time add up.

    Example: 20 workers from 02:00 for 3 h, seen at 01:30: of the hour that begins now half.
    """
    edges = [0, *ends_seconds]
    found = [0.0] * len(ends_seconds)
    last = at + timedelta(seconds=edges[-1])
    for job in jobs:
        for begin, end in runs(job, at, last) if job.kind == kind else ():
            first, then = (begin - at) / _SECOND, (end - at) / _SECOND
            for place, (left, right) in enumerate(pairwise(edges)):
                inside = min(right, then) - max(left, first)
                if inside > 0:
                    found[place] += job.workers * inside / (right - left)
    return found
