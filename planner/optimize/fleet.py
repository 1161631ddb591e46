"""From counts by offer and by pattern to pools of machines with their workers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.problem import Ints, Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.types import Packing, PoolPlan
from costplan.planner.units import usd_from_pico

Load = tuple[int, ...]


def pools(problem: Problem, fleet: Fleet, catalogue: Catalogue) -> tuple[PoolPlan, ...]:
    """The machines to buy, pool by pool in the order of their keys, every worker placed once.

    Patterns cover at least the demand; surplus places stay empty. A node that ends up with no
    worker stays only where a limit needs it (an on-demand base, a share).
    """
    loads = _loads(problem, fleet)
    bought = fleet.bought.copy()
    plans = []
    for offer in sorted(np.flatnonzero(bought), key=lambda o: catalogue.key(int(problem.row[o]))):
        mine: dict[Load, int] = {}
        waiting = loads[int(problem.klass[offer])]
        room = int(bought[offer])
        while room and waiting:
            load, nodes = waiting.pop()
            taken = min(room, nodes)
            mine[load] = mine.get(load, 0) + taken
            room -= taken
            if nodes > taken:
                waiting.append((load, nodes - taken))
        if room:
            empty = tuple(0 for _ in problem.count)
            mine[empty] = mine.get(empty, 0) + room
        plans.append((int(offer), mine))
    _drop_empty(problem, plans)
    return tuple(_plan(problem, catalogue, offer, mine) for offer, mine in plans if mine)


def _loads(problem: Problem, fleet: Fleet) -> dict[int, list[tuple[Load, int]]]:
    """For each class its configured nodes, (workers, nodes), less the places beyond demand."""
    entries: list[tuple[int, Load, int]] = []
    spare = fleet.configured @ fleet.patterns - problem.count
    for column in np.flatnonzero(fleet.configured):
        klass, nodes = int(fleet.classes[column]), int(fleet.configured[column])
        for load, count in _without(fleet.patterns[column], nodes, spare):
            entries.append((klass, load, count))
    entries.sort()
    loads: dict[int, list[tuple[Load, int]]] = {int(k): [] for k in np.unique(problem.klass)}
    for klass, load, count in entries:
        loads[klass].append((load, count))
    return loads


def _without(pattern: Ints, nodes: int, spare: Ints) -> list[tuple[Load, int]]:
    """Nodes of a pattern less what of `spare` they hold; takes that off `spare`."""
    parts = [(pattern.copy(), nodes)]
    for s in np.flatnonzero((pattern > 0) & (spare > 0)):
        drop = min(int(spare[s]), int(pattern[s]) * nodes)
        spare[s] -= drop
        done: list[tuple[Ints, int]] = []
        for load, count in parts:
            each = int(load[s])
            whole = min(count, drop // each) if each else 0
            rest = min(drop - whole * each, each) if whole < count else 0
            drop -= whole * each + rest
            for taken, share in ((each, whole), (rest, 1 if rest else 0)):
                if share:
                    smaller = load.copy()
                    smaller[s] -= taken
                    done.append((smaller, share))
            left = count - whole - (1 if rest else 0)
            if left:
                done.append((load, left))
        parts = done
    return [(tuple(int(w) for w in load), count) for load, count in parts]


def _drop_empty(problem: Problem, plans: list[tuple[int, dict[Load, int]]]) -> None:
    """Takes out nodes without workers that no limit needs, the dearest first."""
    bought = np.zeros(problem.offers, dtype=np.int64)
    for offer, mine in plans:
        bought[offer] = sum(mine.values())
    for offer, mine in sorted(plans, key=lambda p: (-problem.cost[p[0]], p[0])):
        for load in [load for load in mine if not any(load)]:
            while mine.get(load):
                bought[offer] -= 1
                if not _allowed(problem, bought):
                    bought[offer] += 1
                    break
                mine[load] -= 1
                if not mine[load]:
                    del mine[load]


def _allowed(problem: Problem, bought: Ints) -> bool:
    limits = problem.limits
    if problem.twins is not None:
        # With a node less there is no more of what nodes only take.
        limits = tuple(lim for lim in limits if (lim.per_node < 0).any())
    if any(lim.per_node @ bought > lim.most + 1e-9 for lim in limits):
        return False
    largest = (bought * problem.vcpu * problem.is_spot).max(initial=0.0)
    return bool(largest <= problem.pool_share * float(problem.vcpu @ bought) + 1e-9)


def _plan(problem: Problem, catalogue: Catalogue, offer: int, mine: Mapping[Load, int]) -> PoolPlan:
    row = int(problem.row[offer])
    packings = tuple(
        Packing(
            nodes=nodes,
            workers=MappingProxyType(
                {
                    name: workers
                    for name, workers in zip(problem.shape_names, load, strict=True)
                    if workers
                }
            ),
        )
        for load, nodes in sorted(mine.items(), reverse=True)
    )
    return PoolPlan(
        key=catalogue.key(row),
        nodes=sum(mine.values()),
        usd_per_hour_each=usd_from_pico(int(catalogue.price_pico[row])),
        packings=packings,
    )
