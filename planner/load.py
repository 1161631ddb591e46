"""What a Dask cluster has to do and with whom, as its scheduler tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from types import MappingProxyType
from typing import Any

from costplan.planner.speed import Paces, no_paces
from costplan.planner.types import require, require_utc

OVERDUE_MEANS = 3.0
"""A task that has run for more than so many means of its like is of another kind than those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGroup:
    """Tasks of one prefix that need the same: counts, and the mean seconds where known.

    `queued` could run now and does not; `running` does; `waiting` depends on unfinished tasks.
    Of the queued and running, `unrunnable` have no worker that may run them, and `pinned` may
    run on named workers or hosts only. `mean_task_seconds` is over the `observed_tasks` that
    have finished, None where none has; it is never a default. `variance_seconds2` (s^2, of one
    task) is known from two observed tasks on. `longest_running_seconds` is how long the oldest
    task that runs now has run, None where nobody says; a mean that is unknown is at least that.
    Of the running, `overdue` have run for more than three times the mean, by `overdue_seconds` on
    average. What has ended says nothing of them; seen at any moment of its run, a task takes as
    long again as it has run, on average.
    """

    prefix: str
    need: Mapping[str, float]
    queued: int
    running: int
    waiting: int = 0
    unrunnable: int = 0
    pinned: int = 0
    mean_task_seconds: float | None
    observed_tasks: int
    variance_seconds2: float | None = None
    longest_running_seconds: float | None = None
    overdue: int = 0
    overdue_seconds: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.queued, self.running, self.waiting, self.unrunnable, self.pinned)
        require(min(*counts, self.observed_tasks, self.overdue) >= 0, "negative count in", self)
        require(self.overdue <= self.running, "only what runs can be overdue:", self)
        require(
            (self.mean_task_seconds is None) == (self.observed_tasks == 0),
            "a mean needs observed tasks, and they have one:",
            self,
        )


def overdue_among(ages_seconds: Iterable[float], mean_seconds: float | None) -> tuple[int, float]:
    """Of running tasks by how long they have run: how many are overdue, and their mean age."""
    least = inf if mean_seconds is None else OVERDUE_MEANS * mean_seconds
    late = [age for age in ages_seconds if age > least]
    return len(late), sum(late) / len(late) if late else 0.0


class _Kept:
    """Room on a value for what `codec.py` makes of it: it is the same one look after look while
    nothing happens on the worker."""

    __slots__ = ("_plain",)
    _plain: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLoad(_Kept):
    """What one worker has, does and holds at a moment; `memory_bytes` is None without a limit.

    `executing` tasks run now, `processing` are assigned to it (running or ready). Of the
    `managed_bytes` that it holds, `sole_bytes` in `sole_keys` results exist nowhere else.
    `recompute_seconds` is task-time to make those again. `long_running` tasks have seceded,
    `actors` live on it. `gang` names the collective that it is a member of (losing one member
    fails them all), `shuffling` says that a running shuffle needs it. `status` is 'running',
    'paused' or 'closing'. `idle_since` is when it last had something to do, None while it has.
    `busy_seconds` is task-time finished on it since it joined at `joined_at`. `instance_type` and
    `market` are what it says of its machine, '' where it says nothing.
    """

    threads: int
    memory_bytes: int | None
    resources: Mapping[str, float]
    executing: int
    managed_bytes: int
    processing: int = 0
    sole_bytes: int = 0
    sole_keys: int = 0
    recompute_seconds: float = 0.0
    spilled_bytes: int = 0
    long_running: int = 0
    actors: int = 0
    gang: str | None = None
    shuffling: bool = False
    status: str = "running"
    idle_since: datetime | None = None
    busy_seconds: float = 0.0
    joined_at: datetime | None = None
    instance_type: str = ""
    market: str = ""

    @property
    def is_busy(self) -> bool:
        """True while it runs anything, or belongs to something that does."""
        return bool(
            self.executing
            or self.processing
            or self.long_running
            or self.gang is not None
            or self.shuffling
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A worker that left: when, whether it was asked to, and what went with it.

    `lost_keys` results had no other copy, `restarted_tasks` ran on it and start again.
    """

    worker: str
    at: datetime
    expected: bool
    lost_keys: int
    restarted_tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What a worker was told by the cloud of its machine: a 'reclaim', 'rebalance' or
    'maintenance', and when that happens."""

    worker: str
    kind: str
    effective_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counters since the scheduler started. Recomputed tasks had finished once before, restarted
    ones had begun; `recomputed_seconds` is the time the first runs of the recomputed had taken,
    and `busy_seconds` all task-time."""

    finished_tasks: int = 0
    erred_tasks: int = 0
    recomputed_tasks: int = 0
    restarted_tasks: int = 0
    recomputed_seconds: float = 0.0
    busy_seconds: float = 0.0


def _none_left() -> Mapping[str, Departure]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a Dask scheduler has to do and with whom, over `window_seconds` that end at `at`.

    `workers` are by name. `unread_tasks` of the groups were too many to look at one by one: they
    are counted, as tasks that need nothing special. `scheduler_id` changes when the scheduler
    restarts. `clients` are connected now (None where nobody counted), `clients_gone_since` is
    when the last one left. `departed` are workers that left, by name, newest event of each.
    `warned` are warnings that workers heard from their machines' clouds. `sent_bytes_per_second`
    is what workers gave away over the window, None where nobody counted. `paces` are tasks, mean
    seconds and variance by prefix and type of machine, since the scheduler started.
    """

    at: datetime
    window_seconds: float
    groups: tuple[TaskGroup, ...]
    workers: Mapping[str, WorkerLoad]
    unread_tasks: int = 0
    scheduler_id: str = ""
    clients: int | None = None
    clients_gone_since: datetime | None = None
    warned: tuple[Warned, ...] = ()
    departed: Mapping[str, Departure] = field(default_factory=_none_left)
    totals: Totals = Totals()
    sent_bytes_per_second: float | None = None
    paces: Paces = field(default_factory=no_paces)

    def __post_init__(self) -> None:
        require_utc(self.at, "at")
