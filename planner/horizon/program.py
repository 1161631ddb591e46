"""What the two programs of the horizon have in common: fleets, their limits, pools and budgets.

    limit_tj:   sum_o A_jo y_ot - r_jt <= b_j                                   (dual lam_tj >= 0)
    volume_t:   sum_o vcpu_o y_ot - V_t >= 0
    window_w:   sum_{t in w} sum_o p_ot (h_t y_ot + sum_q B_qt u_oq) <= usd_w   (dual mu_w >= 0)
    flow_to:    y_ot - y_o,t-1 - u_ot <= 0,  with y_o,-1 the fleet
    pool_to:    vcpu_o y_ot - share V_t <= 0      for spot offers               (dual sigma_to >= 0)

and in the objective

    sum_ot h_t c_ot y_ot + sum_ot (s_ot + e_o) u_ot - sum_o e_o y_oT + sum_st g_s h_t z_st

y are nodes that work, u starts, z workers short, B_qt the hours that a node which starts with step
q boots in step t, s the cost of a start, e of a stop. Stops are fleet + starts - nodes at the end,
so they need no columns: e is paid at the start, and given back for what is left at the end. r lets
limits that ask for nodes (a base) be missed, at a penalty, where a budget leaves no other way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from costplan.planner.horizon.model import Horizon
from costplan.planner.optimize.problem import Floats, Ints
from costplan.planner.optimize.quiet import quiet_solver

INF = highspy.kHighsInf
PENALTY = 1e3
"""What a missed base costs, in times of the dearest offer's dollars per vCPU-hour."""

Covers = Callable[[int], Sequence[tuple[int, Ints, float]]]
"""For an offer, blocks of rows (the first one's place), whose steps they are, and what one node
puts into each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rents:
    """Multipliers of the common rows: `lam` [T, J], `sigma` [T, Q] of the pools `pools` [Q], which
    are offers, and `mu` [W] of the windows."""

    lam: Floats
    sigma: Floats
    pools: Ints
    mu: Floats


class Batch:
    """Entries of new rows or columns (lines), sent to a solver in one call."""

    def __init__(self) -> None:
        self._lines: list[Ints] = []
        self._places: list[Ints] = []
        self._values: list[Floats] = []

    def add(self, lines: Ints, places: Ints, values: Floats | float) -> None:
        """Entries at `lines`, counted from the first new one, and `places` in the other axis."""
        self._lines.append(lines)
        self._places.append(_spread(places, len(lines), np.int64))
        self._values.append(_spread(values, len(lines), np.float64))

    def packed(self, count: int) -> tuple[int, Ints, Ints, Floats]:
        """Number of entries, starts of the lines [count], places and values."""
        if not self._lines:
            none = np.zeros(0)
            return 0, np.zeros(count, dtype=np.int32), none.astype(np.int32), none
        lines, places = np.concatenate(self._lines), np.concatenate(self._places)
        values = np.concatenate(self._values)
        kept = np.flatnonzero(values)
        kept = kept[np.argsort(lines[kept], kind="stable")]
        starts = np.searchsorted(lines[kept], np.arange(count))
        return len(kept), starts.astype(np.int32), places[kept].astype(np.int32), values[kept]


def _spread(value: Ints | Floats | float, count: int, kind: type) -> NDArray[Any]:
    """`count` values: those that there are, or so many of the one. numpy's own broadcasting takes
    longer than what is done with so few."""
    if isinstance(value, np.ndarray) and value.shape == (count,):
        return value
    spread: NDArray[Any] = np.empty(count, dtype=kind)
    spread[:] = value
    return spread


class FleetProgram:
    """A linear program that grows by offers. Deterministic: one thread, fixed seed, no clock."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon, problem = horizon, horizon.problem
        self.steps, self.reach = horizon.steps, horizon.reach
        self.every = np.arange(self.steps)
        self.offers: list[int] = []
        self.offer_column: list[int] = []
        self.solver = quiet_solver()
        self._inside: set[int] = set()
        self._flow_row: list[int] = []
        self._pool_row: dict[int, int] = {}
        self._boots, self._prices, self._costs = horizon.boots(), horizon.prices(), horizon.costs()
        self._window_of = np.zeros((self.steps, len(horizon.windows)))
        for w, window in enumerate(horizon.windows):
            self._window_of[window.first : window.stop, w] = 1.0
        has_pools = problem.pool_share < 1
        self._first_limit = self.rows(-INF, horizon.limits_most().reshape(-1))
        self._first_volume = self.rows(np.zeros(self.steps if has_pools else 0), INF)
        self._first_window = self.rows(-INF, np.array([w.usd for w in horizon.windows]))
        none = np.zeros(self.steps if has_pools else 0)
        batch = Batch()
        batch.add(self.every[: len(none)], self._first_volume + self.every[: len(none)], -1.0)
        self._first_vcpu = self.columns(none, batch)
        self._add_misses()

    def _add_misses(self) -> None:
        problem, batch = self.horizon.problem, Batch()
        bases = [j for j, limit in enumerate(problem.limits) if limit.most < 0]
        for place, j in enumerate(bases):
            row = self._first_limit + self.every * len(problem.limits) + j
            batch.add(self.every + place * self.steps, row, -1.0)
        heavy = PENALTY * float((problem.price / problem.vcpu).max(initial=1.0))
        self._misses = len(bases) * self.steps
        self._first_miss = self.columns(np.tile(heavy * self.horizon.hours, len(bases)), batch)

    def rows(self, low: Floats | float, high: Floats | float, batch: Batch | None = None) -> int:
        """Adds rows between `low` and `high`; the place of the first."""
        first = int(self.solver.getNumRow())
        count = len(high if isinstance(high, np.ndarray) else np.atleast_1d(low))
        if count:
            size, starts, places, values = (batch or Batch()).packed(count)
            least, most = _spread(low, count, np.float64), _spread(high, count, np.float64)
            self.solver.addRows(count, least, most, size, starts, places, values)
        return first

    def columns(self, cost: Floats, batch: Batch) -> int:
        """Adds columns of at least 0; the place of the first."""
        first, count = int(self.solver.getNumCol()), len(cost)
        if count:
            size, starts, places, values = batch.packed(count)
            most = np.full(count, INF)
            self.solver.addCols(count, cost, np.zeros(count), most, size, starts, places, values)
        return first

    def short_columns(self, batch: Batch) -> int:
        """Adds z, in the order of steps and then shapes; the place of the first."""
        return self.columns(
            np.outer(self.horizon.hours, self.horizon.shortage_usd).reshape(-1), batch
        )

    def add_offers(self, offers: Sequence[int], covers: Covers) -> int:
        """Adds nodes and starts of offers that are not in yet; says how many."""
        fresh = [o for o in offers if o not in self._inside]
        width = 2 * self.steps - self.reach
        batch, dollars = Batch(), [np.zeros(0)]
        for number, o in enumerate(fresh):
            dollars += self._lines_of(o, number * width, covers(o), batch)
        place = self.columns(np.concatenate(dollars), batch)
        self.offers += fresh
        self.offer_column += [place + number * width for number in range(len(fresh))]
        self._inside.update(fresh)
        return len(fresh)

    def _lines_of(
        self, o: int, line: int, covers: Sequence[tuple[int, Ints, float]], batch: Batch
    ) -> list[Floats]:
        """Enters one offer's columns, y and then u, from `line` on; their costs."""
        horizon, problem = self.horizon, self.horizon.problem
        every, later = self.every, self.every[self.reach :]
        y, u = line + every, line + self.steps + np.arange(len(later))
        there = np.zeros(self.steps)
        there[0] = horizon.fleet[o]
        flow = self.rows(-INF, there)
        self._flow_row.append(flow)
        batch.add(y, flow + every, 1.0)
        batch.add(y[:-1], flow + every[1:], -1.0)
        batch.add(u, flow + later, -1.0)
        for row, steps, value in covers:
            batch.add(y[steps], row + np.arange(len(steps)), value)
        for j, limit in enumerate(problem.limits):
            place = self._first_limit + every * len(problem.limits) + j
            batch.add(y, place, float(limit.per_node[o]))
        self._enter_pool(o, y, batch)
        booted = self._boots * self._prices[:, o]
        billed = horizon.hours * self._prices[:, o]
        for w in range(len(horizon.windows)):
            place = np.array(self._first_window + w)
            batch.add(y, place, billed * self._window_of[:, w])
            batch.add(u, place, (booted @ self._window_of[:, w])[later])
        run = horizon.hours * self._costs[:, o]
        run[-1] -= horizon.stop_usd[o]
        begin = horizon.start_usd[o] + horizon.stop_usd[o] + booted.sum(axis=1)
        return [run, begin[later]]

    def _enter_pool(self, offer: int, y: Ints, batch: Batch) -> None:
        problem, every = self.horizon.problem, self.every
        if problem.pool_share >= 1:
            return
        vcpu = float(problem.vcpu[offer])
        batch.add(y, self._first_volume + every, vcpu)
        if problem.is_spot[offer]:
            room = Batch()
            room.add(every, self._first_vcpu + every, -problem.pool_share)
            row = self.rows(-INF, np.zeros(self.steps), room)
            self._pool_row[offer] = row
            batch.add(y, row + every, vcpu)

    def nodes(self, values: Floats) -> tuple[Floats, Floats]:
        """Nodes at work [T, B] and starts [T, B] of a solution, by offer."""
        nodes, starts = np.zeros((2, self.steps, len(self.offers)))
        for b, column in enumerate(self.offer_column):
            nodes[:, b] = values[column : column + self.steps]
            after = column + self.steps
            starts[self.reach :, b] = values[after : after + self.steps - self.reach]
        return nodes, starts

    def kept(self, dual: Floats) -> Floats:
        """What one more node of the step before saves in each step [T, B], by offer."""
        rows = np.array(self._flow_row, dtype=np.int64)
        saved: Floats = np.maximum(-dual[rows[None, :] + self.every[:, None]], 0.0)
        return saved

    def broken(self, values: Floats) -> float:
        """The most that any limit is missed by in a solution."""
        return float(values[self._first_miss :][: self._misses].max(initial=0.0))

    def rents(self, dual: Floats) -> Rents:
        """Multipliers of the common rows in a solution."""
        caps = len(self.horizon.problem.limits)
        lam = -dual[self._first_limit :][: self.steps * caps].reshape(self.steps, caps)
        pools = np.fromiter(self._pool_row, dtype=np.int64, count=len(self._pool_row))
        sigma = np.zeros((self.steps, len(pools)))
        for q, row in enumerate(self._pool_row.values()):
            sigma[:, q] = -dual[row : row + self.steps]
        return Rents(
            lam=np.maximum(lam, 0.0),
            sigma=np.maximum(sigma, 0.0),
            pools=pools,
            mu=np.maximum(-dual[self._first_window :][: len(self.horizon.windows)], 0.0),
        )
