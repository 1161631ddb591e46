"""Work as it was done: which node computed for which span, and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.types import require, require_utc

OTHERS = "(others)"
"""Spans and prefixes that were too many to be told apart."""


def no_tags() -> Mapping[str, str]:
    """None given."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """Task-time that a node finished in [start, end) for a span and a prefix.

    `span` is its path from the outermost name in, () where tasks had none, and `tags` what was
    said of it ('team', 'run', ...). `node_id` is '' of workers that are on no node of ours. `rows`
    are what a span's own program reported as done (records, not tasks): of nobody's node, with no
    task-time.
    """

    start: datetime
    end: datetime
    node_id: str
    prefix: str
    span: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=no_tags)
    busy_seconds: float = 0.0
    tasks: int = 0
    rows: int = 0

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require(self.start <= self.end, "a row that ends before it starts:", self)
        require(min(self.busy_seconds, self.tasks, self.rows) >= 0, "below zero:", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerWindow:
    """What one worker finished in a window for a span and a prefix, as its scheduler counts."""

    worker: str
    prefix: str
    span: tuple[str, ...]
    tags: Mapping[str, str]
    busy_seconds: float
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Rows that a span's program reported as done."""

    span: tuple[str, ...]
    tags: Mapping[str, str]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkWindow:
    """All that was finished in [start, end). `number` counts windows of a scheduler."""

    number: int
    start: datetime
    end: datetime
    work: tuple[WorkerWindow, ...]
    reported: tuple[Reported, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkBatch:
    """Windows that are new to who asked, oldest first; `is_more` where another call has more.

    `missed` windows were let go of before anybody asked.
    """

    scheduler_id: str
    windows: tuple[WorkWindow, ...]
    is_more: bool = False
    missed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRate:
    """What a worker costs an hour: its part of its machine's price."""

    worker: str
    usd_per_hour: Decimal
