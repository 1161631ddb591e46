"""The plugin that a scheduler runs: its hooks feed the counters, and protect who must stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from costplan.adapters.dask.costs import Costs
from costplan.adapters.dask.counters import Counters
from costplan.adapters.dask.departures import Departures
from costplan.adapters.dask.kinds import Tracker

NAME = "costplan"


class CostplanPlugin(SchedulerPlugin):
    """Counts in hooks only. `now` gives epoch seconds."""

    name = NAME
    idempotent = True

    def __init__(self, scheduler: Any, now: Callable[[], float]) -> None:
        self.now = now
        self.scheduler = scheduler
        self.counters = Counters(scheduler, now())
        self.departures = Departures()
        self.costs = Costs(self.counters, now)
        self.workers_changed = 0
        self.clients_gone_since: float | None = None
        self.on_close: list[Callable[[], None]] = []
        self.protected: Callable[[], set[str]] = set
        self.has_routes = False
        self.shows_costs = False
        self.session: object | None = None  # what `session.py` began with this plugin
        # Dask calls this for every transition; without a method in between it costs a third less.
        self.transition = self.counters.transition  # type: ignore[method-assign]

    async def close(self) -> None:
        """Ends what was begun."""
        for end in self.on_close:
            end()

    def restart(self, scheduler: Any) -> None:  # noqa: ARG002 - Dask's signature
        self.counters.restart()

    def add_worker(self, scheduler: Any, worker: str) -> None:
        state = scheduler.workers.get(worker)
        if state is not None:
            tracker = self.counters.trackers[worker] = Tracker(state, self.now())
            self.costs.joined(tracker)
            self.workers_changed += 1

    def remove_worker(
        self,
        scheduler: Any,  # noqa: ARG002
        worker: str,
        **_: Any,
    ) -> None:
        tracker = self.counters.trackers.pop(worker, None)
        if tracker is not None:
            tracker.forget()
            self.counters.book.left(tracker, self.now())
            self.costs.left(tracker)
            self.workers_changed += 1

    def add_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002
        self.clients_gone_since = None

    def remove_client(self, scheduler: Any, client: str) -> None:  # noqa: ARG002
        if self.clients() == 0 and self.clients_gone_since is None:
            self.clients_gone_since = self.now()

    def clients(self) -> int:
        """People's sessions that are connected: not the scheduler's own client, nor workers'."""
        names = self.scheduler.clients
        return sum(
            1 for name in names if name != "fire-and-forget" and not name.startswith(WORKERS_CLIENT)
        )

    def log_event(self, topic: str, msg: Any) -> None:
        """Keeps what the scheduler says of a worker that leaves, whose tasks are still on it, of
        one that takes no more, and what a worker says that its machine is warned of."""
        if not isinstance(msg, dict):
            return
        self.counters.book.report(topic, msg)
        if msg.get("action") == "worker-status-change":
            self._note_status(topic, str(msg.get("status")))
        if topic not in ("all", WARNED_TOPIC):
            return
        tracker = self.counters.trackers.get(str(msg.get("worker", "")))
        if tracker is None:
            return
        if topic == WARNED_TOPIC:
            kind, at = msg.get("kind"), msg.get("effective_at")
            if kind in WARNINGS and isinstance(at, (int, float)) and 0 < at < _LAST_SECOND:
                tracker.warned[kind] = float(at)
        elif msg.get("action") == "remove-worker":
            self.counters.restarted += self.departures.note(tracker, msg, self.now())

    def _note_status(self, worker: str, status: str) -> None:
        """Notes since when a worker begins nothing, also where its machine's watch has said so."""
        tracker = self.counters.trackers.get(worker)
        if tracker is None:
            return
        if status == "running":
            tracker.cordoned_at = None
        elif status == "closing_gracefully" and tracker.cordoned_at is None:
            tracker.cordoned_at = self.now()

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:  # noqa: ARG002
        """The workers that another autoscaler may take: none of a gang, none that we drain."""
        kept = self.protected() | set(self.counters.gangs())
        return [worker for worker in workers if worker.address not in kept]


WORKERS_CLIENT = "Client-worker-"
WARNED_TOPIC = "costplan-notice"
"""Where `adapters/node/agent.py` tells what the cloud says of a worker's machine."""
WARNINGS = ("reclaim", "rebalance", "maintenance")
_LAST_SECOND = 4_102_444_800.0  # the year 2100
