"""One step by itself: the least cost of covering its demand by known patterns, at given prices.

    minimise  sum_kp w_k x_kp + sum_s g_s z_s
    demand:   sum_kp a_kps x_kp + z_s >= n_s                               (dual pi_s >= 0)

with w_k the hourly price of a node of class k. Its multipliers are the best there are at these
prices, as far as the patterns are known: none of those earns more than its node costs.
"""

from __future__ import annotations

import highspy
import numpy as np

from costplan.planner.horizon.model import Horizon
from costplan.planner.horizon.outer import Worth
from costplan.planner.optimize.master import quiet_solver, run_to_optimum
from costplan.planner.optimize.problem import Floats, Ints


class Cover:
    """One small program that is solved for each step in turn."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon, self.solver = horizon, quiet_solver()
        self.shapes = len(horizon.problem.needs)
        self.classes: list[int] = []
        self._known: set[tuple[int, bytes]] = set()
        for s in range(self.shapes):
            self.solver.addRow(0.0, highspy.kHighsInf, 0, [], [])
            cost = float(horizon.shortage_usd[s])
            self.solver.addCol(cost, 0.0, highspy.kHighsInf, 1, [s], [1.0])

    def add_patterns(self, classes: Ints, patterns: Ints) -> None:
        """Adds patterns [P, S] of classes [P] that are not in yet."""
        for klass, pattern in zip(classes.tolist(), patterns, strict=True):
            key = (klass, pattern.tobytes())
            if key not in self._known and pattern.any():
                self._known.add(key)
                self.classes.append(klass)
                held = np.flatnonzero(pattern)
                workers = pattern[held].astype(np.float64)
                self.solver.addCol(
                    0.0, 0.0, highspy.kHighsInf, len(held), held.astype(np.int32), workers
                )

    def excess(self, worth: Worth) -> tuple[Floats, Floats]:
        """For each step what covering costs above what the multipliers say [T], in dollars, and
        the multipliers of the cover [T, S], in dollars a worker-hour."""
        solver, horizon = self.solver, self.horizon
        columns = self.shapes + np.arange(len(self.classes), dtype=np.int32)
        excess, pi = np.zeros(horizon.steps), np.zeros(horizon.demand.shape)
        for t, hours in enumerate(horizon.hours.tolist()):
            cost = worth.upper[t, self.classes] / hours
            solver.changeColsCost(len(columns), columns, cost)
            for s, workers in enumerate(horizon.demand[t].tolist()):
                solver.changeRowBounds(s, float(workers), highspy.kHighsInf)
            run_to_optimum(solver)
            pi[t] = np.maximum(np.array(solver.getSolution().row_dual), 0.0)
            value = float(solver.getInfo().objective_function_value)
            excess[t] = value * hours - float(worth.pi[t] @ horizon.demand[t])
        return excess, pi
