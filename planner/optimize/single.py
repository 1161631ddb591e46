"""Workers of one shape and no limit: which machines to buy is a knapsack, solved to the end.

With machines that hold h workers for c dollars, the cheapest fleet for n workers is

    f(n) = min over machines of c + f(max(0, n - h)),      f(0) = 0.

Let s workers be on the machine that is cheapest a worker. Of any s other machines some hold a
multiple of s workers together, and as many of the best one cost no more. So a cheapest fleet has
fewer than s others, which hold less than s x the largest, and all the rest is the best machine:
f is only worked out for what is left.
"""

from __future__ import annotations

import numpy as np

from costplan.planner.optimize.problem import Ints, Problem
from costplan.planner.optimize.rounding import Fleet


def is_single(problem: Problem) -> bool:
    """True of a problem that `solve_single` is for."""
    return len(problem.count) == 1 and not problem.limits and problem.pool_share >= 1


def solve_single(problem: Problem) -> Fleet | None:
    """The cheapest fleet, whose cost is its own bound; None where no machine holds a worker."""
    count = int(problem.count[0])
    holds = _holds(problem)
    best: tuple[float, dict[int, int]] | None = None
    for site in np.unique(problem.site).tolist():
        bought = _cover(problem, holds, np.flatnonzero(problem.site == site), count)
        if bought is not None:
            cost = sum(float(problem.cost[o]) * n for o, n in bought.items())
            if best is None or cost < best[0]:
                best = cost, bought
    return None if best is None else _fleet(problem, holds, best[1])


def _holds(problem: Problem) -> Ints:
    """How many workers a node of each class [K] holds, no more than are wanted."""
    need = np.maximum(problem.needs[0], 1)
    wanted = problem.needs[0] > 0
    fit = np.where(wanted[None], problem.capacity // need, problem.count[0]).min(axis=1)
    holds: Ints = np.where(problem.admits[:, 0], np.minimum(fit, problem.count[0]), 0)
    return holds


def _cover(problem: Problem, holds: Ints, offers: Ints, count: int) -> dict[int, int] | None:
    """Nodes by offer of the cheapest fleet from these offers."""
    machines = _worth_looking_at(problem, holds, offers)
    if not machines:
        return None
    best = min(machines, key=lambda m: (m[1] / m[0], -m[0]))
    others = (best[0] - 1) * max(size for size, _, _ in machines)
    many = max(0, count - others) // best[0]
    left = count - many * best[0]
    least, chosen = [0.0] * (left + 1), [machines[0]] * (left + 1)
    for wanted in range(1, left + 1):
        cheapest = np.inf
        for machine in machines:
            cost = machine[1] + least[max(0, wanted - machine[0])]
            if cost < cheapest:
                cheapest, chosen[wanted] = cost, machine
        least[wanted] = cheapest
    bought = {best[2]: many} if many else {}
    while left > 0:
        size, _, offer = chosen[left]
        bought[offer] = bought.get(offer, 0) + 1
        left -= size
    return bought


def _worth_looking_at(problem: Problem, holds: Ints, offers: Ints) -> list[tuple[int, float, int]]:
    """(workers, dollars, offer) of the machines that no other one is at least as large as and as
    cheap, the largest first."""
    cheapest: dict[int, tuple[float, int]] = {}
    for offer in offers.tolist():
        size, cost = int(holds[problem.klass[offer]]), float(problem.cost[offer])
        if size and (size not in cheapest or cost < cheapest[size][0]):
            cheapest[size] = cost, offer
    found: list[tuple[int, float, int]] = []
    for size in sorted(cheapest, reverse=True):
        cost, offer = cheapest[size]
        if not found or cost < found[-1][1]:
            found.append((size, cost, offer))
    return found


def _fleet(problem: Problem, holds: Ints, bought: dict[int, int]) -> Fleet:
    """The fleet with every machine full; the smallest come first, and lose what is too much."""
    order = sorted(bought, key=lambda o: (int(holds[problem.klass[o]]), o))
    nodes = np.zeros(problem.offers, dtype=np.int64)
    nodes[order] = [bought[o] for o in order]
    classes = problem.klass[order]
    return Fleet(
        bought=nodes,
        classes=classes,
        patterns=holds[classes][:, None],
        configured=nodes[order],
        cost=float(problem.cost @ nodes),
        close=True,
    )
