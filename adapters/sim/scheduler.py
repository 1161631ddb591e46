"""A simulated Dask scheduler: who runs what, who holds what, and what is lost with a worker.

Far simpler than the real one: tasks of a stage are alike and counted, not named; a stage starts
when the stages before it are finished; a task goes to a worker that has a free thread.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.work import Batch, Need, Running, Seen
from costplan.adapters.sim.workers import SimWorker
from costplan.planner.load import Departure, Load, TaskGroup, Totals, overdue_among

_PATIENCE_SECONDS = 30.0
_DEPARTED_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What went with a worker: why it left, results and running tasks that were lost."""

    worker: str
    machine_id: str
    cause: str
    micros: int
    keys: int
    tasks: int


@dataclass(slots=True)
class Counts:
    """Counters since the scheduler started."""

    finished: int = 0
    recomputed: int = 0
    recomputed_seconds: float = 0.0
    restarted: int = 0
    busy_seconds: float = 0.0
    gangs_failed: int = 0
    gone_for_good: int = 0


class Scheduler:
    """What one run of a scheduler knows. `finished` is called with each batch that is done."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        scheduler_id: str,
        seed: str,
        finished: Callable[[Batch], None],
        lost: Callable[[Loss], None],
    ) -> None:
        self.clock = clock
        self.scheduler_id = scheduler_id
        self.workers: dict[str, SimWorker] = {}
        self.departed: dict[str, Departure] = {}
        self.counts = Counts()
        self._dice = random.Random(seed)  # noqa: S311 - not for secrets
        self._batches: dict[Batch, None] = {}
        self._ready: dict[Batch, None] = {}
        self._gangs: dict[Batch, None] = {}
        self._free: dict[str, SimWorker] = {}
        self._seen: dict[str, Seen] = {}
        self._needs: dict[tuple[str, Need], None] = {}
        self._capable: dict[Need, bool] = {}
        self._finished, self._lost = finished, lost

    # Work.

    def add(self, batch: Batch) -> None:
        """The batch is to be done; scattered data is put on the workers there are."""
        self._batches[batch] = None
        self._needs.setdefault((batch.stage.prefix, batch.need))
        if batch.stage.scattered:
            self._scatter(batch)
            return
        if batch.stage.gang:
            self._gangs[batch] = None
        self._refresh(batch)
        self.place()

    def release(self, batch: Batch) -> None:
        """Nobody wants its results any more; what runs of it is forgotten when it ends."""
        batch.is_released = True
        batch.queued = 0
        for name in tuple(batch.held):
            self.workers[name].give(batch, batch.held[name].keys)
        self._batches.pop(batch, None)
        self._ready.pop(batch, None)
        self._gangs.pop(batch, None)

    def _scatter(self, batch: Batch) -> None:
        takers = [worker for worker in self.workers.values() if worker.takes_tasks]
        for position in range(batch.stage.tasks if takers else 0):
            takers[position % len(takers)].hold(batch, 1, 0.0)

    def _refresh(self, batch: Batch) -> None:
        """Lists it where tasks of it could run; a gang is listed apart, and waits for members."""
        if batch.stage.gang:
            if not batch.is_ready:
                batch.ready_since = None
            elif batch.ready_since is None:
                batch.ready_since = self.clock.micros
                self.clock.after(_PATIENCE_SECONDS, self.place)
        elif batch.is_ready and not batch.is_released:
            self._ready[batch] = None
        else:
            self._ready.pop(batch, None)

    # Placing.

    def place(self) -> None:
        """Gives tasks to workers that are free, one each in turn, until no more can be given."""
        if self._gangs:
            self._place_gangs()
        is_placing = bool(self._ready)
        while is_placing and self._free:
            is_placing = False
            for worker in tuple(self._free.values()):
                is_placing |= self._give_one(worker)

    def fill(self, worker: SimWorker) -> None:
        """Gives tasks to that worker while it is free and there are any for it."""
        if self._gangs:
            self._place_gangs()
        while self._ready and worker.takes_tasks and self._give_one(worker):
            pass

    def _give_one(self, worker: SimWorker) -> bool:
        for batch in self._ready:
            if worker.has_free(batch.need):
                batch.queued -= 1
                if not batch.queued:
                    del self._ready[batch]
                self._begin(batch, worker, batch.stage.draw_seconds(self._dice))
                return True
        return False

    def _begin(self, batch: Batch, worker: SimWorker, seconds: float) -> None:
        running = Running(batch, worker.name, self.clock.micros, seconds)
        batch.running[running] = None
        worker.begin(running)
        if not worker.free_threads:
            self._free.pop(worker.name, None)
        if not worker.is_hung:
            running.alarm = self.clock.after(seconds, partial(self._finish, running))

    def _place_gangs(self) -> None:
        for batch in tuple(self._gangs):
            if batch.is_running_gang or not batch.is_ready or batch.ready_since is None:
                continue
            able = [w for w in self._free.values() if w.gang is None and w.has_free(batch.need)]
            members = able[: batch.stage.tasks]
            waited = self.clock.micros - batch.ready_since
            if len(members) < batch.stage.tasks and waited < _PATIENCE_SECONDS * MICROS:
                continue
            if members:
                self._begin_gang(batch, members)

    def _begin_gang(self, batch: Batch, members: list[SimWorker]) -> None:
        width = batch.stage.tasks
        seconds = batch.stage.draw_seconds(self._dice) * width / len(members)
        batch.is_running_gang, batch.queued, batch.ready_since = True, 0, None
        for worker in members:
            worker.gang = f"{batch.stage.prefix}-{batch.submitted}"
            self._begin(batch, worker, seconds)

    # What ends.

    def _finish(self, running: Running) -> None:
        batch, worker = running.batch, self.workers[running.worker]
        self._stop(running)
        worker.busy_seconds += running.seconds
        self.counts.busy_seconds += running.seconds
        self.counts.finished += 1
        self._seen.setdefault(batch.stage.prefix, Seen()).add(running.seconds)
        if not batch.is_released:
            self._keep_result(batch, worker, running.seconds)
        self.fill(worker)

    def _keep_result(self, batch: Batch, worker: SimWorker, seconds: float) -> None:
        """The result lies on the worker; a gang has one, of its last member to finish."""
        if batch.to_redo:
            batch.to_redo -= 1
            self.counts.recomputed += 1
        if batch.is_running_gang:
            if batch.running:
                return
            batch.is_running_gang = False
            batch.done = batch.stage.tasks
            worker.hold(batch, batch.stage.tasks, seconds * batch.stage.tasks)
        else:
            batch.done += 1
            worker.hold(batch, 1, seconds)
        if batch.is_finished:
            self._gangs.pop(batch, None)
            for child in batch.children:
                self._refresh(child)
            self._finished(batch)
            self.place()

    def _stop(self, running: Running) -> None:
        """The task runs no more, whether it has ended or not."""
        worker = self.workers[running.worker]
        if running.alarm is not None:
            running.alarm.cancel()
        del running.batch.running[running]
        worker.end(running, self.clock())
        if running.batch.stage.gang:
            worker.gang = None
        if worker.takes_tasks:
            self._free[worker.name] = worker

    def _restart(self, running: Running) -> int:
        """A task that ran starts again; with a member of a gang all of them do. Returns how many
        had to."""
        batch = running.batch
        if batch.is_released:
            self._stop(running)
            return 0
        tasks = [running]
        if batch.is_running_gang:
            tasks = list(batch.running)
            batch.is_running_gang = False
            self.counts.gangs_failed += 1
        for task in tasks:
            self._stop(task)
        batch.queued = batch.stage.tasks if batch.stage.gang else batch.queued + 1
        self._refresh(batch)
        return len(tasks)

    # Workers.

    def add_worker(self, worker: SimWorker) -> None:
        """A worker joins; one of the same name is thrown out."""
        if worker.name in self.workers:
            self.remove_worker(worker.name, cause="replaced", expected=False)
        self.workers[worker.name] = worker
        self._capable.clear()
        self._free[worker.name] = worker
        self.fill(worker)

    def set_cordon(self, worker: SimWorker, is_cordoned: bool) -> None:
        """It takes no tasks from now on, or takes them again."""
        worker.is_cordoned = is_cordoned
        worker.changed()
        self._capable.clear()
        if is_cordoned:
            self._free.pop(worker.name, None)
        elif worker.free_threads:
            self._free[worker.name] = worker
            self.fill(worker)

    def remove_worker(self, name: str, *, cause: str, expected: bool) -> None:
        """A worker leaves; what it ran starts again, what it held alone is computed again."""
        worker = self.workers[name]
        tasks = sum(
            self._restart(running) for running in tuple(worker.running) if running in worker.running
        )
        keys = sum(self._lose(worker, batch) for batch in tuple(worker.held))
        self.counts.restarted += tasks
        del self.workers[name]
        self._free.pop(name, None)
        if worker.alarm is not None:
            worker.alarm.cancel()
        self._capable.clear()
        now = self.clock()
        self.departed.pop(name, None)
        self.departed[name] = Departure(
            worker=name, at=now, expected=expected, lost_keys=keys, restarted_tasks=tasks
        )
        if keys or tasks:
            self._lost(
                Loss(
                    worker=name,
                    machine_id=worker.machine_id,
                    cause=cause,
                    micros=self.clock.micros,
                    keys=keys,
                    tasks=tasks,
                )
            )
        self.place()

    def _lose(self, worker: SimWorker, batch: Batch) -> int:
        """The results of a batch go with the worker; returns how many."""
        keys = worker.held[batch].keys
        seconds = worker.give(batch, keys)
        if batch.stage.scattered:
            self.counts.gone_for_good += keys
            return keys
        batch.done -= keys
        batch.queued += keys
        batch.to_redo += 1 if batch.stage.gang else keys
        self.counts.recomputed_seconds += seconds
        if batch.stage.gang:
            self._gangs[batch] = None
        self._refresh(batch)
        for child in batch.children:
            self._refresh(child)
        return keys

    # What it says of itself.

    def load(self, clients: int, clients_gone_since: int | None) -> Load:
        """What waits, what runs and who holds what, now."""
        now, gone = self.clock(), clients_gone_since
        self._forget_departed()
        counts = self.counts
        return Load(
            at=now,
            window_seconds=0.0,
            groups=self._groups(),
            workers={name: worker.view() for name, worker in self.workers.items()},
            scheduler_id=self.scheduler_id,
            clients=clients,
            clients_gone_since=None if gone is None else self.clock.instant(gone),
            departed=dict(self.departed),
            totals=Totals(
                finished_tasks=counts.finished,
                recomputed_tasks=counts.recomputed,
                restarted_tasks=counts.restarted,
                recomputed_seconds=counts.recomputed_seconds,
                busy_seconds=counts.busy_seconds,
            ),
        )

    def _forget_departed(self) -> None:
        for name, departure in tuple(self.departed.items()):
            if (self.clock() - departure.at).total_seconds() < _DEPARTED_SECONDS:
                break
            del self.departed[name]

    def _groups(self) -> tuple[TaskGroup, ...]:
        totals: dict[tuple[str, Need], Counter[str]] = {key: Counter() for key in self._needs}
        ages: dict[tuple[str, Need], list[float]] = defaultdict(list)
        now = self.clock.micros
        for batch in self._batches:
            key = (batch.stage.prefix, batch.need)
            counts, is_waiting = totals[key], not batch.is_ready
            counts["waiting" if is_waiting else "queued"] += batch.queued
            counts["running"] += len(batch.running)
            counts["pinned"] += len(batch.running) if batch.stage.gang else 0
            if not is_waiting and not self.can_run(batch.need):
                counts["unrunnable"] += batch.queued
            ages[key] += ((now - running.started) / MICROS for running in batch.running)
        return tuple(self._group(key, totals[key], ages[key]) for key in sorted(totals))

    def _group(self, key: tuple[str, Need], counts: Counter[str], ages: list[float]) -> TaskGroup:
        seen = self._seen.get(key[0], Seen())
        overdue, overdue_seconds = overdue_among(ages, seen.mean)
        return TaskGroup(
            prefix=key[0],
            need=dict(key[1]),
            queued=counts["queued"],
            running=counts["running"],
            waiting=counts["waiting"],
            unrunnable=counts["unrunnable"],
            pinned=counts["pinned"],
            mean_task_seconds=seen.mean,
            observed_tasks=seen.tasks,
            variance_seconds2=seen.variance,
            longest_running_seconds=max(ages, default=None),
            overdue=overdue,
            overdue_seconds=overdue_seconds,
        )

    def can_run(self, need: Need) -> bool:
        """True where some worker that takes tasks has what is needed."""
        known = self._capable.get(need)
        if known is None:
            known = any(w.takes_tasks and w.can_ever(need) for w in self.workers.values())
            self._capable[need] = known
        return known
