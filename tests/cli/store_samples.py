"""A store made in code, with the fleet of `fleet_samples` and real ticks in it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from costplan.adapters.store.store import Store, TickCommit
from costplan.planner.loop import Ticked, tick
from costplan.planner.nodes import MachineState, Node, ProviderNode
from costplan.planner.tick import Readings, State
from costplan.planner.types import Phase
from costplan.policies.default import default_policies
from tests.cli import fleet_samples
from tests.cli.fleet_samples import NOW

VERSION = "test"


def machines(nodes: Iterable[Node]) -> tuple[ProviderNode, ...]:
    """What the cloud says of nodes that it has."""
    return tuple(
        ProviderNode(
            provider_id=node.provider_id,
            key=node.key,
            state=MachineState.RUNNING,
            launched_at=node.launched_at,
            node_id=node.node_id,
            token=node.token,
        )
        for node in nodes
        if node.provider_id and node.launched_at and node.phase is not Phase.GONE
    )


def readings(state: State, at: datetime) -> Readings:
    return Readings(
        at=at,
        load=fleet_samples.load(at),
        machines=machines(state.nodes.values()),
        notices=(),
        offers=fleet_samples.offers(),
        quotes=fleet_samples.quotes(),
        machines_at=at,
    )


def commit(store: Store, state: State, at: datetime, *, replan: bool) -> Ticked:
    """One tick of the real loop, committed as the daemon commits it."""
    read, settings = readings(state, at), fleet_samples.settings()
    ticked = tick(read, state, settings, default_policies(), replan=replan)
    store.commit(
        TickCommit(
            tick_id=ticked.tick_id,
            at=at,
            replan=replan,
            mode=ticked.snapshot.mode,
            gaps=ticked.snapshot.gaps,
            readings=read,
            state_before=state,
            state_after=ticked.state,
            settings=settings,
            snapshot_digest=ticked.snapshot.digest,
            plan=ticked.plan,
            actions=ticked.actions,
            entries=ticked.entries,
            version=VERSION,
            summary={"seconds": 0.01},
        )
    )
    return ticked


def write_store(path: Path, *, lease_until: datetime = NOW + timedelta(seconds=20)) -> list[Ticked]:
    """Two ticks: one that planned 8 s before NOW, one that only looked 3 s before it."""
    with Store.open(path, clock=lambda: NOW) as store:
        begun = NOW - timedelta(minutes=1)
        store.acquire_lease("costplan", begun, (lease_until - begun).total_seconds())
        first = commit(store, fleet_samples.state(), NOW - timedelta(seconds=8), replan=True)
        state = store.load_state()
        second = commit(store, state, NOW - timedelta(seconds=3), replan=False)
        return [first, second]
