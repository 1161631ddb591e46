"""What a deadline costs, and when to leave spot for it."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from costplan.planner.deadline.chain import (
    AGE_HOURS,
    AGES,
    UP,
    Chain,
    FloatArray,
    Rates,
    chain,
    long_run,
)
from costplan.planner.deadline.grid import Grid
from costplan.planner.deadline.policies import NAMED, Planned, Policy
from costplan.planner.deadline.prior import SOURCE, mean_away_hours
from costplan.planner.deadline.program import EQUAL, Program, Seat, solve
from costplan.planner.deadline.runs import Runs
from costplan.planner.deadline.types import Begin, DeadlineAdvice, Terms
from costplan.planner.deadline.zones import pools
from costplan.planner.units import SECONDS_PER_HOUR

LOOSER = (1.25, 1.5, 2.0)
"""The deadlines, as multiples, that are priced beside the one asked for."""
WORTH_A_WAIT = 0.005
"""A job waits for older capacity only to save more than this share of what it costs: hours pass
meanwhile, and what is taken for granted of spot is not known so well."""
_PICO = Decimal("1e-12")
_SEATS = {Begin.SPOT: Seat.SPOT, Begin.ON_DEMAND: Seat.ON_DEMAND, Begin.WAIT: Seat.NOTHING}


def least_seconds(work_seconds: int, changeover_seconds: int) -> int:
    """The shortest deadline that on-demand machines are sure to keep."""
    return work_seconds + changeover_seconds


def advise(terms: Terms) -> DeadlineAdvice:
    """The advice; raises ValueError where even on-demand machines would be late."""
    if terms.deadline_seconds < least_seconds(terms.work_seconds, terms.changeover_seconds):
        raise ValueError("deadline_seconds: shorter than the work and a changeover")
    grid = Grid.of(terms)
    step_hours = grid.step_seconds / SECONDS_PER_HOUR
    price = _spot_price(terms)
    prior = pools(terms.hazard_per_hour, max(len(terms.zones), 1), step_hours)
    moves = chain(Rates.none(), prior, step_hours)
    later = [round(terms.deadline_seconds * more) for more in LOOSER]
    program = solve(
        moves,
        steps=grid.steps(later[-1]),
        work=grid.work,
        changeover=grid.changeover,
        spot_price=price,
        lost_work=grid.lost_work,
        at_risk=grid.at_risk,
        start_price=grid.start_price,
    )
    usual = usual_states(moves)
    cost = mean_first(program, usual)
    steps = grid.steps(terms.deadline_seconds)
    begin = _begin(cost[steps], price)
    runs = Runs(Planned(program), moves, grid, steps, usual, _SEATS[begin])
    unit = terms.on_demand_usd_per_hour * terms.work_seconds / grid.work / SECONDS_PER_HOUR

    def usd(in_steps: float) -> Decimal:
        return (unit * Decimal(repr(float(in_steps)))).quantize(_PICO)

    def mean_cost(policy: Policy) -> float:
        other = Runs(policy, moves, grid, steps, usual)
        return float((other.spot * price + other.demand).mean())

    median, high = np.quantile(runs.spot * price + runs.demand, (0.5, 0.99))
    paid_hours = Decimal(grid.least_seconds) / SECONDS_PER_HOUR
    return DeadlineAdvice(
        terms=terms,
        begin=begin,
        steady_hours=_steady_hours(program, steps, grid.work),
        has_time_for_spot=bool(np.isfinite(cost[steps, Seat.SPOT])),
        rules=grid.rules(terms.deadline_seconds),
        expected_usd=usd(_first(cost[steps], price)),
        median_usd=usd(median),
        high_usd=usd(high),
        on_demand_usd=(terms.on_demand_usd_per_hour * paid_hours).quantize(_PICO),
        on_demand_chance=float((runs.demand > 0).mean()),
        on_demand_share=float(runs.demand.sum() / (runs.demand + runs.spot).sum()),
        beside=tuple((name, usd(mean_cost(policy()))) for name, policy in NAMED.items()),
        looser=tuple((seconds, usd(_first(cost[grid.steps(seconds)], price))) for seconds in later),
        away_hours=mean_away_hours(),
        source=SOURCE,
    )


def _spot_price(terms: Terms) -> float:
    """What spot costs as a share of on demand; 1 where that is paid for by commitments."""
    if not terms.on_demand_usd_per_hour:
        return 1.0
    return float(terms.spot_usd_per_hour / terms.on_demand_usd_per_hour)


def usual_states(moves: Chain) -> FloatArray:
    """The shares of the states that are up in the long run, as a job finds them that begins."""
    share = long_run(moves)
    share[UP:] = 0.0
    return np.asarray(share / share.sum())


def mean_first(program: Program, begin: FloatArray) -> FloatArray:
    """What all of the work costs by (steps left, first seat), in the mean of the states."""
    found = np.flatnonzero(begin)
    return np.asarray(program.first[:, :, found] @ begin[found])


def _begin(cost: FloatArray, price: float) -> Begin:
    """The cheapest first seat, not knowing the state; where it is all the same, the soonest, and
    none is waited for where that saves next to nothing."""
    spot = float(cost[Seat.SPOT]) if price < 1 else math.inf
    demand, least = float(cost[Seat.ON_DEMAND]), float(cost.min()) + EQUAL
    if min(spot, demand) > least * (1 + WORTH_A_WAIT):
        return Begin.WAIT
    return Begin.SPOT if spot <= max(demand, least) else Begin.ON_DEMAND


def _first(cost: FloatArray, price: float) -> float:
    """What the job costs by what it is to begin on."""
    return float(cost[_SEATS[_begin(cost, price)]])


def _steady_hours(program: Program, steps: int, work: int) -> float | None:
    """The least age of capacity on which the job begins; None where it is never worth it."""
    for age in range(AGES):
        if program.best(steps, work, Seat.NOTHING, age) is Seat.SPOT:
            return (0.0, *AGE_HOURS)[age]
    return None
