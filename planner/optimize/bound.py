"""The certificate: a lower bound on every fleet's expected cost that trusts no solver.

For any multipliers >= 0 and any fleet that keeps the limits, with V_k(pi) the most that a node
of class k can earn,

    cost  >=  pi.count - lam.b + sum_o rc_o y_o,
    rc_o  =   cost_o + lam.A_o + vcpu_o (sigma_o - share * sum sigma) - V_k(o)(pi).

All multipliers may be scaled by one t >= 0, and the right-hand side with them. No rc is negative
while t (V_k - lam.A_o - ...) <= cost_o for all o; with u the largest (V_k - lam.A_o - ...) /
cost_o over all offers that allows t = 1 / u, hence

    cost  >=  (pi.count - lam.b) / u.

It holds for whatever numbers are put in, so a wrong dual, a pruned column or a stopped solver
can only weaken it; at the optimum of the full linear program u is 1 and the bound is its value
(a Farley bound, with limits). It is evaluated over the whole price list, site by site.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costplan.planner.errors import InvariantBroken
from costplan.planner.optimize.master import Duals
from costplan.planner.optimize.problem import Floats, Problem
from costplan.planner.optimize.twins import Twins, is_commitment

SCALES = (1.0, 0.85, 0.6)
MOST_SCALE = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Node costs net of limits [O], and the constant of the bound; `of_commitments` are the
    multipliers of the limits that are commitments."""

    cost: Floats
    constant: float
    of_commitments: tuple[float, ...] = ()


def reduced_costs(problem: Problem, duals: Duals) -> Reduced:
    """What a node of each offer costs once the limits' multipliers are paid."""
    cost = problem.cost.copy()
    for multiplier, limit in zip(duals.lam, problem.limits, strict=True):
        if multiplier:
            cost += multiplier * limit.per_node
    if len(duals.sigma):
        cost -= problem.pool_share * float(duals.sigma.sum()) * problem.vcpu
        cost[duals.pool_offers] += duals.sigma * problem.vcpu[duals.pool_offers]
    bounds = np.array([limit.most for limit in problem.limits])
    constant = float(duals.pi @ problem.count - (duals.lam @ bounds if len(bounds) else 0.0))
    if problem.twins is None:
        return Reduced(cost=cost, constant=constant)
    pairs = zip(duals.lam.tolist(), problem.limits, strict=True)
    held = tuple(multiplier for multiplier, limit in pairs if is_commitment(limit))
    return Reduced(cost=cost, constant=constant, of_commitments=held)


def lower_bound(problem: Problem, reduced: Reduced, earns: Floats) -> float:
    """The bound in dollars per hour; `earns` [K] is V_k or anything above it."""
    if problem.twins is not None and problem.offers:
        return _with_twins(problem, problem.twins, reduced, earns[problem.klass])
    if not problem.offers or reduced.constant <= 0:
        return 0.0
    used = lower_bound_terms(problem, reduced, earns)
    return reduced.constant / max(float(used.max()), 1e-9)


def lower_bound_at(
    problem: Problem, reduced: Reduced, earns: Floats, offers: NDArray[np.intp]
) -> float:
    """The bound for fleets of some of the offers only."""
    part = problem.take(offers)
    if part.twins is None:
        raise InvariantBroken("a bound of some offers of a problem that has no twins")
    of_part = replace(reduced, cost=reduced.cost[offers])
    return _with_twins(part, part.twins, of_part, earns[part.klass])


def _with_twins(problem: Problem, twins: Twins, reduced: Reduced, earned: Floats) -> float:
    """The same bound where some offers cost nearly nothing, so that what they earn above their
    cost is no share of it.

    All multipliers but those of commitments are scaled by t, as far as offers that no commitment
    pays for allow it, and then those of commitments are set so that no twin earns more than it
    costs: from those that were given, or from none. Any multipliers >= 0 will do, so the best of
    a few is kept.
    """
    limits = [limit for limit in problem.limits if is_commitment(limit)]
    most = np.array([limit.most for limit in limits])
    given = np.array(reduced.of_commitments)
    rent = np.zeros(problem.offers)
    for multiplier, limit in zip(given, limits, strict=True):
        if multiplier:
            rent += multiplier * limit.per_node
    taken = np.array([bool(limit.per_node.any()) for limit in limits], dtype=bool)
    bare = reduced.constant + float(given @ most)
    # What a node earns net of the limits that are no commitments.
    earns = earned - (reduced.cost - rent - problem.cost)
    plain = ~twins.is_twin
    used = float((earns[plain] / problem.cost[plain]).max(initial=0.0))
    twin = np.flatnonzero(twins.is_twin)
    best = 0.0
    widest = min(1.0 / used, MOST_SCALE) if used > 0 else MOST_SCALE
    for scale in {1.0 if widest > 1 else widest, *(share * widest for share in SCALES)}:
        for start in (given * taken, np.zeros(len(limits))):
            already = scale * rent[twin] if start.any() else 0.0
            above = scale * earns[twin] - problem.cost[twin] - already
            raised = np.zeros(len(limits))
            np.maximum.at(raised, twins.pool[twin], np.maximum(above, 0.0) / twins.units[twin])
            best = max(best, scale * bare - float((scale * start + raised) @ most))
    return best


def lower_bound_terms(problem: Problem, reduced: Reduced, earns: Floats) -> Floats:
    """For each offer [O] the share of its cost that the prices use up; u is the largest."""
    return 1.0 + (earns[problem.klass] - reduced.cost) / problem.cost
