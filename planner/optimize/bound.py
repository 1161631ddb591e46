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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.errors import InvariantBroken
from costplan.planner.optimize.master import Duals
from costplan.planner.optimize.problem import Floats, Problem
from costplan.planner.optimize.twins import is_commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Node costs net of limits [O], and the constant of the bound."""

    cost: Floats
    constant: float


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
    return Reduced(cost=cost, constant=constant)


def lower_bound(problem: Problem, reduced: Reduced, earns: Floats) -> float:
    """The bound in dollars per hour; `earns` [K] is V_k or anything above it."""
    if not problem.offers or reduced.constant <= 0:
        return 0.0
    if problem.twins is not None:
        return _bound_with_twins(problem, reduced.cost, reduced.constant, earns[problem.klass])
    used = lower_bound_terms(problem, reduced, earns)
    return reduced.constant / max(float(used.max()), 1e-9)


def lower_bound_at(
    problem: Problem, reduced: Reduced, earns: Floats, offers: NDArray[np.intp]
) -> float:
    """The bound for fleets of some of the offers only."""
    part = problem.take(offers)
    if reduced.constant <= 0:
        return 0.0
    earned = earns[part.klass]
    return _bound_with_twins(part, reduced.cost[offers], reduced.constant, earned)


def _bound_with_twins(problem: Problem, cost: Floats, constant: float, earned: Floats) -> float:
    """The same bound where some offers cost nearly nothing, so that what they earn above their
    cost is no share of it: the multipliers of what there is of commitments are raised until none
    earns more. Any multipliers >= 0 will do; `cost` [O] is net of those that were given."""
    twins = problem.twins
    if twins is None:
        raise InvariantBroken("a bound with twins of a problem without them")
    above = np.where(twins.is_twin, earned - cost, 0.0)
    limits = [limit for limit in problem.limits if is_commitment(limit)]
    if limits and (above > 0).any():
        wanted, raised = np.flatnonzero(above > 0), np.zeros(len(limits))
        np.maximum.at(raised, twins.pool[wanted], above[wanted] / twins.units[wanted])
        constant -= float(raised @ np.array([limit.most for limit in limits]))
        if constant <= 0:
            return 0.0
    plain = ~twins.is_twin
    used = 1.0 + (earned[plain] - cost[plain]) / problem.cost[plain]
    return constant / max(float(used.max(initial=0.0)), 1.0)


def lower_bound_terms(problem: Problem, reduced: Reduced, earns: Floats) -> Floats:
    """For each offer [O] the share of its cost that the prices use up; u is the largest."""
    return 1.0 + (earns[problem.klass] - reduced.cost) / problem.cost
