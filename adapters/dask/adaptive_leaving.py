"""Empties machines in the background, so that nothing else waits for it.

A worker first takes nothing new, what runs on it goes on, what it alone holds is copied; then it
is removed, and once the scheduler says that nothing went with it the cluster's entry is dropped. A
worker that refuses takes tasks again, where the scheduler can be told, and is left alone a while.

Where all must go, as there is no money for any, the last one takes what the others hold. One that
nobody can empty stays, with what it holds, but takes nothing new: that would be spent on, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from costplan.adapters.dask.adaptive_sources import Source
from costplan.planner.adaptive import Machine
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.load import Load
from costplan.planner.nodes import Retired

logger = logging.getLogger("distributed.costplan")

PERIOD_SECONDS = 0.2
REFUSED_SECONDS = 60.0
STUCK_SECONDS = 5.0
"""So long after a refusal one that must go is asked again."""


@dataclass(slots=True, eq=False)
class _Going:
    machine: Machine
    must: str = ""
    is_retiring: bool = False
    left: set[str] = field(default_factory=set)
    stuck: str = ""
    not_before: datetime | None = None


@dataclass(slots=True, eq=False)
class Leaving:
    """The machines of one cluster that are being emptied. All of it runs on the cluster's loop.

    `drop` takes entries out of the cluster's plan, `is_running` says whether the cluster still is.
    """

    source: Source
    drop: Callable[[Sequence[Machine]], Coroutine[Any, Any, None]]
    is_running: Callable[[], bool]
    now: Callable[[], datetime]
    lost: list[str] = field(default_factory=list)
    _going: list[_Going] = field(default_factory=list)
    _refused: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    _count: int = 0
    _task: asyncio.Task[None] | None = None
    _drops: dict[asyncio.Task[None], tuple[Machine, ...]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def begin(self, machines: Iterable[Machine], must: str = "") -> None:
        """Sees to it that these leave; returns at once. `must` says why they take nothing new even
        where they refuse, '' where they are let back then."""
        here = {name for going in self._going for name in going.machine.names}
        new = [_Going(machine, must) for machine in machines if not here & set(machine.names)]
        self._going += new
        self._count += bool(new)
        if new and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._work())

    def workers(self) -> set[str]:
        """Names of workers that are being emptied."""
        return {worker for going in self._going for worker in going.machine.workers}

    def names(self) -> set[str]:
        """Names of plan entries that are being emptied, or dropped from the plan."""
        going = [going.machine for going in self._going]
        dropped = [machine for machines in list(self._drops.values()) for machine in machines]
        return {name for machine in (*going, *dropped) for name in machine.names}

    def why_not(self, machine: Machine) -> str:
        """Why a machine that has refused is not asked again yet, '' where it may be asked."""
        for worker in machine.workers:
            until, reason = self._refused.get(worker, (self.now(), ""))
            if until > self.now():
                return f"it refused to leave: {reason}"
        return ""

    def stuck(self) -> dict[str, str]:
        """By worker why it must go and cannot; it takes nothing new."""
        return {
            worker: f"{going.must}, and {going.stuck}"
            for going in self._going
            if going.stuck
            for worker in going.machine.workers
        }

    async def recall(self, workers: int) -> int:
        """Calls drains off until so many workers are back, as far as that can be; returns how
        many. The last that began are the first to come back."""
        if not self.source.may_uncordon:
            return 0
        back: list[Machine] = []
        async with self._lock:
            for going in reversed(self._going):
                if workers > 0 and not going.is_retiring and not going.left:
                    back.append(going.machine)
                    workers -= going.machine.size
            if back:
                self._going = [going for going in self._going if going.machine not in back]
                await self.source.uncordon([w for machine in back for w in machine.workers])
        return sum(machine.size for machine in back)

    def stop(self) -> None:
        """Forgets them all; the cluster is closing."""
        self._going.clear()
        for task in (self._task, *self._drops):
            if task is not None:
                task.cancel()

    async def _work(self) -> None:
        while self._going and self.is_running():
            try:
                async with self._lock:
                    await self._step()
            except ClusterUnreachable as error:
                logger.warning("costplan: emptying workers waits: %s", error)
            except Exception:  # whatever went wrong, these are still to be emptied
                logger.exception("costplan: a step of emptying failed; it is tried again")
            await asyncio.sleep(PERIOD_SECONDS)

    async def _step(self) -> None:
        """Cordons all, removes those that run nothing, and drops who has left."""
        host = self._host()
        out = [going for going in self._going if going is not host]
        names = sorted(worker for going in out for worker in going.machine.workers)
        await self.source.cordon(names, self._token())
        load = (await self.source.see()).load
        ready = [
            going
            for going in out
            if _is_at_rest(going.machine, load)
            and (going.not_before is None or going.not_before <= self.now())
        ]
        for going in ready:
            going.is_retiring = True
        if ready:
            at_rest = [worker for going in ready for worker in going.machine.workers]
            await self.source.retire(at_rest, self._token())
        await self._take_over(await self.source.progress(names), out)

    def _host(self) -> _Going | None:
        """The last of those that must go, while others may bring to it what they hold."""
        last = self._going[-1] if len(self._going) > 1 else None
        if last is None or not last.must or last.is_retiring or last.stuck:
            return None
        return last if any(not going.stuck for going in self._going[:-1]) else None

    async def _take_over(self, progress: Retired, out: Sequence[_Going]) -> None:
        """Drops the machines whose workers have all left, and lets those back that refused. Of
        others than `out` nothing was asked: the host, and those that began to leave meanwhile."""
        gone = {*progress.done, *progress.lost}
        known = gone | set(progress.pending) | set(progress.refused)
        for worker in progress.lost:
            if worker not in self.lost:
                self.lost.append(worker)
                logger.warning(
                    "costplan: %s left before it was empty: what it ran or held alone is lost",
                    worker,
                )
        over, staying, back = [], [], list[str]()
        for going in self._going:
            workers = set(going.machine.workers)
            refusal = next((progress.refused[w] for w in workers if w in progress.refused), "")
            going.left |= workers & gone
            if going not in out:
                staying.append(going)
            elif refusal and going.must:
                self._stay(going, refusal)
                staying.append(going)
            elif refusal:
                self._let_back(going, refusal)
                back += workers
            elif workers <= going.left or not workers & known:
                over.append(going.machine)
            else:
                staying.append(going)
        self._going = staying
        if back:
            await self.source.uncordon(sorted(back))
        if over:
            self.end(over)

    def _stay(self, going: _Going, reason: str) -> None:
        """Leaves one that must go where it is, for a while; it takes nothing new."""
        if not going.is_retiring:
            return
        if not going.stuck:
            logger.warning(
                "costplan: %s must go: %s; it stays and takes nothing new: %s",
                ", ".join(going.machine.workers), going.must, reason,
            )  # fmt: skip
        going.stuck, going.is_retiring = reason, False
        going.not_before = self.now() + timedelta(seconds=STUCK_SECONDS)

    def _let_back(self, going: _Going, reason: str) -> None:
        until = self.now() + timedelta(seconds=REFUSED_SECONDS)
        for worker in going.machine.workers:
            self._refused[worker] = (until, reason)
        logger.info("costplan: %s stays: %s", ", ".join(going.machine.workers), reason)

    def end(self, machines: Sequence[Machine]) -> None:
        """Takes entries out of the plan. That may wait for others that start, so nobody waits."""
        task = asyncio.ensure_future(self.drop(machines))
        self._drops[task] = tuple(machines)
        task.add_done_callback(self._dropped)

    def _dropped(self, task: asyncio.Task[None]) -> None:
        machines = self._drops.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            named = _named(machines)
            logger.error("costplan: the cluster could not end %s", named, exc_info=error)

    def _token(self) -> str:
        return f"adaptive-{self._count}"


def _is_at_rest(machine: Machine, load: Load) -> bool:
    """Whether nothing runs on any worker of a machine; one that is gone runs nothing."""
    there = [load.workers[name] for name in machine.workers if name in load.workers]
    return not any(worker.executing or worker.long_running for worker in there)


def _named(machines: Sequence[Machine]) -> str:
    return ", ".join(name for machine in machines for name in machine.names)
