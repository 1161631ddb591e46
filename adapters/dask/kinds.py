"""Kinds of tasks and the workers that run them, as a scheduler's hooks count them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from costplan.adapters.dask.machine_claim import machine_of
from costplan.adapters.dask.names import bounded, shortened
from costplan.planner.load import OVERDUE_MEANS

PENDING = ("waiting", "queued", "no-worker", "processing")
_NO_TASKS: Sequence[int] = (0,) * len(PENDING)

Need = tuple[tuple[str, float], ...]
Durations = tuple[float | None, int, float | None]
"""Mean seconds, tasks observed and variance."""
UNKNOWN: Durations = (None, 0, None)


def durations_of(observed: int, mean: float, m2: float) -> Durations:
    """From Welford's sums, in seconds."""
    if not observed:
        return UNKNOWN
    return round(mean, 9), observed, m2 / (observed - 1) if observed > 1 else None


class Kind:
    """Tasks of a prefix that need the same: durations of the finished, counts of the restricted."""

    __slots__ = (
        "counts", "described", "description", "is_restricted", "m2", "mean", "need", "needs",
        "observed", "oldest", "overdue", "overdue_began", "pinned", "prefix", "running", "shown",
    )  # fmt: skip

    def __init__(self, prefix: str, need: Need) -> None:
        self.prefix, self.need, self.needs = prefix, need, bounded(dict(need))
        self.shown = shortened(prefix)
        self.described, self.description = 0, UNKNOWN
        self.is_restricted = False  # until the first of its tasks is counted by hand
        self.observed, self.mean, self.m2 = 0, 0.0, 0.0  # Welford's sums, of seconds
        self.running = 0  # by the workers' last heartbeats
        self.counts: dict[str, int] = dict.fromkeys(PENDING, 0)  # restricted tasks only
        self.pinned: dict[str, int] = dict.fromkeys(PENDING, 0)
        self.oldest: tuple[Any, Any, float] | None = None  # a running task, its worker, its start
        self.overdue, self.overdue_began = 0, 0.0  # of the running, and the sum of their starts

    def tasks(self) -> Sequence[int]:
        """Its tasks that are counted by hand, in the order of PENDING."""
        return list(self.counts.values()) if self.is_restricted else _NO_TASKS

    def durations(self) -> Durations:
        """What its finished tasks took."""
        if self.described != self.observed:
            self.described = self.observed
            self.description = durations_of(self.observed, self.mean, self.m2)
        return self.description

    def running_since(self) -> float | None:
        """When the oldest task that is known to run began, in epoch seconds."""
        if self.oldest is not None:
            task, worker, began = self.oldest
            if task.processing_on is worker:
                return began
            self.oldest = None
        return None

    def is_overdue(self, seconds: float) -> bool:
        """True of a task that has run for far longer than those that have finished."""
        return self.observed > 0 and seconds > OVERDUE_MEANS * self.mean

    def late(self, tasks: int, began: float) -> None:
        """So many more (or fewer) overdue tasks run, which began then in epoch seconds."""
        self.overdue += tasks
        self.overdue_began = self.overdue_began + tasks * began if self.overdue else 0.0


class Pending:
    """A restricted task that is counted, and the restrictions that it was counted by."""

    __slots__ = ("address", "hosts", "kind", "needs", "pinned", "state", "workers")

    def __init__(self, kind: Kind, state: str, task: Any) -> None:
        self.kind, self.state = kind, state
        self.needs = task.resource_restrictions
        self.workers = workers = task.worker_restrictions
        self.hosts = hosts = task.host_restrictions
        self.pinned, self.address = False, None
        if workers or hosts:
            self.pinned = not task.loose_restrictions
            if workers and len(workers) == 1:
                self.address = next(iter(workers))


class Tracker:
    """What is kept of one worker besides Dask's own state of it. Times are epoch seconds."""

    __slots__ = (
        "accrued_at",
        "accrued_pico",
        "actors",
        "busy_us",
        "cells",
        "cordoned_at",
        "due_us",
        "executing",
        "held",
        "idle_pico",
        "idle_us",
        "joined",
        "kinds",
        "last_busy",
        "long_running",
        "machine",
        "metrics",
        "name",
        "overdue",
        "pico_per_hour",
        "priced_at",
        "spilled",
        "state",
        "us_per_key",
        "warned",
    )  # fmt: skip

    def __init__(self, state: Any, now: float) -> None:
        self.state, self.name = state, str(state.name)
        self.held = state.has_what  # a live view of its results
        self.joined = self.last_busy = now
        self.busy_us = 0
        self.metrics: Any = None  # the heartbeat that the next four are of
        self.executing = self.spilled = self.long_running = self.actors = 0
        self.kinds: list[Kind] = []  # of its running tasks, where they were looked at
        self.overdue: list[tuple[Kind, float]] = []  # of those that run for far too long
        self.us_per_key = 0  # to make one of its results again
        self.cordoned_at: float | None = None
        self.machine = machine_of(state)
        self.cells: dict[Any, Any] = {}  # of `work_book.Cell`, by what it computed for
        self.pico_per_hour = self.machine.pico_per_hour  # None where nobody said
        self.accrued_pico, self.accrued_at = 0, now  # since its work was priced last
        self.priced_at = now
        self.due_us: dict[Any, int] = {}  # work that is not priced yet, by cell
        self.idle_us = self.idle_pico = 0  # thread-time that nothing finished has claimed
        self.warned: dict[str, float] = {}  # what its machine was warned of, and when that happens

    def look(self, kind_of: Callable[[Any], Kind]) -> None:
        """Looks at the tasks that the newest heartbeat says run, and moves their kinds' counts."""
        self.forget()
        state = self.state
        long_running, last_seen, executing = state.long_running, state.last_seen, 0
        kinds = self.kinds
        for task, seconds in getattr(state, "executing", {}).items():
            if task.processing_on is not state:
                continue
            if not long_running or task not in long_running:
                executing += 1
            kind = kind_of(task)
            kinds.append(kind)
            kind.running += 1
            began, oldest = last_seen - seconds, kind.oldest
            if oldest is None or began < oldest[2] or oldest[0].processing_on is not oldest[1]:
                kind.oldest = (task, state, began)
            if kind.is_overdue(seconds):
                kind.late(1, began)
                self.overdue.append((kind, began))
        self.executing = executing

    def take_idle(self, thread_us: int) -> tuple[int, int]:
        """Takes back up to so much of its idle thread-time, and what that cost."""
        taken = min(thread_us, self.idle_us)
        pico = self.idle_pico * taken // self.idle_us if taken else 0
        self.idle_us -= taken
        self.idle_pico -= pico
        return taken, pico

    def forget(self) -> None:
        """Takes its running tasks out of the counts."""
        for kind in self.kinds:
            kind.running -= 1
        for kind, began in self.overdue:
            kind.late(-1, began)
        self.kinds, self.overdue, self.executing = [], [], 0
