"""A fleet without a solver: two greedy packings, the cheaper of which is kept.

*By worth*: fill a node of each class with what is left to place, buy the one with the least
dollars for what its workers are worth, as often as the same filling repeats. A worker is worth
what it costs on machines of its own.

*First fit*: workers by CPU and then memory, largest first; each goes to the first open node that
some machine type could still hold with it, and each node ends as the cheapest type that holds it.
This is how Karpenter packs, so the answer is never dearer than that.

Workers are counted, not listed: equal nodes are one group, so 10,000 workers cost no more than
100. Shares of the fleet's vCPU are kept by an allowance: a fleet has at least the vCPU that was
asked for, so a share of that is safe; the next pass allows a share of what the last fleet had,
and its answer counts only if it keeps every limit. Where spot is short it goes to the nodes on
which it saves most by vCPU, and a rent on it, bisected, makes the packing use less of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.stock import Stock, keeps
from costplan.planner.optimize.twins import plain, ways

MOST_SITES = 3
PASSES = 6
RENTS = 4
GUESSES = (1.0, 1.5, 2.0, 4.0)
SPARE = 3
LOOKS = 48


_Pack = Callable[["Stock"], bool]
"""Buys nodes for all workers from a stock; False where the stock does not do."""
_Packer = Callable[[Problem, "Stock"], _Pack]
"""A way of packing made ready for a problem, whose untouched stock is the second argument."""


def greedy(problem: Problem) -> Fleet | None:
    """The cheaper of both packings that keeps all limits, None where neither finds one."""
    return _best_site(problem, (_by_worth, _by_first_fit))


def first_fit(problem: Problem) -> Fleet | None:
    """First-fit-decreasing with the cheapest-type rule, None where it finds no fleet."""
    return _best_site(problem, (_by_first_fit,))


def by_worth(problem: Problem) -> Fleet | None:
    """The packing by worth alone, None where it finds no fleet."""
    return _best_site(problem, (_by_worth,))


def _best_site(problem: Problem, packers: tuple[_Packer, ...]) -> Fleet | None:
    """The cheapest fleet over the most promising sites, each of which is one problem."""
    best: Fleet | None = None
    found = 0
    for site in _promising(problem):
        offers = np.flatnonzero(problem.site == site)
        fleet = _cheapest_fleet(problem.take(offers), packers)
        if fleet is None:
            continue
        found += 1
        if best is None or fleet.cost < best.cost:
            bought = np.zeros(problem.offers, dtype=np.int64)
            bought[offers] = fleet.bought
            best = replace(fleet, bought=bought)
        if found == MOST_SITES:
            break
    return best


def _promising(problem: Problem) -> Iterator[int]:
    """Sites that have a machine for every shape, by what workers cost there on their own."""
    if not problem.offers:
        return
    alone = _most_alone(problem)
    total = np.zeros(len(problem.sites))
    for shape, count in enumerate(problem.count.tolist()):
        with np.errstate(divide="ignore"):
            each = problem.cost / alone[problem.klass, shape]
        least = np.full(len(problem.sites), np.inf)
        np.minimum.at(least, problem.site, each)
        total += count * least
    order = np.argsort(total, kind="stable")
    yield from order[np.isfinite(total[order])].tolist()


def _most_alone(problem: Problem) -> Ints:
    """How many workers of each shape fit on an otherwise empty node of each class [K, S]."""
    most = np.zeros(problem.admits.shape, dtype=np.int64)
    for shape in range(len(problem.count)):
        most[:, shape] = _most(problem.capacity, problem.needs[shape])
    return np.where(problem.admits, np.minimum(most, problem.count), 0)


def _most(room: Ints, need: Ints) -> Ints:
    """How many times `need` [3] goes into each row of `room` [N, 3]."""
    asked = need > 0
    return np.asarray((room[:, asked] // need[asked]).min(axis=1))


def _cheapest_fleet(problem: Problem, packers: tuple[_Packer, ...]) -> Fleet | None:
    """The cheapest fleet of one site: from its cheapest offers, or from all where those do not
    do; see the module's words on allowances, rents and passes."""
    for part in _shelves(problem):
        offers = problem.take(part)
        fleets = [fleet for packer in packers for fleet in _fleets(offers, packer)]
        if fleets:
            best = min(fleets, key=lambda fleet: fleet.cost)
            bought = np.zeros(problem.offers, dtype=np.int64)
            bought[part] = best.bought
            return replace(best, bought=bought)
    return None


def _shelves(problem: Problem) -> Iterator[NDArray[np.intp]]:
    """The cheapest offers of each class and way of being limited, then all offers."""
    group = 2 * problem.klass + problem.is_spot
    for limit in plain(problem.limits):
        group = 3 * group + np.sign(limit.per_node).astype(np.int64) + 1
    group = ways(problem, np.arange(problem.offers), group, exactly=False)
    order = np.lexsort((problem.cost, group))
    sorted_group = group[order]
    starts = np.flatnonzero(np.r_[True, sorted_group[1:] != sorted_group[:-1]])
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    first = np.sort(order[place < SPARE + np.ceil(1 / problem.pool_share)])
    yield first
    if len(first) < problem.offers:
        yield np.arange(problem.offers)


def _fleets(problem: Problem, packer: _Packer) -> list[Fleet]:
    """Fleets of one packer that keep every limit; none where it finds none."""
    least = float(problem.needs[:, 0] @ problem.count) / 1000
    fleets: list[Fleet] = []
    for guess in GUESSES if _rests_on_vcpu(problem) else GUESSES[:1]:
        vcpu, rent, low, high = guess * least, 0.0, 0.0, 0.0
        pack = packer(problem, Stock(problem, vcpu))
        for _ in range(RENTS):
            wanted = Stock(problem, vcpu, rent, any_spot=True)
            if not pack(wanted):
                break
            patterns = [(node.pattern, node.nodes) for node in wanted.packing]
            found, vcpu, marginal = _at_rent(problem, patterns, vcpu, rent)
            fleets += found
            if marginal > rent:
                low, high = rent, high or 2 * marginal
            else:
                high = rent
            if high == 0:
                break
            rent = (low + high) / 2
        if fleets:
            break
    return fleets


def _rests_on_vcpu(problem: Problem) -> bool:
    """True where what may be bought depends on the vCPU that the fleet turns out to have."""
    shares = any(limit.share is not None or limit.most < 0 for limit in problem.limits)
    return shares or problem.pool_share < 1


def _at_rent(
    problem: Problem, patterns: list[tuple[Ints, int]], vcpu: float, rent: float
) -> tuple[list[Fleet], float, float]:
    """Fleets of these patterns that keep every limit, with allowances for the vCPU of the last
    one each time; that vCPU, and what a vCPU on spot saves at the margin."""
    fleets: list[Fleet] = []
    marginal = 0.0
    for _ in range(PASSES if _rests_on_vcpu(problem) else 1):
        stock = Stock(problem, vcpu, rent)
        saved = _settle(patterns, stock)
        if saved is None or not stock.buy_base():
            break
        if keeps(problem, stock.bought):
            fleets.append(stock.fleet())
        before, vcpu = vcpu, float(problem.vcpu @ stock.bought)
        marginal = max(marginal, saved)
        if vcpu == before:
            break
    return fleets, vcpu, marginal


def _by_worth(problem: Problem, _: Stock) -> _Pack:
    """Nodes bought one filling at a time, each time the one with most worth for its price."""
    orders = _orders(problem)

    def pack(stock: Stock) -> bool:
        worth = _worth(problem, stock.price)
        left = problem.count.copy()
        rate = np.zeros(len(problem.capacity))
        while left.any():
            klass, pattern = _best_filling(problem, stock, worth, left, orders, rate)
            if not np.isfinite(rate[klass]):
                return False
            used = pattern > 0
            nodes = int((left[used] // pattern[used]).min())
            left -= stock.buy(klass, pattern, nodes) * pattern
        return True

    return pack


def _best_filling(
    problem: Problem, stock: Stock, worth: Floats, left: Ints, orders: Ints, rate: Floats
) -> tuple[int, Ints]:
    """The class and filling with the least dollars for its worth.

    `rate` [K] is what each class came to when it was last looked at. Prices only rise and less
    and less is left to place, so it is no more than what it comes to now: a class is looked at
    again only where its old rate is among the least.
    """
    while True:
        order = np.argsort(rate, kind="stable")
        klasses, rest = order[:LOOKS], order[LOOKS:]
        fillings = _fill(problem, klasses, left, orders)
        earned = fillings @ worth
        most = earned.max(axis=0)
        with np.errstate(divide="ignore"):
            rate[klasses] = np.where(most > 0, stock.price[klasses] / most, np.inf)
        place = int(np.argmin(rate[klasses]))
        if not len(rest) or rate[klasses[place]] <= rate[rest[0]]:
            return int(klasses[place]), fillings[earned[:, place].argmax(), place]


def _worth(problem: Problem, price: Floats) -> Floats:
    """What a worker of each shape costs where it costs least, on machines of its own [S]."""
    alone = _most_alone(problem)
    with np.errstate(divide="ignore"):
        each = np.where(alone > 0, price[:, None] / alone, np.inf)
    least = each.min(axis=0, initial=np.inf)
    return np.where(np.isfinite(least), least, 1.0)


def _orders(problem: Problem) -> Ints:
    """Orders [3, S] to fill a node in, all with GPU workers first: by size, by memory for CPU,
    and the other way round, since some machines are rich in memory and others in CPU."""
    vcpu, memory, gpus = (problem.needs[:, axis] for axis in range(3))
    lean = memory / np.maximum(vcpu, 1)
    return np.stack(
        [
            np.lexsort((-memory, -vcpu, -gpus)),
            np.lexsort((-vcpu, -lean, -gpus)),
            np.lexsort((-vcpu, lean, -gpus)),
        ]
    )


def _fill(problem: Problem, klasses: Ints, left: Ints, orders: Ints) -> Ints:
    """Workers on one node of each class in each order [3, C, S]: shape by shape, as many as fit
    and are left. All orders advance together, since a step's cost is the call and not the size.
    """
    orders = orders[left[orders] > 0].reshape(len(orders), -1)
    each, column = np.arange(len(orders))[:, None], np.arange(len(klasses))
    room = np.repeat(problem.capacity[klasses].T[:, None], len(orders), axis=1)
    filling = np.zeros((len(orders), len(klasses), len(left)), dtype=np.int64)
    admits = problem.admits[klasses].T
    for shapes in orders.T:
        need = problem.needs[shapes].T[:, :, None]
        times = left[shapes, None] * admits[shapes]
        for axis in range(3):
            if need[axis].all():
                times = np.minimum(times, room[axis] // need[axis])
            elif need[axis].any():
                most = room[axis] // np.maximum(need[axis], 1)
                times = np.where(need[axis] > 0, np.minimum(times, most), times)
        filling[each, column, shapes[:, None]] = times
        room -= times * need
    return filling


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Equal nodes that are still open; `able` [K] are the classes that admit all on them."""

    nodes: int
    pattern: Ints
    load: Ints
    able: Bools


def _by_first_fit(problem: Problem, first: Stock) -> _Pack:
    """First fit by CPU, then memory, largest first; each node as the cheapest type that holds
    it. Which workers share a node does not depend on what is bought, so it is found once."""
    groups = open_nodes(problem, np.isfinite(first.price))

    def pack(stock: Stock) -> bool:
        return groups is not None and _settle(groups, stock) is not None

    return pack


def open_nodes(problem: Problem, classes: Bools) -> list[tuple[Ints, int]] | None:
    """Patterns with their nodes by first fit, in the order in which nodes were opened."""
    groups: list[_Group] = []
    nothing = np.zeros(len(problem.count), dtype=np.int64)
    for shape in np.lexsort((-problem.needs[:, 1], -problem.needs[:, 0])).tolist():
        left = int(problem.count[shape])
        placed: list[_Group] = []
        empty = _Group(nodes=left, pattern=nothing, load=np.zeros(3, dtype=np.int64), able=classes)
        for group in (*groups, empty):
            more, left = _add(problem, group, shape, left)
            placed += [each for each in more if each.pattern.any()]
        if left:
            return None
        groups = placed
    return [(group.pattern, group.nodes) for group in groups]


def _add(problem: Problem, group: _Group, shape: int, left: int) -> tuple[list[_Group], int]:
    """A group with as many of `left` workers of a shape as fit, node by node, and those left."""
    if not left:
        return [group], left
    need = problem.needs[shape]
    able = group.able & problem.admits[:, shape] & (problem.capacity >= group.load).all(axis=1)
    each = int(_most(problem.capacity[able] - group.load, need).max(initial=0))
    parts, rest = [], group.nodes
    for workers in (each, left % each if each else 0):
        nodes = min(rest, left // workers) if workers else 0
        if nodes:
            pattern = group.pattern.copy()
            pattern[shape] += workers
            load = group.load + workers * need
            parts.append(_Group(nodes=nodes, pattern=pattern, load=load, able=able))
            rest, left = rest - nodes, left - nodes * workers
    if rest:
        parts.append(replace(group, nodes=rest))
    return parts, left


def _settle(wanted: list[tuple[Ints, int]], stock: Stock) -> float | None:
    """Buys each pattern's nodes as the cheapest types that hold them and may still be bought,
    those first that save most by a vCPU on spot; None where some cannot be bought.

    The answer is what a vCPU on spot saves where spot ran out, 0 where it did not.
    """
    problem = stock.problem
    holds = [_holds(problem, pattern) for pattern, _ in wanted]
    saved = _saved(holds, stock)
    marginal = 0.0
    for place in np.argsort(-saved, kind="stable").tolist():
        pattern, left = wanted[place]
        while left:
            price = np.where(holds[place], stock.price, np.inf)
            klass = int(np.argmin(price))
            if not np.isfinite(price[klass]):
                return None
            left -= stock.buy(klass, pattern, left)
        if stock.is_out_of_spot and not marginal:
            marginal = max(float(saved[place]), 0.0)
    return marginal if np.isfinite(marginal) else 0.0


def _holds(problem: Problem, pattern: Ints) -> Bools:
    """Which classes [K] hold a pattern and admit all of its workers."""
    large = np.all(problem.capacity >= pattern @ problem.needs, axis=1)
    return np.asarray(large & problem.admits[:, pattern > 0].all(axis=1))


def _saved(holds: list[Bools], stock: Stock) -> Floats:
    """What each pattern saves by being on spot, by vCPU there; infinite where it must be."""
    spot, firm = stock.least(spot=True), stock.least(spot=False)
    vcpu = np.ones(len(spot))
    vcpu[stock.problem.klass] = stock.problem.vcpu
    saved = np.full(len(holds), -np.inf)
    for place, mine in enumerate(holds):
        best = int(np.argmin(np.where(mine, spot, np.inf)))
        if mine[best] and np.isfinite(spot[best]):
            dearer = np.where(mine, firm, np.inf).min()
            saved[place] = (dearer - spot[best]) / vcpu[best]
    return saved
