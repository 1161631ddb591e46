"""Does what a tick decided, in threads, and says what became of it.

An action that is under way is not begun again, and one that was said again too soon waits: the
tick says everything again until the world shows that it happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from costplan.adapters.faults import reach
from costplan.adapters.performing import perform
from costplan.adapters.threads import Threads
from costplan.planner.ports import Cluster, Provider
from costplan.planner.tick import (
    Action,
    ActionOutcome,
    Cordon,
    Launch,
    Outcome,
    Retire,
    Terminate,
    Uncordon,
)

MOST_AT_ONCE = 32
AGAIN_SECONDS = {"Launch": 2.0, "Cordon": 1.0, "Uncordon": 1.0, "Retire": 0.2, "Terminate": 3.0}
"""How soon the same action may be said again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An outcome, of which tick, and how long it took; `error` is one that no port knows."""

    outcome: ActionOutcome
    tick_id: str
    seconds: float
    error: Exception | None = None


class Executor:
    """Does actions against the ports; `ended` is called from its threads with each outcome."""

    def __init__(
        self,
        provider: Provider,
        cluster: Cluster,
        clock: Callable[[], datetime],
        ended: Callable[[Done], None],
    ) -> None:
        self._provider, self._cluster, self._clock = provider, cluster, clock
        self._ended = ended
        self._threads = Threads(MOST_AT_ONCE, "act")
        self._lock = Lock()
        self._under_way: set[str] = set()
        self._not_before: dict[str, float] = {}

    @property
    def under_way(self) -> int:
        """How many actions have no outcome yet."""
        with self._lock:
            return len(self._under_way)

    def close(self) -> None:
        """Begins nothing more; what is under way ends by itself, or with the process."""
        self._threads.close()

    def begin(self, action: Action, tick_id: str) -> bool:
        """Begins an action, unless it is under way or was just done; says whether it did."""
        key, now = _key(action), time.monotonic()
        with self._lock:
            if key in self._under_way or self._not_before.get(key, 0.0) > now:
                return False
            self._under_way.add(key)
            self._not_before = {k: at for k, at in self._not_before.items() if at > now}
        self._threads.submit(lambda: self._run(action, key, tick_id))
        return True

    def _run(self, action: Action, key: str, tick_id: str) -> None:
        began = time.monotonic()
        name = type(action).__name__
        error: Exception | None = None
        try:
            outcome = self._outcome(action)
        except Exception as unknown:  # were it lost here, the action would be under way for ever
            outcome, error = self._not_known(action, unknown), unknown
        took = time.monotonic() - began
        wait = max(AGAIN_SECONDS[name], float(outcome.retry_after_seconds or 0))
        with self._lock:
            self._under_way.discard(key)
            self._not_before[key] = time.monotonic() + wait
        self._ended(Done(outcome=outcome, tick_id=tick_id, seconds=took, error=error))

    def _not_known(self, action: Action, error: Exception) -> ActionOutcome:
        """After an answer that nobody understands, or a bug: it may have been done, and is said
        again."""
        is_launch = isinstance(action, Launch)
        return ActionOutcome(
            action=action,
            outcome=Outcome.UNKNOWN if is_launch else Outcome.UNREACHABLE,
            at=self._clock(),
            detail=f"{type(error).__name__}: {error}",
        )

    def _outcome(self, action: Action) -> ActionOutcome:
        kind = type(action).__name__.lower()
        reach(f"daemon.{kind}.before")
        outcome = perform(action, self._provider, self._cluster, self._clock)
        if outcome.outcome is Outcome.DONE:
            reach(f"daemon.{kind}.after")
        else:
            reach(f"daemon.{kind}.failed")
        return outcome


def _key(action: Action) -> str:
    match action:
        case Launch():
            return f"launch {action.request.token}"
        case Terminate():
            return f"terminate {action.provider_id}"
        case Uncordon():
            return f"uncordon {','.join(action.workers)}"
        case Cordon() | Retire():
            return f"{type(action).__name__} {action.token} {','.join(action.workers)}"
