"""Why there is no fleet: the words, the numbers, and that doing what they say helps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from costplan.planner.plan import Conflict, Infeasible
from costplan.planner.recommend import recommend
from costplan.planner.types import Market, WorkerShape
from costplan.planner.units import pico_from_usd
from costplan.planner.workload import Limits, Machines, MarketRules, Quota, Where
from tests.worlds import Row, catalogue, shape, workload

FIRM = Row(usd="0.10")
SPOT = replace(FIRM, market=Market.SPOT, usd="0.04")
GPU = Row(instance_type="g.x", vcpu=4, gib=16, usd="0.5", gpus=1, gpu_kind="T4")
PAIRS = shape(count=8, gib=4)
"""Two of them fill a machine, so they want four."""


def conflicts(rows: list[Row], *shapes: WorkerShape, **rules: Any) -> tuple[Conflict, ...]:
    """What stands in the way, nothing where there is a plan."""
    said = recommend(
        catalogue(rows),
        workload(*shapes, **rules),
        price_name="made up",
        price_digest="0",
        price_gaps=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return said.conflicts if isinstance(said, Infeasible) else ()


def budget(usd: str) -> dict[str, int]:
    """The rule of a budget of so much an hour."""
    return {"budget_pico_per_hour": pico_from_usd(usd)}


def test_a_budget_too_small() -> None:
    five = shape(count=5, gib=4)
    assert conflicts([FIRM], five, **budget("0.25")) == (
        Conflict(
            limit="budget.usd_per_hour",
            problem="needs $0.30/h, budget is $0.25",
            remedy="raise budget.usd_per_hour to 0.30 or ask for fewer workers",
        ),
    )
    assert conflicts([FIRM], five, **budget("0.30")) == ()


def test_a_budget_is_rounded_up_to_what_is_enough() -> None:
    """Three nodes at $0.1234 are $0.3702: $0.37 would not do."""
    row = replace(FIRM, usd="0.1234")
    (said,) = conflicts([row], shape(count=5, gib=4), **budget("0.25"))
    assert said.problem == "needs $0.38/h, budget is $0.25"
    assert conflicts([row], shape(count=5, gib=4), **budget("0.38")) == ()


def test_too_few_nodes() -> None:
    assert conflicts([FIRM], PAIRS, limits=Limits(max_nodes=2)) == (
        Conflict(
            limit="limits.max_nodes",
            problem="needs 4 nodes, the limit is 2",
            remedy="raise limits.max_nodes to 4",
        ),
    )
    assert conflicts([FIRM], PAIRS, limits=Limits(max_nodes=4)) == ()


def test_a_quota_too_small() -> None:
    limits = Limits(quotas=(Quota(vcpu_milli=90000), Quota(provider="aws", vcpu_milli=4000)))
    assert conflicts([FIRM, SPOT], PAIRS, limits=limits) == (
        Conflict(
            limit="limits.quotas[1]",
            problem="needs 8 vCPU, the limit is 4",
            remedy="raise limits.quotas[1] to 8",
        ),
    )


def test_a_base_without_on_demand_machines() -> None:
    base = MarketRules(on_demand_base_vcpu_milli=4000)
    assert conflicts([SPOT], PAIRS, market=base) == (
        Conflict(
            limit="market.on_demand_base_vcpu",
            problem="at most 0 vCPU can be on-demand, 4 are asked for",
            remedy="lower market.on_demand_base_vcpu to 0 or allow on-demand machines",
        ),
    )


def test_a_base_above_what_the_nodes_can_hold() -> None:
    """Six machines of 2 vCPU are 12, also where four would do for the workers."""
    limits = Limits(max_nodes=6)
    said = conflicts(
        [FIRM, SPOT], PAIRS, limits=limits, market=MarketRules(on_demand_base_vcpu_milli=40000)
    )
    assert [each.problem for each in said] == [
        "at most 12 vCPU can be on-demand, 40 are asked for",
        "needs 20 nodes, the limit is 6",
    ]
    eased = MarketRules(on_demand_base_vcpu_milli=12000)
    assert conflicts([FIRM, SPOT], PAIRS, limits=limits, market=eased) == ()


def test_a_spot_share_without_on_demand_machines() -> None:
    assert conflicts([SPOT], PAIRS, market=MarketRules(spot_max_share=0.5)) == (
        Conflict(
            limit="market.spot_max_share",
            problem="needs 100 % of vCPU on spot, the limit is 50 %",
            remedy="raise market.spot_max_share to 1 or allow on-demand machines",
        ),
    )


def test_a_spot_share_that_the_budget_cannot_pay() -> None:
    """Half on spot is $0.28; all on spot is $0.16. Either limit may give way."""
    half = MarketRules(spot_max_share=0.5)
    said = conflicts([FIRM, SPOT], PAIRS, market=half, **budget("0.20"))
    assert [each.problem for each in said] == [
        "needs 100 % of vCPU on spot, the limit is 50 %",
        "needs $0.28/h, budget is $0.20",
    ]
    assert conflicts([FIRM, SPOT], PAIRS, market=half, **budget("0.28")) == ()


def test_too_few_pools() -> None:
    """Two pools can be no smaller than half each; four would be a quarter."""
    zones = [replace(SPOT, zone=f"us-east-1{z}") for z in "abcd"]
    rule = MarketRules(pool_max_share=0.3)
    assert conflicts(zones[:2], PAIRS, market=rule) == (
        Conflict(
            limit="market.pool_max_share",
            problem="there are too few pools to keep each below 30 %",
            remedy="raise market.pool_max_share to 0.5, or allow more zones, types or on-demand",
        ),
    )
    assert conflicts(zones[:2], PAIRS, market=MarketRules(pool_max_share=0.5)) == ()
    assert conflicts(zones, PAIRS, market=rule) == ()


def test_a_shape_that_fits_nowhere() -> None:
    assert conflicts([FIRM], PAIRS, shape("big", vcpu=4, gib=12)) == (
        Conflict(
            limit="workers.big",
            problem="no machine has room for one 'big' worker (4 vCPU and 12 GiB)",
            remedy="the largest machines that the rules leave have 2 vCPU and 8 GiB before "
            "overhead, 0 GPU; widen where, machines or market, or ask for less",
        ),
    )


def test_every_shape_that_fits_nowhere_is_named() -> None:
    said = conflicts([FIRM], shape("wide", vcpu=4), shape("tall", gib=64), PAIRS)
    assert [each.limit for each in said] == ["workers.wide", "workers.tall"]


@pytest.mark.parametrize(
    ("rows", "kinds", "problem", "remedy"),
    [
        ([FIRM, GPU], ("H100", "A100"), "1 GPU of H100 or A100", "GPU kinds on offer are: T4"),
        ([FIRM], (), "1 GPU of any kind", "GPU kinds on offer are: none"),
    ],
)
def test_a_gpu_that_is_not_on_offer(
    rows: list[Row], kinds: tuple[str, ...], problem: str, remedy: str
) -> None:
    (said,) = conflicts(rows, shape("train", vcpu=1, gib=4, gpus=1, gpu_kinds=kinds))
    assert said.limit == "workers.train"
    assert said.problem == (
        f"no machine has room for one 'train' worker (1 vCPU and 4 GiB and {problem})"
    )
    assert said.remedy == remedy


def test_a_market_that_is_not_on_offer() -> None:
    (said,) = conflicts([FIRM], shape("spotty", markets=(Market.SPOT,)))
    assert said.limit == "workers.spotty"
    assert said.remedy == "it may run in spot only, and no such offer is left"


def test_no_one_region_has_all() -> None:
    far = replace(GPU, market=Market.SPOT, region="us-west-2", zone="us-west-2a")
    shapes = (
        shape("train", vcpu=4, gib=4, gpus=1),
        shape("firm", gib=4, markets=(Market.ON_DEMAND,)),
    )
    assert conflicts([far, FIRM], *shapes) == (
        Conflict(
            limit="where.single_region",
            problem="no one region (or zone) has machines for all workers; aws/us-west-2 lacks "
            "them for firm",
            remedy="allow more regions, or set single_region and single_zone to false",
        ),
    )
    assert conflicts([far, FIRM], *shapes, where=Where(single_region=False)) == ()


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"where": Where(providers=("gcp",))}, "clouds and regions not asked for (2 offers)"),
        ({"machines": Machines(arch=("arm64",))}, "other CPU architectures (2 offers)"),
        (
            {
                "market": MarketRules(allow=(Market.SPOT,)),
                "machines": Machines(exclude=("m.*",)),
            },
            "markets not allowed (1 offers)",
        ),
    ],
)
def test_nothing_is_left(rules: dict[str, Any], reason: str) -> None:
    assert conflicts([FIRM, SPOT], PAIRS, **rules) == (
        Conflict(
            limit="where, machines, market",
            problem="no offer is left once the rules are applied",
            remedy=f"the rule that removes most is: {reason}",
        ),
    )


def test_two_limits_that_must_change_together() -> None:
    note = "; no single limit is enough, these have to change together"
    said = conflicts([FIRM], PAIRS, limits=Limits(max_nodes=2), **budget("0.25"))
    assert said == (
        Conflict(
            limit="budget.usd_per_hour",
            problem=f"needs $0.40/h, budget is $0.25{note}",
            remedy="raise budget.usd_per_hour to 0.40 or ask for fewer workers",
        ),
        Conflict(
            limit="limits.max_nodes",
            problem=f"needs 4 nodes, the limit is 2{note}",
            remedy="raise limits.max_nodes to 4",
        ),
    )
    assert conflicts([FIRM], PAIRS, limits=Limits(max_nodes=4), **budget("0.40")) == ()


def test_a_pool_share_and_a_budget_that_must_change_together() -> None:
    half = MarketRules(pool_max_share=0.5)
    said = conflicts([SPOT], PAIRS, market=half, **budget("0.05"))
    assert [each.limit for each in said] == ["budget.usd_per_hour", "market.pool_max_share"]
    whole = MarketRules(pool_max_share=1.0)
    assert conflicts([SPOT], PAIRS, market=whole, **budget("0.16")) == ()


def test_dear_machines_are_a_fleet_where_a_quota_shuts_out_cheap_ones() -> None:
    """$0.01 an hour is not to be had, and $10.00 is a thousand times that: no conflict."""
    rows = [replace(FIRM, usd="0.01"), replace(FIRM, instance_type="x.large", usd="10.00")]
    none = Limits(quotas=(Quota(instance_types=("m.*",), nodes=0),))
    assert conflicts(rows, PAIRS, limits=none) == ()
