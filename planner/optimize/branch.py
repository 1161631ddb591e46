"""A few branches, where dear machines come in fractions: a better bound, and at times a fleet.

The relaxation may buy 1.75 nodes of the only class that holds some GPU; any whole fleet has at
most one or at least two. Each half is the same problem with one more limit, relaxed by the same
column generation, and the lower of the two bounds holds for both. The half with the lowest bound
is split next, a handful of times; it is done only where the gap is WIDE, until it is NARROW.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.optimize.columns import Relaxation, relax
from costplan.planner.optimize.knapsack import Knapsack
from costplan.planner.optimize.problem import Limit, Problem
from costplan.planner.optimize.rounding import Fleet, round_up

WIDE = 7e-3
NARROW = 3e-3
QUICK = 0.2
MOST_SPLITS = 4
WHOLE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of the fleets: the problem with its branching limits, and its relaxation."""

    problem: Problem
    relaxation: Relaxation
    bound: float


def branch(
    problem: Problem, knapsack: Knapsack, relaxation: Relaxation, fleet: Fleet, effort: float
) -> tuple[Fleet, float]:
    """The cheaper of `fleet` and what the branches gave, and a bound for all fleets."""
    open_ = [_Part(problem=problem, relaxation=relaxation, bound=relaxation.bound)]
    for _ in range(MOST_SPLITS):
        lowest = min(open_, key=lambda part: part.bound)
        if fleet.cost <= lowest.bound * (1 + NARROW / effort):
            break
        halves = _split(lowest)
        if not halves:
            break
        open_ = [part for part in open_ if part is not lowest]
        duals = lowest.relaxation.duals
        seed = replace(lowest.relaxation, duals=replace(duals, lam=np.append(duals.lam, 0.0)))
        for half in halves:
            relaxed = relax(half, knapsack, seed, cutoff=fleet.cost)
            bound = max(lowest.bound, relaxed.bound)
            if bound >= fleet.cost:
                open_.append(_Part(problem=half, relaxation=relaxed, bound=fleet.cost))
                continue
            found = round_up(half, relaxed, effort=QUICK * effort) if relaxed.feasible else None
            if found is not None and found.cost < fleet.cost:
                fleet = found
            open_.append(_Part(problem=half, relaxation=relaxed, bound=bound))
    return fleet, min(fleet.cost, *(part.bound for part in open_))


def _split(part: _Part) -> list[Problem]:
    """The part with at most, and with at least, a whole number of nodes of one class."""
    relaxation, problem = part.relaxation, part.problem
    nodes = np.zeros(len(problem.capacity))
    np.add.at(nodes, problem.klass[relaxation.offers], relaxation.nodes)
    share = nodes - np.floor(nodes + WHOLE)
    price = np.where(np.isfinite(relaxation.class_price), relaxation.class_price, 0.0)
    stake = price * np.minimum(share, 1.0 - share) * (share > WHOLE)
    klass = int(np.argmax(stake))
    if stake[klass] < NARROW * relaxation.value / 10:
        return []
    mine = np.where(problem.klass == klass, 1.0, 0.0)
    fewer = float(math.floor(nodes[klass]))
    halves = ((mine, fewer), (-mine, -(fewer + 1.0)))
    return [
        replace(
            problem,
            limits=(
                *problem.limits,
                Limit(name=f"branch.{klass}", per_node=per_node, most=most, unit="node"),
            ),
        )
        for per_node, most in halves
    ]
