"""The inner program: plans that run known patterns. Its value is never below the relaxation's.

    demand_ts:  sum_kp a_kps x_kpt + z_st >= n_st                          (dual pi_ts >= 0)
    class_tk:   sum_{o in k} y_ot - sum_p x_kpt >= 0                       (dual w_tk  >= 0)

and the rows of `program.py`; x_kpt are nodes of class k that run pattern p in step t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costplan.planner.horizon.model import Horizon
from costplan.planner.horizon.program import INF, Batch, FleetProgram, Rents
from costplan.planner.optimize.problem import Bools, Floats, Ints
from costplan.planner.optimize.quiet import run_to_optimum

DUAL, PRIMAL = 1, 4
"""Simplex strategies, as HiGHS numbers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A solution: `nodes` [T, B] and `starts` [T, B] by offer, `configured` by pattern column,
    `short` [T, S], `broken` as in Plan; `pi` [T, S] and `node` [T, K] are the multipliers, the
    latter infinite where a class has no offer, and `kept` [T, B] is what one more node of an offer
    in the step before would save. `cost` is in dollars over the horizon, with the
    penalties of what is broken."""

    cost: float
    nodes: Floats
    starts: Floats
    configured: Floats
    short: Floats
    broken: float
    pi: Floats
    node: Floats
    kept: Floats


class Inner:
    """One linear program that grows by offers, patterns, and steps in which a pattern is used."""

    def __init__(self, horizon: Horizon) -> None:
        self.fleets, self.horizon = FleetProgram(horizon), horizon
        self.shapes = len(horizon.problem.needs)
        self.classes: list[int] = []
        self.patterns: list[Ints] = []
        self.pattern_of, self.step_of, self.columns = np.zeros((3, 0), dtype=np.int64)
        self._known: set[tuple[int, bytes]] = set()
        self._class_row: dict[int, int] = {}
        self._is_used: Bools = np.zeros((0, horizon.steps), dtype=bool)
        workers = horizon.demand.reshape(-1).astype(np.float64)
        self._first_demand = self.fleets.rows(workers, INF)
        batch, cells = Batch(), np.arange(len(workers))
        batch.add(cells, self._first_demand + cells, 1.0)
        self._first_short = self.fleets.short_columns(batch)

    def add_offers(self, offers: Sequence[int]) -> int:
        """Adds offers that are not in yet; says how many."""
        klass, every = self.horizon.problem.klass, self.fleets.every
        return self.fleets.add_offers(
            offers, lambda o: [(self._row_of_class(int(klass[o])), every, 1.0)]
        )

    def _row_of_class(self, klass: int) -> int:
        row = self._class_row.get(klass)
        if row is None:
            row = self._class_row[klass] = self.fleets.rows(np.zeros(self.horizon.steps), INF)
        return row

    def add_patterns(self, classes: Ints, patterns: Ints) -> int:
        """Makes patterns known, without a column in any step; says how many were not."""
        before = len(self.classes)
        for klass, pattern in zip(classes.tolist(), patterns, strict=True):
            key = (klass, pattern.tobytes())
            if key not in self._known and pattern.any():
                self._known.add(key)
                self.classes.append(klass)
                self.patterns.append(pattern.copy())
        fresh = len(self.classes) - before
        none = np.zeros((fresh, self.horizon.steps), dtype=bool)
        self._is_used = np.concatenate([self._is_used, none])
        return fresh

    def known(self) -> tuple[Ints, Ints]:
        """Classes [P] and workers [P, S] of the known patterns."""
        patterns = np.array(self.patterns, dtype=np.int64).reshape(-1, self.shapes)
        return np.array(self.classes, dtype=np.int64), patterns

    def use(self, wanted: Bools) -> int:
        """Adds columns for known patterns in steps [P, T] where they have none; says how many."""
        pattern, step = np.nonzero(wanted & ~self._is_used)
        classes, patterns = self.known()
        batch, lines = Batch(), np.arange(len(pattern))
        row = np.zeros(len(classes), dtype=np.int64)
        for p in np.unique(pattern).tolist():
            row[p] = self._row_of_class(int(classes[p]))
        batch.add(lines, row[pattern] + step, -1.0)
        for s in range(self.shapes):
            place = self._first_demand + step * self.shapes + s
            batch.add(lines, place, patterns[pattern, s].astype(np.float64))
        first = self.fleets.columns(np.zeros(len(pattern)), batch)
        self.pattern_of = np.concatenate([self.pattern_of, pattern])
        self.step_of = np.concatenate([self.step_of, step])
        self.columns = np.concatenate([self.columns, first + lines])
        self._is_used |= wanted
        return len(pattern)

    def solve(self) -> Point:
        """The optimum of the program as it stands, and its multipliers."""
        return self.solve_with_rents()[0]

    def solve_with_rents(self) -> tuple[Point, Rents]:
        """The same, and the multipliers of limits, pools and windows."""
        solver, horizon = self.fleets.solver, self.horizon
        run_to_optimum(solver)
        # What is added next leaves this solution feasible: the primal simplex goes on from it.
        solver.setOptionValue("simplex_strategy", PRIMAL)
        solution = solver.getSolution()
        values, dual = np.array(solution.col_value), np.array(solution.row_dual)
        node = np.full((horizon.steps, len(horizon.problem.capacity)), np.inf)
        for klass in {int(horizon.problem.klass[o]) for o in self.fleets.offers}:
            node[:, klass] = np.maximum(dual[self._class_row[klass] :][: horizon.steps], 0.0)
        nodes, starts = self.fleets.nodes(values)
        axes = (horizon.steps, self.shapes)
        value = float(solver.getInfo().objective_function_value)
        point = Point(
            cost=value + float(horizon.stop_usd @ horizon.fleet),
            nodes=nodes,
            starts=starts,
            configured=values[self.columns],
            short=values[self._first_short :][: axes[0] * axes[1]].reshape(axes),
            broken=self.fleets.broken(values),
            pi=np.maximum(dual[self._first_demand :][: axes[0] * axes[1]], 0.0).reshape(axes),
            node=node,
            kept=self.fleets.kept(dual),
        )
        return point, self.fleets.rents(dual)
