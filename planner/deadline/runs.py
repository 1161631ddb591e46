"""Runs of a job by a policy's choices, with dice whose seed is fixed."""

from __future__ import annotations

import math

import numpy as np

from costplan.planner.deadline.chain import UP, Chain, FloatArray
from costplan.planner.deadline.grid import Grid
from costplan.planner.deadline.policies import Job, Policy, Seats, Situation, caught
from costplan.planner.deadline.program import Seat
from costplan.planner.deadline.safety import after_loss
from costplan.planner.errors import InvariantBroken

RUNS = 4_000
SEED = 20_221_026


class Runs:
    """RUNS runs; `spot` and `demand` (RUNS,) are what each pays for, in steps of work.

    All begin on the seat `first`, or on the policy's choice where there is none; `begin` are the
    shares of the states then. The net catches what would put the deadline in doubt.
    """

    def __init__(
        self,
        policy: Policy,
        moves: Chain,
        grid: Grid,
        steps: int,
        begin: FloatArray,
        first: Seat | None = None,
    ) -> None:
        self._dice = np.random.default_rng(SEED)
        self._outcomes = np.cumsum(np.hstack([moves.kept, moves.broken]), axis=1)
        self._policy, self._grid = policy, grid
        self._job = Job(
            work=grid.work, steps=steps, changeover=grid.changeover, lost_work=grid.at_risk
        )
        self._state = self._dice.choice(len(begin), size=RUNS, p=begin)
        self._run = np.arange(RUNS)  # those that are not done, as most are soon
        self._left = np.full(RUNS, grid.work)
        self._sits = np.full(RUNS, int(Seat.NOTHING))
        self._starting = np.zeros(RUNS, dtype=np.int64)
        self.spot, self.demand = np.zeros(RUNS), np.zeros(RUNS)
        for remaining in range(steps, 0, -1):
            self._drop_done()
            if not len(self._run):
                break
            begins = first is not None and remaining == steps
            self._sit(np.full(RUNS, first) if begins else self._chosen(remaining))
            self._pass()
        self._drop_done()
        if len(self._run):
            raise InvariantBroken(f"{len(self._run)} simulated runs are late")

    def _chosen(self, remaining: int) -> Seats:
        at = Situation(
            left=remaining,
            work=self._left,
            sits=self._sits,
            starting=self._starting,
            state=self._state,
            has_spot=self._state < UP,
        )
        return caught(self._job, at, self._policy.choose(self._job, at))

    def _drop_done(self) -> None:
        keep = self._left > 0
        if not keep.all():
            self._run, self._state, self._left = (
                self._run[keep],
                self._state[keep],
                self._left[keep],
            )
            self._sits, self._starting = self._sits[keep], self._starting[keep]

    def _sit(self, chosen: Seats) -> None:
        self._starting = np.where(chosen != self._sits, self._grid.changeover, self._starting)
        self._sits = chosen

    def _pass(self) -> None:
        """A step: it is paid for and works, and then spot may go."""
        grid, states = self._grid, len(self._outcomes)
        is_spot, is_demand = self._sits == Seat.SPOT, self._sits == Seat.ON_DEMAND
        price = np.where(self._starting > 0, grid.start_price, 1.0)
        self.spot[self._run] += is_spot * price
        self.demand[self._run] += is_demand * price
        is_working = (is_spot | is_demand) & (self._starting == 0)
        drawn = self._dice.random(len(self._run))
        place = (self._outcomes[self._state] < drawn[:, None]).sum(axis=1)
        place = np.minimum(place, 2 * states - 1)
        self._state = place % states
        is_lost = (place >= states) & is_spot
        less = math.floor(grid.lost_work)
        takes = less + (self._dice.random(len(self._run)) < grid.lost_work - less)
        again = after_loss(self._left, takes, grid.work)
        self._left = np.where(is_lost & is_working, again, self._left - is_working)
        self._starting = np.where(is_spot | is_demand, np.maximum(self._starting - 1, 0), 0)
        self._sits = np.where(is_lost, int(Seat.NOTHING), self._sits)
        self._starting = np.where(is_lost, 0, self._starting)
