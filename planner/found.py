"""The fleet that the solver finds, priced a second time, and where its workers should sit.

What crosses borders (data that is read, what workers send each other) depends on where all of them
are together. The program knows the least of it that a site costs; what is above that is priced once
there is a fleet. So where there is any, the best fleets of a single region and of a single zone are
looked at too, and the cheapest of all is taken. The bound of the first, which has the fewest rules,
holds for every one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.errors import InvariantBroken
from costplan.planner.held.values import NOTHING_HELD
from costplan.planner.optimize.evaluate import Evaluation, evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.offers import Candidates, candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.optimize.twins import is_twin, shares
from costplan.planner.plan import Conflict
from costplan.planner.types import PoolPlan
from costplan.planner.units import pico_from_usd, usd_from_pico
from costplan.planner.wording import usd
from costplan.planner.workload import Where, Workload

AGREEMENT = Decimal("1e-6")
NOTHING = Decimal("1e-9")
"""What is not worth looking for another fleet."""
PROVEN = 1 + 1e-9
MOST_ORDERS = 5
"""Fleets that are planned where the bill does not come to what was planned."""
UNPAID_USD = 1e-6
CLOSE = 1.0005
"""Within this much of the bound the search ends: what `gap` says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A fleet with what it costs. `bound` is proven for every fleet that the rules allow; `other`
    is the best of those that were found beside it, nearer together or further apart."""

    problem: Problem
    solution: Solution
    pools: tuple[PoolPlan, ...]
    checked: Evaluation
    bound: float
    termination: str
    other: Found | None = None


def best_fleet(
    catalogue: Catalogue, chosen: Candidates, problem: Problem, workload: Workload
) -> Found | Conflict | None:
    """The cheapest fleet, with what its workers send each other; None where none was found, and
    a conflict where only that traffic passes the budget.

    Raises InvariantBroken where the solver's cost and the evaluator's disagree, or the evaluator
    finds a rule broken: then the plan must not be used.
    """
    first = _solved(catalogue, problem, workload)
    if first is None or _above_least(first) <= NOTHING:
        return first
    all_found = [first]
    for where in _nearer(workload.where):
        near = replace(workload, where=where)
        each = _solved(catalogue, build(catalogue, chosen, near), near)
        if each is not None:
            all_found.append(each)
    paid = [each for each in all_found if _is_paid_for(each, workload)]
    if not paid:
        return _cheaper(catalogue, chosen, first, workload)
    best, *others = sorted(paid, key=lambda each: each.checked.expected_usd_per_hour)
    return _bounded(best, first, others[0] if others else None)


def _nearer(where: Where) -> Iterator[Where]:
    """The same places with the workers nearer together."""
    if not (where.single_region or where.single_zone):
        yield replace(where, single_region=True)
    if not where.single_zone:
        yield replace(where, single_zone=True)


def _above_least(each: Found) -> Decimal:
    """What crosses borders at a cost above the least of the site, which the program knows."""
    least = each.problem.site_usd[each.solution.site]
    return each.checked.place.crossing_usd_per_hour - Decimal(repr(float(least)))


def _solved(catalogue: Catalogue, problem: Problem, workload: Workload) -> Found | None:
    solution = solve(problem) if problem.offers else None
    if solution is None:
        return None
    plan = pools(problem, solution.fleet, catalogue)
    checked = evaluate(plan, catalogue, workload)
    if problem.twins is not None:
        return _as_billed(_found(problem, solution, plan, checked), catalogue, workload)
    if checked.violations:
        raise InvariantBroken(f"the plan breaks a rule: {'; '.join(checked.violations)}")
    found = _found(problem, solution, plan, checked)
    cost = Decimal(repr(solution.fleet.cost))
    expected = checked.expected_usd_per_hour - _above_least(found)
    if expected > cost * (1 + AGREEMENT):
        raise InvariantBroken(f"solver says {cost}, evaluator {expected}")
    return found


def _found(
    problem: Problem, solution: Solution, plan: tuple[PoolPlan, ...], checked: Evaluation
) -> Found:
    return Found(
        problem=problem,
        solution=solution,
        pools=plan,
        checked=checked,
        bound=solution.bound,
        termination=solution.termination,
    )


def _as_billed(found: Found, catalogue: Catalogue, workload: Workload) -> Found | None:
    """A fleet that commitments pay for in part, at the price that the provider bills.

    The program has commitments pay for whatever costs least; the provider applies them in an order
    of its own, which may come to more. Machines that it does not pay for then are planned without,
    and the cheapest of a few such fleets, and of one without commitments, is taken as it is billed.
    """
    tried, problem = [found], found.problem
    while not _is_as_planned(tried[-1], workload) and len(tried) < MOST_ORDERS:
        problem = _without_unpaid(problem, tried[-1], catalogue)
        again = _billed(problem, catalogue, workload)
        if again is None:
            break
        tried.append(again)
    if not _is_as_planned(tried[-1], workload):
        plain = replace(workload, held=NOTHING_HELD)
        bare = build(catalogue, candidates(catalogue, plain), plain)
        last = _billed(bare, catalogue, workload)
        tried += [] if last is None else [last]
    able = [each for each in tried if not each.checked.violations]
    if not able:
        return None
    best = min(able, key=lambda each: each.checked.expected_usd_per_hour)
    if best is found:
        return found
    return _bounded(best, found, None)


def _is_as_planned(found: Found, workload: Workload) -> bool:
    """Whether the bill comes to what was planned; raises InvariantBroken where it cannot be so."""
    checked = found.checked
    over = _over_budget_usd(checked, workload)
    if len(checked.violations) > (over > 0):
        raise InvariantBroken(f"the plan breaks a rule: {'; '.join(checked.violations)}")
    near = AGREEMENT * (checked.expected_usd_per_hour + checked.saved_usd_per_hour)
    expected = checked.expected_usd_per_hour - _above_least(found)
    if found.problem.twins is not None and expected < Decimal(repr(found.bound)) - near:
        raise InvariantBroken(f"billed {expected} is below the bound {found.bound}")
    return not over and expected <= Decimal(repr(found.solution.fleet.cost)) + near


def _without_unpaid(problem: Problem, found: Found, catalogue: Catalogue) -> Problem:
    """The problem without twins of types that were planned to be paid for and are billed."""
    solved, cover = found.problem, found.checked.cover
    paid = shares(solved, found.solution.fleet.bought) * solved.cost
    planned: dict[tuple[str, str], float] = {}
    billed: dict[tuple[str, str], float] = {}
    for offer in np.flatnonzero(paid).tolist():
        key = catalogue.key(int(solved.row[offer]))
        like = (key.region, key.instance_type)
        planned[like] = planned.get(like, 0.0) + float(paid[offer])
    for part in () if cover is None else cover.nodes:
        like = (part.key.region, part.key.instance_type)
        billed[like] = billed.get(like, 0.0) + part.nodes * float(part.usd_per_hour_each)
    broken = {like for like, usd in billed.items() if usd > planned.get(like, usd) + UNPAID_USD}
    of_twins = is_twin(problem)
    keep = np.ones(problem.offers, dtype=bool)
    for offer in np.flatnonzero(of_twins).tolist():
        row = int(problem.row[offer])
        keep[offer] = (catalogue.region[row], catalogue.instance_type[row]) not in broken
    return problem.take(np.flatnonzero(keep))


def _billed(problem: Problem, catalogue: Catalogue, workload: Workload) -> Found | None:
    """The best fleet of a problem, priced by the rules of a workload."""
    solution = solve(problem) if problem.offers else None
    if solution is None:
        return None
    plan = pools(problem, solution.fleet, catalogue)
    return _found(problem, solution, plan, evaluate(plan, catalogue, workload))


def _over_budget_usd(checked: Evaluation, workload: Workload) -> Decimal:
    """By how much what nodes cost passes the budget."""
    budget = workload.budget_pico_per_hour
    if budget is None:
        return Decimal(0)
    billed = checked.usd_per_hour - checked.place.traffic_usd_per_hour
    return max(Decimal(0), billed - usd_from_pico(budget))


def _is_paid_for(each: Found, workload: Workload) -> bool:
    """Whether the budget pays for the traffic, too."""
    budget = workload.budget_pico_per_hour
    return budget is None or each.checked.usd_per_hour <= usd_from_pico(budget)


def _bounded(best: Found, first: Found, other: Found | None) -> Found:
    """The best of both under the bound of the first, with what of that is proven."""
    share = float(best.checked.expected_usd_per_hour) / first.bound if first.bound else 2.0
    termination = "optimal" if share <= PROVEN else "gap" if share <= CLOSE else "steps"
    return replace(best, bound=first.bound, termination=termination, other=other)


def _cheaper(
    catalogue: Catalogue, chosen: Candidates, first: Found, workload: Workload
) -> Found | Conflict:
    """A fleet that leaves the budget room for the traffic of the first, or what is missing."""
    traffic = first.checked.place.traffic_usd_per_hour
    budget = workload.budget_pico_per_hour or 0
    left = budget - pico_from_usd(traffic)
    if left > 0:
        less = replace(workload, budget_pico_per_hour=left)
        again = _solved(catalogue, build(catalogue, chosen, less), less)
        if again is not None and _is_paid_for(again, workload):
            return _bounded(again, first, None)
    nodes = first.checked.usd_per_hour - traffic
    return Conflict(
        limit="budget.usd_per_hour",
        problem=f"a fleet costs {usd(nodes)}/h and what its workers send over borders "
        f"{usd(traffic)}/h more, budget is {usd(usd_from_pico(budget))}",
        remedy=f"raise budget.usd_per_hour to {_cents_up(first.checked.usd_per_hour)}, or ask "
        "for fewer workers",
    )


def _cents_up(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding="ROUND_CEILING")
