"""A cluster that runs recorded jobs: the Cluster port, with one event an end of a task.

A job is as many tasks as it has units, each of the job's duration, which save a checkpoint at a
fixed interval: what is interrupted goes on from the last one. Tasks wait in one queue, in order
of arrival, those that were interrupted in front. There are no gangs.

A task that has ended leaves a result on its worker until its job is over (`results.py`). Where a
worker goes with results of jobs under way, their tasks are computed again, from the start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.backtest.results import Results
from costplan.adapters.backtest.workers import JobRun, Stint, Task, Worker
from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.machines import Machine
from costplan.planner.errors import InvariantBroken
from costplan.planner.load import Departure, Load, TaskGroup, Totals, WorkerLoad, overdue_among
from costplan.planner.nodes import MachineState, Retired, WorkerSpec
from costplan.planner.settings import WorkerKind

PREFIX = "job"
_DEPARTED_SECONDS = 3600.0
JOIN_SECONDS = 2.0


def _nobody(machine_id: str) -> None:
    del machine_id


def _seconds(run: JobRun) -> float:
    return run.job.seconds


class TraceCluster:
    """What a planner and a stock scaler see of the cluster, and what a simulation plays with."""

    def __init__(
        self,
        clock: VirtualClock,
        kind: WorkerKind,
        *,
        checkpoint_seconds: float,
        result_bytes: int = 0,
    ) -> None:
        self.clock = clock
        self.kind = kind
        self.runs: list[JobRun] = []
        self.stints: list[Stint] = []
        self.restarted = 0
        self.recomputed = 0
        self.retired: Callable[[str], None] = _nobody
        """Told of a machine whose last worker has been retired."""
        self._checkpoint = round(checkpoint_seconds * MICROS)
        self._need = {n: a / kind.threads for n, a in kind.resources.items()}
        self._queue: deque[Task] = deque()
        self._workers: dict[str, Worker] = {}
        self._free: deque[str] = deque()
        self._machines: dict[str, Machine] = {}
        self._departed: dict[str, Departure] = {}
        self._results: Results[JobRun] = Results(clock, result_bytes, _seconds)
        self._recompute_seconds = 0.0
        self._kept_micros = 0
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
        self._queue.extend(Task(run, job.seconds) for _ in range(job.units))
        self._fill()

    @property
    def is_done(self) -> bool:
        """True while no job waits or runs."""
        return not self._open_jobs

    @property
    def progress(self) -> tuple[int, int]:
        """What changes when work goes on: task-time that is kept, and jobs that are not done."""
        return self._kept_micros, self._open_jobs

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
        """Tasks that could run at once on the workers that are here and not on their way out."""
        return sum(w.spec.threads for w in self._workers.values() if not w.is_cordoned)

    def idle_machines(self) -> list[str]:
        """Machines whose workers are here to stay and run nothing, those longest idle first."""
        since: dict[str, int] = {}
        busy: set[str] = set()
        for worker in self._workers.values():
            if worker.running or worker.idle_since is None or worker.is_cordoned:
                busy.add(worker.machine_id)
            else:
                at = since.get(worker.machine_id, 0)
                since[worker.machine_id] = max(at, worker.idle_since)
        return sorted((m for m in since if m not in busy), key=lambda m: (since[m], m))

    def workers_of(self, machine_id: str) -> tuple[str, ...]:
        """The workers of a machine that are here."""
        return tuple(n for n, worker in self._workers.items() if worker.machine_id == machine_id)

    # The port.

    def load(self) -> Load:
        """What waits, what runs, and on whom."""
        now = self.clock.micros
        self._forget_departed()
        self._results.settle()
        running = self.running
        mean = self._ended_seconds / self._ended if self._ended else None
        variance = None
        if self._ended > 1 and mean is not None:
            variance = max(0.0, self._ended_squares - self._ended * mean**2) / (self._ended - 1)
        ages = [(now - t.began) / MICROS for w in self._workers.values() for t in w.running]
        overdue, overdue_seconds = overdue_among(ages, mean)
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
                longest_running_seconds=max(ages, default=None),
                overdue=overdue,
                overdue_seconds=overdue_seconds,
            ),
        )
        return Load(
            at=self.clock(),
            window_seconds=0.0,
            groups=groups if self._open_jobs or self._ended else (),
            workers={name: self._view(name, worker) for name, worker in self._workers.items()},
            scheduler_id="trace",
            clients=1 if self._open_jobs else 0,
            clients_gone_since=(
                None if self._gone_since is None else self.clock.instant(self._gone_since)
            ),
            departed=dict(self._departed),
            totals=Totals(
                finished_tasks=self._ended,
                recomputed_tasks=self.recomputed,
                restarted_tasks=self.restarted,
                recomputed_seconds=self._recompute_seconds,
                busy_seconds=self._ended_seconds,
            ),
        )

    def cordon(self, workers: Collection[str], token: str) -> None:
        """These workers take no new tasks, and what they hold is copied to those that stay."""
        del token
        for name in workers:
            worker = self._workers.get(name)
            if worker is not None and not worker.is_cordoned:
                worker.is_cordoned, worker.seen = True, None
                worker.cordoned_at = self.clock.micros
                self._results.cordon(name)

    def uncordon(self, workers: Collection[str]) -> None:
        """These workers take tasks again."""
        for name in workers:
            worker = self._workers.get(name)
            if worker is not None and worker.is_cordoned:
                worker.is_cordoned, worker.seen = False, None
                worker.cordoned_at = None
                if worker.leaves is not None:
                    worker.leaves.cancel()
                self._results.uncordon(name)
                self._free.append(name)
        self._fill()

    def retire(self, workers: Collection[str], token: str, *, force: bool = False) -> Retired:
        """Removes workers once what they hold is copied, and says how far that is. What runs on
        them by then goes on elsewhere from its last checkpoint."""
        del force
        self.cordon(workers, token)
        self._results.settle()
        refused = {}
        for name in workers:
            if name not in self._workers:
                continue
            if self._results.can_leave(name):
                self._leave(name)
            else:
                refused[name] = "nobody can take what it alone holds"
        left = [n for n in workers if n not in self._workers and n in self._departed]
        lost = [n for n in left if not self._departed[n].expected or self._departed[n].lost_keys]
        return Retired(
            done=tuple(name for name in left if name not in lost),
            refused=refused,
            lost=tuple(lost),
            pending=tuple(n for n in workers if n in self._workers and n not in refused),
        )

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
            self._results.cordon(name)
        for name in names:
            self._remove(name, expected=False)

    def hung(self, machine: Machine) -> None:
        """Raises InvariantBroken: machines do not hang in a backtest."""
        raise InvariantBroken(f"{machine.machine_id} hangs; backtests have no such fate")

    def close(self) -> None:
        """The end of the simulation: workers that are here are counted until now, and what still
        runs is broken off."""
        self._free.clear()
        for worker in self._workers.values():
            for task in worker.running:
                worker.worked(task, self.clock.micros - task.began)
                if task.alarm is not None:
                    task.alarm.cancel()
            worker.running.clear()
        for name in tuple(self._workers):
            self._remove(name, expected=True)

    # How it works.

    def _join(self, machine: Machine, spec: WorkerSpec) -> None:
        if machine.state is not MachineState.RUNNING or machine.machine_id not in self._machines:
            return
        now = self.clock.micros
        self._workers[spec.name] = Worker(spec, machine.machine_id, now, idle_since=now)
        self._results.add(spec.name, spec.memory_bytes)
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

    def _begin(self, worker: Worker, task: Task) -> None:
        task.began = self.clock.micros
        if not task.has_begun:
            task.has_begun = True
            task.run.to_begin -= 1
            if not task.run.to_begin:
                task.run.all_began = self.clock.micros
        worker.running[task] = None
        worker.idle_since, worker.seen = None, None
        task.alarm = self.clock.after(task.left_seconds, partial(self._end, worker, task))

    def _end(self, worker: Worker, task: Task) -> None:
        had_room = worker.has_room
        del worker.running[task]
        now, run = self.clock.micros, task.run
        self._worked(worker, task, now - task.began)
        self.recomputed += task.is_redone
        worker.idle_since = None if worker.running else now
        worker.seen = None
        self._ended += 1
        self._ended_seconds += run.job.seconds
        self._ended_squares += run.job.seconds**2
        run.to_end -= 1
        if run.to_end:
            self._results.keep(worker.spec.name, run)
        else:
            self._results.gather(run)
            run.ended = now
            self._open_jobs -= 1
            if not self._open_jobs:
                self._gone_since = now
        if not had_room and worker.has_room:
            self._free.append(worker.spec.name)
        self._fill()

    def _leave(self, name: str) -> None:
        """Lets a worker go now, or once the results that it holds are copied."""
        worker = self._workers.get(name)
        if worker is None or not worker.is_cordoned:
            return
        if worker.leaves is not None:
            worker.leaves.cancel()
        self._results.settle()
        if not self._results.of(name).keys:
            self._remove(name, expected=True)
            if not self.workers_of(worker.machine_id):
                self.retired(worker.machine_id)
        elif self._results.can_leave(name):
            seconds = self._results.seconds_left(name)
            worker.leaves = self.clock.after(seconds, partial(self._leave, name))

    def _remove(self, name: str, *, expected: bool) -> None:
        worker = self._workers.pop(name)
        now = self.clock.micros
        lost = self._lose(name)
        if worker.leaves is not None:
            worker.leaves.cancel()
        for task in reversed(worker.running):
            if task.alarm is not None:
                task.alarm.cancel()
            ran = now - task.began
            kept = ran // self._checkpoint * self._checkpoint if self._checkpoint else ran
            task.left_seconds -= kept / MICROS
            self._worked(worker, task, kept)
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
                lost=worker.lost_micros + worker.redone_micros,
                draining=draining,
            )
        )
        self._departed[name] = Departure(
            worker=name,
            at=self.clock(),
            expected=expected,
            lost_keys=lost,
            restarted_tasks=len(worker.running),
        )
        worker.running.clear()
        self._fill()

    def _worked(self, worker: Worker, task: Task, micros: int) -> None:
        worker.worked(task, micros)
        self._kept_micros += 0 if task.is_redone else micros

    def _lose(self, name: str) -> int:
        """What a worker held is to be computed again, before what waits; returns how many."""
        keys = 0
        for run, lost in reversed(self._results.remove(name).items()):
            keys += lost
            run.to_end += lost
            self._recompute_seconds += lost * run.job.seconds
            self._queue.extendleft(
                Task(run, run.job.seconds, has_begun=True, is_redone=True) for _ in range(lost)
            )
        return keys

    def _forget_departed(self) -> None:
        now = self.clock()
        for name, departure in tuple(self._departed.items()):
            if (now - departure.at).total_seconds() < _DEPARTED_SECONDS:
                break
            del self._departed[name]

    def _view(self, name: str, worker: Worker) -> WorkerLoad:
        shelf = self._results.of(name)
        if worker.seen is None or shelf.is_changed:
            shelf.is_changed = False
            seconds = self._results.recompute_seconds(name)
            worker.seen = worker.view(self.clock, shelf, self._results.result_bytes, seconds)
        return worker.seen
