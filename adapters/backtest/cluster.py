"""A cluster that runs recorded jobs: the Cluster port, with one event an end of a task.

A job is as many tasks as it has units, each of the job's duration, which save a checkpoint at a
fixed interval: what is interrupted goes on from the last one. Tasks wait in one queue, in order
of arrival, those that were interrupted in front. Results are not held, and there are no gangs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.sim.clock import MICROS, Alarm, VirtualClock
from costplan.adapters.sim.machines import Machine
from costplan.planner.errors import InvariantBroken
from costplan.planner.load import Departure, Load, TaskGroup, Totals, WorkerLoad
from costplan.planner.nodes import MachineState, Retired, WorkerSpec
from costplan.planner.settings import WorkerKind

PREFIX = "job"
_DEPARTED_SECONDS = 3600.0
JOIN_SECONDS = 2.0


@dataclass(slots=True)
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
class _Task:
    run: JobRun
    left_seconds: float
    began: int = 0
    has_begun: bool = False
    alarm: Alarm | None = None


@dataclass(slots=True, eq=False)
class _Worker:
    spec: WorkerSpec
    machine_id: str
    joined: int
    running: dict[_Task, None] = field(default_factory=dict)
    is_cordoned: bool = False
    idle_since: int | None = None
    busy_micros: int = 0
    lost_micros: int = 0
    cordoned_at: int | None = None
    seen: WorkerLoad | None = None

    @property
    def has_room(self) -> bool:
        return not self.is_cordoned and len(self.running) < self.spec.threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """A worker's time on a machine, in slot-microseconds.

    `worked` went into work that counts, `lost` into work that was done again; after it was
    cordoned it was idle for `draining`. What is left of [joined, left) it was idle before that.
    """

    machine_id: str
    joined: int
    left: int
    slots: int
    worked: int
    lost: int
    draining: int


class TraceCluster:
    """What a planner and a stock scaler see of the cluster, and what a simulation plays with."""

    def __init__(self, clock: VirtualClock, kind: WorkerKind, *, checkpoint_seconds: float) -> None:
        self.clock = clock
        self.kind = kind
        self.runs: list[JobRun] = []
        self.stints: list[Stint] = []
        self.restarted = 0
        self._checkpoint = round(checkpoint_seconds * MICROS)
        self._need = {n: a / kind.threads for n, a in kind.resources.items()}
        self._queue: deque[_Task] = deque()
        self._workers: dict[str, _Worker] = {}
        self._free: deque[str] = deque()
        self._machines: dict[str, Machine] = {}
        self._departed: dict[str, Departure] = {}
        self._open_jobs = 0
        self._gone_since: int | None = None
        self._ended = 0
        self._ended_seconds = 0.0
        self._ended_squares = 0.0

    # What a simulation does, and what a stock scaler looks at.

    def submit(self, job: TraceJob) -> None:
        """The job's tasks wait from now on."""
        run = JobRun(job, self.clock.micros, job.units, job.units)
        self.runs.append(run)
        self._open_jobs += 1
        self._gone_since = None
        self._queue.extend(_Task(run, job.seconds) for _ in range(job.units))
        self._fill()

    @property
    def is_done(self) -> bool:
        """True while no job waits or runs."""
        return not self._open_jobs

    @property
    def queued(self) -> int:
        """Tasks that wait for a worker."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Tasks that run."""
        return sum(len(worker.running) for worker in self._workers.values())

    @property
    def slots(self) -> int:
        """Tasks that could run at once on the workers that are here."""
        return sum(worker.spec.threads for worker in self._workers.values())

    def idle_machines(self) -> list[str]:
        """Machines whose workers are here and run nothing, those longest idle first."""
        since: dict[str, int] = {}
        busy: set[str] = set()
        for worker in self._workers.values():
            if worker.running or worker.idle_since is None:
                busy.add(worker.machine_id)
            else:
                at = since.get(worker.machine_id, 0)
                since[worker.machine_id] = max(at, worker.idle_since)
        return sorted((m for m in since if m not in busy), key=lambda m: (since[m], m))

    # The port.

    def load(self) -> Load:
        """What waits, what runs, and on whom."""
        now = self.clock.micros
        self._forget_departed()
        running = self.running
        mean = self._ended_seconds / self._ended if self._ended else None
        variance = None
        if self._ended > 1 and mean is not None:
            variance = max(0.0, self._ended_squares - self._ended * mean**2) / (self._ended - 1)
        began = [next(iter(w.running)).began for w in self._workers.values() if w.running]
        oldest = (now - min(began)) / MICROS if began else None
        groups = (
            TaskGroup(
                prefix=PREFIX,
                need=self._need,
                queued=len(self._queue),
                running=running,
                unrunnable=0 if self._workers else len(self._queue),
                mean_task_seconds=mean,
                observed_tasks=self._ended,
                variance_seconds2=variance,
                longest_running_seconds=oldest,
            ),
        )
        return Load(
            at=self.clock(),
            window_seconds=0.0,
            groups=groups if self._open_jobs or self._ended else (),
            workers={name: self._view(worker) for name, worker in self._workers.items()},
            scheduler_id="trace",
            clients=1 if self._open_jobs else 0,
            clients_gone_since=(
                None if self._gone_since is None else self.clock.instant(self._gone_since)
            ),
            departed=dict(self._departed),
            totals=Totals(
                finished_tasks=self._ended,
                restarted_tasks=self.restarted,
                busy_seconds=self._ended_seconds,
            ),
        )

    def cordon(self, workers: Collection[str], token: str) -> None:
        """These workers take no new tasks."""
        del token
        for name in workers:
            worker = self._workers.get(name)
            if worker is not None and not worker.is_cordoned:
                worker.is_cordoned, worker.seen = True, None
                worker.cordoned_at = self.clock.micros

    def uncordon(self, workers: Collection[str]) -> None:
        """These workers take tasks again."""
        for name in workers:
            worker = self._workers.get(name)
            if worker is not None and worker.is_cordoned:
                worker.is_cordoned, worker.seen = False, None
                worker.cordoned_at = None
                self._free.append(name)
        self._fill()

    def retire(self, workers: Collection[str], token: str, *, force: bool = False) -> Retired:
        """Removes the workers; what runs on them goes on elsewhere from its last checkpoint."""
        del force
        self.cordon(workers, token)
        for name in workers:
            if name in self._workers:
                self._remove(name, expected=True)
        left = [name for name in workers if name in self._departed]
        lost = tuple(name for name in left if not self._departed[name].expected)
        return Retired(done=tuple(name for name in left if name not in lost), refused={}, lost=lost)

    # Machines (the `Guests` of a provider).

    def booted(self, machine: Machine) -> None:
        """Its workers join in a moment."""
        self._machines[machine.machine_id] = machine
        for spec in machine.request.workers:
            self.clock.after(JOIN_SECONDS, partial(self._join, machine, spec))

    def stopped(self, machine: Machine, cause: str) -> None:
        """Its workers are gone at once."""
        del cause
        self._machines.pop(machine.machine_id, None)
        names = [spec.name for spec in machine.request.workers if spec.name in self._workers]
        for name in names:
            # None of them takes what another one leaves.
            self._workers[name].is_cordoned = True
        for name in names:
            self._remove(name, expected=False)

    def hung(self, machine: Machine) -> None:
        """Raises InvariantBroken: machines do not hang in a backtest."""
        raise InvariantBroken(f"{machine.machine_id} hangs; backtests have no such fate")

    def close(self) -> None:
        """The end of the simulation: workers that are here are counted until now."""
        for name in tuple(self._workers):
            self._remove(name, expected=True)

    # How it works.

    def _join(self, machine: Machine, spec: WorkerSpec) -> None:
        if machine.state is not MachineState.RUNNING or machine.machine_id not in self._machines:
            return
        now = self.clock.micros
        self._workers[spec.name] = _Worker(spec, machine.machine_id, now, idle_since=now)
        self._free.append(spec.name)
        self._fill()

    def _fill(self) -> None:
        """Gives waiting tasks to workers with room, the one that has had it longest first."""
        while self._queue and self._free:
            worker = self._workers.get(self._free[0])
            if worker is None or not worker.has_room:
                self._free.popleft()
                continue
            self._begin(worker, self._queue.popleft())

    def _begin(self, worker: _Worker, task: _Task) -> None:
        task.began = self.clock.micros
        if not task.has_begun:
            task.has_begun = True
            task.run.to_begin -= 1
            if not task.run.to_begin:
                task.run.all_began = self.clock.micros
        worker.running[task] = None
        worker.idle_since, worker.seen = None, None
        task.alarm = self.clock.after(task.left_seconds, partial(self._end, worker, task))

    def _end(self, worker: _Worker, task: _Task) -> None:
        had_room = worker.has_room
        del worker.running[task]
        now, run = self.clock.micros, task.run
        worker.busy_micros += now - task.began
        worker.idle_since = None if worker.running else now
        worker.seen = None
        self._ended += 1
        self._ended_seconds += run.job.seconds
        self._ended_squares += run.job.seconds**2
        run.to_end -= 1
        if not run.to_end:
            run.ended = now
            self._open_jobs -= 1
            if not self._open_jobs:
                self._gone_since = now
        if not had_room and worker.has_room:
            self._free.append(worker.spec.name)
        self._fill()

    def _remove(self, name: str, *, expected: bool) -> None:
        worker = self._workers.pop(name)
        now = self.clock.micros
        for task in reversed(worker.running):
            if task.alarm is not None:
                task.alarm.cancel()
            ran = now - task.began
            kept = ran // self._checkpoint * self._checkpoint if self._checkpoint else ran
            task.left_seconds -= kept / MICROS
            worker.busy_micros += kept
            worker.lost_micros += ran - kept
            self.restarted += 1
            self._queue.appendleft(task)
        until = worker.idle_since if worker.idle_since is not None else now
        draining = 0
        if worker.cordoned_at is not None:
            draining = (now - max(worker.cordoned_at, until)) * worker.spec.threads
        self.stints.append(
            Stint(
                machine_id=worker.machine_id,
                joined=worker.joined,
                left=now,
                slots=worker.spec.threads,
                worked=worker.busy_micros,
                lost=worker.lost_micros,
                draining=draining,
            )
        )
        self._departed[name] = Departure(
            worker=name,
            at=self.clock(),
            expected=expected,
            lost_keys=0,
            restarted_tasks=len(worker.running),
        )
        worker.running.clear()
        self._fill()

    def _forget_departed(self) -> None:
        now = self.clock()
        for name, departure in tuple(self._departed.items()):
            if (now - departure.at).total_seconds() < _DEPARTED_SECONDS:
                break
            del self._departed[name]

    def _view(self, worker: _Worker) -> WorkerLoad:
        if worker.seen is None:
            idle = worker.idle_since
            worker.seen = WorkerLoad(
                threads=worker.spec.threads,
                memory_bytes=worker.spec.memory_bytes or None,
                resources=worker.spec.resources,
                executing=len(worker.running),
                processing=len(worker.running),
                managed_bytes=0,
                status="closing" if worker.is_cordoned else "running",
                idle_since=None if idle is None else self.clock.instant(idle),
                busy_seconds=worker.busy_micros / MICROS,
                joined_at=self.clock.instant(worker.joined),
            )
        return worker.seen
