"""A dive: solve the covering program, settle what is nearly whole, solve again.

    minimise  sum_p price_p x_p   subject to   sum_p a_ps x_p >= residual_s,   x >= 0,
              sum of x over a group <= what is left of its lot

What the open lots cannot cover is left over at a penalty until the next lots open. Only
right-hand sides and prices change between solves, so each takes a few pivots from the last basis.
"""

from __future__ import annotations

import highspy
import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.pool import Pool
from costplan.planner.optimize.problem import Floats, Ints
from costplan.planner.optimize.quiet import quiet_solver, run_to_optimum

_INF = highspy.kHighsInf


class Dive:
    """One covering program over a pool, used again and again."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.rows = pool.patterns.shape[1]
        self.groups = np.unique(pool.groups)
        self.solver = quiet_solver()
        # Rows of milli-vCPU next to rows of workers would be badly scaled.
        self.scale = np.ones(self.rows)
        self.scale[-1] = 1e-3
        entries = np.concatenate(
            [
                pool.patterns * self.scale,
                pool.groups[:, None] == self.groups[None],
            ],
            axis=1,
        )
        column, row = np.nonzero(entries)
        for _ in range(self.rows):
            self.solver.addRow(0.0, _INF, 0, [], [])
        for _ in self.groups:
            self.solver.addRow(-_INF, _INF, 0, [], [])
        penalty = 50.0 * np.maximum(pool.worth, 0.01 * pool.worth.max()) / self.scale
        for need, cost in enumerate(penalty.tolist()):
            self.solver.addCol(cost, 0.0, _INF, 1, [need], [1.0])
        count = len(pool.groups)
        self.solver.addCols(
            count,
            np.zeros(count),
            np.zeros(count),
            np.full(count, _INF),
            len(row),
            np.searchsorted(column, np.arange(count)).astype(np.int32),
            row.astype(np.int32),
            entries[column, row].astype(np.float64),
        )

    def run(self, residual: Ints, kept: Ints) -> Ints | None:
        """Nodes by column [P] that cover `residual` when `kept` [G] nodes are bought already,
        None where the lots do not suffice."""
        pool, left, kept = self.pool, residual.copy(), kept.copy()
        nodes = np.zeros(len(pool.groups), dtype=np.int64)
        while left.any():
            share = self._solve(left, kept)
            step = np.floor(share + 1e-6).astype(np.int64)
            if not step.any():
                if share.max(initial=0.0) < 1e-9:
                    return None
                step[self._pick(share, left, kept)] = 1
            nodes += step
            kept += pool.group_nodes(step)
            left = np.maximum(left - step @ pool.patterns, 0)
        return nodes

    def _pick(self, share: Floats, left: Ints, kept: Ints) -> int:
        """The column to round up: one that loses little of its price, and is nearly whole."""
        price = self.pool.lots.rest(kept)[1][self.pool.groups]
        gain = np.minimum(self.pool.patterns, left) @ self.pool.worth
        likely = share >= 0.1 * share.max()
        loss = np.full(len(share), np.inf)
        # A node that multipliers pay for is free: it has no loss that could be a share of it.
        loss[likely] = 1.0 - gain[likely] / np.maximum(price[likely], 1e-12) - 0.2 * share[likely]
        return int(np.argmin(loss))

    def _solve(self, left: Ints, kept: Ints) -> Floats:
        room, price, _ = self.pool.lots.rest(kept)
        count = len(self.pool.groups)
        cost = price[self.pool.groups]
        open_ = np.isfinite(cost)
        columns = self.rows + np.arange(count, dtype=np.int32)
        rows = np.arange(self.rows, dtype=np.int32)
        self.solver.changeColsCost(count, columns, np.where(open_, cost, 0.0))
        most = np.where(open_, _INF, 0.0)
        self.solver.changeColsBounds(count, columns, np.zeros(count), most)
        need = left * self.scale
        self._bound_rows(rows, need, np.full(self.rows, _INF))
        caps = self.rows + np.arange(len(self.groups), dtype=np.int32)
        self._bound_rows(caps, np.full(len(caps), -_INF), room[self.groups].astype(np.float64))
        run_to_optimum(self.solver)
        return np.array(self.solver.getSolution().col_value)[self.rows :]

    def _bound_rows(self, rows: NDArray[np.int32], least: Floats, most: Floats) -> None:
        for row, low, high in zip(rows.tolist(), least.tolist(), most.tolist(), strict=True):
            self.solver.changeRowBounds(row, low, high)
