"""A recommended fleet under a deadline: how long it may stay on spot, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.config_fields import MOST_SECONDS
from costplan.planner.deadline.advice import advise, least_seconds
from costplan.planner.deadline.types import Terms
from costplan.planner.errors import InputError
from costplan.planner.optimize.offers import candidates
from costplan.planner.plan import Infeasible, PricedPool, Recommendation
from costplan.planner.types import Market
from costplan.planner.units import seconds_text
from costplan.planner.workload import Workload

SUBJECT = "deadline"
DEARER = Decimal("1.25")
"""A zone is somewhere to go to while spot there costs less than so many times the planned fleet."""


def checked_deadline(workload: Workload, deadline_seconds: int) -> None:
    """Returns where on-demand machines could keep the deadline; raises InputError otherwise."""
    if workload.duration_seconds is None:
        raise InputError(
            SUBJECT,
            f"{workload.name} does not say how long it runs",
            "add `duration: 6h` to the workload file: the time that its work takes these workers",
        )
    if deadline_seconds > MOST_SECONDS:
        raise InputError(
            SUBJECT,
            f"{seconds_text(deadline_seconds)} is more than 10 years",
            "write it like 8h, or leave it out",
        )
    if set(workload.market.allow) <= {Market.SPOT}:
        raise InputError(
            SUBJECT,
            f"{workload.name} allows no on-demand machines, and spot alone can promise no time",
            "add on_demand to market.allow, or leave the deadline out",
        )
    for shape in workload.shapes:
        if shape.markets and set(shape.markets) == {Market.SPOT}:
            raise InputError(
                SUBJECT,
                f"{shape.name!r} workers may run on spot only, which can promise no time",
                f"add on_demand to the markets of {shape.name!r}, or leave the deadline out",
            )
    least = least_seconds(workload.duration_seconds, workload.interruption.restart_seconds)
    if deadline_seconds < least:
        raise InputError(
            SUBJECT,
            f"{seconds_text(deadline_seconds)} is too short: {workload.name} takes "
            f"{seconds_text(workload.duration_seconds)}, and its machines "
            f"{seconds_text(least - workload.duration_seconds)} to begin",
            f"allow at least {seconds_text(least)}, or ask for more workers and less duration",
        )


def with_deadline(
    plan: Recommendation,
    deadline_seconds: int,
    catalogue: Catalogue,
    solve: Callable[[Workload], Recommendation | Infeasible],
) -> Recommendation:
    """The plan with advice on its deadline, which `checked_deadline` has let pass.

    The spot fleet may go to the zones of the catalogue where it is sold for little more. `solve`
    finds the fleet of a workload, here of the same one without spot. Raises InputError where no
    such fleet keeps the rules: spot alone can promise no time.
    """
    workload = plan.workload
    other = solve(on_demand_only(workload))
    if isinstance(other, Infeasible):
        raise _refusal(other)
    spot = [p for p in plan.pools if p.pool.key.market is Market.SPOT]
    vcpu = sum(p.vcpu_each * p.pool.nodes for p in spot)
    hazard = sum(p.vcpu_each * p.pool.nodes * p.hazard_per_hour for p in spot) / vcpu if vcpu else 0
    terms = Terms(
        work_seconds=workload.duration_seconds or 0,
        deadline_seconds=deadline_seconds,
        changeover_seconds=workload.interruption.restart_seconds,
        lost_work_seconds=workload.interruption.lost_work_seconds,
        spot_usd_per_hour=plan.usd_per_hour,
        on_demand_usd_per_hour=other.usd_per_hour,
        hazard_per_hour=hazard,
        zones=spot_zones(spot, catalogue, workload),
    )
    fleet = tuple((each.pool.key, each.pool.nodes) for each in other.pools)
    return replace(plan, deadline=replace(advise(terms), fleet=fleet))


def spot_zones(
    spot: Sequence[PricedPool], catalogue: Catalogue, workload: Workload
) -> tuple[str, ...]:
    """Zones that the rules allow, sorted, in which all machines of a spot fleet are sold on spot
    for at most DEARER times what the fleet costs; none where it is of more than one region, or
    prices are by region."""
    regions = {(p.pool.key.provider, p.pool.key.region) for p in spot}
    if len(regions) != 1:
        return ()
    nodes = Counter[str]()
    for pool in spot:
        nodes[pool.pool.key.instance_type] += pool.pool.nodes
    ((provider, region),) = regions
    rows = candidates(catalogue, workload).rows
    here = rows[
        (catalogue.provider.codes[rows] == catalogue.provider.code_of(provider))
        & (catalogue.region.codes[rows] == catalogue.region.code_of(region))
        & (catalogue.market[rows] == MARKETS.index(Market.SPOT))
        & (catalogue.zone.codes[rows] >= 0)
    ]
    prices: dict[str, dict[str, Decimal]] = {}
    for row in here.tolist():
        quote = catalogue.quote(row)
        if quote.key.instance_type in nodes:
            prices.setdefault(quote.key.zone, {})[quote.key.instance_type] = quote.usd_per_hour
    most = DEARER * sum(p.pool.nodes * p.pool.usd_per_hour_each for p in spot)
    return tuple(
        sorted(
            zone
            for zone, found in prices.items()
            if len(found) == len(nodes)
            and sum(count * found[kind] for kind, count in nodes.items()) <= most
        )
    )


def _refusal(other: Infeasible) -> InputError:
    """Why no fleet does without spot, and the way out."""
    if not other.prices.offers_considered:
        return InputError(
            SUBJECT,
            "the prices have no on-demand machine that the rules allow, and spot alone can promise "
            "no time",
            "give a list with on-demand prices (--prices), or allow more by where and machines",
        )
    why = "; ".join(conflict.problem for conflict in other.conflicts)
    remedy = "; ".join(conflict.remedy for conflict in other.conflicts if conflict.remedy)
    return InputError(
        SUBJECT,
        f"no fleet without spot keeps the rules ({why}), and spot alone can promise no time",
        remedy or "ease the rules, or leave the deadline out",
    )


def on_demand_only(workload: Workload) -> Workload:
    """The workload without the spot market."""
    allow = tuple(each for each in workload.market.allow if each is not Market.SPOT)
    return replace(workload, market=replace(workload.market, allow=allow))
