"""The relaxation of a horizon from both sides: the inner program above, the outer one below.

Patterns and scales are shared: what was found at one step is offered to every step. Steps differ
less than their number suggests, so both come from the one-shot relaxations of a few demands that
are unlike each other, or from the plan of the last tick.

A round takes what nodes earn at the outer program's multipliers as their prices. At these, each
step's demand is covered at least cost by the known patterns (cover.py): what that costs more than
the multipliers say is what the step can still raise the bound by. Where it is most, the
multipliers of the cover become a scale, and the dynamic program that prices the scale finds the
patterns that are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.horizon.certificate import Certificate, certify
from costplan.planner.horizon.cover import Cover
from costplan.planner.horizon.inner import Inner, Point
from costplan.planner.horizon.model import Horizon, Memory
from costplan.planner.horizon.outer import Outer, Worth
from costplan.planner.optimize.columns import relax
from costplan.planner.optimize.knapsack import Knapsack
from costplan.planner.optimize.problem import Floats, Ints

MOST_ROUNDS = 20
SEEDS = 3
OFFERS_A_ROUND = 40
SCALES_A_ROUND = 4
DEAR_A_ROUND = 3
ALIKE = 1e-4
"""One less the cosine of scales that are taken for the same."""
STALLED = 0.6
"""What of the distance between the programs a round may leave before all steps are priced."""
LITTLE = 0.01
"""What a pattern may lose in a step, as a share of its node, to be given to that step."""
NEARBY = 2
"""In how many steps before and after its own a dear scale is looked at."""
HELPS = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """The relaxation as it stood at the end; `bound` is the best of its certificates, `scales`
    [A, S] are those that it rests on."""

    inner: Inner
    point: Point
    bound: float
    scales: Floats
    rounds: int


def relax_horizon(horizon: Horizon, memory: Memory | None, gap: float) -> Relaxed:
    """The relaxation to within `gap` or a number of rounds; `memory` is of the last plan."""
    search = Search(horizon, memory)
    rounds, apart = 0, np.inf
    point = search.inner.solve()
    while True:
        worth, found = search.certify()
        before, apart = apart, point.cost - search.bound
        if apart <= gap * search.bound or rounds == MOST_ROUNDS:
            break
        dear = horizon.steps if apart > STALLED * before else DEAR_A_ROUND
        grown = search.grow(point, worth, found, dear)
        if not grown and not search.grow(point, worth, found, horizon.steps):
            break
        rounds += 1
        point = search.inner.solve()
    return Relaxed(
        inner=search.inner,
        point=point,
        bound=search.bound,
        scales=np.array(search.outer.scales)[worth.in_use],
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
        self.cover = Cover(horizon)
        self.bound = 0.0
        # Where nothing can be had in time, a place is worth what a shortage costs.
        self._add_scale(horizon.shortage_usd, np.zeros(len(self.problem.capacity)))
        if horizon.running is not None:
            self._learn(horizon.running.classes, horizon.running.patterns)
        offers = set(np.flatnonzero(horizon.fleet).tolist())
        offers |= self._from_memory(memory) if memory is not None else self._from_seeds()
        self.inner.add_offers(sorted(offers))
        self.outer.add_offers(sorted(offers))
        self._use(None)

    def _use(self, point: Point | None) -> None:
        """Gives the inner program the known patterns of classes that it has offers of, in the
        steps where they lose little at the multipliers of `point`; in all where there is none."""
        bought = np.zeros(len(self.problem.capacity), dtype=bool)
        bought[self.problem.klass[self.inner.fleets.offers]] = True
        classes, patterns = self.inner.known()
        wanted = np.repeat(bought[classes][:, None], self.horizon.steps, axis=1)
        if point is not None:
            earned, cost = patterns @ point.pi.T, point.node[:, classes].T
            wanted &= (earned > cost * (1 - LITTLE)) | np.isinf(cost)
        self.inner.use(wanted)

    def _from_seeds(self) -> set[int]:
        """Starts from the one-shot relaxations of demands that are unlike; the offers they buy."""
        seed, offers = None, set()
        for t in unlike(self.horizon.demand, SEEDS):
            seed = relax(replace(self.problem, count=self.horizon.demand[t]), self.knapsack, seed)
            used = seed.configured > 1e-9
            self._learn(seed.classes[used], seed.patterns[used])
            offers |= set(seed.offers[seed.nodes > 1e-9].tolist())
            self._add_scale(seed.duals.pi, np.zeros(len(self.problem.capacity)))
        return offers

    def _from_memory(self, memory: Memory) -> set[int]:
        """Starts from the columns and scales of another plan; the offers it buys."""
        self._learn(memory.classes, memory.patterns)
        for scale in memory.scales:
            self._add_scale(scale, np.zeros(len(self.problem.capacity)))
        return set(memory.offers.tolist())

    def _learn(self, classes: Ints, patterns: Ints) -> int:
        self.cover.add_patterns(classes, patterns)
        return self.inner.add_patterns(classes, patterns)

    def _add_scale(self, worth: Floats, node: Floats, steps: Ints | None = None) -> int:
        """Adds a scale to `steps` (None: to all), and what the dynamic program finds at it that
        earns more than `node` [K] dollars; says how many patterns are new."""
        bound = self.knapsack.bound(worth)
        priced = self.knapsack.price(worth, bound, bound > node)
        steps = np.arange(self.horizon.steps) if steps is None else steps
        self.outer.add_scale(worth, priced.upper, steps)
        if not node.any():
            return 0
        classes, patterns = priced.patterns(node, per_shape=1)
        gains = patterns @ worth > node[classes] * (1 + HELPS)
        return self._learn(classes[gains], patterns[gains])

    def certify(self) -> tuple[Worth, Certificate]:
        """Multipliers of the outer program and their certificate, of which the best is kept."""
        worth = self.outer.solve()
        found = certify(self.horizon, worth)
        self.bound = max(self.bound, found.bound)
        return worth, found

    def grow(self, point: Point, worth: Worth, found: Certificate, dear: int) -> int:
        """One round, with so many dear steps; says how many offers, scales and patterns are new."""
        new = self._add_offers(found) + self._add_scales(worth)
        new += self._add_dear(point, worth, dear)
        self._use(point)
        return new

    def _add_offers(self, found: Certificate) -> int:
        """Adds offers that pay for themselves, the best of each class and market first."""
        problem = self.problem
        paying = np.flatnonzero(found.value < -1e-9)
        paying = paying[np.argsort(found.value[paying] / problem.cost[paying], kind="stable")]
        group = problem.klass[paying] * 2 + problem.is_spot[paying]
        leaders = np.sort(np.unique(group, return_index=True)[1])
        chosen = paying[leaders][:OFFERS_A_ROUND].tolist()
        self.inner.add_offers(chosen)
        return self.outer.add_offers(chosen)

    def _add_scales(self, worth: Worth) -> int:
        """Adds scales and patterns where the known patterns cost most above the multipliers."""
        horizon, hours = self.horizon, self.horizon.hours
        excess, pi = self.cover.excess(worth)
        new = 0
        chosen: list[Floats] = []
        for t in np.argsort(-excess, kind="stable").tolist():
            if excess[t] <= HELPS * self.bound / horizon.steps or len(chosen) >= SCALES_A_ROUND:
                break
            unit = pi[t] / np.linalg.norm(pi[t])
            if any(unit @ other > 1 - ALIKE for other in chosen):
                continue
            chosen.append(unit)
            new += 1 + self._add_scale(pi[t], worth.upper[t] / hours[t])
        return new

    def _add_dear(self, point: Point, worth: Worth, most: int) -> int:
        """Adds scales and patterns at the inner program's own multipliers, in the steps where it
        takes demand for dearer than the outer one; says how many are new."""
        horizon, hours = self.horizon, self.horizon.hours
        dearer = ((point.pi - worth.pi) * horizon.demand).sum(axis=1)
        known = np.array([scale / np.linalg.norm(scale) for scale in self.outer.scales])
        new = 0
        for t in np.argsort(-dearer, kind="stable")[:most].tolist():
            size = float(np.linalg.norm(point.pi[t]))
            if size and (known @ point.pi[t]).max() < size * (1 - ALIKE / 100):
                near = np.arange(max(0, t - NEARBY), min(horizon.steps, t + NEARBY + 1))
                new += 1 + self._add_scale(point.pi[t] / hours[t], point.node[t] / hours[t], near)
        return new
