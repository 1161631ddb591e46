"""Small fleets, solved to the end.

With a fleet of cost UB and the relaxation's prices, no column whose reduced cost is above
UB - LB is part of a cheaper fleet. For a few dozen workers all others can be listed, and the
integer program over them is the whole problem: what it proves is proven.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from costplan.planner.optimize.bound import reduced_costs
from costplan.planner.optimize.columns import Relaxation
from costplan.planner.optimize.master import Master
from costplan.planner.optimize.problem import Floats, Ints, Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.twins import is_commitment, settled, siblings, unseen, ways

MOST_WORKERS = 60
MOST_MIXES = 250_000
MOST_COLUMNS = 40_000
MOST_TREE_NODES = 20_000
TREE_COLUMNS = 400
TREE_OFFERS = 500
TREE_NODES = 150
TREE_GAP = 4e-3


def prove(problem: Problem, relaxation: Relaxation, fleet: Fleet) -> tuple[Fleet, float, bool]:
    """The cheapest fleet, its bound, and whether that is proven; else what was there before."""
    given = (fleet, relaxation.bound, False)
    room = (fleet.cost - relaxation.bound) * (1 + 1e-6) + 1e-9
    mixes = math.prod(int(n) + 1 for n in problem.count)
    if mixes > MOST_MIXES:
        return given
    net = reduced_costs(problem, relaxation.duals).cost
    columns = _columns(problem, relaxation.class_price, relaxation.duals.pi, room)
    if columns is None:
        return given
    classes, patterns = columns
    earned = np.zeros(len(problem.capacity))
    np.maximum.at(earned, classes, patterns @ relaxation.duals.pi)
    offers = np.flatnonzero(net - earned[problem.klass] <= room)
    offers = np.union1d(_enough(problem, offers), np.flatnonzero(fleet.bought))
    offers = siblings(problem, offers)
    master = Master(problem, np.full(len(problem.count), 1e3 * max(1.0, fleet.cost)))
    master.add_offers(offers)
    master.add_patterns(classes, patterns)
    proof = master.solve_whole(most_nodes=MOST_TREE_NODES)
    if proof is None:
        return given
    cost, bought, configured, proven = proof
    if not proven:
        return given
    if cost >= fleet.cost - 1e-9:
        return fleet, fleet.cost, True
    better = replace(_fleet(problem, master, bought, configured), close=True)
    return better, better.cost, True


def by_tree(problem: Problem, relaxation: Relaxation) -> Fleet | None:
    """A fleet from the relaxation's own columns by branch and bound, within TREE_GAP of the best
    that they hold; None where the tree is cut before one is found.

    It keeps every limit by itself, which rounding does not where pools and shares pull at each
    other; it is for those cases and takes its time.
    """
    loss = relaxation.class_price[relaxation.classes]
    loss = loss - relaxation.patterns @ relaxation.duals.pi
    loss[relaxation.configured > 1e-9] = -1.0
    columns = np.sort(np.argsort(loss, kind="stable")[:TREE_COLUMNS])
    classes = relaxation.classes[columns]
    known = np.zeros(len(problem.capacity), dtype=bool)
    known[classes] = True
    offers = _enough(problem, np.flatnonzero(known[problem.klass]), of_rates=False)
    if problem.twins is not None and len(offers) > TREE_OFFERS:
        net = reduced_costs(problem, relaxation.duals).cost[offers]
        offers = np.sort(offers[np.argsort(net, kind="stable")[:TREE_OFFERS]])
    master = Master(problem, np.full(len(problem.count), 1e3 * max(1.0, relaxation.value)))
    offers = np.union1d(relaxation.offers[relaxation.nodes > 1e-9], offers)
    master.add_offers(siblings(problem, offers))
    master.add_patterns(classes, relaxation.patterns[columns])
    nearly = max(1e-9, unseen(problem))
    found = master.solve_whole(most_nodes=TREE_NODES, gap=TREE_GAP, gap_usd=nearly)
    return None if found is None else _fleet(problem, master, found[1], found[2])


def _fleet(problem: Problem, master: Master, bought: Ints, configured: Ints) -> Fleet:
    whole = np.zeros(problem.offers, dtype=np.int64)
    whole[np.array(master.offers, dtype=np.int64)] = bought
    whole, cost = settled(problem, whole)
    return Fleet(
        bought=whole,
        classes=np.array(master.pattern_classes, dtype=np.int64),
        patterns=np.array(master.patterns, dtype=np.int64),
        configured=configured,
        cost=cost,
    )


def _enough(problem: Problem, offers: Ints, *, of_rates: bool = True) -> Ints:
    """Of these offers, for each class and way of being limited, as many as a fleet can need.

    A pool that may hold a node at all may hold floor(share V / v) >= share V / 2v of them, and
    the class's nodes n v <= V, so that 2 / share pools are enough; without shares one is. The
    cheapest are kept. Under a budget an offer may be dearer and yet be wanted for its lower
    price, so there those stay that fewer others beat in both. Machines that take unlike amounts of
    a commitment are limited in unlike ways; without `of_rates` they count as alike.
    """
    most = 1 if problem.pool_share >= 1 else math.ceil(2 / max(problem.pool_share, 1e-3)) + 1
    way = np.where(problem.is_spot[offers], 1, 0)
    for limit in problem.limits:
        if limit.name != "budget.usd_per_hour" and not is_commitment(limit):
            _, code = np.unique(limit.per_node[offers], return_inverse=True)
            way = way * (int(code.max(initial=0)) + 1) + code.reshape(-1)
            _, way = np.unique(way, return_inverse=True)
    way = ways(problem, offers, way, exactly=of_rates)
    cost, price, klass = problem.cost[offers], problem.price[offers], problem.klass[offers]
    order = np.lexsort((offers, price, cost, way, klass))
    group = np.stack([klass[order], way[order]])
    starts = np.flatnonzero(np.r_[True, (group[:, 1:] != group[:, :-1]).any(axis=0)])
    ends = np.r_[starts[1:], len(order)]
    place = np.arange(len(order)) - np.repeat(starts, ends - starts)
    if any(limit.name == "budget.usd_per_hour" for limit in problem.limits):
        for a, b in zip(starts, ends, strict=True):
            inside = price[order[a:b]]
            place[a:b] = np.tril(inside[None] <= inside[:, None], -1).sum(axis=1)
    return np.sort(offers[order[place < most]])


def _columns(
    problem: Problem, class_price: Floats, worth: Floats, room: float
) -> tuple[Ints, Ints] | None:
    """Every mix of workers on every class, without those that can take more or lose too much.

    Workers may be worth nothing, where machines that a base asks for have room for them.
    """
    counts = [np.arange(int(n) + 1) for n in problem.count]
    mixes = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, len(counts))
    value, size = mixes @ worth, mixes @ problem.needs
    classes, patterns, total = [], [], 0
    fits = problem.fits()
    for klass in np.unique(problem.klass).tolist():
        barred = ~fits[klass]
        rows = np.flatnonzero(value >= class_price[klass] - room)
        inside = (size[rows] <= problem.capacity[klass]).all(axis=1)
        inside &= ~(mixes[rows][:, barred] > 0).any(axis=1)
        rows = rows[inside]
        left = problem.capacity[klass] - size[rows]
        more = (problem.needs[None] <= left[:, None]).all(axis=2) & ~barred
        rows = rows[~(more & (mixes[rows] < problem.count)).any(axis=1) & mixes[rows].any(axis=1)]
        total += len(rows)
        if total > MOST_COLUMNS:
            return None
        classes.append(np.full(len(rows), klass))
        patterns.append(mixes[rows])
    return np.concatenate(classes), np.concatenate(patterns)
