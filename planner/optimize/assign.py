"""Which offers the nodes of each class are bought as: pools, shares, quotas and budget kept.

Packing has fixed how many nodes of each class there are, and with them the fleet's vCPU, so a
pool's share becomes a whole number of nodes and the rest is nearly a transport problem:

    minimise  sum_o cost_o y_o
    class_k:  sum_{o in k} y_o >= nodes_k
    limit_j:  sum_o A_jo y_o <= b_j
    pool_o:   y_o <= floor(share * vCPU / vcpu_o)      for spot offers

Solved as a small integer program; it is whole at the root unless limits cross.
"""

from __future__ import annotations

import highspy
import numpy as np

from costplan.planner.optimize.problem import Floats, Ints, Problem
from costplan.planner.optimize.quiet import quiet_solver
from costplan.planner.optimize.twins import plain, ways

MOST_TREE_NODES = 300
GAP = 1e-5
CLOSE = 1e-7


def assign(problem: Problem, class_nodes: Ints, also: Ints, net_cost: Floats) -> Ints | None:
    """Nodes by offer [O] for `class_nodes` [K] nodes of each class, None where none keep the
    limits. Offers in `also` may be bought beyond need, to fill a base; `net_cost` [O] ranks."""
    vcpu = float(class_vcpu(problem) @ class_nodes)
    most = np.full(problem.offers, int(class_nodes.sum()) + 1, dtype=np.int64)
    if problem.pool_share < 1:
        room = np.floor(problem.pool_share * vcpu / problem.vcpu + 1e-9).astype(np.int64)
        most = np.where(problem.is_spot, np.minimum(most, room), most)
    chosen = _shortlist(problem, class_nodes, most, net_cost)
    chosen = np.union1d(chosen, also)
    chosen = chosen[most[chosen] > 0]
    return _solve(problem, class_nodes, chosen, most)


def class_vcpu(problem: Problem) -> Floats:
    """The vCPU of one machine of each class [K]."""
    vcpu = np.zeros(len(problem.capacity))
    vcpu[problem.klass] = problem.vcpu
    return vcpu


def _shortlist(problem: Problem, class_nodes: Ints, most: Ints, net_cost: Floats) -> Ints:
    """For each class and way of being limited, the cheapest offers that hold all its nodes."""
    used = np.flatnonzero((class_nodes[problem.klass] > 0) & (most > 0))
    if not len(used):
        return used
    way = problem.is_spot[used].astype(np.int64)
    for limit in plain(problem.limits):
        way = 3 * way + np.sign(limit.per_node[used]).astype(np.int64) + 1
    _, way = np.unique(way, return_inverse=True)
    way = ways(problem, used, way, exactly=False)
    group = problem.klass[used] * (int(way.max(initial=0)) + 1) + way
    picks = []
    for cost in (problem.cost[used], net_cost[used]):
        order = np.lexsort((used, cost, group))
        grouped, room = group[order], most[used][order].astype(np.float64)
        starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
        before = np.cumsum(room) - room
        before -= np.repeat(before[starts], np.diff(np.r_[starts, len(order)]))
        picks.append(used[order[before < class_nodes[problem.klass[used[order]]]]])
    return np.union1d(*picks)


def _solve(problem: Problem, class_nodes: Ints, chosen: Ints, most: Ints) -> Ints | None:
    classes = np.flatnonzero(class_nodes)
    row_of = np.full(len(class_nodes), -1)
    row_of[classes] = np.arange(len(classes))
    solver = quiet_solver()
    for option, value in (
        ("solver", "choose"),
        ("presolve", "on"),
        ("mip_rel_gap", GAP),
        ("mip_max_nodes", MOST_TREE_NODES),
    ):
        solver.setOptionValue(option, value)
    for klass in classes.tolist():
        solver.addRow(float(class_nodes[klass]), highspy.kHighsInf, 0, [], [])
    for limit in problem.limits:
        slack = CLOSE * max(1.0, abs(limit.most))
        solver.addRow(-highspy.kHighsInf, limit.most - slack, 0, [], [])
    for o in chosen.tolist():
        rows = [int(row_of[problem.klass[o]])] if row_of[problem.klass[o]] >= 0 else []
        values = [1.0] * len(rows)
        for j, limit in enumerate(problem.limits):
            if limit.per_node[o]:
                rows.append(len(classes) + j)
                values.append(float(limit.per_node[o]))
        solver.addCol(float(problem.cost[o]), 0.0, float(most[o]), len(rows), rows, values)
    whole = np.full(len(chosen), highspy.HighsVarType.kInteger)
    solver.changeColsIntegrality(len(chosen), np.arange(len(chosen), dtype=np.int32), whole)
    solver.run()
    solution = solver.getSolution()
    if not solution.value_valid:
        return None
    nodes = np.zeros(problem.offers, dtype=np.int64)
    nodes[chosen] = np.rint(np.array(solution.col_value)).astype(np.int64)
    covered = np.bincount(problem.klass, weights=nodes, minlength=len(class_nodes)) >= class_nodes
    within = all(lim.per_node @ nodes <= lim.most + 1e-9 for lim in problem.limits)
    return nodes if covered.all() and within else None
