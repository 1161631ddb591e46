"""`recommend`: a workload and a price list in, a plan with its proof out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.compared import compared, runner_up, second_best
from costplan.planner.conflicts import conflicts
from costplan.planner.found import Found, best_fleet
from costplan.planner.held.machines import Tariff, machine_at
from costplan.planner.held.price import fleet_cover
from costplan.planner.held.report import held_plan
from costplan.planner.held.values import usable
from costplan.planner.optimize.evaluate_place import place_costs
from costplan.planner.optimize.offers import Candidates, candidates
from costplan.planner.optimize.problem import Problem, build
from costplan.planner.optimize.solve import Solution
from costplan.planner.place_report import not_priced, place_gaps, place_plan
from costplan.planner.plan import (
    Binding,
    Change,
    Diff,
    Infeasible,
    PricedPool,
    PricesUsed,
    Recommendation,
    Risk,
    Running,
)
from costplan.planner.risk import ANY_PROVIDER, PRIORS
from costplan.planner.types import Gap, Market, OfferKey, PoolPlan
from costplan.planner.units import SECONDS_PER_HOUR, usd_from_fraction, usd_from_pico
from costplan.planner.workload import Workload

PICO = Decimal("1e-12")
SMALLEST_SHADOW = 1e-6


def recommend(  # noqa: PLR0913 - each is a fact of the question, none has a default that fits
    catalogue: Catalogue,
    workload: Workload,
    *,
    price_name: str,
    price_digest: str,
    price_gaps: tuple[Gap, ...],
    created_at: datetime,
    current: tuple[Running, ...] | None = None,
) -> Recommendation | Infeasible:
    """The cheapest fleet for a workload, or what stands in its way.

    Raises InvariantBroken where the plan must not be used, as `best_fleet` does.
    """
    held_gaps: tuple[Gap, ...] = ()
    if workload.held.is_any:
        held, held_gaps = usable(workload.held, created_at)
        workload = replace(workload, held=held)
    chosen = candidates(catalogue, workload)
    problem = build(catalogue, chosen, workload)
    held_gaps += problem.twins.gaps if problem.twins is not None else ()
    price_gaps = (*price_gaps, *held_gaps)
    prices = _prices_used(catalogue, chosen, price_name, price_digest)
    best = best_fleet(catalogue, chosen, problem, workload)
    if not isinstance(best, Found):
        return Infeasible(
            created_at=created_at,
            workload=workload,
            prices=prices,
            conflicts=conflicts(catalogue, chosen, problem, workload) if best is None else (best,),
            gaps=price_gaps,
        )
    problem, solution, plan, checked = best.problem, best.solution, best.pools, best.checked
    expected = checked.expected_usd_per_hour.quantize(PICO)
    bound = min(Decimal(repr(best.bound)).quantize(PICO), expected)
    rows = _rows(problem, solution, catalogue)
    solution = _as_planned(solution, {rows[pool.key]: pool.nodes for pool in plan})
    priced = tuple(_priced(catalogue, chosen, rows[pool.key], pool) for pool in plan)
    hours = Decimal(workload.duration_seconds or 0) / SECONDS_PER_HOUR
    total = expected * hours if workload.duration_seconds else None
    return Recommendation(
        plan_id=_plan_id(price_digest, workload, current, solution),
        created_at=created_at,
        workload=workload,
        site=problem.sites[solution.site],
        prices=prices,
        pools=priced,
        usd_per_hour=checked.usd_per_hour.quantize(PICO),
        expected_usd_per_hour=expected,
        lower_bound_usd_per_hour=bound,
        gap=_gap(expected, bound),
        termination=best.termination,
        total_usd=None if total is None else total.quantize(PICO),
        baselines=compared(catalogue, chosen, problem, workload),
        binding=_binding(solution),
        runner_up=second_best(best, runner_up(catalogue, problem, solution, expected, workload)),
        risk=_risk(chosen, best, priced),
        not_priced=not_priced(workload),
        gaps=(*price_gaps, *_gaps(priced), *place_gaps(best)),
        diff=None if current is None else _diff(catalogue, plan, current, workload),
        place=place_plan(catalogue, best, workload),
        held=held_plan(checked.cover),
    )


def _gap(expected: Decimal, bound: Decimal) -> float:
    """How far a cost is above its bound, as a share of that."""
    if expected <= bound:
        return 0.0
    return float((expected - bound) / bound) if bound else float("inf")


def _rows(problem: Problem, solution: Solution, catalogue: Catalogue) -> dict[OfferKey, int]:
    """The catalogue's row of each offer that the fleet is bought as."""
    rows = problem.row[np.flatnonzero(solution.fleet.bought)]
    return {catalogue.key(int(row)): int(row) for row in rows}


def _as_planned(solution: Solution, nodes: dict[int, int]) -> Solution:
    """The solution without the idle nodes that the plan left out; `nodes` are by row."""
    bought = solution.fleet.bought.copy()
    for offer in np.flatnonzero(bought):
        bought[offer] = nodes.get(int(solution.problem.row[offer]), 0)
    return replace(solution, fleet=replace(solution.fleet, bought=bought))


def _prices_used(catalogue: Catalogue, chosen: Candidates, name: str, digest: str) -> PricesUsed:
    observed = catalogue.observed_at[chosen.rows if len(chosen.rows) else slice(None)]
    codes = np.bincount(catalogue.source.codes[chosen.rows] + 1)[1:]
    return PricesUsed(
        name=name,
        digest=digest,
        sources=tuple(catalogue.source.names[c] for c in np.flatnonzero(codes)),
        oldest_observed_at=datetime.fromtimestamp(int(observed.min()), UTC),
        newest_observed_at=datetime.fromtimestamp(int(observed.max()), UTC),
        offers_total=len(catalogue),
        offers_considered=len(chosen.rows),
        left_out=chosen.left_out,
    )


def _priced(catalogue: Catalogue, chosen: Candidates, row: int, pool: PoolPlan) -> PricedPool:
    return PricedPool(
        pool=pool,
        hazard_per_hour=float(chosen.hazards.middle[row]),
        hazard_assumed=bool(chosen.hazards.assumed[row]),
        price_source=catalogue.source[row],
        price_observed_at=datetime.fromtimestamp(int(catalogue.observed_at[row]), UTC),
        price_is_estimate=bool(catalogue.is_estimate[row]),
        vcpu_each=float(catalogue.vcpu_milli[row]) / 1000,
        memory_bytes_each=int(catalogue.memory_bytes[row]),
        gpus_each=int(catalogue.gpus[row]),
        gpu_kind=catalogue.gpu_kind[row] or None,
    )


def _plan_id(
    digest: str, workload: Workload, current: tuple[Running, ...] | None, solution: Solution
) -> str:
    """The same for the same prices, workload, fleet and answer, whenever it is asked for."""
    bought = np.flatnonzero(solution.fleet.bought)
    answer = [(int(o), int(solution.fleet.bought[o])) for o in bought]
    text = f"{digest}|{workload!r}|{current!r}|{answer}"
    if workload.held.is_any:
        text += f"|{workload.held!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _binding(solution: Solution) -> tuple[Binding, ...]:
    """The limits whose multiplier is above zero, those worth most first.

    A share is worth its multiplier times the fleet's vCPU, here per percentage point.
    """
    problem, duals = solution.problem, solution.relaxation.duals
    vcpu = float(problem.vcpu @ solution.fleet.bought)
    found: list[tuple[float, str, str]] = []
    for multiplier, limit in zip(duals.lam, problem.limits, strict=True):
        worth = float(multiplier)
        if limit.share is not None:
            found.append((worth * vcpu / 100, limit.name, "percentage point"))
        else:
            found.append((worth, limit.name, limit.unit))
    pools_worth = float(duals.sigma.sum()) * vcpu / 100
    found.append((pools_worth, "market.pool_max_share", "percentage point"))
    return tuple(
        Binding(
            limit=name,
            shadow_usd_per_hour=Decimal(repr(worth)).quantize(Decimal("1e-6")),
            unit=unit,
        )
        for worth, name, unit in sorted(found, key=lambda f: (-f[0], f[1]))
        if worth > SMALLEST_SHADOW
    )


def _risk(chosen: Candidates, best: Found, priced: tuple[PricedPool, ...]) -> Risk:
    problem, solution = best.problem, best.solution
    bought = solution.fleet.bought
    used = np.flatnonzero(bought)
    rows, nodes = problem.row[used], bought[used]
    vcpu = problem.vcpu * bought
    spot = vcpu * problem.is_spot
    total = float(vcpu.sum())
    largest = max(
        (p for p in priced if p.pool.key.market is Market.SPOT),
        key=lambda p: (p.vcpu_each * p.pool.nodes, str(p.pool.key)),
        default=None,
    )
    per_day = [
        24 * float(nodes @ hazard[rows])
        for hazard in (chosen.hazards.low, chosen.hazards.middle, chosen.hazards.high)
    ]
    price = problem.price[used] @ nodes + float(best.checked.place.crossing_usd_per_hour)
    price -= float(best.checked.saved_usd_per_hour)
    middle = np.maximum(chosen.hazards.middle[rows], 1e-300)
    extra = (problem.cost[used] - problem.price[used]) * nodes / middle
    band = [
        Decimal(repr(float(price + extra @ hazard[rows]))).quantize(Decimal("1e-6"))
        for hazard in (chosen.hazards.low, chosen.hazards.high)
    ]
    return Risk(
        spot_share=float(spot.sum()) / total,
        largest_pool=None if largest is None else largest.pool.key,
        largest_pool_share=(
            0.0 if largest is None else largest.vcpu_each * largest.pool.nodes / total
        ),
        interruptions_per_day=per_day[1],
        interruptions_per_day_low=per_day[0],
        interruptions_per_day_high=per_day[2],
        expected_usd_per_hour_low=band[0],
        expected_usd_per_hour_high=band[1],
    )


def _gaps(priced: tuple[PricedPool, ...]) -> list[Gap]:
    """What of the plan's own pools nobody knows, and what stands in for it."""
    found = []
    providers = {p.pool.key.provider for p in priced if p.hazard_assumed}
    for provider in sorted(providers):
        prior = PRIORS.get(provider, ANY_PROVIDER)
        found.append(
            Gap(
                kind="hazard",
                subject=f"spot pools of {provider}",
                assumed=f"{prior.middle:.2g} interruptions a node-hour, 10-90 % "
                f"{prior.low:.2g} to {prior.high:.2g} ({prior.source})",
            )
        )
    zoneless = sorted({p.pool.key.region for p in priced if not p.pool.key.zone})
    if zoneless:
        found.append(
            Gap(
                kind="zone",
                subject=f"pools in {', '.join(zoneless)}",
                assumed="priced by region; every zone of it is taken to cost the same, and the "
                "region counts as one pool",
            )
        )
    estimated = sum(p.price_is_estimate for p in priced)
    if estimated:
        found.append(
            Gap(
                kind="price",
                subject=f"{estimated} of {len(priced)} pools",
                assumed="the price is an estimate of its source and not a price that was read",
            )
        )
    return found


def _diff(
    catalogue: Catalogue,
    plan: tuple[PoolPlan, ...],
    current: tuple[Running, ...],
    workload: Workload,
) -> Diff:
    """The plan against what runs now; what runs is priced by the same list where it can be."""
    planned = {pool.key: pool.nodes for pool in plan}
    now = {running.key: running.nodes for running in current}
    rows = _find_rows(catalogue, set(planned) | set(now))
    prices = {k: usd_from_pico(int(catalogue.price_pico[row])) for k, row in rows.items()}
    changes = tuple(
        Change(
            key=key,
            nodes_now=now.get(key, 0),
            nodes_planned=planned.get(key, 0),
            usd_per_hour_each=prices.get(key),
            price_is_estimate=key in rows and bool(catalogue.is_estimate[rows[key]]),
        )
        for key in sorted(set(planned) | set(now))
    )
    unpriced = tuple(key for key in sorted(now) if key not in prices)
    total = sum((prices[k] * n for k, n in now.items() if k in prices), Decimal(0))
    sized = [(k, n, int(catalogue.vcpu_milli[rows[k]])) for k, n in now.items() if k in rows]
    place = place_costs(sized, workload)
    if workload.held.is_any:
        fleet = [(machine_at(catalogue, rows[key]), nodes) for key, nodes, _ in sized]
        saved = fleet_cover(fleet, Tariff(catalogue, workload.held)).saved_usd
        total -= usd_from_fraction(saved)
    total += place.by_node_usd_per_hour + place.traffic_usd_per_hour.quantize(PICO)
    return Diff(
        changes=changes,
        usd_per_hour_now=None if unpriced else total,
        unpriced=unpriced,
    )


def _find_rows(catalogue: Catalogue, keys: set[OfferKey]) -> dict[OfferKey, int]:
    types = np.isin(
        catalogue.instance_type.codes,
        [catalogue.instance_type.code_of(key.instance_type) for key in keys],
    )
    named = ((catalogue.key(row), row) for row in np.flatnonzero(types).tolist())
    return {key: row for key, row in named if key in keys}
