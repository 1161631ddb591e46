"""What each kind of worker was asked for, as seconds and worker-seconds of steps of 300 s.

What a tick saw holds until the next one, or until it is too old to be believed; what lies beyond
was seen by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from costplan.planner.types import require, require_utc

STEP_SECONDS = 300
STEP = timedelta(seconds=STEP_SECONDS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPart:
    """A part of the step that begins at `start`: for `seconds` of it workers of a kind were asked
    for, `worker_seconds` in all. Where a clock was set back, a step may have more than its 300."""

    kind: str
    start: datetime
    seconds: float
    worker_seconds: float

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require(self.seconds > 0, "nothing of the step:", self)
        require(self.worker_seconds >= 0, "negative demand:", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Workers that the work asked for at a moment, by kind."""

    at: datetime
    workers: Mapping[str, float]


def step_start(at: datetime) -> datetime:
    """The beginning of the step that a moment lies in; steps begin at whole 5 minutes UTC."""
    return at - (at - _EPOCH) % STEP


def between(asked: Asked, start: datetime, end: datetime) -> tuple[DemandPart, ...]:
    """What was asked for as it fills the steps of [start, end), by kind and time."""
    found = []
    for kind in sorted(asked.workers):
        here = start
        while here < end:
            step = step_start(here)
            until = min(end, step + STEP)
            seconds = (until - here) / timedelta(seconds=1)
            found.append(
                DemandPart(
                    kind=kind,
                    start=step,
                    seconds=seconds,
                    worker_seconds=seconds * asked.workers[kind],
                )
            )
            here = until
    return tuple(found)


def merged(parts: Iterable[DemandPart]) -> tuple[DemandPart, ...]:
    """Parts with those of one step and kind in one, by kind and time."""
    sums: dict[tuple[str, datetime], tuple[float, float]] = {}
    for part in parts:
        seconds, worker_seconds = sums.get((part.kind, part.start), (0.0, 0.0))
        sums[part.kind, part.start] = (
            seconds + part.seconds,
            worker_seconds + part.worker_seconds,
        )
    return tuple(
        DemandPart(kind=kind, start=start, seconds=sums[kind, start][0],
                   worker_seconds=sums[kind, start][1])
        for kind, start in sorted(sums)
    )  # fmt: skip
