"""Copies the results that workers about to leave hold alone to workers that stay.

Dask's own policy for retiring asks another worker for the same result again every two seconds
while it is under way, which moves half as much again as there is (measured); this one remembers
what it asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distributed.active_memory_manager import (
    ActiveMemoryManagerExtension,
    ActiveMemoryManagerPolicy,
    Suggestion,
)

from costplan.adapters.dask.worker_columns import stays

_PATIENCE_SECONDS = 10.0
_SLOWEST_BYTES_PER_SECOND = 50e6


class Evacuate(ActiveMemoryManagerPolicy):
    """Copies what some workers hold alone, and drops there what others have.

    `stuck` are the workers of which something could go nowhere at the last run. A copy is asked
    for again, of another worker, where it has not come in the time that a slow network takes.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.workers: set[Any] = set()
        self.stuck: set[Any] = set()
        self._asked: dict[Any, tuple[Any, float]] = {}
        self._now = now

    def run(self) -> Any:
        """Suggestions, in the form that Dask's memory manager takes them."""
        now, running = self._now(), self.manager.scheduler.running
        self.stuck = set()
        self._asked = {task: asked for task, asked in self._asked.items() if asked[1] > now}
        for state in sorted(self.workers, key=lambda one: str(one.address)):
            for task in list(state.has_what):
                if task.actor:
                    continue
                if any(stays(other) for other in task.who_has or ()):
                    yield Suggestion("drop", task, {state})
                    self._asked.pop(task, None)
                elif not self._is_coming(task, running):
                    recipient = yield Suggestion("replicate", task)
                    if recipient is None:
                        self.stuck.add(state)
                    else:
                        until = _PATIENCE_SECONDS + task.get_nbytes() / _SLOWEST_BYTES_PER_SECOND
                        self._asked[task] = (recipient, now + until)

    def _is_coming(self, task: Any, running: Any) -> bool:
        asked = self._asked.get(task)
        return asked is not None and asked[0] in running


class MemoryManager:
    """Runs a policy in the scheduler's memory manager, or in one of our own where it is off."""

    def __init__(self, scheduler: Any, policy: Evacuate) -> None:
        self._scheduler, self._policy = scheduler, policy
        self._own: Any = None

    def run_once(self) -> None:
        """Lets the policy act now, and every two seconds from then on."""
        manager = self._scheduler.extensions.get("amm")
        if manager is None or not manager.running:
            if self._own is None:
                self._own = ActiveMemoryManagerExtension(
                    self._scheduler, policies=set(), register=False, start=True, interval=2.0
                )
            manager = self._own
        if self._policy not in manager.policies:
            manager.add_policy(self._policy)
        manager.run_once()

    def stop(self) -> None:
        """Takes the policy out again."""
        manager = self._scheduler.extensions.get("amm")
        if manager is not None:
            manager.policies.discard(self._policy)
        if self._own is not None:
            self._own.stop()
            self._own = None
