"""What is advised on a deadline."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from costplan.planner.deadline.advice import _Job, _Runs, _usual, advise
from costplan.planner.deadline.chain import Rates, chain
from costplan.planner.deadline.prior import one_pool
from costplan.planner.deadline.program import solve
from costplan.planner.deadline.types import Terms

HOUR = 3600
TERMS = Terms(
    work_seconds=6 * HOUR,
    deadline_seconds=8 * HOUR,
    changeover_seconds=180,
    lost_work_seconds=600,
    spot_usd_per_hour=Decimal(40),
    on_demand_usd_per_hour=Decimal(130),
    hazard_per_hour=0.1,
)


def test_the_job_on_demand_costs_its_hours_exactly() -> None:
    advice = advise(TERMS)
    assert advice.on_demand_usd == Decimal("786.5")  # $130 x 6.05 h
    assert advice.latest_seconds == 2 * HOUR - 180


def test_spot_costs_less_than_on_demand_and_rarely_more_than_expected() -> None:
    advice = advise(TERMS)
    assert advice.begin == "spot"
    assert advice.median_usd == pytest.approx(Decimal(242))
    assert advice.median_usd < advice.expected_usd < advice.high_usd
    assert advice.expected_usd < advice.on_demand_usd
    assert 0 < advice.on_demand_share < advice.on_demand_chance < 0.5


def test_a_spot_fleet_that_never_goes_is_paid_for_as_long_as_it_works() -> None:
    advice = advise(replace(TERMS, hazard_per_hour=0.0))
    assert advice.expected_usd == pytest.approx(Decimal(242), rel=Decimal("1e-9"))
    assert advice.on_demand_chance == 0


def test_more_hazard_costs_more_and_more_time_less() -> None:
    costs = [advise(replace(TERMS, hazard_per_hour=h)).expected_usd for h in (0.01, 0.1, 0.4)]
    assert costs == sorted(costs)
    advice = advise(TERMS)
    by_time = [advice.expected_usd, *(usd for _, usd in advice.looser)]
    assert by_time == sorted(by_time, reverse=True)
    assert [seconds for seconds, _ in advice.looser] == [10 * HOUR, 12 * HOUR, 16 * HOUR]


def test_what_is_expected_is_the_mean_of_the_runs() -> None:
    moves = chain(Rates.none(), one_pool(0.4, 1 / 60), 1 / 60)
    program = solve(moves, steps=480, work=360, changeover=3, spot_price=0.3, lost_work=10)
    begin = _usual(moves)
    runs = _Runs(program, moves, begin, _Job(steps=480, work=360, changeover=3, lost=10))
    costs = runs.spot * 0.3 + runs.demand
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - program.whole[480] @ begin) < 4 * error
    assert error < 2


def test_without_slack_it_begins_on_demand() -> None:
    advice = advise(replace(TERMS, deadline_seconds=6 * HOUR + 180))
    assert advice.begin == "on-demand"
    assert advice.expected_usd == pytest.approx(advice.on_demand_usd)
    assert (advice.on_demand_chance, advice.on_demand_share) == (1, 1)


def test_where_spot_is_no_cheaper_it_begins_on_demand() -> None:
    assert advise(replace(TERMS, spot_usd_per_hour=Decimal(130))).begin == "on-demand"


def test_a_deadline_that_nothing_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than the work"):
        advise(replace(TERMS, deadline_seconds=6 * HOUR + 179))


@pytest.mark.parametrize("deadline_hours", [7, 30, 24 * 30])
@pytest.mark.parametrize("work_seconds", [60, 3 * HOUR])
def test_any_length_is_answered_the_same_twice(deadline_hours: int, work_seconds: int) -> None:
    terms = replace(TERMS, deadline_seconds=deadline_hours * HOUR, work_seconds=work_seconds)
    assert advise(terms) == advise(terms)
