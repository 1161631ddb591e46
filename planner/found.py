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

from costplan.planner.catalogue import Catalogue
from costplan.planner.errors import InvariantBroken
from costplan.planner.optimize.evaluate import Evaluation, evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.offers import Candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.plan import Conflict
from costplan.planner.types import PoolPlan
from costplan.planner.units import pico_from_usd, usd_from_pico
from costplan.planner.wording import usd
from costplan.planner.workload import Where, Workload

AGREEMENT = Decimal("1e-6")
NOTHING = Decimal("1e-9")
"""What is not worth looking for another fleet."""
PROVEN = 1 + 1e-9
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
    if checked.violations:
        raise InvariantBroken(f"the plan breaks a rule: {'; '.join(checked.violations)}")
    found = Found(
        problem=problem,
        solution=solution,
        pools=plan,
        checked=checked,
        bound=solution.bound,
        termination=solution.termination,
    )
    cost = Decimal(repr(solution.fleet.cost))
    expected = checked.expected_usd_per_hour - _above_least(found)
    if expected > cost * (1 + AGREEMENT):
        raise InvariantBroken(f"solver says {cost}, evaluator {expected}")
    return found


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
