"""What the store of a cluster has, as the planner's values: status, decisions, and nodes' lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.adapters.store.lease import is_dead
from costplan.adapters.store.outbox import summary_of
from costplan.adapters.store.store import Store
from costplan.planner.config_fields import suggestion
from costplan.planner.errors import InputError
from costplan.planner.explain import Explanation, Told, explain_node, explain_tick
from costplan.planner.loss import held_by, held_text
from costplan.planner.nodes import Node
from costplan.planner.standing import is_alive
from costplan.planner.status import LastTick, Lease, Status, status_of
from costplan.planner.tick import State
from costplan.planner.types import Phase

if TYPE_CHECKING:
    from costplan.adapters.store.store import StoredTick
    from costplan.planner.daemon_config import DaemonConfig
    from costplan.planner.settings import Settings

_UNENTERED = "not yet in the ledger"


class Cluster:
    """A cluster's store, and its file where one was read."""

    def __init__(
        self,
        store: Store,
        path: Path,
        config: DaemonConfig | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.store, self.path, self.config = store, path, config
        self._clock = clock
        self._last: StoredTick | None = None

    def now(self) -> datetime:
        """This instant."""
        return self._clock()

    def state(self) -> State:
        """The newest state."""
        return self.store.load_state()

    def nodes_alive(self) -> tuple[Node, ...]:
        """Nodes that are not gone, by id."""
        nodes = self.state().nodes
        return tuple(nodes[node_id] for node_id in sorted(nodes) if is_alive(nodes[node_id]))

    def lease(self) -> Lease | None:
        """Who acts on the cluster, None where nobody has or it was given back.

        A holder that was killed on this computer is seen at once, before its lease has ended.
        """
        lease, row = self.store.lease(), self.store.lease_row()
        if lease is not None and row is not None and is_dead(row):
            return replace(lease, expires_at=min(lease.expires_at, self.now()))
        return lease

    def is_alive(self) -> bool:
        """True while a daemon holds the lease."""
        lease = self.lease()
        return lease is not None and lease.expires_at > self.now()

    def last_tick(self, state: State) -> StoredTick | None:
        """The newest tick, read once however often it is asked for: it carries the market."""
        if self._last is None or self._last.at != state.at:
            self._last = self.store.last_tick()
        return self._last

    def settings(self) -> Settings | None:
        """The settings of the file, or else of the last tick."""
        if self.config is not None:
            return self.config.settings
        stored = self.last_tick(self.state())
        return None if stored is None else stored.settings

    def status(self) -> Status:
        """The status now."""
        state = self.state()
        stored = self.last_tick(state)
        found = status_of(
            state,
            self.settings(),
            lease=self.lease(),
            last=None if stored is None else last_tick(stored),
            now=self.now(),
        )
        return replace(found, deliveries=summary_of(self.path))

    def told(self, tick_id: str) -> Told | None:
        """A tick as it is explained, None where there is none of this id."""
        stored = self.store.tick(tick_id)
        return None if stored is None else told(stored)

    def last_planned(self) -> Told | None:
        """The newest tick that made a plan."""
        stored = self.store.last_planned()
        return None if stored is None else told(stored)

    def explanation(self, subject: str) -> Explanation:
        """Of 'last' (the newest tick with a plan), a tick or a node; raises InputError where there
        is none of that name."""
        if subject == "last":
            planned = self.last_planned()
            if planned is None:
                raise InputError(str(self.path), "has no tick with a plan yet", "wait for one")
            return explain_tick(planned)
        ticked = self.told(subject)
        if ticked is not None:
            return explain_tick(ticked)
        return self.node_explanation(self.find_node(subject, or_tick=True))

    def find_node(self, node_id: str, *, or_tick: bool = False) -> Node:
        """The node of this id, gone ones too; raises InputError that suggests near ones."""
        known = {node.node_id: node for node in self.store.nodes(including_gone=True)}
        if node_id in known:
            return known[node_id]
        near = suggestion(node_id, known)
        what = "is no tick and no node" if or_tick else "is no node of this cluster"
        way_out = near or "`costplan status --nodes` lists what there is"
        raise InputError(node_id, what, way_out)

    def node_explanation(self, node: Node) -> Explanation:
        """A node's life and cost."""
        from costplan.planner.charges import beside_usd

        now, state = self.now(), self.state()
        load, meter = state.load, state.meters.get(node.node_id)
        start = node.history[0][1] if node.history else node.phase_since
        costs: dict[str, Decimal] = {}
        for entry in self.store.entries(start, now):
            if entry.node_id == node.node_id:
                costs[entry.use] = costs.get(entry.use, Decimal(0)) + entry.usd
        is_here = node.phase is not Phase.GONE
        end = now if node.ended_at is None else min(node.ended_at, now)
        if meter is not None and meter.until < end:
            hours = Decimal((end - meter.until) // timedelta(microseconds=1)) / 3_600_000_000
            settings = self.settings()
            beside = Decimal(0) if settings is None else beside_usd(node.key, settings.extras)
            rate = meter.usd_per_hour + beside
            costs[_UNENTERED] = (rate * hours).quantize(Decimal("1e-12"))
        holds = held_text(held_by([node], load), load, now) if is_here else ""
        return explain_node(node, cost_by_use=costs, holds=holds, now=now)


def last_tick(stored: StoredTick) -> LastTick:
    """What a status says of a stored tick."""
    return LastTick(
        tick_id=stored.tick_id,
        at=stored.at,
        mode=stored.mode,
        gaps=stored.gaps,
        quotes=stored.readings.quotes,
    )


def told(stored: StoredTick) -> Told:
    """What an explanation says of a stored tick."""
    return Told(
        tick_id=stored.tick_id,
        at=stored.at,
        mode=stored.mode,
        gaps=stored.gaps,
        plan=stored.plan,
        actions=stored.actions,
    )
