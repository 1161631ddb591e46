"""An answer and its proof by hand: what binds, what came second, what is at risk, what changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.place_report import NEVER_PRICED
from costplan.planner.plan import Binding, Infeasible, Recommendation, Running
from costplan.planner.recommend import recommend
from costplan.planner.types import Gap, Market, OfferKey, WorkerShape
from costplan.planner.units import pico_from_usd
from costplan.planner.workload import Limits, MarketRules, Quota, Where
from tests.worlds import OBSERVED_AT, Row, catalogue, shape, workload

FIRM = Row(usd="0.10")
SPOT = replace(FIRM, market=Market.SPOT, usd="0.04", hazard=0.01)
SPOT_B = replace(SPOT, zone="us-east-1b", usd="0.05")
WEST = replace(FIRM, region="us-west-2", zone="us-west-2a", usd="0.12")
PAIRS = shape(count=40, gib=4)
"""Two of them fill a machine, so they want twenty."""

LOST = Decimal("0.01") * 13 / 60
"""What a hazard of 0.01 an hour adds to a price: 10 min of work and 3 min to start over."""


def plan(
    rows: Sequence[Row],
    *shapes: WorkerShape,
    current: tuple[Running, ...] | None = None,
    digest: str = "0",
    created_at: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    gaps: tuple[Gap, ...] = (),
    **rules: Any,
) -> Recommendation:
    """The plan for these workers."""
    said = recommend(
        catalogue(rows),
        workload(*(shapes or (PAIRS,)), **rules),
        price_name="made up",
        price_digest=digest,
        price_gaps=gaps,
        created_at=created_at,
        current=current,
    )
    assert isinstance(said, Recommendation)
    return said


def near(usd: Decimal, expected: Decimal | float | str) -> bool:
    """Equal to a millionth of a dollar."""
    return abs(usd - Decimal(expected)) <= Decimal("1e-6")


def test_a_plan_by_hand() -> None:
    """Twenty machines at $0.04, each lost 0.01 times an hour for 13 minutes; six hours of it."""
    found = plan([FIRM, SPOT], duration_seconds=6 * 3600)
    assert found.usd_per_hour == Decimal("0.80")
    assert near(found.expected_usd_per_hour, Decimal("0.80") * (1 + LOST))
    assert near(found.lower_bound_usd_per_hour, found.expected_usd_per_hour)
    assert found.lower_bound_usd_per_hour <= found.expected_usd_per_hour
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert found.termination == "optimal"
    assert found.total_usd is not None
    assert near(found.total_usd, 6 * found.expected_usd_per_hour)
    assert found.site == "aws/us-east-1"
    (only,) = found.pools
    assert (only.pool.key, only.pool.nodes) == (SPOT.key, 20)
    assert [(each.nodes, dict(each.workers)) for each in only.pool.packings] == [(20, {"work": 2})]
    assert (only.hazard_per_hour, only.hazard_assumed) == (0.01, False)
    assert found.not_priced[-len(NEVER_PRICED) :] == NEVER_PRICED
    assert found.place is None
    assert found.diff is None


def test_without_a_duration_there_is_no_total() -> None:
    assert plan([FIRM]).total_usd is None


def test_prices_are_named_and_dated() -> None:
    prices = plan([FIRM, SPOT, WEST], where=Where(regions={"aws": ("us-east-1",)})).prices
    assert (prices.name, prices.digest, prices.sources) == ("made up", "0", ("made up",))
    assert prices.oldest_observed_at == datetime.fromtimestamp(OBSERVED_AT, UTC)
    assert (prices.offers_total, prices.offers_considered) == (3, 2)
    assert prices.left_out == (("clouds and regions not asked for", 1),)


def test_what_a_point_of_spot_share_is_worth() -> None:
    """A point of 40 vCPU is 0.4 vCPU, which costs $0.05 each on demand and $0.02 on spot."""
    found = plan([FIRM, SPOT], market=MarketRules(spot_max_share=0.5))
    (binding,) = found.binding
    assert (binding.limit, binding.unit) == ("market.spot_max_share", "percentage point")
    worth = Decimal("0.4") * (Decimal("0.05") - Decimal("0.02") * (1 + LOST))
    assert near(binding.shadow_usd_per_hour, worth)


def test_what_a_point_of_a_pool_is_worth() -> None:
    """Two pools hold a quarter each; a point more of both is 0.4 vCPU more of both on spot."""
    found = plan([FIRM, SPOT, SPOT_B], market=MarketRules(pool_max_share=0.25))
    (binding,) = found.binding
    assert (binding.limit, binding.unit) == ("market.pool_max_share", "percentage point")
    saved = 2 * Decimal("0.05") - (Decimal("0.02") + Decimal("0.025")) * (1 + LOST)
    assert near(binding.shadow_usd_per_hour, Decimal("0.4") * saved)


def test_what_a_vcpu_of_quota_is_worth() -> None:
    quota = Limits(quotas=(Quota(market=Market.SPOT, vcpu_milli=10000),))
    (binding,) = plan([FIRM, SPOT], limits=quota).binding
    worth = Decimal("0.05") - Decimal("0.02") * (1 + LOST)
    assert binding == Binding(
        limit="limits.quotas[0]",
        shadow_usd_per_hour=worth.quantize(Decimal("1e-6")),
        unit="vCPU",
    )


def test_limits_with_room_do_not_bind() -> None:
    found = plan(
        [FIRM, SPOT],
        market=MarketRules(spot_max_share=0.99, on_demand_base_vcpu_milli=2000),
        limits=Limits(max_nodes=90),
        budget_pico_per_hour=pico_from_usd("9"),
    )
    assert [each.limit for each in found.binding] == ["market.on_demand_base_vcpu"]
    assert plan([FIRM, SPOT]).binding == ()


def test_the_runner_up_is_the_next_best_region() -> None:
    """Twenty machines at $0.12 in the west are $0.40 more than at $0.10."""
    far = replace(WEST, region="us-west-9", zone="us-west-9a", usd="0.13")
    second = plan([FIRM, WEST, far]).runner_up
    assert second is not None
    assert second.description == "everything in aws/us-west-2"
    assert near(second.expected_usd_per_hour, "2.40")
    assert "$0.40/h more (20 %)" in second.reason


def test_the_runner_up_in_one_region_does_without_the_main_type() -> None:
    other = replace(FIRM, instance_type="c.large", usd="0.11")
    second = plan([FIRM, other]).runner_up
    assert second is not None
    assert second.description == "without m.large"
    assert near(second.expected_usd_per_hour, "2.20")
    assert not second.is_bound
    assert second.reason == "costs $0.20/h more (10 %)"


def test_there_may_be_no_other_plan() -> None:
    assert plan([FIRM]).runner_up is None


def test_the_first_baseline_is_the_plan_without_spot_and_budget() -> None:
    first = plan([FIRM, SPOT], budget_pico_per_hour=pico_from_usd("1")).baselines[0]
    assert first.name == "everything on-demand"
    assert first.usd_per_hour == Decimal("2.00")
    none = plan([SPOT]).baselines[0]
    assert none.usd_per_hour is None
    assert none.detail == "no fleet without the spot market keeps the rules"


def test_risk_by_hand() -> None:
    """Half of twenty machines on spot: ten of them, each lost 0.24 times a day."""
    risk = plan([FIRM, SPOT], market=MarketRules(spot_max_share=0.5)).risk
    assert risk.spot_share == 0.5
    assert (risk.largest_pool, risk.largest_pool_share) == (SPOT.key, 0.5)
    assert risk.interruptions_per_day == pytest.approx(2.4)
    assert risk.interruptions_per_day_low == risk.interruptions_per_day_high
    assert near(risk.expected_usd_per_hour_low, Decimal("1.00") + Decimal("0.40") * (1 + LOST))


def test_an_unknown_hazard_has_a_width_and_is_a_gap() -> None:
    """AWS: 7.5 % of nodes in a month of 730 h, from 2.5 to 25 %; twenty nodes, 24 hours."""
    found = plan([replace(SPOT, hazard=None)])
    risk = found.risk
    assert risk.interruptions_per_day == pytest.approx(20 * 24 * 0.075 / 730)
    assert risk.interruptions_per_day_low == pytest.approx(20 * 24 * 0.025 / 730)
    assert risk.interruptions_per_day_high == pytest.approx(20 * 24 * 0.25 / 730)
    lost = Decimal("0.80") * 13 / 60 / 730
    assert near(risk.expected_usd_per_hour_low, Decimal("0.80") + lost * Decimal("0.025"))
    assert near(risk.expected_usd_per_hour_high, Decimal("0.80") + lost * Decimal("0.25"))
    (gap,) = found.gaps
    assert (gap.kind, gap.subject) == ("hazard", "spot pools of aws")
    assert "5-10 % a month" in gap.assumed
    assert found.pools[0].hazard_assumed


def test_on_demand_alone_is_at_no_risk() -> None:
    risk = plan([FIRM]).risk
    assert (risk.spot_share, risk.largest_pool, risk.largest_pool_share) == (0.0, None, 0.0)
    assert risk.interruptions_per_day == 0
    assert risk.expected_usd_per_hour_low == risk.expected_usd_per_hour_high == Decimal("2.00")


def test_gaps_of_the_list_come_with_those_of_the_plan() -> None:
    known = Gap(kind="spec", subject="x1.large", assumed="left out")
    found = plan([replace(FIRM, zone="")], gaps=(known,))
    assert [(gap.kind, gap.subject) for gap in found.gaps] == [
        ("spec", "x1.large"),
        ("zone", "pools in us-east-1"),
    ]


def test_a_diff_against_what_runs() -> None:
    """Twenty of spot are wanted; five run already, and three on demand are to go."""
    current = (Running(key=SPOT.key, nodes=5), Running(key=FIRM.key, nodes=3))
    diff = plan([FIRM, SPOT], current=current).diff
    assert diff is not None
    assert not diff.is_empty
    assert {c.key: (c.nodes_now, c.nodes_planned, c.usd_per_hour_each) for c in diff.changes} == {
        FIRM.key: (3, 0, Decimal("0.10")),
        SPOT.key: (5, 20, Decimal("0.04")),
    }
    assert diff.usd_per_hour_now == 5 * Decimal("0.04") + 3 * Decimal("0.10")
    assert diff.unpriced == ()


def test_nothing_changes_where_the_plan_runs_already() -> None:
    diff = plan([FIRM, SPOT], current=(Running(key=SPOT.key, nodes=20),)).diff
    assert diff is not None
    assert diff.is_empty


def test_what_runs_may_have_no_price() -> None:
    old = OfferKey(
        provider="aws",
        region="us-east-1",
        zone="us-east-1a",
        instance_type="m1.small",
        market=Market.ON_DEMAND,
    )
    diff = plan([FIRM], current=(Running(key=old, nodes=2),)).diff
    assert diff is not None
    assert diff.unpriced == (old,)
    assert diff.usd_per_hour_now is None


def test_the_plans_name_is_of_its_content() -> None:
    """When it is asked for is no part of it; prices, workers, rules and what runs are."""
    first = plan([FIRM, SPOT])
    assert plan([FIRM, SPOT], created_at=datetime(2027, 1, 1, tzinfo=UTC)).plan_id == first.plan_id
    others = [
        plan([FIRM, SPOT], digest="1"),
        plan([FIRM, SPOT], shape(count=41, gib=4)),
        plan([FIRM, SPOT], market=MarketRules(spot_max_share=0.9)),
        plan([FIRM, SPOT], current=(Running(key=FIRM.key, nodes=1),)),
    ]
    names = {each.plan_id for each in others} | {first.plan_id}
    assert len(names) == 5
    assert all(len(name) == 16 for name in names)


def test_without_a_fleet_there_are_reasons() -> None:
    said = recommend(
        catalogue([FIRM]),
        workload(PAIRS, limits=Limits(max_nodes=1)),
        price_name="made up",
        price_digest="0",
        price_gaps=(Gap(kind="spec", subject="x", assumed="left out"),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert isinstance(said, Infeasible)
    assert [each.limit for each in said.conflicts] == ["limits.max_nodes"]
    assert [gap.subject for gap in said.gaps] == ["x"]
    assert said.prices.offers_considered == 1
