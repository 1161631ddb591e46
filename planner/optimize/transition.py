"""From the fleet there is to the fleet that is wanted: what to keep, what to buy, what to let go.

Groups of like nodes that run, and columns (an offer with its workers) that could be bought, are
items of one small integer program over a horizon:

    minimise   sum_i cost_i x_i  +  sum_k shortage_k z_k  +  penalty sum_j v_j
    cover_k:   sum_i covers_ik x_i + z_k >= demand_k
    row_j:     sum_i a_ij x_i - v_j <= most_j          budget, quotas, shares
    least_i <= x_i <= most_i,  x whole;  z >= 0;  0 <= v_j <= max(0, sum_i a_ij least_i - most_j)

The cost of an item to be kept is its price over the horizon less what draining it would cost; a
new one's is its price over the horizon plus its boot, during which it is paid and does nothing. z
is work that nothing may be bought for, v a row that what must stay breaks already: so there is
always an answer, and it says what is short.

Items that all run as many workers of one kind, under no row, need no program: the cheapest are
taken until enough are there, since any other choice of as many costs as much or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from costplan.planner.errors import InvariantBroken
from costplan.planner.optimize.quiet import quiet_solver

GAP = 1e-9
SHORTAGE_UNITS = 1e3
"""What a shortage costs in the solver's units: its tolerances are absolute, and the least that
two choices differ by must stand above them, in a fleet of cents as in one of dollars."""
MOST_TREE_NODES = 5_000
PENALTY = 1e3
"""Dollars a unit of a broken row costs, in dearest shortages: no saving makes up for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Nodes that are alike: `cost` in dollars over the horizon for each, workers by kind, and
    what each takes of the rows."""

    cost: float
    least: int
    most: int
    covers: tuple[int, ...]
    rows: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How many of each item, workers short by kind, and by how much rows are broken.

    `cost` is the objective without penalties for broken rows; `termination` is 'optimal' or
    'steps', where the search ended at its limit of tree nodes.
    """

    counts: tuple[int, ...]
    short: tuple[int, ...]
    broken: tuple[float, ...]
    cost: float
    termination: str


def choose(
    items: Sequence[Item],
    demand: Sequence[int],
    row_most: Sequence[float],
    shortage_cost: float,
) -> Choice:
    """The cheapest counts; deterministic: one thread, fixed seed, no clock.

    `shortage_cost` is in dollars for each worker that is not there, above zero.
    """
    alike = {item.covers for item in items}
    if not row_most and len(demand) == 1 and len(alike) == 1 and any(items[0].covers):
        counts = _cheapest_first(items, demand[0], shortage_cost)
        return _choice(items, counts, demand, (), shortage_cost, is_done=True)
    solver = quiet_solver()
    for option, value in (
        ("solver", "choose"),
        ("presolve", "on"),
        ("mip_rel_gap", GAP),
        ("mip_max_nodes", MOST_TREE_NODES),
    ):
        solver.setOptionValue(option, value)
    kinds = len(demand)
    scale = SHORTAGE_UNITS / shortage_cost
    for wanted in demand:
        solver.addRow(float(wanted), highspy.kHighsInf, 0, [], [])
    for most in row_most:
        solver.addRow(-highspy.kHighsInf, float(most), 0, [], [])
    for item in items:
        rows = [k for k in range(kinds) if item.covers[k]]
        values = [float(item.covers[k]) for k in rows]
        rows += [kinds + j for j in sorted(item.rows)]
        values += [float(item.rows[j]) for j in sorted(item.rows)]
        solver.addCol(
            item.cost * scale, float(item.least), float(item.most), len(rows), rows, values
        )
    for k, wanted in enumerate(demand):
        solver.addCol(SHORTAGE_UNITS, 0.0, float(wanted), 1, [k], [1.0])
    for j, most in enumerate(row_most):
        must = sum(item.rows.get(j, 0.0) * item.least for item in items) - most
        heavy = SHORTAGE_UNITS * PENALTY
        solver.addCol(heavy, 0.0, max(0.0, float(must)), 1, [kinds + j], [-1.0])
    whole = len(items) + kinds
    kind = np.full(whole, highspy.HighsVarType.kInteger)
    solver.changeColsIntegrality(whole, np.arange(whole, dtype=np.int32), kind)
    solver.run()
    solution = solver.getSolution()
    if not solution.value_valid:
        raise InvariantBroken(f"no answer to a program that always has one: {demand}")
    found = np.array(solution.col_value)
    return _choice(
        items,
        tuple(int(n) for n in np.rint(found[: len(items)])),
        demand,
        tuple(float(v) if v > 1e-6 else 0.0 for v in found[whole:]),
        shortage_cost,
        is_done=solver.getModelStatus() == highspy.HighsModelStatus.kOptimal,
    )


def _cheapest_first(items: Sequence[Item], demand: int, shortage_cost: float) -> tuple[int, ...]:
    """The cheapest counts of items that all run as many workers of one kind."""
    each = items[0].covers[0]
    counts = [item.most if item.cost < 0 else item.least for item in items]
    missing = demand - each * sum(counts)
    for place in sorted(range(len(items)), key=lambda place: items[place].cost):
        if missing <= 0:
            break
        item, room = items[place], items[place].most - counts[place]
        if item.cost < shortage_cost * each:
            full = min(room, missing // each)
            counts[place] += full
            missing -= each * full
            room -= full
        if 0 < missing < each and room and item.cost < shortage_cost * missing:
            counts[place] += 1
            missing = 0
    return tuple(counts)


def _choice(
    items: Sequence[Item],
    counts: tuple[int, ...],
    demand: Sequence[int],
    broken: tuple[float, ...],
    shortage_cost: float,
    *,
    is_done: bool,
) -> Choice:
    covered = [
        sum(item.covers[k] * n for item, n in zip(items, counts, strict=True))
        for k in range(len(demand))
    ]
    short = tuple(max(0, wanted - have) for wanted, have in zip(demand, covered, strict=True))
    cost = sum(item.cost * n for item, n in zip(items, counts, strict=True))
    return Choice(
        counts=counts,
        short=short,
        broken=broken,
        cost=cost + shortage_cost * sum(short),
        termination="optimal" if is_done else "steps",
    )
