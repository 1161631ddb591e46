"""When to sit on spot, on demand or nowhere, so that a deadline is kept at least expected cost.

A stochastic dynamic program over (steps left, work left, machine, state of spot capacity).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from costplan.planner.deadline.chain import STATES, UP, Chain

NEVER = 1e7
EQUAL = 1e-9
"""Costs so close are the same. Then spot goes first and nothing before on demand: what the job
waits for may come sooner than is thought."""


class Seat(IntEnum):
    """What a job sits on."""

    NOTHING = 0
    SPOT = 1
    ON_DEMAND = 2


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The best seat for the next step, by (steps left, what it sits on, work left, state).

    `cost` (3, work + 1, STATES) is what is expected with all the steps left, in steps on demand;
    `whole` (steps + 1, STATES) what all of the work is expected to cost by the steps left, from
    sitting on nothing. Both are NEVER or more where the deadline cannot be kept. A job that has
    begun to sit down goes on with it.
    """

    seats: NDArray[np.uint8]
    cost: NDArray[np.float64]
    whole: NDArray[np.float64]

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
    lost_work: int = 0,
    since: int = 0,
) -> Program:
    """The program of a job with `work` steps of work and `steps` to its deadline.

    To sit down costs `changeover` steps in which nothing is done and the machine is paid.
    `spot_price` is what spot costs as a share of on-demand. A spot machine that goes takes the
    last `lost_work` steps of work along. Where a job had `work` left so many
    steps ago as `since` says, the program knows what to do with all that it may have left now.
    """
    stays, goes = chain.kept.T, chain.broken.T
    every = stays + goes
    wait = max(changeover, 1)
    # What a start leads to: lost after j steps, or there after the changeover.
    lost, through, paid = [], np.eye(STATES), np.zeros(STATES)
    for _ in range(changeover):
        paid = paid + through.sum(axis=0) * spot_price
        lost.append(goes @ through)
        through = stays @ through
    begun = np.linalg.matrix_power(every, changeover)
    value = np.full((wait + 1, 3, work + 1, STATES), NEVER)  # by steps left, modulo wait + 1
    value[0, :, 0] = 0.0
    again = np.minimum(np.arange(work + 1) + lost_work, work)  # no more is lost than was done
    seats = np.zeros((steps + 1, 3, work + 1, STATES), dtype=np.uint8)
    whole = np.full((steps + 1, STATES), NEVER)
    for left in range(1, steps + 1):
        low, high = max(1, work - (since + steps - left)), min(work, left)
        if low > high:
            continue
        here, ahead = slice(low, high + 1), slice(low - 1, high)
        before = value[(left - 1) % len(value)]
        nothing = before[Seat.NOTHING, here] @ every
        after_loss = before[Seat.NOTHING, again[ahead]]
        if low == 1:
            after_loss[0] = 0.0  # done before it went
        on_spot = before[Seat.SPOT, ahead] @ stays + after_loss @ goes
        on_spot += spot_price
        on_demand = before[Seat.ON_DEMAND, ahead] @ every + 1.0
        if left > changeover:
            then = value[(left - changeover) % len(value)]
            to_demand = then[Seat.ON_DEMAND, here] @ begun + changeover
            to_spot = then[Seat.SPOT, here] @ through + paid
            for step, matrix in enumerate(lost, start=1):
                to_spot += value[(left - step) % len(value), Seat.NOTHING, here] @ matrix
        else:
            to_demand = to_spot = np.full_like(nothing, NEVER)
        if not changeover:
            to_demand, to_spot = on_demand, on_spot
        to_spot[:, UP:] = on_spot[:, UP:] = NEVER
        now = value[left % len(value)]
        now[:] = NEVER
        now[:, 0] = 0.0
        for sits, spot, demand in (
            (Seat.NOTHING, to_spot, to_demand),
            (Seat.SPOT, on_spot, to_demand),
            (Seat.ON_DEMAND, to_spot, on_demand),
        ):
            best = np.minimum(nothing, demand)
            takes_spot = (spot <= best + EQUAL) & (spot < NEVER)
            is_better = demand < nothing - EQUAL
            seats[left, sits, here] = np.where(
                takes_spot, Seat.SPOT, np.where(is_better, Seat.ON_DEMAND, Seat.NOTHING)
            )
            now[sits, here] = np.where(takes_spot, spot, best)
        whole[left] = now[Seat.NOTHING, work]
    return Program(seats, value[steps % len(value)], whole)
