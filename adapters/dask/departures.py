"""Workers that left: what the scheduler's own event says went with each."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from costplan.adapters.dask.kinds import Tracker
from costplan.adapters.dask.names import shortened

KEPT_SECONDS = 3600.0
KEPT_DEPARTURES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One worker that left at `at` (epoch seconds); `lost_keys` had no other copy."""

    address: str
    at: float
    expected: bool
    lost_keys: int
    restarted_tasks: int

    @property
    def is_clean(self) -> bool:
        """True where nothing was lost; a death may also not have cut a task short."""
        return self.lost_keys == 0 and (self.expected or self.restarted_tasks == 0)


class Departures:
    """The newest departure of each name, for an hour, and of some thousand names at most."""

    def __init__(self) -> None:
        self.by_name: OrderedDict[str, Left] = OrderedDict()
        self.version = 0

    def note(self, tracker: Tracker, event: dict[str, Any], now: float) -> int:
        """Keeps a remove-worker event; returns how many tasks had begun and start again."""
        restarted = begun_tasks(tracker)
        lost = event.get("lost-computed-tasks", ()), event.get("lost-scattered-tasks", ())
        name = shortened(tracker.name)  # as a drain has it
        self.by_name.pop(name, None)
        self.by_name[name] = Left(
            address=tracker.state.address,
            at=now,
            expected=bool(event.get("expected", False)),
            lost_keys=sum(map(len, lost)),
            restarted_tasks=restarted,
        )
        self.version += 1
        return restarted

    def trim(self, now: float) -> None:
        """Drops what is too old or too much."""
        while self.by_name:
            oldest = next(iter(self.by_name.values()))
            if len(self.by_name) <= KEPT_DEPARTURES and now - oldest.at <= KEPT_SECONDS:
                return
            self.by_name.popitem(last=False)
            self.version += 1


def begun_tasks(tracker: Tracker) -> int:
    """Tasks that run on a worker, or may: those seceded, and the rest by what it reported.

    Between heartbeats a worker may have begun more, up to its threads. One that is cordoned
    begins none, so that a heartbeat since then is exact.
    """
    state = tracker.state
    seceded: int = len(state.long_running)
    assigned = len(state.processing) - seceded
    reported = sum(
        1
        for task in getattr(state, "executing", ())
        if task in state.processing and task not in state.long_running
    )
    cordoned_at = tracker.cordoned_at
    if cordoned_at is not None and state.last_seen > cordoned_at + 0.2:
        return seceded + reported
    return seceded + int(min(assigned, max(reported, state.nthreads)))
