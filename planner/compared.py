"""What a plan is compared with: the best that was not taken, and what others would buy."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from costplan.planner.baselines import baselines
from costplan.planner.catalogue import Catalogue
from costplan.planner.found import Found
from costplan.planner.held.values import NOTHING_HELD
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.offers import Candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.plan import Baseline, RunnerUp
from costplan.planner.wording import percent, usd
from costplan.planner.workload import Workload

PICO = Decimal("1e-12")
COMPARE_EFFORT = 0.1


def runner_up(
    catalogue: Catalogue,
    problem: Problem,
    solution: Solution,
    expected: Decimal,
    workload: Workload,
) -> RunnerUp | None:
    """The best plan elsewhere, or without the type that the plan leans on most."""
    others = [s for s in solution.sites if s.site != solution.site]
    if others:
        other = min(others, key=lambda s: (s.bound if s.cost is None else s.cost, s.site))
        name = problem.sites[other.site]
        cost = other.cost
        if cost is None:
            part = problem.take(np.flatnonzero(problem.site == other.site))
            found = solve(part, effort=COMPARE_EFFORT)
            cost = None if found is None else _cost(catalogue, found, workload)
        return _against(f"everything in {name}", cost, other.bound, expected)
    bought = solution.fleet.bought
    main = int(np.argmax(bought * problem.cost))
    types = catalogue.instance_type.codes[problem.row]
    rest = problem.take(np.flatnonzero(types != types[main]))
    found = solve(rest, effort=COMPARE_EFFORT) if rest.offers else None
    if found is None:
        return None
    name = f"without {catalogue.instance_type[int(problem.row[main])]}"
    return _against(name, _cost(catalogue, found, workload), found.bound, expected)


def _cost(catalogue: Catalogue, found: Solution, workload: Workload) -> float:
    """What a fleet is expected to cost an hour, as billed where commitments pay for some of it:
    to the solver a machine that is paid for costs a little, so that it does not buy idle ones."""
    if found.problem.twins is None:
        return found.fleet.cost
    plan = pools(found.problem, found.fleet, catalogue)
    return float(evaluate(plan, catalogue, workload).expected_usd_per_hour)


def second_best(best: Found, nearest: RunnerUp | None) -> RunnerUp | None:
    """The runner-up, or the fleet that is spread where the plan is not if that comes nearer."""
    other = best.other
    if other is None:
        return nearest
    spread = _against(
        f"everything in {other.problem.sites[other.solution.site]}",
        float(other.checked.expected_usd_per_hour),
        0.0,
        best.checked.expected_usd_per_hour.quantize(PICO),
    )
    both = [each for each in (spread, nearest) if each is not None]
    return min(both, key=lambda each: each.expected_usd_per_hour)


def _against(name: str, cost: float | None, bound: float, expected: Decimal) -> RunnerUp:
    other = Decimal(repr(bound if cost is None else cost)).quantize(PICO)
    more = float(other / expected) - 1.0 if expected else float("inf")
    least = "" if cost is not None else "at least "
    share = f" ({percent(more)})" if expected else ""
    reason = f"costs {least}{usd(other - expected)}/h more{share}"
    if cost is None and other <= expected:
        reason = "its bound is lower, but no fleet there was found that costs less"
    elif other <= expected:
        reason = "costs the same"
    return RunnerUp(
        description=name,
        expected_usd_per_hour=other,
        is_bound=cost is None,
        reason=reason,
    )


def compared(
    catalogue: Catalogue, chosen: Candidates, problem: Problem, workload: Workload
) -> tuple[Baseline, ...]:
    """What the workload would cost bought otherwise."""
    firm = problem.take(np.flatnonzero(~problem.is_spot))
    limits = tuple(lim for lim in firm.limits if lim.name != "budget.usd_per_hour")
    found = None
    if firm.offers:
        found = solve(replace(firm, limits=limits), effort=COMPARE_EFFORT)
    usd = None
    if found is not None:
        usd = Decimal(repr(_cost(catalogue, found, workload))).quantize(Decimal("1e-6"))
    others = baselines(catalogue, chosen, workload)
    if workload.held.is_any:
        others = (*others, _without_held(catalogue, chosen, workload))
    detail = "the same planner without the spot market, same rules but no budget"
    own = Baseline(
        name="everything on-demand",
        usd_per_hour=usd,
        detail=detail if usd is not None else "no fleet without the spot market keeps the rules",
    )
    return (own, *others)


def _without_held(catalogue: Catalogue, chosen: Candidates, workload: Workload) -> Baseline:
    """What the best fleet would cost if nothing were held."""
    problem = build(catalogue, chosen, replace(workload, held=NOTHING_HELD))
    found = solve(problem, effort=COMPARE_EFFORT) if problem.offers else None
    return Baseline(
        name="without commitments",
        usd_per_hour=None
        if found is None
        else Decimal(repr(found.fleet.cost)).quantize(Decimal("1e-6")),
        detail="the same planner and rules, nothing held"
        if found is not None
        else "without what is held no fleet keeps the rules",
    )
