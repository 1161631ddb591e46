"""The evaluator: dollars worked out by hand, and one broken plan for each rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from costplan.planner.optimize.evaluate import Evaluation, evaluate
from costplan.planner.types import Market, Packing, PoolPlan, Resources
from costplan.planner.units import GIB, pico_from_usd
from costplan.planner.workload import (
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Quota,
    Where,
)
from tests.worlds import Row, catalogue, shape, workload

FIRM = Row(instance_type="m.large", vcpu=2, gib=8, usd="0.10")
SPOT = replace(FIRM, market=Market.SPOT, usd="0.04", hazard=0.01)
SPOT_B = replace(SPOT, zone="us-east-1b", usd="0.05", hazard=None)
GPU = Row(instance_type="g.xlarge", vcpu=4, gib=16, usd="0.50", gpus=1, gpu_kind="T4")
WEST = replace(FIRM, region="us-west-2", zone="us-west-2a", usd="0.11")
GCP = replace(FIRM, provider="gcp", region="us-central1", zone="", instance_type="n2-standard-2")
BURST = replace(FIRM, instance_type="t3.large", usd="0.08")
ARM = replace(FIRM, instance_type="m6g.large", arch="arm64")
TERM = replace(FIRM, market=Market.COMMITMENT_1Y, usd="0.07")
PRICES = catalogue([FIRM, SPOT, SPOT_B, GPU, WEST, GCP, BURST, ARM, TERM])

ANYWHERE = Where(single_region=False)


def pool(row: Row, *packings: tuple[int, Mapping[str, int]], usd: str | None = None) -> PoolPlan:
    """Machines of a row: for each packing, nodes and the workers on each."""
    return PoolPlan(
        key=row.key,
        nodes=sum(nodes for nodes, _ in packings),
        usd_per_hour_each=Decimal(usd or row.usd),
        packings=tuple(Packing(nodes=nodes, workers=workers) for nodes, workers in packings),
    )


def priced(*pools: PoolPlan, count: int, **rules: Any) -> Evaluation:
    """An evaluation for `count` workers of 1 vCPU and 4 GiB, two to a machine."""
    return evaluate(pools, PRICES, workload(shape(count=count, gib=4), **rules))


def test_dollars_by_hand() -> None:
    """3 nodes at $0.10 and 10 at $0.04 are $0.70 an hour as billed.

    Spot is lost 0.01 times an hour and each time costs 13 minutes: 0.40 x 0.01 x 13/60 is
    $0.000866666... more in expectation. 10 of 13 machines of 2 vCPU each are on spot.
    """
    plan = priced(pool(FIRM, (3, {"work": 2})), pool(SPOT, (10, {"work": 2})), count=26)
    assert plan.violations == ()
    assert plan.usd_per_hour == Decimal("0.70")
    assert abs(plan.expected_usd_per_hour - Decimal("0.700866666666666667")) < Decimal("1e-15")
    assert (plan.nodes, plan.vcpu_milli, plan.placed) == (13, 26000, {"work": 26})
    assert plan.spot_share == pytest.approx(10 / 13)
    assert plan.pool_shares == {SPOT.key: pytest.approx(10 / 13)}


def test_an_unknown_hazard_costs_the_prior() -> None:
    """AWS: 7.5 % of nodes in a month of 730 h; an hour is lost each time; $0.05 an hour."""
    hour = Interruption(lost_work_seconds=3000, restart_seconds=600)
    plan = priced(pool(SPOT_B, (1, {"work": 2})), count=2, interruption=hour)
    expected = Decimal("0.05") * (1 + Decimal("0.075") / 730)
    assert abs(plan.expected_usd_per_hour - expected) < Decimal("1e-15")


def test_commitments_are_never_interrupted() -> None:
    allowed = MarketRules(allow=(Market.COMMITMENT_1Y,), spot_max_share=0.0)
    plan = priced(pool(TERM, (1, {"work": 2})), count=2, market=allowed)
    assert plan.violations == ()
    assert plan.expected_usd_per_hour == plan.usd_per_hour == Decimal("0.07")


def test_pico_dollars_add_up_exactly() -> None:
    row = replace(FIRM, usd="0.000000000001")
    plan = evaluate(
        (pool(row, (3, {"work": 1})),), catalogue([row]), workload(shape(count=3, gib=4))
    )
    assert plan.usd_per_hour == Decimal("0.000000000003")


@pytest.mark.parametrize("mutation", ["one type of many", "absent zone"])
def test_rows_are_found_among_their_likes(mutation: str) -> None:
    row = SPOT_B if mutation == "one type of many" else GCP
    plan = priced(pool(row, (1, {"work": 2})), count=2)
    assert plan.violations == ()
    assert plan.usd_per_hour == Decimal(row.usd)


def test_an_empty_fleet_places_nothing() -> None:
    plan = priced(count=2)
    assert plan.usd_per_hour == 0
    assert plan.spot_share == 0
    assert plan.violations == ("0 of 2 'work' workers are placed",)


def test_a_share_of_a_third_can_be_met() -> None:
    """1 of 3 machines on spot is a third, which no float says exactly."""
    pools = (pool(FIRM, (2, {"work": 2})), pool(SPOT, (1, {"work": 2})))
    third = MarketRules(spot_max_share=1 / 3, pool_max_share=1 / 3)
    assert priced(*pools, count=6, market=third).violations == ()


def test_memory_kept_is_the_larger_of_share_and_floor() -> None:
    """Of 8 GiB, 5 % is 0.4 GiB; a floor of 512 MiB keeps 0.5 GiB: 7.5 GiB are left."""
    exact = workload(shape(vcpu=1, gib=7.5), overhead=Overhead())
    assert evaluate((pool(FIRM, (1, {"work": 1})),), PRICES, exact).violations == ()
    byte = replace(exact.shapes[0].need, memory_bytes=int(7.5 * GIB) + 1)
    above = workload(replace(exact.shapes[0], need=byte), overhead=Overhead())
    (found,) = evaluate((pool(FIRM, (1, {"work": 1})),), PRICES, above).violations
    assert found == (
        "aws/us-east-1a/m.large/on_demand: workers need 8053063681 bytes of memory, "
        "the machine has 8589934592 and the system keeps 536870912"
    )


def test_a_share_of_memory_is_rounded_up() -> None:
    """A third of 8 GiB is 2863311530.67 bytes; one more than its whole part is kept."""
    kept = Overhead(memory_share=1 / 3, memory_floor_bytes=0)
    need = Resources(vcpu_milli=1000, memory_bytes=8 * GIB - 2863311531)
    for extra, violations in ((0, 0), (1, 1)):
        size = replace(need, memory_bytes=need.memory_bytes + extra)
        plan = workload(replace(shape(), need=size), overhead=kept)
        assert len(evaluate((pool(FIRM, (1, {"work": 1})),), PRICES, plan).violations) == violations


BASE = (pool(FIRM, (2, {"work": 2})), pool(SPOT, (2, {"work": 2})))
"""Four machines of 2 vCPU, half of them on spot: $0.28 an hour for 8 workers."""

BROKEN: list[tuple[str, tuple[PoolPlan, ...], dict[str, Any], str]] = [
    ("no such offer", (*BASE[1:], pool(replace(FIRM, zone="us-east-1z"), (2, {"work": 2}))), {},
     "aws/us-east-1z/m.large/on_demand is not in the price list"),
    ("price of the plan", (pool(FIRM, (2, {"work": 2}), usd="0.09"), BASE[1]), {},
     "is planned at $0.09 an hour; its price is $0.10"),
    ("providers", BASE, {"where": Where(providers=("gcp",))},
     "provider aws is not one of gcp"),
    ("regions", BASE, {"where": Where(regions={"aws": ("us-west-2",)})},
     "region us-east-1 is not one of us-west-2"),
    ("market.allow", BASE, {"market": MarketRules(allow=(Market.ON_DEMAND,))},
     "market spot is not allowed"),
    ("arch", (pool(ARM, (4, {"work": 2})),), {},
     "architecture arm64 is not one of x86_64"),
    ("include", BASE, {"machines": Machines(include=("c*",))},
     "type m.large is not included"),
    ("exclude", BASE, {"machines": Machines(include=("m*",), exclude=("m.l*",))},
     "type m.large is excluded"),
    ("burstable", (pool(BURST, (4, {"work": 2})),), {},
     "type t3.large sells a fraction of its vCPU"),
    ("max_vcpu", BASE, {"machines": Machines(max_vcpu=1.5)},
     "2.0 vCPU is above max_vcpu 1.5"),
    ("max_hazard", BASE, {"market": MarketRules(max_hazard_per_hour=0.009)},
     "hazard 0.01 an hour is above 0.009"),
    ("max_hazard of the prior", (BASE[0], pool(SPOT_B, (2, {"work": 2}))),
     {"market": MarketRules(max_hazard_per_hour=0.0001)},
     "hazard 0.00010274 an hour is above 0.0001"),
    ("vCPU of a machine", (pool(FIRM, (2, {"work": 2})), pool(SPOT, (2, {"work": 2}))),
     {"overhead": Overhead(vcpu_milli=1, memory_share=0, memory_floor_bytes=0)},
     "workers need 2000 milli-vCPU, the machine has 2000 and the system keeps 1"),
    ("a worker of no shape", (BASE[0], pool(SPOT, (2, {"work": 2, "play": 1}))), {},
     "'play' is not in the workload"),
    ("a negative packing", (*BASE, pool(SPOT_B, (1, {"work": 1}), (1, {"work": -1}))), {},
     "counts below its least"),
    ("too few workers", (BASE[0], pool(SPOT, (1, {"work": 2}), (1, {"work": 1}))), {},
     "7 of 8 'work' workers are placed"),
    ("too many workers", (*BASE, pool(SPOT_B, (1, {"work": 1}))), {},
     "9 of 8 'work' workers are placed"),
    ("spot_max_share", BASE, {"market": MarketRules(spot_max_share=0.49)},
     "4.0 of 8.0 vCPU are on spot, a share of 0.500000; spot_max_share is 0.49"),
    ("pool_max_share", BASE, {"market": MarketRules(pool_max_share=0.49)},
     "m.large/spot has 4.0 of 8.0 vCPU, a share of 0.500000; pool_max_share is 0.49"),
    ("on_demand_base", BASE, {"market": MarketRules(on_demand_base_vcpu_milli=4001)},
     "4.0 vCPU are not on spot; on_demand_base_vcpu is 4.001"),
    ("budget", BASE, {"budget_pico_per_hour": pico_from_usd("0.28") - 1},
     "the fleet costs $0.28 an hour; the budget is $0.279999999999"),
    ("max_nodes", BASE, {"limits": Limits(max_nodes=3)},
     "the fleet has 4 nodes; max_nodes is 3"),
    ("quota of nodes", BASE,
     {"limits": Limits(quotas=(Quota(nodes=4), Quota(market=Market.SPOT, nodes=1)))},
     "quota 1 allows 1 nodes; the fleet has 2 of its kind"),
    ("quota of vCPU", BASE,
     {"limits": Limits(quotas=(Quota(provider="aws", region="us-east-1", vcpu_milli=7999),))},
     "quota 0 allows 7.999 vCPU; the fleet has 8.0 of its kind"),
    ("quota of types", BASE, {"limits": Limits(quotas=(Quota(instance_types=("m.*",), nodes=0),))},
     "quota 0 allows 0 nodes; the fleet has 4 of its kind"),
    ("single_region", (BASE[0], pool(WEST, (2, {"work": 2}))), {},
     "machines are in 2 regions, single_region is set: aws/us-east-1, aws/us-west-2"),
    ("single_zone", (BASE[0], pool(SPOT_B, (2, {"work": 2}))), {"where": Where(single_zone=True)},
     "machines are in 2 zones, single_zone is set: "
     "aws/us-east-1/us-east-1a, aws/us-east-1/us-east-1b"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pools", "rules", "message"),
    [pytest.param(*case[1:], id=case[0]) for case in BROKEN],
)
def test_each_rule_bites(pools: tuple[PoolPlan, ...], rules: dict[str, Any], message: str) -> None:
    """Each plan breaks one rule, and every violation it gets is of that rule."""
    plan = priced(*pools, count=8, **rules)
    assert plan.violations
    assert all(message in found for found in plan.violations), plan.violations


@pytest.mark.parametrize(
    "rules",
    [
        {"where": Where(providers=("aws",), regions={"aws": ("us-east-1",)}, single_zone=True)},
        {"machines": Machines(include=("m*",), exclude=("c*",), max_vcpu=2)},
        {"market": MarketRules(spot_max_share=0.5, pool_max_share=0.5, max_hazard_per_hour=0.01)},
        {"market": MarketRules(on_demand_base_vcpu_milli=4000)},
        {"budget_pico_per_hour": pico_from_usd("0.28"), "limits": Limits(max_nodes=4)},
        {"limits": Limits(quotas=(Quota(nodes=4), Quota(market=Market.SPOT, vcpu_milli=4000)))},
        {"limits": Limits(quotas=(Quota(provider="gcp", nodes=0), Quota(region="x", nodes=0)))},
    ],
)
def test_each_rule_allows_what_just_keeps_it(rules: dict[str, Any]) -> None:
    assert priced(*BASE, count=8, **rules).violations == ()


def test_prices_too_low_to_be_true_are_not_for_use() -> None:
    """$0.10, $0.11 and $0.02 in three regions: the median is $0.10, a fifth of it is $0.02."""
    odd = replace(FIRM, region="eu-west-1", zone="eu-west-1a", usd="0.019")
    even = replace(odd, usd="0.02")
    for row, share, violations in ((odd, 0.2, 1), (even, 0.2, 0), (odd, 0.19, 0), (odd, 0.0, 0)):
        rules = workload(shape(count=2, gib=4), machines=Machines(suspect_share=share))
        plan = evaluate((pool(row, (1, {"work": 2})),), catalogue([FIRM, WEST, row]), rules)
        assert len(plan.violations) == violations
        assert all(
            found.endswith("$0.019 is below 0.2 of $0.10, the median of its type and market")
            for found in plan.violations
        )


def test_workers_stay_off_markets_they_do_not_name() -> None:
    steady = workload(shape(count=2, gib=4, markets=(Market.ON_DEMAND,)))
    (found,) = evaluate((pool(SPOT, (1, {"work": 2})),), PRICES, steady).violations
    assert found == "aws/us-east-1a/m.large/spot: 'work' may not run in market spot"


@pytest.mark.parametrize(
    ("row", "kinds", "kind", "message"),
    [
        (GPU, ("T4", "L4"), None, None),
        (GPU, (), None, None),
        (GPU, (), "T4", None),
        (GPU, ("A100",), None, "'train' needs GPU kind A100, the machine has T4"),
        (GPU, (), "L4", "'train' needs GPU kind L4, the machine has T4"),
        (FIRM, (), None, "'train' needs GPU kind known, the machine has none"),
    ],
)
def test_gpus_are_of_the_kinds_asked_for(
    row: Row, kinds: tuple[str, ...], kind: str | None, message: str | None
) -> None:
    train = shape("train", 1, vcpu=1, gib=2, gpus=1, gpu_kinds=kinds)
    train = replace(train, need=replace(train.need, gpu_kind=kind))
    found = evaluate((pool(row, (1, {"train": 1})),), PRICES, workload(train)).violations
    assert (message is None) == (found == ())
    assert message is None or any(message in each for each in found)


def test_a_machine_runs_out_of_gpus() -> None:
    pair = workload(shape("train", 2, vcpu=1, gib=2, gpus=1))
    (found,) = evaluate((pool(GPU, (1, {"train": 2})),), PRICES, pair).violations
    assert found.endswith("workers need 2 GPUs, the machine has 1 and the system keeps 0")


def test_pools_of_one_offer_are_one_pool() -> None:
    """Twice one machine of a pool is half of four, whether it is written as one pool or two."""
    pools = (BASE[0], pool(SPOT, (1, {"work": 2})), pool(SPOT, (1, {"work": 2})))
    found = priced(*pools, count=8, market=MarketRules(pool_max_share=0.4)).violations
    assert len(found) == 1
    assert "a share of 0.500000" in found[0]


def test_rows_are_looked_up_without_walking_over_the_list() -> None:
    """A list of 900,000 rows of other types costs no Python loop; the same answer comes out."""
    rows = np.concatenate([np.full(900_000, 4, dtype=np.intp), np.arange(4, dtype=np.intp)])
    large = PRICES.take(rows)
    plan = evaluate(BASE, large, workload(shape(count=8, gib=4)))
    assert plan.usd_per_hour == Decimal("0.28")
    assert plan.violations == ()
