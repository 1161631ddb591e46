"""Small fleets, plans and views for tests of what is done with a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from costplan.planner.guard import GuardView
from costplan.planner.ledger import Meter
from costplan.planner.nodes import Cause, DrainOrder, LaunchRequest, Node, WorkerSpec
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode, Snapshot, State
from costplan.planner.types import Market, Mode, Offer, OfferKey, Phase, Quote, Resources
from costplan.planner.units import GIB

NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)
"""A Wednesday; twelve hours are left of the day, and 16.5 days of the month."""

LONG_AGO = NOON - timedelta(hours=2)
SIZE = Resources(vcpu_milli=4000, memory_bytes=16 * GIB)


def key(instance_type: str = "m.large", market: Market = Market.ON_DEMAND) -> OfferKey:
    """An offer of the one cloud there is."""
    return OfferKey(
        provider="aws", region="us", zone="us-a", instance_type=instance_type, market=market
    )


def spot(instance_type: str = "m.large") -> OfferKey:
    """The same on spot."""
    return key(instance_type, Market.SPOT)


def node(
    node_id: str,
    *,
    workers: Mapping[str, int] | None = None,
    phase: Phase = Phase.READY,
    keys: tuple[OfferKey, ...] = (key(),),
    ready_at: datetime | None = LONG_AGO,
    cause: Cause | None = None,
) -> Node:
    """A node of 4 vCPU, with one worker 'w' unless said otherwise; `cause` has it drained."""
    specs = [
        WorkerSpec(name=f"{node_id}-{kind}-{n}", shape=kind, threads=4, memory_bytes=GIB,
                   resources={})
        for kind, count in ({"w": 1} if workers is None else workers).items()
        for n in range(count)
    ]  # fmt: skip
    request = LaunchRequest(
        token=f"t-{node_id}", node_id=node_id, cluster="c", keys=keys, workers=tuple(specs), tags={}
    )
    order = None
    if cause is not None:
        order = DrainOrder(token=f"d-{node_id}", cause=cause, ordered_at=NOON, wait_until=NOON)
    return Node(
        node_id=node_id,
        key=keys[0],
        resources=SIZE,
        phase=phase,
        phase_since=ready_at or LONG_AGO,
        workload="test",
        request=request,
        launched_at=LONG_AGO,
        ready_at=ready_at,
        drain=order,
    )


def launch(usd: str = "1", *keys: OfferKey, **more: Any) -> NewNode:
    """A proposed machine with one worker 'w', on demand unless offers are given."""
    values = {"workers": {"w": 1}, "reason": "more work", **more}
    return NewNode(keys=keys or (key(),), usd_per_hour=Decimal(usd), **values)


def drain(node_id: str, cause: Cause = Cause.SURPLUS, usd: str = "1", **more: Any) -> DrainNode:
    """A proposed end of a node that costs so much an hour; its drain is free and quick."""
    values: dict[str, Any] = {"drain_usd": Decimal(0), "drain_seconds": 3.0, "reason": "idle"}
    return DrainNode(
        node_id=node_id, cause=cause, saving_usd_per_hour=Decimal(usd), **{**values, **more}
    )


def plan(*moves: Move, after: str = "0") -> MovePlan:
    """These moves over half an hour."""
    return MovePlan(
        plan_id="p",
        snapshot_digest="s",
        created_at=NOON,
        horizon_seconds=1800,
        demand=(),
        moves=moves,
        kept=(),
        waiting=(),
        verdicts=(),
        usd_per_hour_before=Decimal(0),
        usd_per_hour_after=Decimal(after),
        expected_usd=Decimal(0),
        do_nothing_usd=Decimal(0),
        lower_bound_usd=Decimal(0),
        termination="optimal",
    )


def settings(minimum: int = 0, **more: Any) -> Settings:
    """Workers of kind 'w' with this minimum, and the default rules but for what is given."""
    kinds = (WorkerKind(name="w", need=SIZE, threads=4, resources={}, minimum=minimum),)
    return Settings(**{"cluster": "c", "workload": "test", "kinds": kinds, **more})


def view(
    *nodes: Node,
    at: datetime = NOON,
    usd: str | None = "1",
    rules: Settings | None = None,
    state: Mapping[str, Any] | None = None,
    **snapshot: Any,
) -> GuardView:
    """A view of these nodes at noon, each paid for at `usd` an hour (None: nobody knows)."""
    meters = {
        each.node_id: Meter(
            until=at, busy_seconds=0.0, usd_per_hour=Decimal(usd), rate_source="test"
        )
        for each in nodes
        if usd is not None
    }
    values: dict[str, Any] = {
        "load": None, "offers": offers(), "quotes": (), "notices": (), "gaps": (),
        "mode": Mode.FULL, "spent_usd": Decimal(0), "digest": "s",
    }  # fmt: skip
    return GuardView(
        snapshot=Snapshot(at=at, nodes=nodes, **{**values, **snapshot}),
        state=State(
            nodes={each.node_id: each for each in nodes}, meters=meters, **dict(state or {})
        ),
        settings=rules or settings(),
    )


def offers(names: Iterable[str] = ("m.large", "a", "b", "c", "d")) -> tuple[Offer, ...]:
    """Each type on demand and on spot, of 4 vCPU."""
    return tuple(
        Offer(key=key(name, market), resources=SIZE, arch="x86_64")
        for name in names
        for market in (Market.ON_DEMAND, Market.SPOT)
    )


def quote(of: OfferKey, usd: str) -> Quote:
    """A price that was seen for an offer."""
    return Quote(
        key=of, usd_per_hour=Decimal(usd), hazard_per_hour=None, observed_at=NOON, source="test"
    )
