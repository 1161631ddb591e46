"""What is advised on a deadline."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from costplan.planner.deadline.advice import advise, mean_first, usual_states
from costplan.planner.deadline.chain import AGES, UP, Rates, chain
from costplan.planner.deadline.grid import Grid
from costplan.planner.deadline.policies import Planned
from costplan.planner.deadline.prior import one_pool
from costplan.planner.deadline.program import Program, Seat, solve
from costplan.planner.deadline.runs import Runs
from costplan.planner.deadline.types import Begin, Terms

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
    assert advice.rules.wait_slack_seconds == 2 * HOUR - 180


def test_spot_costs_less_than_on_demand_and_rarely_more_than_expected() -> None:
    advice = advise(TERMS)
    assert advice.begin is Begin.SPOT
    assert advice.median_usd == pytest.approx(Decimal(242))
    assert advice.median_usd < advice.expected_usd < advice.high_usd
    assert advice.expected_usd < advice.on_demand_usd
    assert 0 < advice.on_demand_share < advice.on_demand_chance < 0.5


@pytest.mark.parametrize("hazard", [0.05, 0.1, 0.4])
def test_what_is_planned_costs_less_than_other_policies(hazard: float) -> None:
    advice = advise(replace(TERMS, hazard_per_hour=hazard))
    beside = dict(advice.beside)
    assert advice.expected_usd < beside["uniform-progress"] < beside["greedy"]
    assert beside["greedy"] < advice.on_demand_usd


def test_without_spot_to_lose_all_policies_are_one() -> None:
    advice = advise(replace(TERMS, hazard_per_hour=0.0))
    for _, usd in advice.beside:
        assert usd == pytest.approx(advice.expected_usd, rel=Decimal("1e-9"))


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


def solved(terms: Terms) -> tuple[Program, Runs, float]:
    """The program of a job, runs by it that begin on spot, and what those are to cost."""
    grid = Grid.of(terms)
    hours, price = grid.step_seconds / HOUR, 0.3
    moves = chain(Rates.none(), one_pool(terms.hazard_per_hour, hours), hours)
    steps = grid.steps(terms.deadline_seconds)
    program = solve(moves, steps=steps, work=grid.work, changeover=grid.changeover,
                    spot_price=price, lost_work=grid.lost_work, at_risk=grid.at_risk,
                    start_price=grid.start_price)  # fmt: skip
    begin = usual_states(moves)
    runs = Runs(Planned(program), moves, grid, steps, begin, Seat.SPOT)
    return program, runs, float(mean_first(program, begin)[steps, Seat.SPOT])


@pytest.mark.parametrize(
    ("hazard", "job"),
    [
        *((hazard, {}) for hazard in (1e-5, 1e-4, 1e-3, 0.1, 2.0)),
        (1e-4, {"deadline_seconds": 6 * HOUR + 600}),
        (1e-3, {"changeover_seconds": 0, "deadline_seconds": 7 * HOUR}),
        (0.4, {"work_seconds": 40 * HOUR, "deadline_seconds": 60 * HOUR, "lost_work_seconds": 100}),
    ],
)
def test_what_is_expected_is_the_mean_of_the_runs(hazard: float, job: dict[str, int]) -> None:
    _, runs, expected = solved(replace(TERMS, hazard_per_hour=hazard, **job))
    costs = runs.spot * 0.3 + runs.demand
    error = costs.std() / np.sqrt(len(costs))
    assert abs(costs.mean() - expected) < 4 * error + 2e-4 * expected


@pytest.mark.parametrize(
    ("hazard", "slack_seconds"), [(1e-6, 179), (2.5e-5, 0), (1.03e-4, 60), (1e-3, 179)]
)
def test_without_time_for_a_loss_it_begins_on_demand_however_rare_that_is(
    hazard: float, slack_seconds: int
) -> None:
    deadline = 6 * HOUR + 180 + slack_seconds
    cheap = replace(TERMS, hazard_per_hour=hazard, spot_usd_per_hour=Decimal(1))
    advice = advise(replace(cheap, deadline_seconds=deadline))
    assert advice.begin is Begin.ON_DEMAND
    assert not advice.has_time_for_spot
    for usd in (advice.expected_usd, advice.median_usd, advice.high_usd):
        assert usd == pytest.approx(advice.on_demand_usd, rel=Decimal("1e-12"))


def test_a_loss_in_the_last_step_is_counted_where_a_machine_starts_at_once() -> None:
    at_once = replace(TERMS, changeover_seconds=0, lost_work_seconds=0, hazard_per_hour=1e-4)
    for work in (1, 600):
        terms = replace(at_once, work_seconds=work, deadline_seconds=work)
        assert advise(terms).begin is Begin.ON_DEMAND


def test_rare_losses_cost_in_proportion() -> None:
    """Of 6 h at $40, and up to 6 h x hazard x less than the job on demand for the losses."""
    for hazard in (1e-5, 1e-4, 1e-3):
        advice = advise(replace(TERMS, hazard_per_hour=hazard))
        assert 0 < float(advice.expected_usd) - 242 < 8 * hazard * 786.5


def test_what_is_printed_as_a_rule_is_what_the_program_does() -> None:
    program, _, _ = solved(TERMS)
    rules, step = advise(TERMS).rules, 60
    oldest, away = AGES - 1, UP
    for work in range(10, 361, 10):
        done = 360 - work
        at_risk = min(rules.at_risk_seconds // step, done)
        spot = rules.wait_spare_seconds // step + at_risk
        wait = rules.wait_spare_seconds // step
        assert program.best(work + spot, work, Seat.SPOT, oldest) is Seat.ON_DEMAND
        assert program.best(work + spot + 1, work, Seat.SPOT, oldest) is Seat.SPOT
        assert program.best(work + wait, work, Seat.NOTHING, away) is Seat.ON_DEMAND
        assert program.best(work + wait + 1, work, Seat.NOTHING, away) is Seat.NOTHING
    assert rules.spot_spare_seconds == rules.wait_spare_seconds + rules.at_risk_seconds == 780
    assert rules.wait_slack_seconds - rules.spot_slack_seconds == rules.at_risk_seconds == 600


def test_no_more_can_be_lost_than_the_whole_job() -> None:
    rules = advise(replace(TERMS, work_seconds=300, deadline_seconds=HOUR)).rules
    assert rules.at_risk_seconds < 300


def test_where_only_steady_spot_is_worth_it_and_there_is_time_it_waits() -> None:
    slow = replace(
        TERMS,
        hazard_per_hour=2.0,
        changeover_seconds=2 * HOUR,
        lost_work_seconds=3 * HOUR,
        deadline_seconds=100 * HOUR,
    )
    advice = advise(slow)
    assert (advice.begin, advice.steady_hours) == (Begin.WAIT, 16.0)
    sooner = advise(replace(slow, deadline_seconds=10 * HOUR))
    assert sooner.begin is Begin.ON_DEMAND
    assert advice.expected_usd < sooner.expected_usd


def test_it_does_not_wait_for_hours_to_save_next_to_nothing() -> None:
    for hazard in (0.01, 0.3):
        some = replace(TERMS, hazard_per_hour=hazard, deadline_seconds=30 * 24 * HOUR)
        advice = advise(some)
        assert advice.begin is Begin.SPOT
        assert advice.expected_usd <= advice.looser[-1][1] * Decimal("1.0005")


def test_more_time_never_costs_more_and_past_what_it_is_worth_nothing_less() -> None:
    for work_seconds, deadline_hours in ((600, (1, 7, 24 * 365)), (6 * HOUR, (7, 23, 47, 24 * 30))):
        job = replace(TERMS, work_seconds=work_seconds)
        answers = [advise(replace(job, deadline_seconds=h * HOUR)) for h in deadline_hours]
        costs = [usd for each in answers for usd in (each.expected_usd, each.looser[0][1])]
        assert costs == sorted(costs, reverse=True)
        assert costs[-3] == costs[-1]


@pytest.mark.parametrize(
    ("work_seconds", "changeover_seconds", "lost_work_seconds"),
    [(6 * HOUR, 180, 600), (1, 0, 0), (700, 50, 33), (30 * 24 * HOUR, 180, 600),
     (1, 30 * 24 * HOUR, 400 * 24 * HOUR), (HOUR, 1200, 600)],
)  # fmt: skip
def test_what_is_kept_in_steps_is_kept_in_seconds(
    work_seconds: int, changeover_seconds: int, lost_work_seconds: int
) -> None:
    terms = replace(TERMS, work_seconds=work_seconds, changeover_seconds=changeover_seconds,
                    lost_work_seconds=lost_work_seconds)  # fmt: skip
    grid = Grid.of(terms)
    a_step_of_work = work_seconds / grid.work
    assert a_step_of_work <= grid.step_seconds
    assert grid.changeover * grid.step_seconds >= changeover_seconds
    lost = min(lost_work_seconds + a_step_of_work, work_seconds)
    assert grid.at_risk * a_step_of_work >= lost * (1 - 1e-12)
    assert grid.lost_work <= grid.at_risk
    assert grid.changeover <= 24
    assert grid.work <= grid.most <= 2_000
    assert grid.steps(work_seconds + changeover_seconds) == grid.work + grid.changeover


def test_without_slack_it_begins_on_demand() -> None:
    advice = advise(replace(TERMS, deadline_seconds=6 * HOUR + 180))
    assert advice.begin is Begin.ON_DEMAND
    assert advice.expected_usd == pytest.approx(advice.on_demand_usd)
    assert (advice.on_demand_chance, advice.on_demand_share) == (1, 1)


def test_where_spot_is_no_cheaper_it_begins_on_demand() -> None:
    assert advise(replace(TERMS, spot_usd_per_hour=Decimal(130))).begin is Begin.ON_DEMAND


def test_a_deadline_that_nothing_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than the work"):
        advise(replace(TERMS, deadline_seconds=6 * HOUR + 179))


@pytest.mark.parametrize("deadline_hours", [7, 30, 24 * 30])
@pytest.mark.parametrize("work_seconds", [60, 3 * HOUR])
def test_any_length_is_answered_the_same_twice(deadline_hours: int, work_seconds: int) -> None:
    terms = replace(TERMS, deadline_seconds=deadline_hours * HOUR, work_seconds=work_seconds)
    assert advise(terms) == advise(terms)
