"""What the daemon and a scheduler tell each other besides load: finished work, and rates."""

from __future__ import annotations

from contextlib import suppress

from costplan.adapters.store.store import Store
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.ports import WorkSource
from costplan.planner.tick import State
from costplan.planner.work_nodes import node_finder, worker_rates

EXCHANGE_SECONDS = 20.0
MOST_BATCHES = 20
"""Taken at a time; the rest, as after an absence, comes with the next."""


class WorkExchange:
    """Takes work into the store, and tells rates. Nothing that is decided rests on it, so where a
    scheduler does not answer, the next time will do: that it does not is a gap of the load."""

    def __init__(self, source: WorkSource | None, store: Store, cluster: str) -> None:
        self._source, self._store, self._cluster = source, store, cluster

    def exchange(self, state: State) -> None:
        """Both, once; in a thread. Raises LeaseLost and StoreError."""
        if self._source is None:
            return
        with suppress(ClusterUnreachable):
            self._source.tell_rates(worker_rates(state.nodes, state.meters), state.spent_usd)
            self._take(self._source, state)

    def _take(self, source: WorkSource, state: State) -> None:
        scheduler_id, after = self._store.work_seen()
        node_of = node_finder(state.nodes, self._cluster)
        for _ in range(MOST_BATCHES):
            batch = source.work(after, scheduler_id)
            if batch.windows:
                self._store.keep_work(batch, node_of)
                scheduler_id, after = batch.scheduler_id, batch.windows[-1].number
            if not batch.is_more:
                return
