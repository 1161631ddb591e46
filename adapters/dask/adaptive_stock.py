"""A scheduler without our preload, by what every scheduler answers.

It says how many workers it would have, what each one does by its last heartbeat, and which may
leave; not what tasks wait for, nor who is connected. So workers are asked for as stock `Adaptive`
does, but none where those that are here get nothing to do, which is what tasks look like that need
something else; after a while one more is tried.

Workers are emptied in two steps. `retire_workers` does not wait for tasks that run, and reports
success for a worker that dies meanwhile: so it first only stops the intake and copies, then
removes, and whether something was lost is read from the scheduler's own event.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from costplan.adapters.dask.adaptive_sources import Seen, answer_of
from costplan.adapters.dask.names import shortened
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.nodes import Retired
from costplan.planner.sizing import FULL_SHARE

BUSY_STATES = (
    "waiting", "fetch", "flight", "ready", "constrained", "executing", "long-running", "resumed",
    "cancelled",
)  # fmt: skip
"""States of a worker's tasks in which something is still to happen there."""
FUTILE_SECONDS = 3.0
"""Workers that are asked for and get nothing for so long cannot run what waits."""
TRY_AGAIN_SECONDS, LAST_TRY_SECONDS = 20.0, 600.0
BY_SCHEDULER = "(as the scheduler asks)"
_REFUSED = "no running worker can take what it alone holds, or an actor lives on it"


class Stock:
    """Asks a stock scheduler over the cluster's comm."""

    may_uncordon = False

    def __init__(
        self, comm: Any, address: str, target_seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._comm, self._address, self._now = comm, address, now
        self._target_seconds = target_seconds
        self._addresses: dict[str, str] = {}
        self._idle_since: dict[str, datetime] = {}
        self._cordoned: dict[str, datetime] = {}
        self._copying: dict[str, asyncio.Task[Any]] = {}
        self._removing: dict[str, asyncio.Task[Any]] = {}
        self._refused: set[str] = set()
        self._futile = Futile()

    async def see(self) -> Seen:
        """The load as far as it can be seen."""
        asked = await self._call("adaptive_target", target_duration=self._target_seconds)
        info = await self._call("identity")
        now = self._now()
        found = info["workers"]
        movable: Collection[str] = ()
        if found:
            movable = await self._call("workers_to_close", target=0, attribute="address")
        workers = {}
        self._addresses = {}
        for address, said in found.items():
            name = shortened(str(said["name"]))
            self._addresses[name] = address
            workers[name] = self._worker(address, said, address not in movable, now)
        gone = self._idle_since.keys() - found.keys()
        for address in gone:
            del self._idle_since[address]
        busy = [worker for worker in workers.values() if worker.processing]
        is_busy = any(_busy_tasks(said) for said in found.values())
        asked = self._futile.clamp(asked, workers, is_busy, now)
        running = sum(worker.executing for worker in busy)
        more = sum(worker.processing for worker in busy) - running
        if asked and not workers:
            more = 1  # there is something to do, and nobody to say what
        group = TaskGroup(
            prefix=BY_SCHEDULER,
            need={},
            queued=more,
            running=running,
            mean_task_seconds=None,
            observed_tasks=0,
        )
        load = Load(
            at=now,
            window_seconds=0.0,
            groups=(group,) if more + running else (),
            workers=workers,
            scheduler_id=str(info.get("id", "")),
        )
        return Seen(load=load, asked=asked)

    def _worker(
        self, address: str, said: Mapping[str, Any], is_bound: bool, now: datetime
    ) -> WorkerLoad:
        """One worker by its last heartbeat. What is bound may not be removed: a shuffle needs it,
        or a seceded task runs there."""
        metrics = said["metrics"]
        counts = metrics.get("task_counts", {})
        busy = _busy_tasks(said)
        long_running = counts.get("long-running", 0)
        executing = max(0, counts.get("executing", 0) - long_running)
        since = self._cordoned.get(address)
        if since is not None and said["last_seen"] <= since.timestamp() + 0.2:
            executing = max(executing, said["nthreads"])  # what it began before it was told
        if busy or executing:
            self._idle_since.pop(address, None)
        else:
            self._idle_since.setdefault(address, now)
        status = said.get("status", "running")
        return WorkerLoad(
            threads=said["nthreads"],
            memory_bytes=said["memory_limit"] or None,
            resources=dict(said.get("resources") or {}),
            executing=executing,
            processing=max(busy, executing),
            managed_bytes=int(metrics.get("managed_bytes", 0)),
            sole_bytes=int(metrics.get("managed_bytes", 0)),
            sole_keys=counts.get("memory", 0),
            long_running=long_running,
            shuffling=is_bound and not long_running,
            status={"init": "running"}.get(status, status)
            if status in ("running", "paused", "init")
            else "closing",
            idle_since=self._idle_since.get(address),
        )

    async def cordon(self, workers: Collection[str], token: str) -> None:  # noqa: ARG002
        """Stops the intake and copies what these hold alone; one call for all of them, so that
        none is copied to another."""
        new = [self._addresses[n] for n in workers if n in self._addresses]
        new = [address for address in new if address not in self._cordoned]
        if not new:
            return
        self._cordoned.update(dict.fromkeys(new, self._now()))
        self._refused.difference_update(new)
        task = asyncio.ensure_future(
            self._call("retire_workers", workers=new, close_workers=False, remove=False)
        )
        self._copying.update(dict.fromkeys(new, task))

    async def uncordon(self, workers: Collection[str]) -> None:
        """A stock scheduler knows no way back, but for the workers that it refuses to retire."""

    async def retire(self, workers: Collection[str], token: str) -> Retired:
        """Removes those whose results are copied."""
        await self.cordon(workers, token)
        ready = []
        for name in workers:
            address = self._addresses.get(name)
            if address is None or address in self._removing:
                continue
            if self._has_copied(address):
                ready.append(address)
        if ready:
            task = asyncio.ensure_future(
                self._call("retire_workers", workers=ready, close_workers=True, remove=True)
            )
            self._removing.update(dict.fromkeys(ready, task))
        return await self.progress(workers)

    def _has_copied(self, address: str) -> bool:
        task = self._copying.get(address)
        if task is None or not task.done():
            return False
        if _has_failed(task):
            self._forget(address)
            return False
        if address not in task.result():
            self._refuse(address)
            return False
        return True

    def _refuse(self, address: str) -> None:
        self._refused.add(address)
        self._forget(address)

    def _forget(self, address: str) -> None:
        """Nothing was asked of a worker, as far as is known; it is asked anew."""
        for state in (self._cordoned, self._copying, self._removing):
            state.pop(address, None)

    async def progress(self, workers: Collection[str]) -> Retired:
        """How far each of these is; those that are gone by the scheduler's event of it."""
        done: list[str] = []
        lost: list[str] = []
        pending: list[str] = []
        refused: dict[str, str] = {}
        here = set((await self._call("identity"))["workers"])
        for name in sorted(workers):
            address = self._addresses.get(name)
            if address is None:
                continue
            task = self._removing.get(address)
            if address in here:
                if task is not None and task.done():
                    if _has_failed(task):
                        self._forget(address)
                    elif address not in task.result():
                        self._refuse(address)
                if address in self._refused:
                    refused[name] = _REFUSED
                else:
                    pending.append(name)
            else:
                (done if await self._left_clean(address) else lost).append(name)
        return Retired(done=tuple(done), refused=refused, lost=tuple(lost), pending=tuple(pending))

    async def _left_clean(self, address: str) -> bool:
        """Whether nothing went with a worker, by the event of its removal."""
        events = await self._call("events", topic=address)
        for _, event in reversed(tuple(events)):
            if isinstance(event, Mapping) and event.get("action") == "remove-worker":
                return not (event["lost-computed-tasks"] or event["lost-scattered-tasks"])
        return False

    async def _call(self, operation: str, **arguments: Any) -> Any:
        return await answer_of(self._comm, self._address, operation, **arguments)


def _has_failed(task: asyncio.Task[Any]) -> bool:
    """Whether the scheduler has not answered, so that nobody knows what became of it."""
    return task.cancelled() or task.exception() is not None


def _busy_tasks(said: Mapping[str, Any]) -> int:
    """Tasks that a worker has still something to do for, by its last heartbeat."""
    counts = said["metrics"].get("task_counts", {})
    return sum(counts.get(state, 0) for state in BUSY_STATES)


class Futile:
    """Notices where more workers are asked for and those that are here get nothing to do."""

    def __init__(self) -> None:
        self._resting_since: datetime | None = None
        self._try_at: datetime | None = None
        self._pause = TRY_AGAIN_SECONDS

    def clamp(
        self, asked: int, workers: Mapping[str, WorkerLoad], is_busy: bool, now: datetime
    ) -> int:
        """What is worth having of what is asked for: room for the results where nothing runs."""
        if is_busy or not asked:
            self._resting_since, self._try_at, self._pause = None, None, TRY_AGAIN_SECONDS
            return asked
        if not workers:
            self._resting_since = None
            if self._try_at is None:
                return asked
            if now < self._try_at:
                return 0
            return min(asked, 1)
        if self._resting_since is None:
            self._resting_since = now
        if (now - self._resting_since).total_seconds() < FUTILE_SECONDS:
            return min(asked, max(len(workers), 1)) if self._try_at else asked
        if self._try_at is None or now >= self._try_at:
            self._try_at = now + timedelta(seconds=self._pause)
            self._pause = min(2 * self._pause, LAST_TRY_SECONDS)
        return min(asked, room_for_results(workers))


def room_for_results(workers: Mapping[str, WorkerLoad]) -> int:
    """Workers of the mean size that hold all results with room to spare, one where any are held."""
    held = sum(worker.managed_bytes for worker in workers.values())
    limits = [worker.memory_bytes for worker in workers.values() if worker.memory_bytes]
    if not held:
        return 0
    if not limits:
        return 1
    return max(1, math.ceil(held / (FULL_SHARE * sum(limits) / len(limits))))
