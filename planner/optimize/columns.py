"""Column generation: the linear relaxation over every pattern and every offer of a price list.

Rounds of solve (master), price (knapsack) and add. Besides the best pattern of each class, a
round adds for each shape the best patterns that hold it at least once; that halves the number
of rounds. The first prices come from a *fluid* relaxation, in which nodes are divisible: it is
the same master with one pattern a class, its whole capacity, and takes a few milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from costplan.planner.optimize.bound import lower_bound, reduced_costs
from costplan.planner.optimize.knapsack import Knapsack, Priced
from costplan.planner.optimize.master import Duals, Master
from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem
from costplan.planner.optimize.twins import scale_of, unseen
from costplan.planner.units import GIB

MOST_ROUNDS = 200
TOLERANCE = 3e-5
OFFERS_A_ROUND = 60
PENALTY = 50.0
NEAR = 0.002
MOST_OPEN = 32
NEAREST = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxation:
    """The relaxation's answer. `classes` [P] and `patterns` [P, S] are all columns that were
    generated, `configured` [P] their nodes, `offers` [B] and `nodes` [B] what they are bought as.

    `class_price` [K] is the cheapest node of a class net of the limits' multipliers: with it,
    placing workers is a covering problem of its own, and `duals.pi` its prices. `unplaced` is
    how much of the demand and of the limits no fleet can meet; `bound` certifies `value`.
    """

    value: float
    bound: float
    duals: Duals
    class_price: Floats
    classes: Ints
    patterns: Ints
    configured: Floats
    offers: Ints
    nodes: Floats
    unplaced: Floats

    @property
    def feasible(self) -> bool:
        """True where every worker has a place within the limits, nodes taken as divisible."""
        return bool(self.unplaced.max(initial=0.0) <= 1e-6)


def relax(
    problem: Problem,
    knapsack: Knapsack,
    seed: Relaxation | None = None,
    *,
    cutoff: float = np.inf,
    penalty: float = PENALTY,
    tolerance: float = TOLERANCE,
) -> Relaxation:
    """The relaxation of a problem; `seed` is that of another one with the same classes.

    Stops within `tolerance` of the bound, or once that passes `cutoff`: then there is nothing to
    gain here. A `penalty` that is not many times what the limits drive the cost to leaves workers
    unplaced that have a place.
    """
    if seed is None:
        duals, first = _fluid_start(problem)
    else:
        duals, first = without_pools(seed.duals), np.zeros(0, dtype=np.int64)
    master = Master(problem, _penalty(problem, penalty))
    master.add_offers(first)
    if seed is not None:
        present = np.zeros(len(problem.capacity), dtype=bool)
        present[problem.klass] = True
        known = present[seed.classes] & (seed.configured > 1e-9)
        master.add_patterns(seed.classes[known], seed.patterns[known])
    bound, point, opening, most, nothing = 0.0, None, 0.7, MOST_OPEN, unseen(problem)
    for _ in range(MOST_ROUNDS):
        reduced = reduced_costs(problem, duals)
        class_price = cheapest(problem, reduced.cost)
        upper = knapsack.bound(duals.pi)
        priced = knapsack.price(duals.pi, upper, _open(upper, opening * class_price, most))
        bound = max(bound, lower_bound(problem, reduced, priced.upper))
        if point is not None and point.objective <= bound * (1 + tolerance) + nothing:
            break
        if bound >= cutoff:
            break
        grown = _grow(master, priced, reduced.cost, class_price, first=point is None)
        if not grown and point is not None:
            if most == len(problem.capacity):
                break
            # Nothing to gain on the promising classes: look at all of them before giving up.
            most = len(problem.capacity)
            continue
        point = master.solve()
        duals, opening, most = point.duals, 1.0 - 1e-9, MOST_OPEN
    if point is None:
        point = master.solve()
    class_price = cheapest(problem, reduced_costs(problem, point.duals).cost)
    classes = np.array(master.pattern_classes, dtype=np.int64)
    patterns = np.array(master.patterns, dtype=np.int64).reshape(-1, len(problem.count))
    if bound < cutoff:
        slack = NEAR * point.objective
        more, besides = _near(knapsack, point.duals, class_price, slack)
        classes, patterns = np.concatenate([classes, more]), np.concatenate([patterns, besides])
    return Relaxation(
        value=point.objective,
        bound=bound,
        duals=point.duals,
        class_price=class_price,
        classes=classes,
        patterns=patterns,
        configured=np.pad(point.configured, (0, len(classes) - len(point.configured))),
        offers=np.array(master.offers, dtype=np.int64),
        nodes=point.nodes,
        unplaced=point.missing,
    )


def _penalty(problem: Problem, times: float) -> Floats:
    """What leaving a worker of each shape unplaced costs [S]: so many times a node of its own."""
    least = cheapest(problem, scale_of(problem))
    alone = np.where(problem.fits(), least[:, None], np.inf).min(axis=0)
    penalty: Floats = times * np.where(np.isfinite(alone), alone, least[np.isfinite(least)].max())
    return penalty


def without_pools(duals: Duals) -> Duals:
    """The same multipliers for other offers, whose pools have no rent yet."""
    return replace(duals, sigma=np.zeros(0), pool_offers=np.zeros(0, dtype=np.int64))


def _open(upper: Floats, price: Floats, most: int) -> Bools:
    """The classes that may earn more than their price, of many only the `most` promising.

    The others keep the weaker bound of duality until a round looks at all of them.
    """
    ratio = np.where(upper > price, upper / np.maximum(price, 1e-12), 0.0)
    open_: Bools = ratio > 0
    if np.count_nonzero(open_) > most:
        open_ &= ratio >= np.partition(ratio, -most)[-most]
    return open_


def _near(knapsack: Knapsack, duals: Duals, class_price: Floats, slack: float) -> tuple[Ints, Ints]:
    """Patterns that lose at most `slack`: whole nodes need more of a choice than shares do."""
    upper = knapsack.bound(duals.pi)
    priced = knapsack.price(duals.pi, upper, upper >= class_price - slack)
    return priced.near(class_price, slack=slack, most=NEAREST)


def cheapest(problem: Problem, cost: Floats) -> Floats:
    """The least `cost` [O] among the offers of each class [K], infinite where it has none."""
    least = np.full(len(problem.capacity), np.inf)
    np.minimum.at(least, problem.klass, cost)
    return least


def _grow(master: Master, priced: Priced, cost: Floats, class_price: Floats, *, first: bool) -> int:
    """Adds the columns that price out, of offers and of patterns; says how many."""
    problem = master.problem
    classes, patterns = priced.patterns(class_price, per_shape=2)
    earned = patterns @ priced.worth
    best = np.zeros(len(problem.capacity))
    np.maximum.at(best, classes, earned)
    gain = (best[problem.klass] - cost) / scale_of(problem)
    tempting = np.flatnonzero(gain > (-0.3 if first else 1e-9))
    tempting = tempting[np.argsort(-gain[tempting], kind="stable")]
    group = _likes(problem)[tempting]
    _, leaders = np.unique(group, return_index=True)
    leaders.sort()
    chosen = np.concatenate([tempting[leaders][:OFFERS_A_ROUND], tempting[:OFFERS_A_ROUND]])
    added = master.add_offers(np.unique(chosen))
    bought = np.zeros(len(problem.capacity), dtype=bool)
    bought[problem.klass[master.offers]] = True
    useful: Bools = bought[classes]
    if not first:
        useful &= earned > class_price[classes] * (1 + 1e-9)
    return added + master.add_patterns(classes[useful], patterns[useful])


def _likes(problem: Problem) -> Ints:
    """For each offer [O] its class and how it is paid."""
    group: Ints = problem.klass * 2 + problem.is_spot
    return group if problem.twins is None else group * 2 + problem.twins.is_twin


def _fluid_start(problem: Problem) -> tuple[Duals, Ints]:
    """Multipliers and offers of the fluid relaxation, to begin with.

    Its rows are the whole demand for vCPU, for GiB, and for the GPUs of each set of classes;
    its one pattern a class is all that the class has.
    """
    gpu_shapes = np.flatnonzero(problem.needs[:, 2])
    sets, set_of = np.unique(problem.admits[:, gpu_shapes].T, axis=0, return_inverse=True)
    set_of = set_of.reshape(-1)
    sizes = [problem.capacity[:, 0] / 1000, problem.capacity[:, 1] / GIB]
    needs = [problem.needs[:, 0] / 1000, problem.needs[:, 1] / GIB]
    for number, members in enumerate(sets):
        sizes.append(np.where(members, problem.capacity[:, 2], 0).astype(float))
        need = np.zeros(len(problem.count))
        mine = gpu_shapes[set_of == number]
        need[mine] = problem.needs[mine, 2]
        needs.append(need)
    size, need_by_row = np.stack(sizes, axis=1), np.stack(needs)
    # The same program, but counted in fractions: types say whole numbers everywhere else.
    whole = cast(Ints, size)
    fluid = replace(problem, count=cast(Ints, need_by_row @ problem.count), capacity=whole)
    least = cheapest(problem, scale_of(problem))
    with np.errstate(divide="ignore"):
        guess = (least[:, None] / size).min(axis=0)
    master = Master(fluid, PENALTY * np.where(np.isfinite(guess), guess, 1.0))
    classes = np.flatnonzero(np.isfinite(least))
    duals = Duals(
        pi=0.5 * np.where(np.isfinite(guess), guess, 0.0),
        lam=np.zeros(len(problem.limits)),
        sigma=np.zeros(0),
        pool_offers=np.zeros(0, dtype=np.int64),
    )
    for round_number in range(MOST_ROUNDS):
        cost = reduced_costs(fluid, duals).cost
        gain = ((size @ duals.pi)[problem.klass] - cost) / scale_of(problem)
        tempting = np.flatnonzero(gain > (1e-6 if round_number else -0.7))
        tempting = tempting[np.argsort(-gain[tempting], kind="stable")]
        group = _likes(problem)[tempting]
        _, leaders = np.unique(group, return_index=True)
        leaders.sort()
        chosen = np.concatenate([tempting[leaders][:OFFERS_A_ROUND], tempting[:OFFERS_A_ROUND]])
        fresh = master.add_offers(np.unique(chosen))
        mine = classes[np.isin(classes, problem.klass[master.offers])]
        fresh += master.add_patterns(mine, whole[mine])
        if not fresh and round_number:
            break
        duals = master.solve().duals
    return replace(duals, pi=duals.pi @ need_by_row), np.array(master.offers, dtype=np.int64)
