"""Why no fleet does, and the smallest change of each limit that would help.

Shapes that no machine can take come first: no limit helps those. Else each limit is lifted on
its own, and where that gives a fleet, the fleet that needs least of it says how much is needed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.optimize.offers import Candidates
from costplan.planner.optimize.problem import Floats, Limit, Problem
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.optimize.twins import is_commitment, plain
from costplan.planner.plan import Conflict
from costplan.planner.types import WorkerShape
from costplan.planner.units import memory_text
from costplan.planner.wording import percent
from costplan.planner.workload import Workload

EFFORT = 0.05
MOST_SITES = 6
MOST_HALVINGS = 8
CLOSE = 1e-9
POOL = "market.pool_max_share"


def conflicts(
    catalogue: Catalogue, chosen: Candidates, problem: Problem, workload: Workload
) -> tuple[Conflict, ...]:
    """What stands in the way of any fleet; never empty."""
    if not len(chosen.rows):
        return (_nothing_left(chosen),)
    homeless = tuple(_homeless(catalogue, chosen, problem, workload))
    if homeless:
        return homeless
    scattered = _scattered(problem)
    if scattered is not None:
        return (scattered,)
    lifted = (_lifted(problem, lim.name) for lim in plain(problem.limits))
    single = [c for c in lifted if c is not None]
    if problem.pool_share < 1:
        eased = _eased_pool(problem)
        single += [eased] if eased is not None else []
    return tuple(single) if single else _together(problem)


def _nothing_left(chosen: Candidates) -> Conflict:
    name, count = max(chosen.left_out, key=lambda each: each[1], default=("the price list", 0))
    return Conflict(
        limit="where, machines, market",
        problem="no offer is left once the rules are applied",
        remedy=f"the rule that removes most is: {name} ({count:,} offers)",
    )


def _need_text(shape: WorkerShape) -> str:
    need = shape.need
    text = f"{need.vcpu_milli / 1000:g} vCPU and {memory_text(need.memory_bytes)}"
    if need.gpus:
        kinds = " or ".join(shape.gpu_kinds) if shape.gpu_kinds else "any kind"
        text += f" and {need.gpus} GPU of {kinds}"
    return text


def _homeless(
    catalogue: Catalogue, chosen: Candidates, problem: Problem, workload: Workload
) -> list[Conflict]:
    """A conflict for each shape that fits on no machine that the rules leave."""
    used = np.zeros(len(problem.capacity), dtype=bool)
    used[problem.klass] = True
    fits = np.any(problem.fits()[used], axis=0)
    found = []
    for s, shape in enumerate(workload.shapes):
        if fits[s]:
            continue
        rows = chosen.rows
        if shape.markets:
            rows = rows[np.isin(catalogue.market[rows], [MARKETS.index(m) for m in shape.markets])]
        if not len(rows):
            remedy = f"it may run in {' or '.join(shape.markets)} only, and no such offer is left"
            found.append(_no_room(shape, remedy))
            continue
        if shape.need.gpus:
            kinds = catalogue.gpu_kind.names
            named = [k for k, n in enumerate(kinds) if not shape.gpu_kinds or n in shape.gpu_kinds]
            rows = rows[np.isin(catalogue.gpu_kind.codes[rows], named)]
        if not len(rows):
            have = sorted({catalogue.gpu_kind[int(r)] for r in chosen.rows} - {""})
            remedy = f"GPU kinds on offer are: {', '.join(have) or 'none'}"
        else:
            cpu = catalogue.vcpu_milli[rows].max() / 1000
            memory = memory_text(int(catalogue.memory_bytes[rows].max()))
            remedy = (
                f"the largest machines that the rules leave have {cpu:g} vCPU and {memory} "
                f"before overhead, {int(catalogue.gpus[rows].max())} GPU; widen where, machines "
                "or market, or ask for less"
            )
        found.append(_no_room(shape, remedy))
    return found


def _no_room(shape: WorkerShape, remedy: str) -> Conflict:
    return Conflict(
        limit=f"workers.{shape.name}",
        problem=f"no machine has room for one {shape.name!r} worker ({_need_text(shape)})",
        remedy=remedy,
    )


def _scattered(problem: Problem) -> Conflict | None:
    """A conflict where every shape has machines, but no one site has them for all."""
    fits = problem.fits()
    where: dict[int, list[str]] = {}
    most = 0
    for site in np.unique(problem.site).tolist():
        classes = np.unique(problem.klass[problem.site == site])
        able = fits[classes].any(axis=0)
        if able.all():
            return None
        if able.sum() >= most:
            most = int(able.sum())
            where = {site: [n for n, a in zip(problem.shape_names, able, strict=True) if not a]}
    site, missing = next(iter(where.items()))
    return Conflict(
        limit="where.single_region",
        problem="no one region (or zone) has machines for all workers; "
        f"{problem.sites[site]} lacks them for {', '.join(missing)}",
        remedy="allow more regions, or set single_region and single_zone to false",
    )


def _lifted(problem: Problem, name: str) -> Conflict | None:
    """A conflict where lifting this one limit gives a fleet: how much of it is needed."""
    limit = next(lim for lim in problem.limits if lim.name == name)
    others = tuple(lim for lim in problem.limits if lim.name != name)
    least = _least(replace(problem, limits=others), limit)
    if least is not None and limit.most < 0:
        least = _most_firm(problem, limit, least)
    return None if least is None else _needs(limit, least)


def _least(problem: Problem, limit: Limit) -> Solution | None:
    """The fleet that uses least of a limit that has been lifted; cost breaks ties."""
    use = limit.per_node
    if limit.share is not None or limit.most < 0:
        use = np.where(problem.is_spot, problem.vcpu, 0.0)
    scale = float(np.abs(use).max(initial=0.0)) or 1.0
    cost: Floats = np.maximum(use, 0.0) / scale + 1e-3 * problem.cost / problem.cost.max()
    twins = None if problem.twins is None else replace(problem.twins, whole=cost)
    bare = replace(problem, cost=cost, site_usd=np.zeros_like(problem.site_usd), twins=twins)
    found = solve(bare, effort=EFFORT, most_sites=MOST_SITES)
    if found is None:
        return None
    return replace(found, problem=problem)


def _most_firm(problem: Problem, base: Limit, least: Solution) -> Solution:
    """A fleet with about as much vCPU off the spot market as the other limits allow.

    Halves the way between what some fleet has and what is asked for; idle machines count.
    """
    asked = -base.most
    for _ in range(MOST_HALVINGS):
        has = -float(base.per_node @ least.fleet.bought)
        if asked - has <= 1:
            break
        middle = replace(base, most=-(has + asked) / 2)
        limits = tuple(middle if lim.name == base.name else lim for lim in problem.limits)
        found = solve(replace(problem, limits=limits), effort=EFFORT, most_sites=MOST_SITES)
        if found is None:
            asked = -middle.most
        else:
            least = found
    return least


def _needs(limit: Limit, least: Solution) -> Conflict:
    bought, problem = least.fleet.bought, least.problem
    used = float(limit.per_node @ bought)
    firm = abs(used)
    if limit.share is not None:
        spot = float((problem.vcpu * problem.is_spot) @ bought) / float(problem.vcpu @ bought)
        return Conflict(
            limit=limit.name,
            problem=f"needs {percent(spot)} of vCPU on spot, the limit is {percent(limit.share)}",
            remedy=f"raise {limit.name} to {_up(spot, 2):g} or allow on-demand machines",
        )
    if limit.most < 0:
        return Conflict(
            limit=limit.name,
            problem=f"at most {firm:g} vCPU can be on-demand, {-limit.most:g} are asked for",
            remedy=f"lower {limit.name} to {firm:g} or allow on-demand machines",
        )
    if limit.unit == "USD/h":
        needed = _up(used, 2)
        return Conflict(
            limit=limit.name,
            problem=f"needs ${needed:.2f}/h, budget is ${limit.most:.2f}",
            remedy=f"raise {limit.name} to {needed:.2f} or ask for fewer workers",
        )
    plural = "s" if limit.unit == "node" and used != 1 else ""
    return Conflict(
        limit=limit.name,
        problem=f"needs {used:g} {limit.unit}{plural}, the limit is {limit.most:g}",
        remedy=f"raise {limit.name} to {used:g}",
    )


def _up(value: float, digits: int) -> float:
    scale = 10**digits
    return float(np.ceil(value * scale - 1e-6) / scale)


def _eased_pool(problem: Problem) -> Conflict | None:
    """A conflict where one pool may have to hold more than its share."""
    for share in (0.35, 0.4, 0.5, 0.6, 0.75, 1.0):
        if share <= problem.pool_share:
            continue
        if (
            solve(replace(problem, pool_share=share), effort=EFFORT, most_sites=MOST_SITES)
            is not None
        ):
            return _too_few_pools(problem, share)
    return None


def _too_few_pools(problem: Problem, share: float) -> Conflict:
    return Conflict(
        limit=POOL,
        problem=f"there are too few pools to keep each below {percent(problem.pool_share)}",
        remedy=f"raise {POOL} to {share:g}, or allow more zones, types or on-demand",
    )


def _together(problem: Problem) -> tuple[Conflict, ...]:
    """What each limit would have to be when all are lifted together."""
    held = tuple(lim for lim in problem.limits if is_commitment(lim))
    bare = replace(problem, limits=held, pool_share=1.0)
    free = solve(bare, effort=EFFORT, most_sites=MOST_SITES)
    if free is None:
        return (
            Conflict(
                limit="all limits",
                problem="no fleet was found even without limits",
                remedy="ask for fewer workers",
            ),
        )
    bought = free.fleet.bought
    found = [
        _needs(lim, free)
        for lim in plain(problem.limits)
        if float(lim.per_node @ bought) > lim.most + CLOSE
    ]
    pools = problem.vcpu * problem.is_spot * bought
    largest = float(pools.max()) / float(problem.vcpu @ bought)
    if largest > problem.pool_share + CLOSE or not found:
        found.append(_too_few_pools(problem, max(_up(largest, 2), problem.pool_share)))
    note = "; no single limit is enough, these have to change together"
    return tuple(replace(c, problem=c.problem + note) for c in found)
