"""What else one would buy: one machine type for all workers, or one a group, by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.planner.baselines import (
    baselines,
    single_type_baseline,
    type_per_group_baseline,
)
from costplan.planner.optimize.offers import candidates
from costplan.planner.types import Market
from costplan.planner.units import pico_from_usd
from costplan.planner.workload import Limits, Machines, MarketRules, Overhead, Quota, Where
from tests.worlds import Row, catalogue, shape, workload

SMALL = Row(instance_type="c.small", vcpu=4, gib=8, usd="0.20")
LARGE = Row(instance_type="c.large", vcpu=16, gib=32, usd="0.70")
GPU = Row(instance_type="g.large", vcpu=8, gib=32, usd="1.00", gpus=1, gpu_kind="T4")
CHEAP_ZONE = replace(SMALL, market=Market.SPOT, usd="0.06", zone="us-east-1b")
DEAR_ZONE = replace(SMALL, market=Market.SPOT, usd="0.09")
WEST = replace(LARGE, region="us-west-2", zone="us-west-2a", usd="0.65")
PRICES = catalogue([SMALL, LARGE, GPU, CHEAP_ZONE, DEAR_ZONE, WEST])

WORK = shape("work", 10, vcpu=3, gib=4)
BITS = shape("bits", 10, vcpu=1, gib=2)
TRAIN = shape("train", 2, vcpu=4, gib=16, gpus=1)


def test_one_on_demand_type() -> None:
    """10 workers of 3 vCPU and 10 of 1 fill ten machines of 4 at $0.20: $2.00. On machines of
    16 vCPU, five 3s and one 1 fill a node: 2 x $0.65 in the west, and 8 ones are left for a
    third: $1.95."""
    found = single_type_baseline(PRICES, workload(WORK, BITS), Market.ON_DEMAND)
    assert found.name == "cheapest single on-demand type"
    assert found.usd_per_hour == Decimal("1.95")
    assert found.detail == ("3 x c.large in aws/us-west-2, all workers packed first-fit-decreasing")


def test_the_region_is_one_that_may_be_used() -> None:
    """Without the west, ten small ones are $2.00 and three large ones $2.10."""
    east = Where(regions={"aws": ("us-east-1",)})
    found = single_type_baseline(PRICES, workload(WORK, BITS, where=east), Market.ON_DEMAND)
    assert found.usd_per_hour == Decimal("2.00")
    assert found.detail.startswith("10 x c.small in aws/us-east-1,")


def test_one_spot_type_at_the_cheapest_zone() -> None:
    found = single_type_baseline(PRICES, workload(WORK, BITS), Market.SPOT)
    assert found.name == "cheapest single spot type"
    assert found.usd_per_hour == Decimal("0.60")
    assert found.detail.startswith("10 x c.small in aws/us-east-1b,")


def test_what_interruptions_cost_is_in_a_spot_type_as_in_a_plan() -> None:
    """At 0.6 interruptions a node-hour, 10 min lost and 3 min to start over are 13 % more."""
    prices = catalogue([replace(CHEAP_ZONE, hazard=0.6)])
    found = single_type_baseline(prices, workload(WORK, BITS), Market.SPOT)
    assert found.usd_per_hour == Decimal("0.678")


def test_caps_do_not_count_and_rules_do() -> None:
    caps = workload(
        WORK,
        BITS,
        market=MarketRules(spot_max_share=0, pool_max_share=0.1, on_demand_base_vcpu_milli=1000),
        limits=Limits(max_nodes=1, quotas=(Quota(nodes=0),)),
        budget_pico_per_hour=pico_from_usd("0.01"),
    )
    found = single_type_baseline(PRICES, caps, Market.SPOT)
    assert found.usd_per_hour == Decimal("0.60")
    ruled = replace(caps, machines=Machines(exclude=("c.small",)))
    assert single_type_baseline(PRICES, ruled, Market.SPOT).usd_per_hour is None
    no_spot = replace(caps, market=MarketRules(allow=(Market.ON_DEMAND,)))
    found = single_type_baseline(PRICES, no_spot, Market.SPOT)
    assert found.usd_per_hour is None
    assert found.detail == "the rules leave no spot type that holds any of the workers"


def test_the_system_keeps_its_part() -> None:
    """4 GiB workers: two to a machine of 8 GiB, one where the system keeps 5 %."""
    one = workload(shape(count=4, vcpu=1, gib=4), machines=Machines(include=("c.small",)))
    found = single_type_baseline(PRICES, one, Market.ON_DEMAND)
    assert found.usd_per_hour == Decimal("0.40")
    found = single_type_baseline(PRICES, replace(one, overhead=Overhead()), Market.ON_DEMAND)
    assert found.usd_per_hour == Decimal("0.80")


def test_no_one_type_for_all() -> None:
    """A GPU worker and one of 12 vCPU, where GPU machines have 8 vCPU."""
    wide = workload(TRAIN, shape("wide", 1, vcpu=12, gib=8))
    found = single_type_baseline(PRICES, wide, Market.ON_DEMAND)
    assert found.usd_per_hour is None
    assert found.detail == "no one on-demand type holds workers of every group: train, wide"


def test_a_group_that_no_type_holds_is_named() -> None:
    huge = workload(WORK, shape("huge", 1, vcpu=64, gib=8))
    wanted = "no on-demand type that the rules allow holds a worker of huge"
    assert single_type_baseline(PRICES, huge, Market.ON_DEMAND).detail == wanted
    assert type_per_group_baseline(PRICES, huge).detail == wanted


def test_one_type_a_group() -> None:
    """In the east: 10 small ones for the 3s ($2.00; two large ones are $1.40), one large one for
    ten ones ($0.70; three small ones are $0.60), two GPU machines ($2.00): $4.00."""
    found = type_per_group_baseline(PRICES, workload(WORK, BITS, TRAIN))
    assert found.name == "one on-demand type per worker group"
    assert found.usd_per_hour == Decimal("4.00")
    assert found.detail == (
        "work: 2 x c.large in aws/us-east-1; bits: 3 x c.small in aws/us-east-1; "
        "train: 2 x g.large in aws/us-east-1"
    )


def test_groups_share_a_region_only_where_they_must() -> None:
    """Anywhere, the 3s go west: 2 x $0.65 + 3 x $0.20 + 2 x $1.00 = $3.90."""
    apart = workload(WORK, BITS, TRAIN, where=Where(single_region=False))
    assert type_per_group_baseline(PRICES, apart).usd_per_hour == Decimal("3.90")


def test_no_place_has_a_type_for_every_group() -> None:
    rows = [GPU, replace(LARGE, region="us-west-2", zone="us-west-2a")]
    found = type_per_group_baseline(
        catalogue(rows), workload(TRAIN, shape("wide", 1, vcpu=12, gib=8))
    )
    assert found.usd_per_hour is None
    assert found.detail == (
        "no place that the rules allow has an on-demand type for every worker group"
    )


@pytest.mark.parametrize("where", [Where(), Where(single_zone=True), Where(single_region=False)])
def test_all_baselines_at_once_are_the_same(where: Where) -> None:
    wanted = workload(WORK, BITS, where=where)
    assert baselines(PRICES, candidates(PRICES, wanted), wanted) == (
        single_type_baseline(PRICES, wanted, Market.ON_DEMAND),
        single_type_baseline(PRICES, wanted, Market.SPOT),
        type_per_group_baseline(PRICES, wanted),
    )
