"""The relaxation of a horizon from both sides: the inner program above, the outer one below.

Patterns and scales are shared: what was found at one step is offered to every step. Steps differ
less than their number suggests, so both come from the one-shot relaxations of a few demands that
are unlike each other, with all patterns and offers that are nearly worth it there, or from the
plan of the last tick. The inner program takes the patterns that pay in its steps until none does;
that needs no dynamic program, and gets it close to its optimum.

A round then prices the inner program's multipliers, each that is not like one before it: they
become scales of the outer program, and the dynamic program that prices a scale finds the patterns
that are missing. The outer program is solved and certified until no offer pays for itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.horizon.certificate import Certifier
from costplan.planner.horizon.inner import Inner, Point
from costplan.planner.horizon.model import Horizon, Memory
from costplan.planner.horizon.outer import Outer, Worth
from costplan.planner.optimize.bound import reduced_costs
from costplan.planner.optimize.columns import Relaxation, cheapest, relax
from costplan.planner.optimize.knapsack import Knapsack
from costplan.planner.optimize.problem import Floats, Ints

MOST_ROUNDS = 20
SEEDS = 3
SEED_TOLERANCE = 3e-4
"""How close the one-shot relaxations come to their bounds, which are not used."""
PROMISING = 0.02
"""What an offer may earn too little of its cost at a seed to be looked at, as a share."""
OFFERS_A_SEED = 20
OFFERS_A_ROUND = 40
MOST_PASSES = 3
"""How often known patterns are looked through before the dynamic programs are asked for others."""
MOST_CERTIFIED = 6
CLOSE = 3e-4
"""What of its value the outer program may lose to offers that it does not have, as a share."""
ALIKE = 1e-6
"""One less the cosine of scales that are taken for the same."""
LITTLE = 0.003
"""What a pattern may lose in a step, as a share of its node, to be given to that step."""
NEARBY = 2
"""In how many steps before and after its own a scale is looked at."""
OPEN = 0.8
"""What a node must earn of its cost at a seed's scale, by duality, to be priced exactly there."""
LOOSE = 1e-4
"""What a known scale may say too much of a class, as a share, and still do."""
HELPS = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """The relaxation as it stood at the end; `bound` is the best of its certificates, `scales`
    [A, S] are those that it rests on."""

    inner: Inner
    point: Point
    bound: float
    scales: Floats
    earned: Floats
    near: tuple[Ints, Ints]
    rounds: int


def relax_horizon(horizon: Horizon, memory: Memory | None, gap: float) -> Relaxed:
    """The relaxation to within `gap` or a number of rounds; `memory` is of the last plan."""
    search = Search(horizon, memory)
    rounds = 0
    point = search.settle()
    if memory is None:
        # Seeds know nothing of starts: their scales alone never come within the gap.
        search.grow(point)
        rounds, point = 1, search.settle()
    while True:
        worth, fresh = search.certify()
        if point.cost - search.bound <= gap * search.bound or rounds >= MOST_ROUNDS:
            break
        search.inner.add_offers(fresh)
        if not search.grow(point) + len(fresh):
            break
        rounds += 1
        point = search.settle()
    return Relaxed(
        inner=search.inner,
        point=point,
        bound=search.bound,
        scales=np.array(search.outer.scales)[worth.in_use],
        earned=np.array(search.outer.earned)[worth.in_use],
        near=search.near(point),
        rounds=rounds,
    )


def unlike(demand: Ints, most: int) -> list[int]:
    """Steps whose demands [T, S] are unlike: the largest, then ever the one farthest from those
    that are chosen, as directions."""
    size = demand.sum(axis=1)
    chosen = [int(size.argmax())] if size.any() else []
    unit = demand / np.maximum(np.linalg.norm(demand, axis=1), 1e-9)[:, None]
    while chosen and len(chosen) < most:
        near = (unit @ unit[chosen].T).max(axis=1)
        near[size == 0] = np.inf
        far = int(near.argmin())
        if near[far] > 1 - 1e-6:
            break
        chosen.append(far)
    return chosen


class Search:
    """The state of one relaxation: both programs and what was found."""

    def __init__(self, horizon: Horizon, memory: Memory | None) -> None:
        self.horizon, self.problem = horizon, horizon.problem
        self.knapsack = Knapsack(horizon.problem)
        self.inner, self.outer = Inner(horizon), Outer(horizon)
        self.certifier = Certifier(horizon)
        self.bound = 0.0
        least = horizon.costs().min(axis=0)
        self._least_cost = cheapest(self.problem, least)
        # Where nothing can be had in time, a place is worth what a shortage costs.
        self._add_scale(horizon.shortage_usd, None)
        if horizon.running is not None:
            self.inner.add_patterns(horizon.running.classes, horizon.running.patterns)
        fleet = set(np.flatnonzero(horizon.fleet).tolist())
        if memory is not None:
            self._add_offers(sorted(fleet | self._from_memory(memory)))
            self._use(None)
            self.inner.add_patterns(memory.classes[memory.used :], memory.patterns[memory.used :])
        else:
            seeds = self._seeds()
            chosen = [self._promising(seed) for seed in seeds]
            self._add_offers(sorted(fleet.union(*chosen)))
            self._use(None)
            for seed in seeds:
                self.inner.add_patterns(seed.classes, seed.patterns)

    def settle(self) -> Point:
        """The inner program's optimum, once it has the known patterns that pay in their steps."""
        point = self.inner.solve()
        for _ in range(MOST_PASSES):
            if not self._use(point):
                break
            point = self.inner.solve()
        return point

    def _use(self, point: Point | None) -> int:
        """Gives the inner program the known patterns of classes that it has offers of, in the
        steps where they lose little at the multipliers of `point`; in all where there is none.
        Says how many pay there."""
        bought = np.zeros(len(self.problem.capacity), dtype=bool)
        bought[self.problem.klass[self.inner.fleets.offers]] = True
        classes, patterns = self.inner.known()
        wanted = np.repeat(bought[classes][:, None], self.horizon.steps, axis=1)
        pays = wanted
        if point is not None:
            earned, cost = patterns @ point.pi.T, point.node[:, classes].T
            pays = wanted & ((earned > cost * (1 + HELPS)) | np.isinf(cost))
            wanted &= (earned > cost * (1 - LITTLE)) | np.isinf(cost)
        return self.inner.use(wanted) if pays.any() else 0

    def near(self, point: Point) -> tuple[Ints, Ints]:
        """Classes and workers of the known patterns that lose little in some step."""
        classes, patterns = self.inner.known()
        earned, cost = patterns @ point.pi.T, point.node[:, classes].T
        near = ((earned > cost * (1 - LITTLE)) & np.isfinite(cost)).any(axis=1)
        return classes[near], patterns[near]

    def _seeds(self) -> list[Relaxation]:
        """The one-shot relaxations of demands that are unlike, whose patterns in use are learnt,
        and whose multipliers become scales."""
        found: list[Relaxation] = []
        for t in unlike(self.horizon.demand, SEEDS):
            seed = relax(
                replace(self.problem, count=self.horizon.demand[t]),
                self.knapsack,
                found[-1] if found else None,
                tolerance=SEED_TOLERANCE,
            )
            used = seed.configured > 1e-9
            self.inner.add_patterns(seed.classes[used], seed.patterns[used])
            found.append(seed)
        return found

    def _promising(self, seed: Relaxation) -> set[int]:
        """Offers that the seed buys, and the best of each class and market that nearly pay."""
        problem = self.problem
        upper = self._add_scale(seed.duals.pi, (1 - PROMISING) * seed.class_price)
        share = upper[problem.klass] / reduced_costs(problem, seed.duals).cost
        near = np.flatnonzero(share > 1 - PROMISING)
        near = near[np.argsort(-share[near], kind="stable")]
        return set(seed.offers[seed.nodes > 1e-9].tolist()) | set(
            self._leaders(near)[:OFFERS_A_SEED]
        )

    def _from_memory(self, memory: Memory) -> set[int]:
        """Starts from the columns and scales of another plan; the offers it buys."""
        self.inner.add_patterns(memory.classes[: memory.used], memory.patterns[: memory.used])
        every = np.arange(self.horizon.steps)
        for scale, earned in zip(memory.scales, memory.earned, strict=True):
            if memory.sizes.are_of(self.problem):
                self.outer.add_scale(scale, earned, every)
            else:
                self._add_scale(scale, None)
        return set(memory.offers.tolist())

    def _add_scale(self, worth: Floats, node: Floats | None) -> Floats:
        """Adds a scale to all steps, exact for classes that may earn `node` [K] dollars; what
        nodes can earn at it."""
        bound = self.knapsack.bound(worth)
        opened = OPEN * self._least_cost if node is None else node
        upper = self.knapsack.price(worth, bound, bound > opened).upper
        self.outer.add_scale(worth, upper, np.arange(self.horizon.steps))
        return upper

    def certify(self) -> tuple[Worth, list[int]]:
        """Multipliers of the outer program, of which the best certificate is kept, once it has
        the offers that pay for themselves at them; and these, which the inner one lacks."""
        fresh: list[int] = []
        for _ in range(MOST_CERTIFIED):
            worth = self.outer.solve()
            found = self.certifier.certify(worth)
            self.bound = max(self.bound, found.bound)
            paying = np.flatnonzero(found.value < -1e-9)
            order = np.argsort(found.value[paying] / self.problem.cost[paying], kind="stable")
            leaders = self._leaders(paying[order])[:OFFERS_A_ROUND]
            fresh += leaders
            if not self.outer.add_offers(leaders) or found.bound >= worth.value * (1 - CLOSE):
                break
        return worth, fresh

    def _leaders(self, offers: Ints) -> list[int]:
        """The first of each class and market of these offers, in their order."""
        group = self.problem.klass[offers] * 2 + self.problem.is_spot[offers]
        leaders: list[int] = offers[np.sort(np.unique(group, return_index=True)[1])].tolist()
        return leaders

    def _add_offers(self, offers: list[int]) -> None:
        """Adds offers to both programs."""
        self.inner.add_offers(offers)
        self.outer.add_offers(offers)

    def grow(self, point: Point) -> int:
        """Prices the inner program's multipliers in each step, and where they are like a scale that
        is known, has that looked at there too; says how many rows and patterns are new."""
        steps, outer, new = self.horizon.steps, self.outer, 0
        worths, nodes = (v / self.horizon.hours[:, None] for v in (point.pi, point.node))
        for t in np.flatnonzero(worths.any(axis=1)).tolist():
            near = np.arange(max(0, t - NEARBY), min(steps, t + NEARBY + 1))
            known = self._like(worths[t])
            if known is None:
                new += self._price(worths[t], nodes[t], near)
            else:
                new += outer.extend(known, near)
        if not new:
            # Only what is like known scales is left: they may have been priced at other costs.
            for t in np.flatnonzero(worths.any(axis=1)).tolist():
                new += self._price(worths[t], nodes[t], np.array([t]))
        return new

    def _like(self, worth: Floats) -> int | None:
        """The known scale of which this is a multiple, or nearly."""
        units = np.array([scale / np.linalg.norm(scale) for scale in self.outer.scales])
        close = units @ (worth / np.linalg.norm(worth))
        best = int(close.argmax())
        return best if close[best] >= 1 - ALIKE else None

    def _price(self, worth: Floats, node: Floats, steps: Ints) -> int:
        """Adds a scale to `steps`, unless one is known that says as much, and what the dynamic
        program finds at it that earns more than `node` [K] dollars; says how many rows and
        patterns are new."""
        bound = self.knapsack.bound(worth)
        priced = self.knapsack.price(worth, bound, bound > node)
        known, rows = self._like(worth), 0
        if known is not None:
            size = np.linalg.norm(worth) / np.linalg.norm(self.outer.scales[known])
            less = priced.upper < self.outer.earned[known] * size * (1 - LOOSE)
        if known is None or less.any():
            rows = self.outer.add_scale(worth, priced.upper, steps)
        classes, patterns = priced.patterns(node, per_shape=1)
        gains = patterns @ worth > node[classes] * (1 + HELPS)
        return rows + self.inner.add_patterns(classes[gains], patterns[gains])
