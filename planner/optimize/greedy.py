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
and its answer counts only if it keeps every limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem
from costplan.planner.optimize.rounding import Fleet

MOST_SITES = 4
PASSES = 3
GUESSES = (1.0, 1.5, 2.0, 4.0)
CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """`nodes` nodes of class `klass` that run `pattern` [S] each."""

    klass: int
    pattern: Ints
    nodes: int


_Packing = list[_Node]
_Packer = Callable[[Problem, "_Stock"], _Packing | None]


def greedy(problem: Problem) -> Fleet | None:
    """The cheaper of both packings that keeps all limits, None where neither finds one."""
    return _best_site(problem, (_by_worth, _by_first_fit))


def first_fit(problem: Problem) -> Fleet | None:
    """First-fit-decreasing with the cheapest-type rule, None where it finds no fleet."""
    return _best_site(problem, (_by_first_fit,))


def by_worth(problem: Problem) -> Fleet | None:
    """The packing by worth alone, None where it finds no fleet."""
    return _best_site(problem, (_by_worth,))


def without_caps(problem: Problem) -> Problem:
    """The problem with machines, places and prices as they are, and no limit on the fleet."""
    return replace(problem, limits=(), pool_share=1.0)


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
    """The cheapest fleet of one site; see the module's words on allowances and passes."""
    least = float(problem.needs[:, 0] @ problem.count) / 1000
    rests_on_vcpu = problem.pool_share < 1 or any(
        limit.share is not None or limit.most < 0 for limit in problem.limits
    )
    fleets: list[Fleet] = []
    for packer in packers:
        for guess in GUESSES if rests_on_vcpu else GUESSES[:1]:
            vcpu, first = guess * least, len(fleets)
            for _ in range(PASSES if rests_on_vcpu else 1):
                fleet = _attempt(problem, packer, vcpu)
                if fleet is None:
                    break
                if _keeps(problem, fleet.bought):
                    fleets.append(fleet)
                vcpu = float(problem.vcpu @ fleet.bought)
            if len(fleets) > first:
                break
    return min(fleets, key=lambda fleet: fleet.cost, default=None)


def _attempt(problem: Problem, packer: _Packer, vcpu: float) -> Fleet | None:
    """A packer's fleet with allowances for `vcpu`, with nodes off spot bought up to the base."""
    stock = _Stock(problem, vcpu)
    packing = packer(problem, stock)
    if packing is None or not stock.buy_base():
        return None
    again = _Stock(problem, vcpu)
    cheaper = _settle([(node.pattern, node.nodes) for node in packing], problem, again)
    if cheaper is not None and again.buy_base() and again.cost < stock.cost:
        packing, stock = cheaper, again
    return _fleet(packing, stock)


def _fleet(packing: _Packing, stock: _Stock) -> Fleet:
    nodes: dict[tuple[int, tuple[int, ...]], int] = {}
    for node in packing:
        name = (node.klass, tuple(node.pattern.tolist()))
        nodes[name] = nodes.get(name, 0) + node.nodes
    return Fleet(
        bought=stock.bought,
        classes=np.array([klass for klass, _ in nodes], dtype=np.int64),
        patterns=np.array([pattern for _, pattern in nodes], dtype=np.int64),
        configured=np.array(list(nodes.values()), dtype=np.int64),
        cost=stock.cost,
    )


def _keeps(problem: Problem, bought: Ints) -> bool:
    """True where no limit and no pool's share is passed."""
    room = problem.pool_share * float(problem.vcpu @ bought)
    pools = problem.is_spot & (bought > np.floor(room / problem.vcpu + CLOSE))
    within = all(float(lim.per_node @ bought) <= lim.most + CLOSE for lim in problem.limits)
    return within and (problem.pool_share >= 1 or not bool(pools.any()))


class _Stock:
    """What may still be bought of each offer for a fleet of `vcpu`, and what has been.

    `price` [K] is the cheapest node of each class that may still be bought, else infinite.
    """

    def __init__(self, problem: Problem, vcpu: float) -> None:
        self.problem = problem
        self.bought = np.zeros(problem.offers, dtype=np.int64)
        self._order = np.lexsort((problem.cost, problem.klass))
        klass = problem.klass[self._order]
        self._starts = np.flatnonzero(np.r_[True, klass[1:] != klass[:-1]])
        self._classes = klass[self._starts]
        allowances = [vcpu]
        rows, left = [], []
        self._base = 0.0
        for limit in problem.limits:
            if limit.share is not None:
                allowances.append(limit.share * vcpu)
            elif limit.most < 0:
                self._base = max(self._base, -limit.most)
                allowances.append(vcpu + limit.most)
            else:
                rows.append(limit.per_node)
                left.append(limit.most)
        if min(allowances) < vcpu:
            rows.append(np.where(problem.is_spot, problem.vcpu, 0.0))
            left.append(max(min(allowances), 0.0))
        self._rows, self._left = rows, left
        self._most = np.full(problem.offers, np.iinfo(np.int64).max // 2, dtype=np.int64)
        if problem.pool_share < 1:
            pool = np.floor(problem.pool_share * vcpu / problem.vcpu + CLOSE).astype(np.int64)
            self._most = np.where(problem.is_spot, pool, self._most)
        self._refresh()

    @property
    def cost(self) -> float:
        """Expected dollars per hour of what has been bought."""
        return float(self.problem.cost @ self.bought)

    def buy(self, klass: int, nodes: int) -> int:
        """Buys up to `nodes` of the class's cheapest offer; says how many."""
        place = int(np.searchsorted(self._classes, klass))
        end = self._starts[place + 1] if place + 1 < len(self._starts) else len(self._order)
        mine = self._order[self._starts[place] : end]
        offer = int(mine[np.argmax(self._room[mine] > 0)])
        return self._take(offer, min(nodes, int(self._room[offer])))

    def buy_base(self) -> bool:
        """Buys nodes off the spot market until there is the base of vCPU; says if it could."""
        problem = self.problem
        while True:
            firm = float(np.where(problem.is_spot, 0.0, problem.vcpu) @ self.bought)
            if firm >= self._base - CLOSE:
                return True
            nodes = np.ceil((self._base - firm) / problem.vcpu - CLOSE)
            most = np.minimum(nodes, self._room)
            usable = ~problem.is_spot & (most > 0)
            if not usable.any():
                return False
            gained = np.minimum(most * problem.vcpu, self._base - firm)
            rate = np.where(usable, problem.cost * most / np.where(usable, gained, 1.0), np.inf)
            offer = int(np.argmin(rate))
            self._take(offer, int(most[offer]))

    def _take(self, offer: int, nodes: int) -> int:
        self.bought[offer] += nodes
        self._left = [
            left - nodes * float(row[offer])
            for row, left in zip(self._rows, self._left, strict=True)
        ]
        self._refresh()
        return nodes

    def _refresh(self) -> None:
        room = (self._most - self.bought).astype(np.float64)
        for row, left in zip(self._rows, self._left, strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                here = np.where(row > 0, np.floor(left / row + CLOSE), np.inf)
            room = np.minimum(room, here)
        self._room = np.maximum(room, 0).astype(np.int64)
        self.price = np.full(len(self.problem.capacity), np.inf)
        if len(self._order):
            open_cost = np.where(self._room > 0, self.problem.cost, np.inf)[self._order]
            self.price[self._classes] = np.minimum.reduceat(open_cost, self._starts)


def _by_worth(problem: Problem, stock: _Stock) -> _Packing | None:
    """Nodes bought one filling at a time, each time the one with most worth for its price."""
    worth, orders = _worth(problem, stock.price), _orders(problem)
    left = problem.count.copy()
    packing: _Packing = []
    while left.any():
        klasses = np.flatnonzero(np.isfinite(stock.price))
        if not len(klasses):
            return None
        fillings = [_fill(problem, klasses, left, order) for order in orders]
        rates = np.stack([filling @ worth for filling in fillings])
        which = rates.argmax(axis=0)
        most = rates.max(axis=0)
        if not most.any():
            return None
        place = int(np.argmin(stock.price[klasses] / np.maximum(most, 1e-300)))
        pattern = fillings[which[place]][place]
        used = pattern > 0
        nodes = stock.buy(int(klasses[place]), int((left[used] // pattern[used]).min()))
        packing.append(_Node(klass=int(klasses[place]), pattern=pattern, nodes=nodes))
        left = left - nodes * pattern
    return packing


def _worth(problem: Problem, price: Floats) -> Floats:
    """What a worker of each shape costs where it costs least, on machines of its own [S]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = price[:, None] / _most_alone(problem)
    least = np.where(np.isfinite(each), each, np.inf).min(axis=0)
    return np.where(np.isfinite(least), least, 1.0)


def _orders(problem: Problem) -> list[NDArray[np.intp]]:
    """Orders to fill a node in, all with GPU workers first: by size, by memory for CPU, and
    the other way round, since some machines are rich in memory and others in CPU."""
    vcpu, memory, gpus = (problem.needs[:, axis] for axis in range(3))
    lean = memory / np.maximum(vcpu, 1)
    return [
        np.lexsort((-memory, -vcpu, -gpus)),
        np.lexsort((-vcpu, -lean, -gpus)),
        np.lexsort((-vcpu, lean, -gpus)),
    ]


def _fill(problem: Problem, klasses: Ints, left: Ints, order: NDArray[np.intp]) -> Ints:
    """Workers on one node of each class [C, S]: shape by shape, as many as fit and are left."""
    room = problem.capacity[klasses]
    filling = np.zeros((len(klasses), len(left)), dtype=np.int64)
    for shape in order.tolist():
        if left[shape]:
            need = problem.needs[shape]
            most = np.minimum(_most(room, need), left[shape])
            filling[:, shape] = np.where(problem.admits[klasses, shape], most, 0)
            room -= filling[:, shape, None] * need
    return filling


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Equal nodes that are still open; `able` [K] are the classes that admit all on them."""

    nodes: int
    pattern: Ints
    load: Ints
    able: Bools


def _by_first_fit(problem: Problem, stock: _Stock) -> _Packing | None:
    """First fit by CPU, then memory, largest first; each node as the cheapest type that holds
    it. Groups keep the order in which their nodes were opened."""
    classes = np.isfinite(stock.price)
    groups: list[_Group] = []
    for shape in np.lexsort((-problem.needs[:, 1], -problem.needs[:, 0])).tolist():
        left = int(problem.count[shape])
        placed: list[_Group] = []
        for group in groups:
            more, left = _add(problem, group, shape, left)
            placed += more
        if left:
            empty = _Group(
                nodes=left,
                pattern=np.zeros(len(problem.count), dtype=np.int64),
                load=np.zeros(3, dtype=np.int64),
                able=classes,
            )
            more, left = _add(problem, empty, shape, left)
            placed += [group for group in more if group.pattern.any()]
        if left:
            return None
        groups = placed
    return _settle([(group.pattern, group.nodes) for group in groups], problem, stock)


def _add(problem: Problem, group: _Group, shape: int, left: int) -> tuple[list[_Group], int]:
    """A group with as many of `left` workers of a shape as fit, node by node, and those left."""
    need = problem.needs[shape]
    able = group.able & problem.admits[:, shape] & (problem.capacity >= group.load).all(axis=1)
    room = problem.capacity[able] - group.load
    each = int(_most(room, need).max(initial=0))
    if not each or not left:
        return [group], left
    parts, rest = [], group.nodes
    for workers in (each, left % each):
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


def _settle(wanted: list[tuple[Ints, int]], problem: Problem, stock: _Stock) -> _Packing | None:
    """Each pattern's nodes as the cheapest types that hold them and may still be bought."""
    packing: _Packing = []
    for pattern, nodes in wanted:
        load = pattern @ problem.needs
        holds = (problem.capacity >= load).all(axis=1) & problem.admits[:, pattern > 0].all(axis=1)
        left = nodes
        while left:
            price = np.where(holds, stock.price, np.inf)
            klass = int(np.argmin(price))
            if not np.isfinite(price[klass]):
                return None
            bought = stock.buy(klass, left)
            packing.append(_Node(klass=klass, pattern=pattern, nodes=bought))
            left -= bought
    return packing
