"""When to sit on spot, on demand or nowhere, so that a deadline is kept at least expected cost.

A stochastic dynamic program over (steps left, work left, machine, state of spot capacity). A choice
is left out where the worst that its step can bring would put the deadline in doubt, however
unlikely that is: what is left are choices that all keep it, and those are compared by cost alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from costplan.planner.deadline.chain import STATES, UP, Chain, FloatArray
from costplan.planner.deadline.safety import after_loss, may_start, may_stay, may_wait

EQUAL = 1e-9
"""Costs so close are the same. Then spot goes first and nothing before on demand: what the job
waits for may come sooner than is thought. Who leaves spot for lack of time goes on demand at once:
nothing is waited for."""
WAIT_PRICE = 0.01
"""A step without work is taken to cost so much where the chain was learnt, in steps on demand: what
that chain takes for time to spare is needed after all where capacity turns scarce. It is far below
what spot saves, so it shortens only waits that gain next to nothing: those for older capacity."""


class Seat(IntEnum):
    """What a job sits on."""

    NOTHING = 0
    SPOT = 1
    ON_DEMAND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The best seat for the next step, by (steps left, what it sits on, work left, state).

    `cost` (3, work + 1, STATES) is what is expected with all the steps left, in steps of work on
    demand; `first` (steps + 1, 3, STATES) what all of the work is expected to cost by the steps
    left and the first seat, from sitting on nothing. Both are infinite where the deadline is not
    sure; the seat is on demand there. A job that has begun to sit down goes on with it.
    """

    seats: NDArray[np.uint8]
    cost: FloatArray
    first: FloatArray

    def best(self, steps: int, work: int, seat: Seat, state: int) -> Seat:
        """The seat for the next step."""
        return Seat(int(self.seats[steps, seat, work, state]))


def solve(  # noqa: PLR0913 - each is a number that the job is made of
    chain: Chain,
    *,
    steps: int,
    work: int,
    changeover: int,
    spot_price: float,
    lost_work: float = 0.0,
    at_risk: int = 0,
    since: int = 0,
    start_price: float = 1.0,
    wait_price: float = 0.0,
) -> Program:
    """The program of a job with `work` steps of work and `steps` to its deadline.

    To sit down takes `changeover` steps in which nothing is done; each costs `start_price` of a
    step of work on that machine. `spot_price` is what spot costs as a share of on-demand. A spot
    machine that goes takes `lost_work` steps of work along in the mean, and `at_risk` at the most
    (which is not less), the step that it goes in among them. Where a job had `work` left so many
    steps ago as `since` says, the program knows what to do with all that it may have left now.
    A step on nothing is taken to cost `wait_price`, which then is part of all costs.
    """
    choices = _Choices(
        chain,
        work,
        changeover,
        spot_price,
        lost_work,
        max(at_risk, math.ceil(lost_work)),
        start_price,
        wait_price,
    )
    # By steps left, modulo their number. Where the deadline is not sure the value is 0, and no
    # choice leads there.
    values = np.zeros((max(changeover, 1) + 1, 3, work + 1, STATES))
    seats = np.zeros((steps + 1, 3, work + 1, STATES), dtype=np.uint8)
    first = np.full((steps + 1, 3, STATES), np.inf)
    cost = _unsure(work)
    for left in range(1, steps + 1):
        low, high = max(1, work - (since + steps - left)), min(work, left)
        if low > high:
            continue
        nothing, on_spot, to_spot, on_demand, to_demand = choices.costs(values, left, low, high)
        cost, here = _unsure(work), slice(low, high + 1)
        for sits, spot, demand in (
            (Seat.NOTHING, to_spot, to_demand),
            (Seat.SPOT, on_spot, to_demand),
            (Seat.ON_DEMAND, to_spot, on_demand),
        ):
            best = np.minimum(nothing, demand)
            takes_spot = (spot <= best + EQUAL) & np.isfinite(spot)
            allowance = -EQUAL if sits is Seat.SPOT else EQUAL
            waits = (nothing <= demand + allowance) & np.isfinite(nothing)
            # Seats as numbers: 1 where spot is taken, else 0 to wait and 2 to go on demand.
            seats[left, sits, here] = takes_spot + 2 * (~(takes_spot | waits)).view(np.uint8)
            np.copyto(best, spot, where=takes_spot)
            cost[sits, here] = best
        if high == work:
            first[left] = nothing[-1], to_spot[-1], to_demand[-1]
        value = values[left % len(values)]
        value[:] = 0.0
        np.copyto(value, cost, where=np.isfinite(cost))
    return Program(seats, cost, first)


def _unsure(work: int) -> FloatArray:
    """Costs (3, work + 1, STATES) of which only done work is sure."""
    cost = np.full((3, work + 1, STATES), np.inf)
    cost[:, 0] = 0.0
    return cost


class _Choices:
    """What each seat is expected to cost, (work, STATES); infinite where it may not be taken."""

    def __init__(  # noqa: PLR0913, PLR0917 - as `solve`
        self,
        chain: Chain,
        work: int,
        changeover: int,
        spot_price: float,
        lost_work: float,
        at_risk: int,
        start_price: float,
        wait_price: float,
    ) -> None:
        self._stays, self._goes = chain.kept.T, chain.broken.T
        self._every = self._stays + self._goes
        self._changeover, self._price, self._wait = changeover, spot_price, wait_price
        every = np.arange(work + 1)
        self._worst = after_loss(every, at_risk, work)
        less = math.floor(lost_work)
        self._again = after_loss(every, less, work), after_loss(every, less + 1, work)
        self._more = lost_work - less  # how likely it is that a loss takes the step beyond `less`
        # What a start leads to: lost after j steps, or there after the changeover.
        self._lost: list[FloatArray] = []
        self._through, self._paid = np.eye(STATES), np.zeros(STATES)
        for _ in range(changeover):
            self._paid = self._paid + self._through.sum(axis=0) * spot_price * start_price
            self._lost.append(self._goes @ self._through)
            self._through = self._stays @ self._through
        self._begun = np.linalg.matrix_power(self._every, changeover)
        self._start = changeover * start_price

    def costs(self, values: FloatArray, left: int, low: int, high: int) -> Sequence[FloatArray]:
        """Of nothing, to stay on spot, to go there, to stay on demand, to go there.

        `values` are by steps left, modulo their number; rows are `low` to `high` of work left.
        """
        work, changeover = np.arange(low, high + 1), self._changeover
        here, done = slice(low, high + 1), slice(low - 1, high)
        before = values[(left - 1) % len(values)]
        nothing = before[Seat.NOTHING, here] @ self._every + self._wait
        nothing[~may_wait(left, work, changeover)] = np.inf
        on_spot = before[Seat.SPOT, done] @ self._stays + self._price
        for again, chance in zip(self._again, (1.0 - self._more, self._more), strict=True):
            if chance:
                on_spot += chance * (before[Seat.NOTHING, again[work]] @ self._goes)
        on_spot[~may_stay(left, self._worst[work], changeover)] = np.inf
        on_spot[:, UP:] = np.inf
        on_demand = before[Seat.ON_DEMAND, done] @ self._every + 1.0
        if not changeover:
            return nothing, on_spot, on_spot, on_demand, on_demand
        to_spot = np.full_like(nothing, np.inf)
        to_demand = to_spot.copy()
        then = values[(left - changeover) % len(values)]
        can = work <= left - changeover
        if can.any():
            to_demand[can] = then[Seat.ON_DEMAND, work[can]] @ self._begun + self._start
        can = may_start(left, work, changeover)
        if can.any():
            sure = work[can]
            start = then[Seat.SPOT, sure] @ self._through + self._paid
            for step, matrix in enumerate(self._lost, start=1):
                start += values[(left - step) % len(values), Seat.NOTHING, sure] @ matrix
            to_spot[can] = start
        to_spot[:, UP:] = np.inf
        return nothing, on_spot, to_spot, on_demand, to_demand
