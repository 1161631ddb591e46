"""The whole search: which site, which machines, which workers on which; and how good it is.

Every site (region or zone that the cluster must share) is a problem of its own over the same
classes. The most promising is solved first; its prices then give every other site a lower bound,
and only sites whose bound is below the best fleet so far are solved themselves, up to MOST_SITES of
them and thoroughly only where a hasty fleet comes near. The bound of the
answer is the least over all sites, so the certificate covers those that were never solved.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.optimize.bound import (
    Reduced,
    lower_bound_at,
    lower_bound_terms,
    reduced_costs,
)
from costplan.planner.optimize.branch import WIDE, branch
from costplan.planner.optimize.columns import Relaxation, relax, without_pools
from costplan.planner.optimize.exact import MOST_WORKERS, by_tree, prove
from costplan.planner.optimize.greedy import greedy
from costplan.planner.optimize.knapsack import Knapsack
from costplan.planner.optimize.problem import Floats, Ints, Problem
from costplan.planner.optimize.rounding import Fleet, round_up
from costplan.planner.optimize.twins import is_commitment, most_paid, scale_of, stake, unseen

PROVEN = 1e-9
ASTRAY = 0.02
HASTE = 0.1
NEAR_MISS = 0.02
MOST_SITES = 24
LAST_RESORT = 1e5
SQUEEZES = (0.995, 0.98, 0.95, 0.9, 0.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResult:
    """What became of a site: its proven bound, and its fleet's cost where one was built; both with
    what the site itself costs."""

    site: int
    bound: float
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The cheapest fleet that was found. `fleet.bought` counts offers of `problem`, and
    `fleet.cost` has what the site costs in it.

    `bound` is proven for the whole problem, `relaxation` belongs to the site that won, with
    offers numbered as in `problem`. `termination` is 'optimal', 'gap', 'steps' or 'fallback'.
    """

    problem: Problem
    site: int
    fleet: Fleet
    bound: float
    relaxation: Relaxation
    termination: str
    sites: tuple[SiteResult, ...]

    @property
    def gap(self) -> float:
        """(cost - bound) / bound."""
        return max(0.0, self.fleet.cost / self.bound - 1.0) if self.bound > 0 else float("inf")


# Some BLAS raise floating-point flags for lanes beyond the end of an array, and numpy then warns of
# products that are right.
@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def solve(
    problem: Problem, *, effort: float = 1.0, most_sites: int | None = None
) -> Solution | None:
    """The cheapest fleet, None where none was found that keeps the limits.

    An `effort` below 1 accepts a wider gap sooner; it is for fleets to compare with. With
    `most_sites` only those that look cheapest are tried for a first fleet.
    """
    search = _Sites(problem, effort)
    for site in search.ranking()[:most_sites]:
        search.try_site(site)
        if search.best is not None:
            break
    tried = 0
    while tried < MOST_SITES and (nearest := search.most_promising()) is not None:
        search.try_site(nearest)
        tried += 1
    return search.answer()


class _Sites:
    """The state of one search over sites."""

    def __init__(self, problem: Problem, effort: float) -> None:
        self.problem, self.effort = problem, effort
        self.knapsack = Knapsack(problem)
        self.best: tuple[int, Fleet, Relaxation, str] | None = None
        self.results: dict[int, SiteResult] = {}
        self.seed: Relaxation | None = None
        self.able: list[int] = []
        self.bounds: dict[int, float] = {}
        self.priced_by: Relaxation | None = None
        self.used: Floats = np.zeros(0)
        self.reduced: Reduced | None = None
        self.earns: Floats = np.zeros(0)
        self.constant = 0.0
        edges = np.flatnonzero(np.diff(problem.site)) + 1
        bounds = [0, *edges.tolist(), problem.offers]
        self.offers = {
            int(problem.site[a]): np.arange(a, b) for a, b in itertools.pairwise(bounds) if b > a
        }

    def ranking(self) -> list[int]:
        """Sites that have a machine for every shape, those that look cheapest first."""
        problem, fits = self.problem, self.problem.fits()
        size, scale, paid = np.maximum(problem.capacity, 1), scale_of(problem), most_paid(problem)
        share = np.where(fits, (problem.needs[None] / size[:, None]).max(axis=2), np.inf)
        looks: list[tuple[float, float, int]] = []
        for site, offers in self.offers.items():
            least = np.full(len(problem.capacity), np.inf)
            np.minimum.at(least, problem.klass[offers], scale[offers])
            here = np.isfinite(least)
            each = (share[here] * least[here, None]).min(axis=0) if here.any() else np.array(np.inf)
            of_nodes, once = float((each * problem.count).sum()), float(problem.site_usd[site])
            if np.isfinite(of_nodes):
                left = max(of_nodes - float(paid[site]), 0.0)
                looks.append((left + once, of_nodes + once, site))
        self.able = [site for _, _, site in sorted(looks)]
        return self.able

    def most_promising(self) -> int | None:
        """The untried site with the lowest bound, None where none can beat the best fleet."""
        left = [site for site in self.able if site not in self.results]
        if self.best is None or self.seed is None or not left:
            return None
        for site, bound in zip(left, self._bounds(left), strict=True):
            self.bounds[site] = max(self.bounds.get(site, 0.0), bound)
        lost = [s for s in left if self.bounds[s] >= self.best[1].cost * (1 - PROVEN)]
        for site in lost:
            self.results[site] = SiteResult(site=site, bound=self.bounds[site], cost=None)
        return min(
            (s for s in left if s not in self.results),
            key=lambda s: (self.bounds[s], s),
            default=None,
        )

    def _bounds(self, sites: list[int]) -> list[float]:
        """Lower bounds of sites from the prices of the best fleet, in one pass over all offers."""
        assert self.seed is not None  # noqa: S101 - most_promising has seen to it
        problem, duals = self.problem, without_pools(self.seed.duals)
        if self.priced_by is not self.seed:
            upper = self.knapsack.bound(duals.pi)
            earns = self.knapsack.price(duals.pi, upper, upper > 0).upper
            reduced = reduced_costs(problem, duals)
            self.priced_by = self.seed
            if problem.twins is None:
                self.used = lower_bound_terms(problem, reduced, earns)
                self.constant = reduced.constant
            else:
                self.reduced, self.earns = reduced, earns
        if problem.twins is not None and self.reduced is not None:
            return [
                lower_bound_at(problem, self.reduced, self.earns, self.offers[site])
                + float(problem.site_usd[site])
                for site in sites
            ]
        return [
            self.constant / max(float(self.used[self.offers[site]].max()), 1e-9)
            + float(problem.site_usd[site])
            for site in sites
        ]

    def try_site(self, site: int) -> None:
        """Solves one site and keeps its fleet if it is the cheapest so far."""
        offers, once = self.offers[site], float(self.problem.site_usd[site])
        part = self.problem.take(offers)
        # What the site itself costs is on top of all its fleets, so it is left out in here.
        cutoff = self.best[1].cost - once if self.best else np.inf
        relaxation = relax(part, self.knapsack, self.seed, cutoff=cutoff)
        if not relaxation.feasible and relaxation.bound < cutoff:
            relaxation = relax(part, self.knapsack, self.seed, cutoff=cutoff, penalty=LAST_RESORT)
        if not relaxation.feasible and relaxation.bound < cutoff:
            self.results[site] = SiteResult(site=site, bound=relaxation.bound + once, cost=None)
            return
        bound, cost = relaxation.bound, None
        if bound < cutoff * (1 - PROVEN) and self._near(part, relaxation, cutoff):
            fleet, termination = _whole(part, relaxation, self.effort, cutoff)
            if fleet is not None and part.count.sum() <= MOST_WORKERS:
                fleet, bound, proven = prove(part, relaxation, fleet)
                termination = "optimal" if proven else termination
            wide = WIDE / self.effort
            if fleet is not None and fleet.cost > bound * (1 + wide) + wide * stake(part):
                fleet, bound = branch(part, self.knapsack, relaxation, fleet, self.effort)
            if fleet is not None:
                cost = fleet.cost + once
                if self.best is None or cost < self.best[1].cost:
                    self._keep(site, offers, replace(fleet, cost=cost), relaxation, termination)
        self.results[site] = SiteResult(
            site=site, bound=max(bound + once, self.bounds.get(site, 0.0)), cost=cost
        )

    def _near(self, part: Problem, relaxation: Relaxation, cutoff: float) -> bool:
        """Whether a hasty fleet of a site comes near enough to the best for a thorough search.

        Small ones are solved to the end in any case, and say little by a fleet made in haste.
        """
        if self.best is None or part.count.sum() <= MOST_WORKERS:
            return True
        hasty = round_up(part, relaxation, effort=HASTE)
        if hasty is None:
            hasty = greedy(part)
        return hasty is not None and hasty.cost < cutoff * (1 + NEAR_MISS)

    def _keep(
        self, site: int, offers: Ints, fleet: Fleet, relaxation: Relaxation, termination: str
    ) -> None:
        bought = np.zeros(self.problem.offers, dtype=np.int64)
        bought[offers] = fleet.bought
        duals = replace(relaxation.duals, pool_offers=offers[relaxation.duals.pool_offers])
        self.seed = replace(relaxation, offers=offers[relaxation.offers], duals=duals)
        self.best = (site, replace(fleet, bought=bought), self.seed, termination)

    def answer(self) -> Solution | None:
        """The best of all sites, with the bound that holds for all of them."""
        if self.best is None:
            return None
        site, fleet, relaxation, termination = self.best
        for left in self.able:
            if left not in self.results:
                # Never tried, so its bound is all that is known, and it holds for the answer too.
                known = self.bounds.get(left, 0.0)
                self.results[left] = SiteResult(site=left, bound=known, cost=None)
        bound = min(fleet.cost, *(result.bound for result in self.results.values()))
        if fleet.cost <= bound * (1 + PROVEN):
            termination = "optimal"
        elif termination == "optimal":
            # Proven for its own site, while another site's bound is lower.
            termination = "gap"
        bound = max(0.0, bound - unseen(self.problem))
        return Solution(
            problem=self.problem,
            site=site,
            fleet=fleet,
            bound=bound,
            relaxation=relaxation,
            termination=termination,
            sites=tuple(self.results[s] for s in sorted(self.results)),
        )


def _whole(
    problem: Problem, relaxation: Relaxation, effort: float, cutoff: float
) -> tuple[Fleet | None, str]:
    """A whole fleet for a site: rounded or, where that is cheaper or all there is, packed greedily;
    rounded under tighter limits where neither keeps them. A slow search for a fleet that went
    astray is worth it only where the site may well beat `cutoff`."""
    fleet = round_up(problem, relaxation, effort=effort)
    if fleet is not None and (fleet.close or fleet.cost <= unseen(problem)):
        return fleet, "gap"
    packed = greedy(problem)
    near = relaxation.bound * (1 + ASTRAY) + ASTRAY * stake(problem)
    if fleet is None or near < min(fleet.cost, cutoff):
        grown = by_tree(problem, relaxation)
        if fleet is None or (grown is not None and grown.cost < fleet.cost):
            fleet = grown
    if fleet is not None and (packed is None or fleet.cost <= packed.cost):
        return fleet, "steps"
    if packed is not None:
        return packed, "fallback"
    for squeeze in SQUEEZES:
        tight = replace(
            problem,
            limits=tuple(
                replace(lim, most=lim.most * squeeze)
                if lim.most > 0 and not is_commitment(lim)
                else lim
                for lim in problem.limits
            ),
        )
        again = relax(tight, Knapsack(problem))
        if not again.feasible:
            break
        fleet = round_up(tight, again, effort=effort)
        if fleet is not None:
            return fleet, "steps"
    return None, "steps"
