"""A fleet at work, made by hand: five nodes, a plan with three moves, a load, limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.ledger import Meter
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.nodes import Cause, DrainOrder, LaunchRequest, Node, WorkerSpec
from costplan.planner.settings import Budget, Settings, WorkerKind
from costplan.planner.speed import TypeSpeed
from costplan.planner.tick import (
    ClassDemand,
    Control,
    DrainNode,
    KeepNode,
    MovePlan,
    NewNode,
    RejectedPlan,
    State,
    Waiting,
)
from costplan.planner.types import (
    Billing,
    Decision,
    Market,
    Offer,
    OfferKey,
    Phase,
    Quote,
    Resources,
    Verdict,
)
from costplan.planner.units import GIB

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SMALL = Resources(vcpu_milli=2000, memory_bytes=8 * GIB)
BIG = Resources(vcpu_milli=4000, memory_bytes=16 * GIB)
NEED = Resources(vcpu_milli=2000, memory_bytes=7 * GIB)


def key(instance_type: str, market: Market = Market.SPOT) -> OfferKey:
    return OfferKey(
        provider="local",
        region="here",
        zone="here-a",
        instance_type=instance_type,
        market=market,
    )


SPOT, FIRM, LARGE = key("small.2"), key("small.2", Market.ON_DEMAND), key("big.4")
PRICES = {SPOT: Decimal("0.04"), FIRM: Decimal("0.10"), LARGE: Decimal("0.07")}


def offers() -> tuple[Offer, ...]:
    return tuple(
        Offer(
            key=each,
            resources=BIG if each == LARGE else SMALL,
            arch="x86_64",
            billing=Billing(minimum_seconds=60),
        )
        for each in sorted(PRICES)
    )


def quotes() -> tuple[Quote, ...]:
    return tuple(
        Quote(
            key=each,
            usd_per_hour=PRICES[each],
            hazard_per_hour=0.01 if each.market is Market.SPOT else None,
            observed_at=NOW - timedelta(hours=2),
            source="our list",
        )
        for each in sorted(PRICES)
    )


def node(number: int, phase: Phase, offer: OfferKey = SPOT, cause: Cause | None = None) -> Node:
    """Node n-<number>, launched <number> x 10 minutes ago, with one worker of kind cpu."""
    node_id = f"n-{number}"
    born = NOW - timedelta(minutes=10 * number)
    worker = WorkerSpec(
        name=f"{node_id}-0", shape="cpu", threads=2, memory_bytes=7 * GIB, resources={}
    )
    request = LaunchRequest(
        token=f"token-{number}",
        node_id=node_id,
        cluster="fraud",
        keys=(offer, FIRM) if offer == SPOT else (offer,),
        workers=(worker,),
        tags={},
    )
    history = [(Phase.INTENDED, born, "the work asks for it")]
    asked = phase not in (Phase.INTENDED, Phase.REQUESTED)
    if asked:
        history.append((Phase.BOOTING, born + timedelta(seconds=10), "the cloud accepted"))
    if asked and phase is not Phase.BOOTING:
        history.append((Phase.READY, born + timedelta(seconds=70), "its workers joined"))
    if history[-1][0] is not phase:
        history.append((phase, NOW - timedelta(seconds=30), str(cause or "as planned")))
    drain = None
    if cause is not None:
        drain = DrainOrder(
            token=f"drain-{number}",
            cause=cause,
            ordered_at=NOW - timedelta(seconds=30),
            wait_until=NOW + timedelta(minutes=5),
            must_end_by=NOW + timedelta(minutes=1) if cause is Cause.NOTICE else None,
        )
    return Node(
        node_id=node_id,
        key=offer,
        resources=SMALL,
        phase=phase,
        phase_since=history[-1][1],
        workload="fraud-training",
        request=request,
        provider_id=f"pid-{number}" if asked else None,
        launched_at=born + timedelta(seconds=10) if asked else None,
        ready_at=born + timedelta(seconds=70) if phase is Phase.READY else None,
        drain=drain,
        attempts=1 if phase is not Phase.INTENDED else 0,
        history=tuple(history),
    )


def nodes() -> dict[str, Node]:
    listed = (
        node(1, Phase.BOOTING),
        node(2, Phase.READY),
        node(3, Phase.READY),
        node(4, Phase.READY, FIRM),
        node(5, Phase.RETIRING, SPOT, Cause.SURPLUS),
        node(6, Phase.GONE),
    )
    return {each.node_id: each for each in listed}


def worker_load(**changes: object) -> WorkerLoad:
    base: dict[str, object] = {
        "threads": 2,
        "memory_bytes": 7 * GIB,
        "resources": {},
        "executing": 2,
        "managed_bytes": 3 * GIB,
        "processing": 4,
        "sole_bytes": 2 * GIB,
        "sole_keys": 12,
        "recompute_seconds": 40.0,
    }
    return WorkerLoad(**(base | changes))  # type: ignore[arg-type]


def load(at: datetime = NOW - timedelta(seconds=4)) -> Load:
    return Load(
        at=at,
        window_seconds=5.0,
        groups=(
            TaskGroup(
                prefix="features",
                need={},
                queued=40,
                running=6,
                waiting=8,
                mean_task_seconds=2.5,
                observed_tasks=100,
            ),
            TaskGroup(
                prefix="train-on-gpu",
                need={"GPU": 1.0},
                queued=3,
                running=0,
                unrunnable=3,
                mean_task_seconds=None,
                observed_tasks=0,
            ),
        ),
        workers={
            "n-2-0": worker_load(),
            "n-3-0": worker_load(sole_bytes=0, sole_keys=0, executing=0, processing=0),
            "n-4-0": worker_load(),
            "n-5-0": worker_load(executing=0, processing=0, sole_bytes=GIB, sole_keys=3),
        },
        clients=1,
        scheduler_id="Scheduler-1",
    )


def plan() -> MovePlan:
    """$0.16/h to $0.18/h; $0.30 against $0.40, at least $0.25: (0.30 - 0.25) / 0.25 = 20 %."""
    new = NewNode(
        keys=(SPOT, FIRM),
        workers={"cpu": 1},
        usd_per_hour=Decimal("0.04"),
        reason="46 tasks wait and would take 58 s too long",
    )
    return MovePlan(
        plan_id="plan-1",
        snapshot_digest="d" * 16,
        created_at=NOW - timedelta(seconds=20),
        horizon_seconds=1800,
        demand=(
            ClassDemand(
                shape="cpu",
                wanted=5,
                present=3,
                coming=1,
                work_seconds=115.0,
                width=46,
                reason="115 s of work in 60 s need 2 threads a worker",
            ),
        ),
        moves=(
            new,
            new,
            DrainNode(
                node_id="n-5",
                cause=Cause.SURPLUS,
                saving_usd_per_hour=Decimal("0.04"),
                drain_usd=Decimal("0.00012"),
                drain_seconds=10.8,
                reason="idle for 90 s, a boot takes 60 s",
            ),
        ),
        kept=(
            KeepNode(node_id="n-3", reason="idle for 20 s only"),
            KeepNode(node_id="n-4", reason="on-demand base of 2 vCPU"),
        ),
        waiting=(
            Waiting(
                prefix="train-on-gpu",
                tasks=3,
                need={"GPU": 1.0},
                reason="no worker kind of costplan.yaml has the resource GPU",
            ),
        ),
        verdicts=(
            Verdict(policy="churn", decision=Decision.ALLOW, reason="old enough", numbers={}),
            Verdict(
                policy="budget",
                decision=Decision.TRIM,
                reason="a third node would pass the budget of an hour",
                numbers={"limit_usd_per_hour": "0.25", "would_usd_per_hour": "0.26"},
            ),
        ),
        usd_per_hour_before=Decimal("0.22"),
        usd_per_hour_after=Decimal("0.24"),
        expected_usd=Decimal("0.30"),
        do_nothing_usd=Decimal("0.40"),
        lower_bound_usd=Decimal("0.25"),
        termination="optimal",
        runner_up=RejectedPlan(
            description="1 node of spot big.4 in local/here-a",
            expected_usd=Decimal("0.33"),
            reason="$0.03 dearer: half of it would idle",
        ),
        speeds=(
            TypeSpeed(instance_type="big.4", factor=1.58, tasks=200, origin="measured"),
            TypeSpeed(instance_type="small.2", factor=1.0, tasks=0, origin="given"),
        ),
    )


def state(control: Control | None = None) -> State:
    """Five nodes are there; $0.04 x 4 + $0.10 = $0.26 an hour."""
    there = nodes()
    meters = {
        node_id: Meter(
            until=NOW - timedelta(seconds=4),
            busy_seconds=10.0,
            usd_per_hour=PRICES[each.key],
            rate_source="our list",
        )
        for node_id, each in there.items()
        if each.launched_at is not None and each.phase is not Phase.GONE
    }
    return State(
        nodes=MappingProxyType(there),
        meters=MappingProxyType(meters),
        control=control or Control(),
        load=load(),
        plan=plan(),
        launches=6,
        spent_usd=Decimal("12.345678901234"),
        spent_by_day=MappingProxyType(
            {
                "2026-02-28": Decimal("10"),
                "2026-03-01": Decimal("2.345678901234"),
            }
        ),
    )


def settings() -> Settings:
    return Settings(
        cluster="fraud",
        workload="fraud-training",
        kinds=(WorkerKind(name="cpu", need=NEED, threads=2, resources={}),),
        budget=Budget(usd_per_hour=Decimal("0.25"), usd_per_day=Decimal(5)),
    )
