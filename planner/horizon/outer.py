"""The outer program: plans whose nodes are worth enough. Its value is never above the relaxation's.

Let V_k(w) be the most that one node of class k can hold when a worker of shape s is worth w_s.
Whatever runs on the nodes, in every step and for every w >= 0,

    worth_tw:   sum_o V_k(o)(w) y_ot + w.z_t >= w.n_t                      (dual alpha_tw >= 0)

which with the rows of `program.py` is a program without patterns, and small: it has one row a step
for each w that was looked at (a *scale*). V is convex and homogeneous, so the multipliers
pi_t = sum_w alpha_tw w of a solution have V_k(pi_t) <= sum_w alpha_tw V_k(w): a bound on what
nodes earn at the multipliers of all steps, for a dynamic program for each scale and not each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costplan.planner.horizon.model import Horizon
from costplan.planner.horizon.program import INF, Batch, FleetProgram, Rents
from costplan.planner.optimize.problem import Bools, Floats, Ints
from costplan.planner.optimize.quiet import run_to_optimum


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """Multipliers of a solution: `pi` [T, S] of the demand, in dollars a worker for the step, and
    `upper` [T, K], at least what a node of a class can earn at them; `rents` of the limits;
    `in_use` [A] tells which scales they are made of, `value` is the program's, in dollars."""

    value: float
    pi: Floats
    upper: Floats
    rents: Rents
    in_use: Bools


class Outer:
    """One linear program that grows by offers and by scales."""

    def __init__(self, horizon: Horizon) -> None:
        self.fleets, self.horizon = FleetProgram(horizon), horizon
        self.scales: list[Floats] = []
        self.earned: list[Floats] = []
        self._blocks: list[tuple[int, int, Ints]] = []
        self._has: list[Bools] = []
        self._first_short = self.fleets.short_columns(Batch())

    def add_offers(self, offers: Sequence[int]) -> int:
        """Adds offers that are not in yet; says how many."""
        klass = self.horizon.problem.klass
        return self.fleets.add_offers(
            offers,
            lambda o: [
                (row, steps, float(self.earned[scale][klass[o]]))
                for scale, row, steps in self._blocks
            ],
        )

    def add_scale(self, worth: Floats, earned: Floats, steps: Ints) -> int:
        """Adds a row to each of `steps`: `worth` [S] of workers, at least V_k(worth) of classes
        [K]; says how many."""
        self.scales.append(worth)
        self.earned.append(earned)
        self._has.append(np.zeros(self.horizon.steps, dtype=bool))
        return self.extend(len(self.scales) - 1, steps)

    def extend(self, scale: int, steps: Ints) -> int:
        """Adds rows of a known scale to those of `steps` that have none; says how many."""
        horizon, worth, earned = self.horizon, self.scales[scale], self.earned[scale]
        steps = steps[~self._has[scale][steps]]
        if not len(steps):
            return 0
        self._has[scale][steps] = True
        batch, lines = Batch(), np.arange(len(steps))
        for s in np.flatnonzero(worth):
            batch.add(lines, self._first_short + steps * len(worth) + s, float(worth[s]))
        first = np.array(self.fleets.offer_column, dtype=np.int64)
        offers = np.array(self.fleets.offers, dtype=np.int64)
        value = earned[horizon.problem.klass[offers]]
        places = (first[:, None] + steps).ravel()
        batch.add(np.tile(lines, len(first)), places, np.repeat(value, len(steps)))
        row = self.fleets.rows(horizon.demand[steps] @ worth, INF, batch)
        self._blocks.append((scale, row, steps))
        return len(steps)

    def solve(self) -> Worth:
        """Multipliers at the optimum of the program as it stands."""
        solver = self.fleets.solver
        run_to_optimum(solver)
        dual = np.array(solver.getSolution().row_dual)
        alpha = np.zeros((len(self.scales), self.horizon.steps))
        for scale, row, steps in self._blocks:
            alpha[scale, steps] = np.maximum(dual[row : row + len(steps)], 0.0)
        value = float(solver.getInfo().objective_function_value)
        return Worth(
            value=value + float(self.horizon.stop_usd @ self.horizon.fleet),
            pi=alpha.T @ np.stack(self.scales),
            upper=alpha.T @ np.stack(self.earned),
            rents=self.fleets.rents(dual),
            in_use=np.asarray(alpha.any(axis=1)),
        )
