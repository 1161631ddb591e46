"""What a deadline costs, and when to leave spot for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from costplan.planner.deadline.chain import UP, Chain, Rates, chain
from costplan.planner.deadline.prior import SOURCE, mean_away_hours, one_pool
from costplan.planner.deadline.program import Program, Seat, solve
from costplan.planner.deadline.types import DeadlineAdvice, Terms
from costplan.planner.errors import InvariantBroken
from costplan.planner.units import SECONDS_PER_HOUR

MOST_STEPS = 480
"""Steps that a deadline is cut into at most; a changeover is one at least."""
LEAST_STEP_SECONDS = 15
RUNS = 4_000
SEED = 20_221_026
LOOSER = (1.25, 1.5, 2.0)
"""The deadlines, as multiples, that are priced beside the one asked for."""
_PICO = Decimal("1e-12")


def least_seconds(work_seconds: int, changeover_seconds: int) -> int:
    """The shortest deadline that on-demand machines are sure to keep."""
    return work_seconds + changeover_seconds


def advise(terms: Terms) -> DeadlineAdvice:
    """The advice; raises ValueError where even on-demand machines would be late."""
    if terms.deadline_seconds < least_seconds(terms.work_seconds, terms.changeover_seconds):
        raise ValueError("deadline_seconds: shorter than the work and a changeover")
    slack = terms.deadline_seconds - least_seconds(terms.work_seconds, terms.changeover_seconds)
    step = max(math.ceil(terms.deadline_seconds / MOST_STEPS), LEAST_STEP_SECONDS)
    work, changeover, lost = (
        math.ceil(each / step)
        for each in (terms.work_seconds, terms.changeover_seconds, terms.lost_work_seconds)
    )
    steps = work + changeover + slack // step  # what is kept in steps is kept in seconds
    price = float(terms.spot_usd_per_hour / terms.on_demand_usd_per_hour)
    step_hours = step / SECONDS_PER_HOUR
    moves = chain(Rates.none(), one_pool(terms.hazard_per_hour, step_hours), step_hours)
    program = solve(
        moves,
        steps=round(steps * LOOSER[-1]),
        work=work,
        changeover=changeover,
        spot_price=price,
        lost_work=lost,
    )
    begin = _usual(moves)
    expected = program.whole[:, :UP] @ begin[:UP]
    runs = _Runs(program, moves, begin, _Job(steps, work, changeover, lost))
    # Steps are rounded up; their price is such that the whole job on demand costs what it does.
    seconds = Decimal(terms.work_seconds + terms.changeover_seconds) / (work + changeover)
    unit = terms.on_demand_usd_per_hour * seconds / SECONDS_PER_HOUR

    def usd(in_steps: float) -> Decimal:
        return (unit * Decimal(repr(float(in_steps)))).quantize(_PICO)

    first = program.best(steps, work, Seat.NOTHING, int(np.argmax(begin)))
    median, high = np.quantile(runs.spot * price + runs.demand, (0.5, 0.99))
    return DeadlineAdvice(
        terms=terms,
        step_seconds=step,
        begin="spot" if first is Seat.SPOT and price < 1 else "on-demand",
        latest_seconds=slack,
        expected_usd=usd(expected[steps]),
        median_usd=usd(median),
        high_usd=usd(high),
        on_demand_usd=usd(work + changeover),
        on_demand_chance=float((runs.demand > 0).mean()),
        on_demand_share=float(runs.demand.sum() / (runs.demand + runs.spot).sum()),
        looser=tuple(
            (round(terms.deadline_seconds * more), usd(expected[round(steps * more)]))
            for more in LOOSER
        ),
        away_hours=mean_away_hours(),
        source=SOURCE,
    )


def _usual(moves: Chain) -> NDArray[np.float64]:
    """The shares of the states that are up in the long run, as a job finds them that begins."""
    every = moves.kept + moves.broken
    share = np.zeros(len(every))
    share[0] = 1.0
    share = share @ np.linalg.matrix_power(every, 1 << 20)
    share[UP:] = 0.0
    return np.asarray(share / share.sum())


@dataclass(frozen=True, slots=True)
class _Job:
    """A job in steps."""

    steps: int
    work: int
    changeover: int
    lost: int


class _Runs:
    """RUNS runs by a program's choices; `spot` and `demand` are the steps paid in each (RUNS,)."""

    def __init__(
        self, program: Program, moves: Chain, begin: NDArray[np.float64], job: _Job
    ) -> None:
        self._dice = np.random.default_rng(SEED)
        self._outcomes = np.cumsum(np.hstack([moves.kept, moves.broken]), axis=1)
        self._program, self._job = program, job
        self._state = self._dice.choice(len(begin), size=RUNS, p=begin)
        self._left = np.full(RUNS, job.work)
        self._sits = np.full(RUNS, int(Seat.NOTHING))
        self._starting = np.zeros(RUNS, dtype=np.int64)
        self.spot, self.demand = np.zeros(RUNS, dtype=np.int64), np.zeros(RUNS, dtype=np.int64)
        for remaining in range(job.steps, 0, -1):
            self._sit(remaining)
            self._pass()
        if self._left.any():
            raise InvariantBroken(f"{np.count_nonzero(self._left)} simulated runs are late")

    def _sit(self, remaining: int) -> None:
        chosen = self._program.seats[remaining, self._sits, self._left, self._state]
        chosen = np.where(self._starting > 0, self._sits, chosen)
        self._starting = np.where(chosen != self._sits, self._job.changeover, self._starting)
        self._sits = np.where(self._left > 0, chosen, int(Seat.NOTHING))

    def _pass(self) -> None:
        """A step: it is paid for and works, and then spot may go."""
        job, states = self._job, len(self._outcomes)
        is_spot, is_demand = self._sits == Seat.SPOT, self._sits == Seat.ON_DEMAND
        self.spot += is_spot
        self.demand += is_demand
        is_working = (is_spot | is_demand) & (self._starting == 0)
        self._left -= is_working
        self._starting = np.where(is_spot | is_demand, np.maximum(self._starting - 1, 0), 0)
        drawn = self._dice.random(RUNS)
        place = (self._outcomes[self._state] < drawn[:, None]).sum(axis=1)
        place = np.minimum(place, 2 * states - 1)
        self._state = place % states
        is_lost = (place >= states) & is_spot
        takes = is_lost & is_working & (self._left > 0)
        self._left = np.where(takes, np.minimum(self._left + job.lost, job.work), self._left)
        self._sits = np.where(is_lost, int(Seat.NOTHING), self._sits)
        self._starting = np.where(is_lost, 0, self._starting)
