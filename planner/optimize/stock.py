"""What may still be bought for a fleet under its limits, and what has been.

A share of the fleet's vCPU is not known before the fleet is, so it is kept by an allowance for a
fleet of a given vCPU: spot may be a share of that, and what is not on spot is off it. Every other
limit is an amount that each node takes some of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costplan.planner.optimize.problem import Floats, Ints, Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.twins import settled

NEARLY = 0.01
CLOSE = 1e-9
UNLIMITED = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`nodes` nodes of class `klass` that run `pattern` [S] each."""

    klass: int
    pattern: Ints
    nodes: int


class Stock:
    """What may still be bought of each offer for a fleet of `vcpu`, and what has been.

    `price` [K] is the cheapest node of each class that may still be bought, with `rent` for each
    vCPU on spot; infinite where there is none. With `any_spot` only the pools limit spot.
    """

    def __init__(
        self, problem: Problem, vcpu: float, rent: float = 0.0, *, any_spot: bool = False
    ) -> None:
        self.problem = problem
        self.packing: list[Node] = []
        self.bought = np.zeros(problem.offers, dtype=np.int64)
        self._net = problem.cost + rent * np.where(problem.is_spot, problem.vcpu, 0.0)
        self._order = np.lexsort((self._net, problem.klass))
        klass = problem.klass[self._order]
        self._starts = np.flatnonzero(np.r_[True, klass[1:] != klass[:-1]])
        self._classes = klass[self._starts]
        self._allow(vcpu, any_spot)
        self._refresh()

    def _allow(self, vcpu: float, any_spot: bool) -> None:
        """Sets what the limits leave: rows of amounts a node, and how much of each is left.

        The first row is what may be bought on spot. A base is an allowance too: what is not
        on spot is off it.
        """
        problem = self.problem
        spot, self._base = vcpu, 0.0
        rows: list[Floats] = [np.where(problem.is_spot, problem.vcpu, 0.0)]
        left: list[float] = []
        for limit in problem.limits:
            if limit.share is not None:
                spot = min(spot, limit.share * vcpu)
            elif limit.most < 0:
                self._base = max(self._base, -limit.most)
                spot = min(spot, vcpu + limit.most)
            else:
                rows.append(limit.per_node)
                left.append(limit.most)
        self._spot = max(spot, 0.0) if spot < vcpu and not any_spot else np.inf
        self._rows, self._left = rows, [self._spot, *left]
        self._most = np.full(problem.offers, UNLIMITED, dtype=np.int64)
        if problem.pool_share < 1:
            pool = np.floor(problem.pool_share * vcpu / problem.vcpu + CLOSE).astype(np.int64)
            self._most = np.where(problem.is_spot, pool, self._most)

    @property
    def cost(self) -> float:
        """Expected dollars per hour of what has been bought."""
        return float(self.problem.cost @ self.bought)

    @property
    def is_out_of_spot(self) -> bool:
        """True where nearly all that may be bought on spot has been."""
        return self._left[0] < NEARLY * self._spot

    def fleet(self) -> Fleet:
        """What has been bought, with equal nodes counted together."""
        bought, cost = settled(self.problem, self.bought)
        nodes: dict[tuple[int, tuple[int, ...]], int] = {}
        for node in self.packing:
            name = (node.klass, tuple(node.pattern.tolist()))
            nodes[name] = nodes.get(name, 0) + node.nodes
        return Fleet(
            bought=bought,
            classes=np.array([klass for klass, _ in nodes], dtype=np.int64),
            patterns=np.array([pattern for _, pattern in nodes], dtype=np.int64),
            configured=np.array(list(nodes.values()), dtype=np.int64),
            cost=cost,
        )

    def least(self, spot: bool) -> Floats:
        """The cheapest node of each class on spot, or off it, that may still be bought [K]."""
        least = np.full(len(self.problem.capacity), np.inf)
        mine = (self.problem.is_spot == spot) & (self._room > 0)
        np.minimum.at(least, self.problem.klass[mine], self.problem.cost[mine])
        return least

    def buy(self, klass: int, pattern: Ints, nodes: int) -> int:
        """Buys up to `nodes` of the class's cheapest offer for a pattern; says how many."""
        place = int(np.searchsorted(self._classes, klass))
        end = self._starts[place + 1] if place + 1 < len(self._starts) else len(self._order)
        mine = self._order[self._starts[place] : end]
        offer = int(mine[np.argmax(self._room[mine] > 0)])
        nodes = min(nodes, int(self._room[offer]))
        self.packing.append(Node(klass=klass, pattern=pattern, nodes=nodes))
        self._take(offer, nodes)
        return nodes

    def buy_base(self) -> bool:
        """Buys nodes off the spot market until there is the base of vCPU; says if it could."""
        problem = self.problem
        off_spot = np.where(problem.is_spot, 0.0, problem.vcpu)
        while (missing := self._base - float(off_spot @ self.bought)) > CLOSE:
            most = np.minimum(np.ceil(missing / problem.vcpu - CLOSE), self._room)
            usable = np.flatnonzero((off_spot > 0) & (most > 0))
            if not len(usable):
                return False
            gained = np.minimum(most[usable] * problem.vcpu[usable], missing)
            best = usable[np.argmin(problem.cost[usable] * most[usable] / gained)]
            self._take(int(best), int(most[best]))
        return True

    def _take(self, offer: int, nodes: int) -> None:
        self.bought[offer] += nodes
        self._left = [
            left - nodes * float(row[offer])
            for row, left in zip(self._rows, self._left, strict=True)
        ]
        self._refresh()

    def _refresh(self) -> None:
        room = (self._most - self.bought).astype(np.float64)
        for row, left in zip(self._rows, self._left, strict=True):
            if left < np.inf:
                paid = row > 0
                room[paid] = np.minimum(room[paid], np.floor(left / row[paid] + CLOSE))
        self._room = np.maximum(room, 0).astype(np.int64)
        self.price = np.full(len(self.problem.capacity), np.inf)
        if len(self._order):
            open_cost = np.where(self._room > 0, self._net, np.inf)[self._order]
            self.price[self._classes] = np.minimum.reduceat(open_cost, self._starts)


def keeps(problem: Problem, bought: Ints) -> bool:
    """True where a fleet of `bought` [O] nodes passes no limit and no pool's share."""
    room = problem.pool_share * float(problem.vcpu @ bought)
    pools = problem.is_spot & (bought > np.floor(room / problem.vcpu + CLOSE))
    within = all(float(lim.per_node @ bought) <= lim.most + CLOSE for lim in problem.limits)
    return within and (problem.pool_share >= 1 or not bool(pools.any()))
