"""Small fleets, plans and views for tests of what is done with a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from costplan.planner.guard import GuardView
from costplan.planner.ledger import Meter
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.nodes import (
    Cause,
    DrainOrder,
    LaunchRequest,
    MachineState,
    Node,
    ProviderNode,
    WorkerSpec,
)
from costplan.planner.reconcile import World
from costplan.planner.settings import Scaling, Settings, WorkerKind
from costplan.planner.tick import (
    ActionOutcome,
    DrainNode,
    Move,
    MovePlan,
    NewNode,
    Readings,
    Snapshot,
    State,
)
from costplan.planner.types import Market, Mode, Offer, OfferKey, Phase, Quote, Resources
from costplan.planner.units import GIB

NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)
"""A Wednesday; twelve hours are left of the day, and 16.5 days of the month."""

DRAIN = "d"
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
        WorkerSpec(name=f"{node_id}-{kind}-{n}", shape=kind, threads=4, memory_bytes=12 * GIB,
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


def kind(name: str = "w", gib: int = 12, gpus: int = 0, **more: Any) -> WorkerKind:
    """A kind of worker that needs a machine of its own, with a GPU resource where it has GPUs."""
    need = Resources(vcpu_milli=4000, memory_bytes=gib * GIB, gpus=gpus)
    values = {"threads": 4, "resources": {"GPU": float(gpus)} if gpus else {}, **more}
    return WorkerKind(name=name, need=need, **values)


def rules(*kinds: WorkerKind, scaling: Mapping[str, Any] | None = None, **more: Any) -> Settings:
    """Workers that the offers can hold, work to be done in 5 minutes, and boots of one."""
    paced = Scaling(**{"target_seconds": 300, "boot_seconds": 60, **(scaling or {})})
    values = {"cluster": "c", "workload": "test", "kinds": kinds or (kind(),), **more}
    return Settings(scaling=paced, **values)


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


def after(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def rented(node_id: str, phase: Phase = Phase.READY, **more: Any) -> Node:
    """A node that its cloud has given a machine, 'i-<node>'."""
    return replace(node(node_id, phase=phase, **more), provider_id=f"i-{node_id}")


def machine(of: Node, state: MachineState = MachineState.RUNNING, **more: Any) -> ProviderNode:
    """The machine of a node as its cloud lists it."""
    values: dict[str, Any] = {
        "provider_id": of.provider_id or f"i-{of.node_id}", "key": of.key, "state": state,
        "launched_at": of.launched_at or LONG_AGO, "node_id": of.node_id, "token": of.token,
    }  # fmt: skip
    return ProviderNode(**{**values, **more})


def does(executing: int = 0, **more: Any) -> WorkerLoad:
    """A worker of four threads with so many running tasks; idle since noon where it has none."""
    values: dict[str, Any] = {
        "threads": 4, "memory_bytes": GIB, "resources": {}, "executing": executing,
        "processing": executing, "managed_bytes": 0, "joined_at": LONG_AGO,
        "idle_since": None if executing else NOON,
    }  # fmt: skip
    return WorkerLoad(**{**values, **more})


def tasks(
    queued: int = 0, running: int = 0, mean: float | None = 1.0, prefix: str = "fit", **more: Any
) -> TaskGroup:
    """Tasks of a prefix that need nothing special; without a mean none has finished."""
    values: dict[str, Any] = {"need": {}, "observed_tasks": 0 if mean is None else 9, **more}
    return TaskGroup(
        prefix=prefix, queued=queued, running=running, mean_task_seconds=mean, **values
    )


def load(
    *groups: TaskGroup,
    workers: Mapping[str, WorkerLoad] | None = None,
    at: datetime = NOON,
    clients: int = 1,
    **more: Any,
) -> Load:
    """These tasks and workers at noon, and somebody there who wants them."""
    return Load(
        at=at, window_seconds=5.0, groups=groups, workers=workers or {}, clients=clients, **more
    )


def joined(*nodes: Node, executing: int = 0) -> dict[str, WorkerLoad]:
    """All workers of these nodes, each with so many running tasks."""
    return {name: does(executing) for each in nodes for name in each.workers}


def readings(seconds: float = 0.0, **more: Any) -> Readings:
    """What is read so long after noon: nothing but what is given, and the offers."""
    values: dict[str, Any] = {
        "load": None, "machines": None, "notices": (), "offers": offers(), "quotes": (),
    }  # fmt: skip
    return Readings(at=after(seconds), **{**values, **more})


def order(cause: Cause = Cause.SURPLUS, wait: float = 600.0, **more: Any) -> DrainOrder:
    """An order of noon to empty a node, that waits so long for what runs."""
    return DrainOrder(token=DRAIN, cause=cause, ordered_at=NOON, wait_until=after(wait), **more)


def going(phase: Phase, ordered: DrainOrder | None = None, **more: Any) -> Node:
    """The node 'n', which is told to leave."""
    return replace(rented("n", phase, **more), drain=ordered or order())


def runs(*workers: str, executing: int = 1, **more: Any) -> Load:
    """A sample in which each of these workers does so."""
    return load(workers={name: does(executing, **more) for name in workers})


def world(seconds: float, seen: Load | None, *outcomes: ActionOutcome) -> World:
    """What a step looks at, so long after noon."""
    return World(load=seen, outcomes=outcomes, settings=settings(), now=after(seconds))
