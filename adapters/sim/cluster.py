"""A Dask cluster that exists on a virtual clock only: the Cluster port, over simulated machines.

The workers of a machine join when it has booted and are gone when it is. Clients come with jobs
and leave; the scheduler may restart, be away, or say the same thing for too long.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from costplan.adapters.sim.clock import Alarm, VirtualClock
from costplan.adapters.sim.drains import Drains, Network
from costplan.adapters.sim.machines import Machine
from costplan.adapters.sim.scheduler import Loss, Scheduler
from costplan.adapters.sim.work import Batch, Job
from costplan.adapters.sim.workers import SimWorker
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.load import Load
from costplan.planner.nodes import MachineState, Retired, WorkerSpec

_LOSSES_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How the cluster behaves: seconds from boot to joined, to notice a silent worker, to come
    back after the scheduler did."""

    seed: int = 0
    join_seconds: float = 2.0
    silent_seconds: float = 300.0
    back_seconds: float = 5.0
    network: Network = Network()


@dataclass(slots=True)
class JobRun:
    """A job under way: its batches in the present scheduler, and when it began and ended."""

    job: Job
    submitted: int
    batches: list[Batch] = field(default_factory=list)
    finished: int | None = None


class SimCluster:
    """The cluster as the planner sees it, and as a scenario plays with it."""

    endpoint = "sim://scheduler"

    def __init__(self, clock: VirtualClock, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.clock = clock
        self.losses: deque[Loss] = deque(maxlen=_LOSSES_KEPT)
        """What went with workers that left, newest last."""
        self.done: deque[JobRun] = deque(maxlen=_LOSSES_KEPT)
        """Jobs that have got all of their results, newest last."""
        self._dice = random.Random(f"cluster/{self.habits.seed}")  # noqa: S311 - not for secrets
        self._machines: dict[str, Machine] = {}
        self._jobs: dict[int, JobRun] = {}
        self._clients: dict[str, int] = {}
        self._gone_since: int | None = None
        self._away_until = 0
        self._is_down = False
        self._stale: Load | None = None
        self._back: Alarm | None = None
        self._submitted = 0
        self._starts = 0
        self.scheduler, self._drains = self._start()

    def _start(self) -> tuple[Scheduler, Drains]:
        self._starts += 1
        scheduler = Scheduler(
            self.clock,
            scheduler_id=f"scheduler-{self._starts}",
            seed=f"scheduler/{self.habits.seed}/{self._starts}",
            finished=self._batch_finished,
            lost=self.losses.append,
        )
        return scheduler, Drains(scheduler, self.habits.network)

    # The port.

    def load(self) -> Load:
        """What waits, what runs, and who holds what."""
        with self.clock.lock:
            self._ask()
            if self._stale is not None:
                return self._stale
            self._drains.settle()
            return self.scheduler.load(len(self._clients), self._gone_since)

    def cordon(self, workers: Collection[str], token: str) -> None:
        """These workers take no new tasks, and copies of what they alone hold are begun."""
        del token  # every drain may be repeated as it is
        with self.clock.lock:
            self._ask()
            self._drains.cordon(workers)

    def uncordon(self, workers: Collection[str]) -> None:
        """These workers take tasks again."""
        with self.clock.lock:
            self._ask()
            self._drains.uncordon(workers)

    def retire(self, workers: Collection[str], token: str, *, force: bool = False) -> Retired:
        """Begins, or goes on with, removing the workers, and says how far it is."""
        del token
        with self.clock.lock:
            self._ask()
            return self._drains.retire(workers, force=force)

    def _ask(self) -> None:
        if self.is_away:
            raise ClusterUnreachable(self.endpoint, "no answer")

    # Machines (the `Guests` of a provider).

    def booted(self, machine: Machine) -> None:
        """Its workers join in a moment."""
        self._machines[machine.machine_id] = machine
        self._join_soon(machine, self.habits.join_seconds)

    def stopped(self, machine: Machine, cause: str) -> None:
        """Its workers are gone at once."""
        self._machines.pop(machine.machine_id, None)
        for name in self._on(machine):
            self._lose(name, cause)

    def hung(self, machine: Machine) -> None:
        """Its workers do nothing more, and are given up when they have been silent too long."""
        self._machines.pop(machine.machine_id, None)
        for name in self._on(machine):
            worker = self.scheduler.workers[name]
            worker.is_hung = True
            for running in worker.running:
                if running.alarm is not None:
                    running.alarm.cancel()
            self.clock.after(self.habits.silent_seconds, partial(self._give_up, worker))

    def _on(self, machine: Machine) -> list[str]:
        return [
            spec.name
            for spec in machine.request.workers
            if (worker := self.scheduler.workers.get(spec.name)) is not None
            and worker.machine_id == machine.machine_id
        ]

    def _give_up(self, worker: SimWorker) -> None:
        if self.scheduler.workers.get(worker.name) is worker:
            self._lose(worker.name, "silent")

    def _lose(self, name: str, cause: str) -> None:
        """The worker is gone; what was copied until now is not."""
        self._drains.settle()
        self.scheduler.remove_worker(name, cause=cause, expected=False)

    def _join_soon(self, machine: Machine, seconds: float) -> None:
        for spec in machine.request.workers:
            self.clock.after(seconds, partial(self._join, machine, spec))

    def _join(self, machine: Machine, spec: WorkerSpec) -> None:
        is_up = machine.state is MachineState.RUNNING and machine.machine_id in self._machines
        if is_up and not self._is_down and spec.name not in self.scheduler.workers:
            self.scheduler.add_worker(SimWorker(spec, machine.machine_id, self.clock()))

    # What a scenario does.

    @property
    def is_away(self) -> bool:
        """True while the scheduler does not answer."""
        return self.clock.micros < self._away_until

    @property
    def open_jobs(self) -> int:
        """Jobs whose results are not all there yet."""
        return sum(run.finished is None for run in self._jobs.values())

    def submit(self, job: Job) -> int:
        """A client connects and submits a job; it leaves when it has its results. Returns a
        number that names the run of the job."""
        with self.clock.lock:
            self._submitted += 1
            self.connect(job.name)
            self._jobs[self._submitted] = JobRun(job, self.clock.micros)
            if not self._is_down:
                self._begin(self._jobs[self._submitted])
            return self._submitted

    def connect(self, client: str) -> None:
        """A client is there from now on."""
        self._clients[client] = self._clients.get(client, 0) + 1
        self._gone_since = None

    def disconnect(self, client: str) -> None:
        """The client is gone."""
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        if not self._clients:
            self._gone_since = self.clock.micros

    def leave(self, number: int) -> None:
        """The client of that job is gone: nobody wants its results any more."""
        with self.clock.lock:
            run = self._jobs.pop(number, None)
            if run is not None:
                for batch in run.batches:
                    self.scheduler.release(batch)
                self.disconnect(run.job.name)

    def away(self, seconds: float) -> None:
        """The scheduler cannot be asked for so long; its cluster works on."""
        self._away_until = self.clock.micros + round(seconds * 1_000_000)

    def stale(self, seconds: float) -> None:
        """For so long the scheduler says what it says now."""
        self._stale = self.load()
        self.clock.after(seconds, self._freshen)

    def _freshen(self) -> None:
        self._stale = None

    def restart(self, seconds: float) -> None:
        """The scheduler dies and is back in `seconds`, empty; clients submit their jobs again
        and workers that still run join again."""
        with self.clock.lock:
            for name in tuple(self.scheduler.workers):
                for running in self.scheduler.workers[name].running:
                    if running.alarm is not None:
                        running.alarm.cancel()
            for run in self._jobs.values():
                run.batches = []
            self.scheduler, self._drains = self._start()
            self._is_down, self._stale = True, None
            self.away(seconds)
            if self._back is not None:
                # One that dies while it is down comes back once.
                self._back.cancel()
            self._back = self.clock.after(seconds, self._come_back)

    def _come_back(self) -> None:
        self._is_down = False
        for run in self._jobs.values():
            if run.finished is None:
                self._begin(run)
        for machine in self._machines.values():
            self._join_soon(machine, self._dice.uniform(0.0, self.habits.back_seconds))

    def crash(self, name: str, back_seconds: float) -> None:
        """The worker's process dies; its nanny starts it again, under the same name."""
        with self.clock.lock:
            worker = self.scheduler.workers[name]
            self._lose(name, "crashed")
            machine = self._machines.get(worker.machine_id)
            if machine is not None:
                self.clock.after(back_seconds, partial(self._join, machine, worker.spec))

    # Jobs.

    def _begin(self, run: JobRun) -> None:
        run.batches = []
        for stage in run.job.stages:
            parents = tuple(run.batches[place] for place in stage.after)
            run.batches.append(Batch(stage, parents, self.clock.micros))
        for batch in run.batches:
            self.scheduler.add(batch)

    def _batch_finished(self, batch: Batch) -> None:
        for parent in batch.parents:
            if not parent.stage.kept and all(child.is_finished for child in parent.children):
                self.scheduler.release(parent)
        for number, run in tuple(self._jobs.items()):
            if batch in run.batches and run.finished is None:
                self._finish_job(number, run)

    def _finish_job(self, number: int, run: JobRun) -> None:
        if all(batch.is_finished for batch in run.batches):
            run.finished = self.clock.micros
            self.done.append(run)
            self.clock.after(run.job.stays_seconds, partial(self.leave, number))
