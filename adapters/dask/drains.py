"""Drains on the scheduler's side: cordon, copy, wait, remove; level-triggered and never in a hurry.

A call names workers and what is wanted of them, and is answered at once; a task of the
scheduler's loop then brings it about, for all victims together, so that none is copied to
another. A worker is removed in the same breath in which nothing is found on it alone, and counts
as done by the scheduler's own event of that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from costplan.adapters.dask.evacuation import Evacuate, MemoryManager
from costplan.adapters.dask.names import shortened
from costplan.adapters.dask.plugin import CostplanPlugin
from costplan.adapters.dask.worker_columns import shuffling_workers, stays

logger = logging.getLogger("distributed.costplan")

_FAST_SECONDS, _SLOW_SECONDS = 0.05, 0.5
_MOVED_AT_ONCE = 500
_BOUND = "has tasks that may run nowhere else"
_SHUFFLES = "is part of a running shuffle, which would start again"
_NOWHERE = "no running worker can take what it alone holds"


@dataclass(slots=True, eq=False)
class Victim:
    """A worker that is to leave, or may. It is held back while others need it to stay."""

    state: Any
    name: str
    token: str
    is_cordoned: bool = False
    is_leaving: bool = False
    is_forced: bool = False
    refused: str | None = None
    complaint: str = ""  # the last refusal that was logged
    moved: set[Any] = field(default_factory=set)


class Drains:
    """The drains of one scheduler. All methods run on its loop; `now` gives epoch seconds."""

    def __init__(self, plugin: CostplanPlugin, now: Callable[[], float]) -> None:
        self._plugin, self._scheduler, self._now = plugin, plugin.scheduler, now
        self._victims: dict[str, Victim] = {}
        self._policy = Evacuate(now)
        self._memory = MemoryManager(self._scheduler, self._policy)
        self._task: asyncio.Task[None] | None = None
        plugin.protected = self.addresses
        plugin.counters.on_pin = self._recall
        plugin.on_close.append(self.close)

    def addresses(self) -> set[str]:
        """Addresses of all workers that are cordoned or about to leave."""
        return {victim.state.address for victim in self._victims.values()}

    def cordon(self, names: Collection[str], token: str, *, force: bool = False) -> dict[str, Any]:
        """Stops the intake of these workers, and begins to copy what they hold alone."""
        for name, state in self._present(names).items():
            victim = self._victims.get(name)
            if victim is None or victim.state is not state:
                victim = self._victims[name] = Victim(state, name, token)
            victim.token = token
            victim.is_forced |= force
        self._begin()
        return self.answer(names)

    def uncordon(self, names: Collection[str]) -> dict[str, Any]:
        """Lets these workers take tasks again; those being removed already are gone."""
        for name in names:
            victim = self._victims.pop(name, None)
            if victim is not None and self._is_here(victim):
                self._open(victim)
                logger.info("costplan: drain %s of %s called off", victim.token, name)
        return self.answer(names)

    def retire(self, names: Collection[str], token: str, *, force: bool = False) -> dict[str, Any]:
        """Lets these workers go as soon as nothing is on them alone; running tasks start again
        elsewhere. A member of a gang or a shuffle is refused without `force`, and an actor's
        home always."""
        self.cordon(names, token, force=force)
        for name in names:
            victim = self._victims.get(name)
            if victim is None or not self._is_here(victim):
                continue
            victim.refused = None
            reason = self._reason_to_stay(victim)
            victim.is_leaving = reason is None
            if reason is not None:
                self._refuse(victim, reason)
        if any(v.is_leaving and is_alone(v.state) for v in self._victims.values()):
            self._memory.run_once()
        self._begin()
        return self.answer(names)

    def answer(self, names: Collection[str]) -> dict[str, Any]:
        """How far each of these workers is; names that were never there are left out."""
        done: list[str] = []
        lost: list[str] = []
        pending: list[str] = []
        refused: dict[str, str] = {}
        present = self._present(names)
        for name in sorted(set(names)):
            if name in present:
                victim = self._victims.get(name)
                if victim is not None and victim.refused is not None:
                    refused[name] = victim.refused
                elif victim is not None:
                    pending.append(name)
            elif name in self._plugin.departures.by_name:
                left = self._plugin.departures.by_name[name]
                (done if left.is_clean else lost).append(name)
        return {"version": 1, "done": done, "refused": refused, "lost": lost, "pending": pending}

    def close(self) -> None:
        """Stops working on drains; the scheduler is closing."""
        self._victims.clear()
        self._memory.stop()
        if self._task is not None:
            self._task.cancel()

    def _present(self, names: Collection[str]) -> dict[str, Any]:
        """Workers that are here by these names, as the load has them."""
        wanted = set(names)
        trackers = self._plugin.counters.trackers.values()
        named = ((shortened(at.name), at.state) for at in trackers)
        return {name: state for name, state in named if name in wanted}

    def _is_here(self, victim: Victim) -> bool:
        return self._scheduler.workers.get(victim.state.address) is victim.state

    def _begin(self) -> None:
        """Does what can be done now, and sees to the rest in a task of its own."""
        self._step()
        if self._victims and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._victims:
            try:
                self._step()
                await self._remove_ready()
            except Exception:  # whatever went wrong, these workers are still to be emptied
                logger.exception("costplan: a step of a drain failed; it is tried again")
            hurry = any(not v.is_cordoned or v.is_leaving for v in self._victims.values())
            await asyncio.sleep(_FAST_SECONDS if hurry else _SLOW_SECONDS)
        self._memory.stop()

    def _step(self) -> None:
        """Forgets who has left, cordons who may be, moves tasks and results away."""
        self._victims = {n: victim for n, victim in self._victims.items() if self._is_here(victim)}
        needed = self._needed_to_stay()
        kick = False
        for victim in self._victims.values():
            recalled = victim.is_cordoned and victim.state.status.name == "running"
            held_back = not victim.is_forced and victim.state.address in needed
            if victim.is_cordoned and (held_back or recalled):
                self._open(victim)
            elif not held_back and not victim.is_cordoned:
                self._close_intake(victim)
                kick = True
        cordoned = [victim for victim in self._victims.values() if victim.is_cordoned]
        self._policy.workers = {victim.state for victim in cordoned}
        if kick:
            self._memory.run_once()
        budget = _MOVED_AT_ONCE
        for victim in cordoned:
            budget -= self._move_tasks(victim, budget)
            if victim.is_leaving and victim.state in self._policy.stuck and is_alone(victim.state):
                self._refuse(victim, _NOWHERE)

    async def _remove_ready(self) -> None:
        """Removes the leaving of which nothing is alone; looking and removing are one step."""
        lock = getattr(self._scheduler, "_replica_lock", None)
        for victim in list(self._victims.values()):
            if not (victim.is_leaving and victim.is_cordoned and self._is_here(victim)):
                continue
            if is_alone(victim.state):
                continue
            # Dask moves data in `rebalance` and `replicate` under this lock.
            async with lock("retire-workers") if lock is not None else nullcontext():
                if self._is_here(victim) and victim.is_leaving and not is_alone(victim.state):
                    logger.info("costplan: drain %s lets %s go", victim.token, victim.name)
                    await self._scheduler.remove_worker(
                        victim.state.address,
                        stimulus_id=f"costplan-retire-{self._now()}",
                        expected=True,
                        close=True,
                    )

    def _needed_to_stay(self) -> set[str]:
        """Workers that must go on: those of shuffles and collectives, and where tasks are bound."""
        counters = self._plugin.counters
        return shuffling_workers(self._scheduler) | counters.gangs().keys() | counters.bound.keys()

    def _reason_to_stay(self, victim: Victim) -> str | None:
        """Why a worker may not be removed now, or None."""
        address, actors = victim.state.address, len(victim.state.actors)
        gang = self._plugin.counters.gangs().get(address)
        reasons = (
            (actors, f"holds {actors} actors, which cannot be moved"),
            (
                not victim.is_forced and gang,
                f"is a member of the collective {gang}, which would fail",
            ),
            (not victim.is_forced and self._plugin.counters.bound.get(address), _BOUND),
            (not victim.is_forced and address in shuffling_workers(self._scheduler), _SHUFFLES),
            (is_alone(victim.state) and not self._others_running(), _NOWHERE),
        )
        return next((reason for holds, reason in reasons if holds), None)

    def _others_running(self) -> bool:
        victims = {victim.state for victim in self._victims.values() if victim.is_cordoned}
        return any(state not in victims for state in self._scheduler.running)

    def _refuse(self, victim: Victim, reason: str) -> None:
        victim.is_leaving = False
        victim.refused = reason
        if victim.complaint == reason:
            return
        victim.complaint = reason
        logger.warning("costplan: drain %s: %s stays: %s", victim.token, victim.name, reason)

    def _close_intake(self, victim: Victim) -> None:
        """No new tasks; what runs goes on, what is ready on the worker is moved or waits."""
        self._set_status(victim, "closing_gracefully")
        victim.is_cordoned = True
        logger.info("costplan: drain %s cordons %s", victim.token, victim.name)

    def _open(self, victim: Victim) -> None:
        """The worker takes tasks again."""
        if victim.is_cordoned:
            self._set_status(victim, "running")
        victim.is_cordoned = False
        victim.moved.clear()
        self._policy.workers.discard(victim.state)
        tracker = self._plugin.counters.trackers.get(victim.state.address)
        if tracker is not None:
            tracker.cordoned_at = None

    def _recall(self, address: str) -> None:
        """Lets a cordoned worker take the task that was just bound to it alone.

        A collective that is about to begin would be placed elsewhere, and fail. This is called
        within a transition, so that only the least is done; the next step does the rest.
        """
        for victim in self._victims.values():
            state = victim.state
            if state.address != address or not self._is_here(victim):
                continue
            if victim.is_cordoned and not victim.is_forced:
                state.status = type(state.status)["running"]
                self._scheduler.running.add(state)

    def _set_status(self, victim: Victim, status: str) -> None:
        """Here at once, so that no task slips in, and then there."""
        stimulus = f"costplan-{status}-{self._now()}"
        self._scheduler.handle_worker_status_change(status, victim.state, stimulus)
        message = {"op": "worker-status-change", "status": status, "stimulus_id": stimulus}
        self._scheduler.stream_comms[victim.state.address].send(message)

    def _move_tasks(self, victim: Victim, most: int) -> int:
        """Asks for tasks back that are ready on a cordoned worker, for others that may run them.

        A worker refuses for a task that has begun. Tasks for this worker only stay, and are
        given to others when it is removed.
        """
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is None or most <= 0:
            return 0
        asked = 0
        for task in list(victim.state.processing):
            if asked >= most:
                break
            if task in victim.moved or task.actor:
                continue
            valid = self._scheduler.valid_workers(task)
            if not valid and task.loose_restrictions and not task.resource_restrictions:
                valid = None
            thieves = self._scheduler.running if valid is None else valid
            thief = min(thieves, key=_crowd, default=None)
            if thief is None:
                continue
            victim.moved.add(task)
            asked += 1
            stealing.move_task_request(task, victim.state, thief)
        return asked


def is_alone(state: Any) -> bool:
    """True where a worker holds a result that no worker has which stays."""
    return any(not any(stays(other) for other in task.who_has or ()) for task in state.has_what)


def _crowd(state: Any) -> tuple[float, str]:
    return len(state.processing) / max(1, state.nthreads), state.address
