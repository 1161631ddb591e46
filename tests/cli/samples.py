"""Answers made by hand, whose numbers a reader can check."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.plan import (
    Baseline,
    Binding,
    Change,
    Conflict,
    Diff,
    Infeasible,
    PricedPool,
    PricesUsed,
    Recommendation,
    Risk,
    RunnerUp,
)
from costplan.planner.types import (
    Gap,
    Market,
    OfferKey,
    Packing,
    PoolPlan,
    Resources,
    WorkerShape,
)
from costplan.planner.units import GIB, PICO_PER_USD
from costplan.planner.workload import Limits, MarketRules, Quota, Where, Workload

CREATED_AT = datetime(2026, 8, 2, 12, 30, tzinfo=UTC)
SEEN_AT = datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4


def key(
    instance_type: str, market: Market = Market.SPOT, zone: str = "us-east-1a", region: str = ""
) -> OfferKey:
    """An offer of AWS; without a zone its source prices the region."""
    return OfferKey(
        provider="aws",
        region=region or "us-east-1",
        zone=zone,
        instance_type=instance_type,
        market=market,
    )


def workload() -> Workload:
    """106 workers of two shapes under most of the rules there are."""
    features = Resources(vcpu_milli=4000, memory_bytes=16 * GIB)
    train = Resources(vcpu_milli=8000, memory_bytes=30 * GIB, gpus=1)
    return Workload(
        name="fraud-training",
        shapes=(
            WorkerShape(name="features", count=98, need=features),
            WorkerShape(
                name="train", count=8, need=train, gpu_kinds=("T4", "L4"), markets=(Market.SPOT,)
            ),
        ),
        duration_seconds=6 * 3600,
        where=Where(providers=("aws",), regions=MappingProxyType({"aws": ("us-east-1",)})),
        market=MarketRules(
            spot_max_share=0.95,
            on_demand_base_vcpu_milli=16000,
            pool_max_share=0.8,
            max_hazard_per_hour=0.02,
        ),
        limits=Limits(
            max_nodes=300,
            quotas=(Quota(provider="aws", market=Market.SPOT, vcpu_milli=2_000_000),),
        ),
        budget_pico_per_hour=60 * PICO_PER_USD,
    )


def prices(name: str = "ours.parquet") -> PricesUsed:
    """A list of ten offers, of which six may be used."""
    return PricesUsed(
        name=name,
        digest=DIGEST,
        sources=("spot feed", "price list"),
        oldest_observed_at=SEEN_AT,
        newest_observed_at=CREATED_AT,
        offers_total=10,
        offers_considered=6,
        left_out=(("markets not allowed", 4), ("burstable machine types", 0)),
    )


def pool(
    offer: OfferKey,
    usd_per_hour_each: str,
    packings: tuple[tuple[int, dict[str, int]], ...],
    *,
    vcpu: float = 96,
    gpus: int = 0,
    estimate: bool = False,
) -> PricedPool:
    """A pool of machines of `vcpu` vCPU with 4 GiB each."""
    is_spot = offer.market is Market.SPOT
    return PricedPool(
        pool=PoolPlan(
            key=offer,
            nodes=sum(nodes for nodes, _ in packings),
            usd_per_hour_each=Decimal(usd_per_hour_each),
            packings=tuple(
                Packing(nodes=nodes, workers=MappingProxyType(workers))
                for nodes, workers in packings
            ),
        ),
        hazard_per_hour=0.0021 if is_spot else 0.0,
        hazard_assumed=is_spot,
        price_source="spot feed" if is_spot else "price list",
        price_observed_at=SEEN_AT,
        price_is_estimate=estimate,
        vcpu_each=vcpu,
        memory_bytes_each=int(vcpu) * 4 * GIB,
        gpus_each=gpus,
        gpu_kind="T4" if gpus else None,
    )


def plan() -> Recommendation:
    """Four big spot nodes, eight with a GPU and one on-demand: 4 x 1.9 + 8 x 0.3 + 0.8 = 10.80."""
    features = pool(
        key("m5.24xlarge"), "1.9", ((3, {"features": 24}), (1, {"features": 22})), estimate=True
    )
    train = pool(
        key("g4dn.2xlarge", zone="us-east-1b"), "0.3", ((8, {"train": 1}),), vcpu=8, gpus=1
    )
    firm = pool(key("m5.4xlarge", Market.ON_DEMAND, ""), "0.8", ((1, {"features": 4}),), vcpu=16)
    return Recommendation(
        plan_id="6d1f0c2b9a8e7d65",
        created_at=CREATED_AT,
        workload=workload(),
        site="aws/us-east-1",
        prices=prices(),
        pools=(train, features, firm),
        usd_per_hour=Decimal("10.80"),
        expected_usd_per_hour=Decimal("10.85"),
        lower_bound_usd_per_hour=Decimal("10.84"),
        gap=0.01 / 10.84,
        termination="gap",
        total_usd=Decimal("65.10"),
        baselines=(
            Baseline(
                name="everything on-demand",
                usd_per_hour=Decimal("26.2"),
                detail="the same planner without the spot market",
            ),
            Baseline(
                name="cheapest single on-demand type", usd_per_hour=None, detail="none has a T4"
            ),
            Baseline(name="cheapest single spot type", usd_per_hour=Decimal("10.85"), detail=""),
        ),
        binding=(
            Binding(
                limit="market.spot_max_share",
                shadow_usd_per_hour=Decimal("0.021500"),
                unit="percentage point",
            ),
            Binding(limit="limits.max_nodes", shadow_usd_per_hour=Decimal("1.25"), unit="node"),
        ),
        runner_up=RunnerUp(
            description="without m5.24xlarge",
            expected_usd_per_hour=Decimal("11.2"),
            is_bound=True,
            reason="costs at least $0.35/h more (3.2 %)",
        ),
        risk=Risk(
            spot_share=448 / 464,
            largest_pool=key("m5.24xlarge"),
            largest_pool_share=384 / 464,
            interruptions_per_day=0.6,
            interruptions_per_day_low=0.02,
            interruptions_per_day_high=2.25,
            expected_usd_per_hour_low=Decimal("10.81"),
            expected_usd_per_hour_high=Decimal("10.99"),
        ),
        not_priced=("disks", "data transfer"),
        gaps=(
            Gap(kind="zone", subject="pools in us-east-1", assumed="every zone costs the same"),
            Gap(
                kind="machine_size",
                subject="3 prices of 2 instance types such as x9.big",
                assumed="left out: vcpu is not known",
                since=SEEN_AT,
            ),
        ),
    )


def diffed() -> Recommendation:
    """The same plan against a fleet of five big nodes, the on-demand one and an old type."""
    changes = (
        Change(
            key=key("g4dn.2xlarge", zone="us-east-1b"),
            nodes_now=0,
            nodes_planned=8,
            usd_per_hour_each=Decimal("0.3"),
        ),
        Change(
            key=key("m5.24xlarge"),
            nodes_now=5,
            nodes_planned=4,
            usd_per_hour_each=Decimal("1.9"),
            price_is_estimate=True,
        ),
        Change(
            key=key("m5.4xlarge", Market.ON_DEMAND, ""),
            nodes_now=1,
            nodes_planned=1,
            usd_per_hour_each=Decimal("0.8"),
        ),
        Change(key=key("c3.large"), nodes_now=2, nodes_planned=0, usd_per_hour_each=Decimal("0.1")),
    )
    diff = Diff(changes=changes, usd_per_hour_now=Decimal("10.5"), unpriced=())
    return replace(plan(), diff=diff)


def infeasible() -> Infeasible:
    """Two limits that each stand in the way."""
    return Infeasible(
        created_at=CREATED_AT,
        workload=workload(),
        prices=prices(),
        conflicts=(
            Conflict(
                limit="budget.usd_per_hour",
                problem="needs $71.20/h, budget is $60.00",
                remedy="raise budget.usd_per_hour to 71.20 or ask for fewer workers",
            ),
            Conflict(
                limit="limits.max_nodes",
                problem="needs 12 node, the limit is 10",
                remedy="raise limits.max_nodes to 12",
            ),
        ),
        gaps=(),
    )
