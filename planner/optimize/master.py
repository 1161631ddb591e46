"""The restricted master: which offers to buy and how to configure their nodes, as a linear program.

    minimise    sum_o cost_o y_o  +  penalty . z
    demand_s:   sum_kp a_kps x_kp + z_s >= count_s                    (dual pi_s    >= 0)
    limit_j:    sum_o A_jo y_o - z_j <= b_j                           (dual lam_j   >= 0)
    volume:     sum_o vcpu_o y_o - V >= 0                             (dual rho     >= 0)
    pool_o:     vcpu_o y_o - share V <= 0      for spot offers        (dual sigma_o >= 0)
    class_k:    sum_{o in k} y_o - sum_p x_kp >= 0                    (dual w_k     >= 0)

y_o are nodes bought of offer o, x_kp nodes of class k that run pattern p. The z are artificial:
what the limits leave unplaced, at a penalty that no real machine costs. Columns are added as
pricing finds them; HiGHS keeps its basis between solves.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np

from costplan.planner.optimize.problem import Floats, Ints, Problem
from costplan.planner.optimize.quiet import quiet_solver, run_to_optimum
from costplan.planner.optimize.twins import is_twin

_INF = highspy.kHighsInf


@dataclass(frozen=True, slots=True, kw_only=True)
class Duals:
    """Multipliers of a solve. `sigma` and `pool_offers` belong together."""

    pi: Floats
    lam: Floats
    sigma: Floats
    pool_offers: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A primal solution: nodes by offer and by pattern, and what is left unplaced."""

    objective: float
    nodes: Floats
    configured: Floats
    missing: Floats
    duals: Duals


class Master:
    """One linear program that grows. Deterministic: one thread, fixed seed, no clock."""

    def __init__(self, problem: Problem, penalty: Floats) -> None:
        self.problem = problem
        self.shapes, self.caps = len(problem.count), len(problem.limits)
        self.matrix = np.stack([c.per_node for c in problem.limits]) if self.caps else None
        self.has_pools = problem.pool_share < 1
        self.offers: list[int] = []
        self.patterns: list[Ints] = []
        self.pattern_classes: list[int] = []
        self._known: set[tuple[int, bytes]] = set()
        self._offer_column: dict[int, int] = {}
        self._pattern_columns: list[int] = []
        self._class_row: dict[int, int] = {}
        self._pool_row: dict[int, int] = {}
        self.solver = quiet_solver()
        self._start(penalty)

    def _start(self, penalty: Floats) -> None:
        solver, problem = self.solver, self.problem
        for workers in problem.count:
            solver.addRow(float(workers), _INF, 0, [], [])
        for limit in problem.limits:
            solver.addRow(-_INF, float(limit.most), 0, [], [])
        for s in range(self.shapes):
            solver.addCol(float(penalty[s]), 0.0, _INF, 1, [s], [1.0])
        for j, limit in enumerate(problem.limits):
            # Only a limit that nothing at all violates (a base to be met) needs a way out.
            most = _INF if limit.most < 0 else 0.0
            scale = float(penalty.max())
            solver.addCol(scale, 0.0, most, 1, [self.shapes + j], [-1.0])
        self._volume_row = self.shapes + self.caps
        self._volume_column = self.shapes + self.caps
        if self.has_pools:
            solver.addRow(0.0, _INF, 0, [], [])
            solver.addCol(0.0, 0.0, _INF, 1, [self._volume_row], [-1.0])

    def _row_of_class(self, klass: int) -> int:
        row = self._class_row.get(klass)
        if row is None:
            row = self.solver.getNumRow()
            self.solver.addRow(0.0, _INF, 0, [], [])
            self._class_row[klass] = row
        return row

    def add_offers(self, offers: Ints) -> int:
        """Adds columns y_o for offers that are not in yet; says how many."""
        problem = self.problem
        fresh = [o for o in offers.tolist() if o not in self._offer_column]
        batch = _Columns()
        for o in fresh:
            rows, values = [self._row_of_class(int(problem.klass[o]))], [1.0]
            if self.matrix is not None:
                used = np.flatnonzero(self.matrix[:, o])
                rows += (self.shapes + used).tolist()
                values += self.matrix[used, o].tolist()
            if self.has_pools:
                rows.append(self._volume_row)
                values.append(float(problem.vcpu[o]))
                if problem.is_spot[o]:
                    share = [-problem.pool_share]
                    self._pool_row[o] = self.solver.getNumRow()
                    self.solver.addRow(-_INF, 0.0, 1, [self._volume_column], share)
                    rows.append(self._pool_row[o])
                    values.append(float(problem.vcpu[o]))
            batch.add(float(problem.cost[o]), rows, values)
        for o, column in zip(fresh, batch.send(self.solver), strict=True):
            self._offer_column[o] = column
            self.offers.append(o)
        return len(fresh)

    def add_patterns(self, classes: Ints, patterns: Ints) -> int:
        """Adds columns x_kp for patterns that are not in yet; says how many."""
        batch = _Columns()
        before = len(self.pattern_classes)
        for klass, pattern in zip(classes.tolist(), patterns, strict=True):
            key = (klass, pattern.tobytes())
            if key in self._known or not pattern.any():
                continue
            self._known.add(key)
            shapes = np.flatnonzero(pattern)
            rows = [*shapes.tolist(), self._row_of_class(klass)]
            batch.add(0.0, rows, [*pattern[shapes].astype(float).tolist(), -1.0])
            self.pattern_classes.append(klass)
            self.patterns.append(pattern.copy())
        self._pattern_columns += batch.send(self.solver)
        return len(self.pattern_classes) - before

    def solve(self) -> Point:
        """The optimum of the program as it stands."""
        run_to_optimum(self.solver)
        solution = self.solver.getSolution()
        values = np.array(solution.col_value)
        row_dual = np.array(solution.row_dual)
        pool_offers = np.fromiter(self._pool_row, dtype=np.int64, count=len(self._pool_row))
        pool_rows = np.fromiter(self._pool_row.values(), dtype=np.int64, count=len(pool_offers))
        duals = Duals(
            pi=np.maximum(row_dual[: self.shapes], 0.0),
            lam=np.maximum(-row_dual[self.shapes : self.shapes + self.caps], 0.0),
            sigma=np.maximum(-row_dual[pool_rows], 0.0),
            pool_offers=pool_offers,
        )
        return Point(
            objective=float(self.solver.getInfo().objective_function_value),
            nodes=values[[self._offer_column[o] for o in self.offers]],
            configured=values[self._pattern_columns],
            missing=values[: self.shapes + self.caps],
            duals=duals,
        )

    def solve_whole(
        self, *, most_nodes: int, gap: float = 0.0, gap_usd: float = 1e-9
    ) -> tuple[float, Ints, Ints, bool] | None:
        """The optimum in whole nodes: cost, nodes by offer and by pattern, and whether proven.

        None where no fleet was found within `most_nodes` of the search tree.
        """
        offers = [self._offer_column[o] for o in self.offers]
        machines = self._machine_columns()
        columns = np.array(machines + self._pattern_columns, dtype=np.int32)
        whole = np.full(len(columns), highspy.HighsVarType.kInteger)
        self.solver.changeColsIntegrality(len(columns), columns, whole)
        artificial = np.arange(self.shapes + self.caps, dtype=np.int32)
        none = np.zeros(len(artificial))
        self.solver.changeColsBounds(len(artificial), artificial, none, none)
        for option, value in (
            ("solver", "choose"),
            ("presolve", "on"),
            ("mip_rel_gap", gap),
            ("mip_abs_gap", gap_usd),
            ("mip_max_nodes", most_nodes),
        ):
            self.solver.setOptionValue(option, value)
        self.solver.run()
        solution, info = self.solver.getSolution(), self.solver.getInfo()
        if not solution.value_valid:
            return None
        found = np.array(solution.col_value)
        values = np.rint(found).astype(np.int64)
        proven = self.solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
        nodes, configured = self._whole_nodes(found[offers]), values[self._pattern_columns]
        return float(info.objective_function_value), nodes, configured, proven

    def _machine_columns(self) -> list[int]:
        """Columns that must be whole: those of offers or, where commitments pay for shares of
        nodes, one for all offers that are the same machine, which is their sum."""
        if self.problem.twins is None:
            return [self._offer_column[o] for o in self.offers]
        found = []
        for offers in self._machines().values():
            if len(offers) == 1:
                found.append(self._offer_column[offers[0]])
                continue
            row, column = self.solver.getNumRow(), self.solver.getNumCol()
            of_it = [self._offer_column[o] for o in offers]
            self.solver.addRow(0.0, 0.0, len(of_it), of_it, [1.0] * len(of_it))
            self.solver.addCol(0.0, 0.0, _INF, 1, [row], [-1.0])
            found.append(column)
        return found

    def _machines(self) -> dict[int, list[int]]:
        """The offers of each machine, those that nothing pays for first."""
        found: dict[int, list[int]] = {}
        for o in sorted(self.offers, key=lambda each: bool(is_twin(self.problem)[each])):
            found.setdefault(int(self.problem.row[o]), []).append(o)
        return found

    def _whole_nodes(self, found: Floats) -> Ints:
        """Nodes of `self.offers`; those of a machine that commitments pay for in shares are
        counted together, at the first of its offers."""
        if self.problem.twins is None:
            return np.rint(found).astype(np.int64)
        place = {o: number for number, o in enumerate(self.offers)}
        nodes = np.zeros(len(found), dtype=np.int64)
        for offers in self._machines().values():
            nodes[place[offers[0]]] = round(float(found[[place[o] for o in offers]].sum()))
        return nodes


class _Columns:
    """Columns on their way into a solver, sent in one call."""

    def __init__(self) -> None:
        self.costs: list[float] = []
        self.starts: list[int] = []
        self.rows: list[int] = []
        self.values: list[float] = []

    def add(self, cost: float, rows: list[int], values: list[float]) -> None:
        self.costs.append(cost)
        self.starts.append(len(self.rows))
        self.rows += rows
        self.values += values

    def send(self, solver: highspy.Highs) -> list[int]:
        """Adds all of them and returns their places in the solver."""
        first, count = solver.getNumCol(), len(self.costs)
        if count:
            solver.addCols(
                count,
                np.array(self.costs),
                np.zeros(count),
                np.full(count, _INF),
                len(self.rows),
                np.array(self.starts, dtype=np.int32),
                np.array(self.rows, dtype=np.int32),
                np.array(self.values),
            )
        return list(range(first, first + count))
