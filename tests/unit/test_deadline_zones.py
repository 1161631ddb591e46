"""How capacity of several zones is taken to come and go where nobody has watched it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.planner.deadline.advice import advise
from costplan.planner.deadline.chain import AGES, UP, Rates, chain, long_run
from costplan.planner.deadline.prior import mean_away_hours, one_pool
from costplan.planner.deadline.types import Terms
from costplan.planner.deadline.zones import having, pools

STEP_HOURS = 0.02
HOUR = 3600
TERMS = Terms(
    work_seconds=6 * HOUR,
    deadline_seconds=8 * HOUR,
    changeover_seconds=180,
    lost_work_seconds=600,
    spot_usd_per_hour=Decimal(40),
    on_demand_usd_per_hour=Decimal(130),
    hazard_per_hour=0.2,
)


def away(hazard: float) -> float:
    return mean_away_hours() / (mean_away_hours() + 1 / hazard)


def test_one_zone_is_a_single_pool() -> None:
    ours, single = pools(0.3, 1, STEP_HOURS), one_pool(0.3, STEP_HOURS)
    assert (ours.broken == single.broken).all()
    assert (ours.kept == single.kept).all()


def test_zones_that_do_not_correlate_are_binomial() -> None:
    assert having(3, 0.4, together=1e-9) == pytest.approx(
        [0.064, 3 * 0.16 * 0.6, 3 * 0.4 * 0.36, 0.216]
    )


def test_two_zones_correlate_as_they_were_seen_to() -> None:
    """The definition of a correlation of two that are in or out."""
    none, one, both = having(2, 0.3, together=0.37)
    assert none == pytest.approx(0.09 + 0.37 * 0.21)
    assert both == pytest.approx(0.49 + 0.37 * 0.21)
    assert none + one + both == pytest.approx(1)


@pytest.mark.parametrize("zones", [2, 3, 6])
@pytest.mark.parametrize("hazard", [0.02, 0.2, 1.0])
def test_the_chain_keeps_the_shares_of_zones_with_capacity(zones: int, hazard: float) -> None:
    share = long_run(chain(Rates.none(), pools(hazard, zones, STEP_HOURS), STEP_HOURS))
    none, one, *more = having(zones, away(hazard))
    assert share[UP:].sum() == pytest.approx(none, rel=1e-3)
    assert share[:AGES].sum() == pytest.approx(one, rel=1e-3)
    assert share[AGES:UP].sum() == pytest.approx(sum(more), rel=1e-3)


def test_a_pool_that_is_never_lost_needs_no_other() -> None:
    assert pools(0.0, 3, STEP_HOURS).broken.sum() == 0


def test_more_zones_cost_less_and_never_less_than_spot_alone() -> None:
    zones = ("a", "b", "c", "d")
    costs = [advise(replace(TERMS, zones=zones[:count])).expected_usd for count in (0, 1, 2, 3, 4)]
    assert costs[0] == costs[1] > costs[2] > costs[3] > costs[4] > 6 * TERMS.spot_usd_per_hour
