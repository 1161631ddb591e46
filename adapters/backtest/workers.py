"""Jobs under way, their tasks and the workers that run them, as a backtest's cluster knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.backtest.results import Shelf
from costplan.adapters.sim.clock import MICROS, Alarm, VirtualClock
from costplan.planner.load import WorkerLoad
from costplan.planner.nodes import WorkerSpec


@dataclass(slots=True, eq=False)
class JobRun:
    """A job under way: tasks that have not begun and not ended, and its instants (microseconds).

    `all_began` is when the last of its tasks began for the first time.
    """

    job: TraceJob
    submitted: int
    to_begin: int
    to_end: int
    all_began: int | None = None
    ended: int | None = None


@dataclass(slots=True, eq=False)
class Task:
    """A task that waits or runs, with the seconds that are left of it. `is_redone` where it ended
    once and its result was lost."""

    run: JobRun
    left_seconds: float
    began: int = 0
    has_begun: bool = False
    is_redone: bool = False
    alarm: Alarm | None = None


@dataclass(slots=True, eq=False)
class Worker:
    """A worker that is here: what it runs, and where its time went so far."""

    spec: WorkerSpec
    machine_id: str
    joined: int
    running: dict[Task, None] = field(default_factory=dict)
    is_cordoned: bool = False
    idle_since: int | None = None
    busy_micros: int = 0
    lost_micros: int = 0
    redone_micros: int = 0
    cordoned_at: int | None = None
    leaves: Alarm | None = None
    seen: WorkerLoad | None = None

    @property
    def has_room(self) -> bool:
        return not self.is_cordoned and len(self.running) < self.spec.threads

    def worked(self, task: Task, micros: int) -> None:
        """So much of its time went into the task and is kept."""
        if task.is_redone:
            self.redone_micros += micros
        else:
            self.busy_micros += micros

    def view(
        self, clock: VirtualClock, shelf: Shelf[JobRun], result_bytes: int, recompute: float
    ) -> WorkerLoad:
        """What a scheduler says of it; all that it holds it holds alone."""
        idle, held = self.idle_since, shelf.keys * result_bytes
        return WorkerLoad(
            threads=self.spec.threads,
            memory_bytes=self.spec.memory_bytes or None,
            resources=self.spec.resources,
            executing=len(self.running),
            processing=len(self.running),
            managed_bytes=held,
            sole_bytes=held,
            sole_keys=shelf.keys,
            recompute_seconds=recompute,
            status="closing" if self.is_cordoned else "running",
            idle_since=None if idle is None else clock.instant(idle),
            busy_seconds=(self.busy_micros + self.redone_micros) / MICROS,
            joined_at=clock.instant(self.joined),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """A worker's time on a machine, in slot-microseconds.

    `worked` went into work that counts, `lost` into work that was done again or does again what
    was lost; after it was cordoned it was idle for `draining`. What is left of [joined, left) it
    was idle before that.
    """

    machine_id: str
    joined: int
    left: int
    slots: int
    worked: int
    lost: int
    draining: int
