"""Whether a reviewed plan may still be executed here and now, by rules that are read anew.

Nothing of the plan is believed but what it wants: its prices, its limits and the fleet that it
was made for are all compared with what holds now. Every refusal is a sentence with numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from costplan.planner.accrual import running_usd
from costplan.planner.charges import beside_usd, whole_meters
from costplan.planner.market import catalogue_of, priced_offers
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.plan_schema import PlanDocument, PoolDocument
from costplan.planner.plan_schema_fields import OfferDocument
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.spending import spent_in_month, spent_on_day
from costplan.planner.standing import is_staying
from costplan.planner.tick import AppliedPlan, State
from costplan.planner.types import Offer, OfferKey, Packing, PoolPlan, Quote, WorkerShape
from costplan.planner.units import milli_from_vcpu, seconds_text
from costplan.planner.wording import counted, offer_text, percent, plain, usd
from costplan.planner.workload import Workload
from costplan.planner.workload_schema import WorkerDocument

_CLOCK_SLACK = timedelta(minutes=5)
"""Clocks of two machines differ; a plan from further ahead is not believed."""


class Check(StrEnum):
    """What a plan is held to."""

    AGE = "age"
    PRICES = "prices"
    ONCE = "once"
    FLEET = "fleet"
    WORKERS = "workers"
    RULES = "rules"
    BUDGET = "budget"
    CONTROL = "control"


STALE = frozenset({Check.AGE, Check.PRICES})
"""Refusals that a new `recommend` helps against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a plan is not executed."""

    check: Check
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """The cluster that a plan is to be executed on. `applied` are plans that were executed."""

    state: State
    settings: Settings
    offers: tuple[Offer, ...]
    quotes: tuple[Quote, ...]
    applied: Collection[str]
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How old a plan may be, and by which share a price may have risen since."""

    max_age_seconds: int = 3600
    price_share: float = 0.05


def refusals(plan: PlanDocument, here: Here, tolerance: Tolerance) -> tuple[Refusal, ...]:
    """Everything that stands against executing the plan now; none means that it may be."""
    pools = pools_of(plan)
    found = (
        (Check.CONTROL, _control(here)),
        (Check.AGE, _age(plan, here.now, tolerance.max_age_seconds)),
        (Check.ONCE, _once(plan, here.applied)),
        (Check.FLEET, _other_fleet(plan, here)),
        (Check.WORKERS, _workers(plan, pools, here.settings)),
        (Check.PRICES, _prices(pools, here, tolerance.price_share)),
        (Check.RULES, _rules(pools, here)),
        (Check.BUDGET, _budget(pools, here)),
    )
    return tuple(
        Refusal(check=check, reason=reason) for check, reasons in found for reason in reasons
    )


def pools_of(plan: PlanDocument) -> tuple[PoolPlan, ...]:
    """The pools that a plan document wants, by key; raises ValueError where they do not add up."""
    pools: dict[OfferKey, PoolPlan] = {}
    for row in plan.fleet:
        key = _key(row)
        if key in pools:
            raise ValueError(f"{key} is there twice")
        if row.nodes != sum(packing.nodes for packing in row.packings):
            raise ValueError(f"the packings of {key} do not add up to its {row.nodes} nodes")
        pools[key] = _pool(key, row)
    return tuple(pools[key] for key in sorted(pools))


def _pool(key: OfferKey, row: PoolDocument) -> PoolPlan:
    return PoolPlan(
        key=key,
        nodes=row.nodes,
        usd_per_hour_each=Decimal(row.usd_per_hour_each),
        packings=tuple(Packing(nodes=each.nodes, workers=each.workers) for each in row.packings),
    )


def _key(offer: OfferDocument) -> OfferKey:
    return OfferKey(
        provider=offer.provider,
        region=offer.region,
        zone=offer.zone or "",
        instance_type=offer.instance_type,
        market=offer.market,
    )


def plan_key(plan: PlanDocument) -> str:
    """What is executed once: a plan as it was made at a time.

    The same question at the same prices has the same plan_id, also when it is asked anew.
    """
    return f"{plan.plan_id}@{plan.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def handed_over(plan: PlanDocument, now: datetime, hold_seconds: int | None) -> AppliedPlan:
    """The plan as the daemon executes it, once; `hold_seconds` keeps the fleet so afterwards."""
    until = None if hold_seconds is None else now + timedelta(seconds=hold_seconds)
    return AppliedPlan(
        plan_id=plan_key(plan), pools=pools_of(plan), requested_at=now, hold_until=until
    )


def fleet_now(state: State) -> Mapping[OfferKey, int]:
    """Nodes by offer that are there or coming and not told to leave."""
    fleet: dict[OfferKey, int] = {}
    for node in state.nodes.values():
        if is_staying(node):
            fleet[node.key] = fleet.get(node.key, 0) + 1
    return {key: fleet[key] for key in sorted(fleet)}


def _control(here: Here) -> Iterator[str]:
    control = here.state.control
    if control.down:
        yield "the fleet is going down"
    if control.paused_until is not None and control.paused_until > here.now:
        yield "the autoscaler is paused, and a plan must not wait until it is stale: resume first"
    earlier = control.applied
    if earlier is None:
        return
    if control.applied_plan != earlier.plan_id:
        yield f"plan {plain(earlier.plan_id)} is yet to be executed"
    elif earlier.hold_until is not None and earlier.hold_until > here.now:
        until = f"{earlier.hold_until:%Y-%m-%d %H:%M:%S} UTC"
        yield f"plan {plain(earlier.plan_id)} is held until {until}"


def _age(plan: PlanDocument, now: datetime, most_seconds: int) -> Iterator[str]:
    age = now - plan.created_at
    if age > timedelta(seconds=most_seconds):
        said = seconds_text(int(age.total_seconds()))
        yield f"the plan is {said} old, more than {seconds_text(most_seconds)}"
    if -age > _CLOCK_SLACK:
        yield f"the plan was made at {plan.created_at:%Y-%m-%d %H:%M:%S} UTC, which is yet to come"


def _once(plan: PlanDocument, applied: Collection[str]) -> Iterator[str]:
    if plan_key(plan) in applied:
        yield f"plan {plain(plan_key(plan))} was executed before, and a plan is executed once"


def _other_fleet(plan: PlanDocument, here: Here) -> Iterator[str]:
    """Where the plan says what ran when it was made, the same must run now."""
    if plan.workload.name != here.settings.workload:
        yield (
            f"the plan is for workload {plain(plan.workload.name)}, "
            f"and this cluster runs {plain(here.settings.workload)}"
        )
    if plan.diff is None:
        return
    made_for = {_key(each): each.nodes_now for each in plan.diff.changes if each.nodes_now}
    fleet = fleet_now(here.state)
    for key in sorted({*made_for, *fleet}):
        then, now = made_for.get(key, 0), fleet.get(key, 0)
        if then != now:
            yield (
                f"the plan was made for a fleet with {counted(then, 'node')} of "
                f"{offer_text(key)}, and {now:,} run now"
            )


def _workers(plan: PlanDocument, pools: Iterable[PoolPlan], settings: Settings) -> Iterator[str]:
    """Workers are those of the configuration, in kind, need and number."""
    kinds = {kind.name: kind for kind in settings.kinds}
    for shape in plan.workload.workers:
        kind = kinds.get(shape.name)
        if kind is None:
            known = ", ".join(map(plain, kinds))
            yield f"{plain(shape.name)} is no kind of worker here; there are {known}"
        else:
            yield from _other_need(shape, kind)
    placed = _placed(pools)
    for kind in settings.kinds:
        count = placed.get(kind.name, 0)
        if count < kind.minimum:
            yield f"{count:,} {plain(kind.name)} are below the minimum of {kind.minimum:,}"
        if kind.maximum is not None and count > kind.maximum:
            yield f"{count:,} {plain(kind.name)} are above the maximum of {kind.maximum:,}"


def _other_need(shape: WorkerDocument, kind: WorkerKind) -> Iterator[str]:
    there = (kind.need.vcpu_milli, kind.need.memory_bytes, kind.need.gpus)
    if (milli_from_vcpu(shape.vcpu), shape.memory_bytes, shape.gpus) != there:
        yield (
            f"a {plain(shape.name)} of the plan needs {shape.vcpu:g} vCPU, "
            f"{shape.memory_bytes:,} bytes and {shape.gpus} GPUs; here it needs "
            f"{there[0] / 1000:g}, {there[1]:,} and {there[2]}"
        )


def _placed(pools: Iterable[PoolPlan]) -> Mapping[str, int]:
    placed: dict[str, int] = {}
    for pool in pools:
        for packing in pool.packings:
            for name, each in packing.workers.items():
                placed[name] = placed.get(name, 0) + packing.nodes * each
    return placed


def _prices(pools: Iterable[PoolPlan], here: Here, share: float) -> Iterator[str]:
    quoted = {quote.key: quote.usd_per_hour for quote in here.quotes}
    offered = {offer.key: offer for offer in here.offers}
    for pool in pools:
        if pool.key not in offered or not offered[pool.key].available:
            yield f"{offer_text(pool.key)} cannot be bought now"
            continue
        price = quoted.get(pool.key)
        if price is None:
            yield f"{offer_text(pool.key)} has no price now"
        elif price > pool.usd_per_hour_each * (1 + Decimal(repr(share))):
            rise = (price - pool.usd_per_hour_each) / pool.usd_per_hour_each
            yield (
                f"{offer_text(pool.key)} costs {usd(price)}/h now and {usd(pool.usd_per_hour_each)}"
                f"/h in the plan: {percent(rise)} more, {percent(share)} are tolerated"
            )


def _at_prices_now(pools: Iterable[PoolPlan], here: Here) -> tuple[PoolPlan, ...]:
    quoted = {quote.key: quote.usd_per_hour for quote in here.quotes}
    return tuple(
        replace(pool, usd_per_hour_each=quoted.get(pool.key, pool.usd_per_hour_each))
        for pool in pools
    )


def _rules(pools: tuple[PoolPlan, ...], here: Here) -> Iterator[str]:
    """The rules of the configuration, by the code that holds every plan to them."""
    settings = here.settings
    placed = _placed(pools)
    shapes = tuple(
        WorkerShape(
            name=kind.name, count=placed[kind.name], need=kind.need, gpu_kinds=kind.gpu_kinds
        )
        for kind in settings.kinds
        if placed.get(kind.name, 0)
    )
    workload = Workload(
        name=settings.workload,
        shapes=shapes,
        where=settings.where,
        machines=settings.machines,
        market=settings.market,
        interruption=settings.interruption,
        overhead=settings.overhead,
        limits=settings.limits,
    )
    # What cannot be bought or has no price is refused for that, once.
    known = {quote.key for quote in here.quotes} & {o.key for o in here.offers if o.available}
    priced = tuple(pool for pool in _at_prices_now(pools, here) if pool.key in known)
    if len(priced) == len(pools):
        yield from evaluate(
            priced, catalogue_of(priced_offers(here.offers, here.quotes)), workload
        ).violations


def _budget(pools: Iterable[PoolPlan], here: Here) -> Iterator[str]:
    """The plan at today's prices within the rate, and within what is left if it ran on."""
    budget, now, extras = here.settings.budget, here.now, here.settings.extras
    rate = sum(
        (
            p.nodes * (p.usd_per_hour_each + beside_usd(p.key, extras))
            for p in _at_prices_now(pools, here)
        ),
        Decimal(0),
    )
    if budget.usd_per_hour is not None and rate > budget.usd_per_hour:
        yield f"{usd(rate)}/h is above the budget of {usd(budget.usd_per_hour)}/h"
    nodes, by_day = here.state.nodes, here.state.spent_by_day
    running = running_usd(nodes, whole_meters(here.state.meters, nodes, extras), now)
    for name, limit, spent in (
        ("today", budget.usd_per_day, spent_on_day(by_day, now) + running),
        ("this month", budget.usd_per_month, spent_in_month(by_day, now) + running),
    ):
        if limit is not None and spent >= limit and rate > 0:
            yield f"{usd(spent)} of {usd(limit)} are spent {name}: nothing is left"
