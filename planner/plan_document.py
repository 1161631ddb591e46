"""An answer as the document that is published: plain values in the form of `plan_schema.py`.

What has no order of its own is sorted, so that equal answers are equal bytes.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Literal, cast

from costplan.planner import plan_schema as schema
from costplan.planner import plan_schema_deadline as deadlines
from costplan.planner import workload_schema as asked
from costplan.planner.deadline.types import DeadlineAdvice
from costplan.planner.place_rates import COMPILED_ON, UNITS
from costplan.planner.plan import (
    Change,
    Diff,
    HeldPlan,
    Infeasible,
    PlacePlan,
    PricedPool,
    PricesUsed,
    Recommendation,
    Risk,
)
from costplan.planner.plan_schema_fields import OfferDocument
from costplan.planner.types import Gap, OfferKey
from costplan.planner.units import pico_from_usd, usd_from_pico, usd_text
from costplan.planner.workload import Workload


def money_text(usd: Decimal) -> str:
    """Exact decimal text, at least cents and no exponent: Decimal('1E+1') -> '10.00'."""
    return usd_text(pico_from_usd(usd))


def document(answer: Recommendation | Infeasible) -> dict[str, Any]:
    """The answer as JSON values, checked against the published form."""
    form = _infeasible(answer) if isinstance(answer, Infeasible) else _plan(answer)
    written = form.model_dump(mode="json")
    if written.get("commitments", ...) is None:
        del written["commitments"]
    return written


def document_text(answer: Recommendation | Infeasible) -> str:
    """The answer as JSON text that ends with a newline; equal answers give equal bytes."""
    return json.dumps(document(answer), indent=2, allow_nan=False) + "\n"


def _plan(plan: Recommendation) -> schema.PlanDocument:
    return schema.PlanDocument(
        schema_version=1,
        status="ok",
        plan_id=plan.plan_id,
        created_at=plan.created_at,
        workload=_workload(plan.workload),
        site=plan.site,
        prices=_prices(plan.prices),
        fleet=[_pool(pool) for pool in sorted(plan.pools, key=lambda each: each.pool.key)],
        usd_per_hour=money_text(plan.usd_per_hour),
        expected_usd_per_hour=money_text(plan.expected_usd_per_hour),
        total_usd=money_or_none(plan.total_usd),
        lower_bound_usd_per_hour=money_text(plan.lower_bound_usd_per_hour),
        gap=plan.gap if math.isfinite(plan.gap) else None,
        termination=cast(Literal["optimal", "gap", "steps", "fallback"], plan.termination),
        baselines=[
            schema.BaselineDocument(
                name=each.name, usd_per_hour=money_or_none(each.usd_per_hour), detail=each.detail
            )
            for each in plan.baselines
        ],
        binding=[
            schema.BindingDocument(
                limit=each.limit,
                shadow_usd_per_hour=money_text(each.shadow_usd_per_hour),
                unit=each.unit,
            )
            for each in plan.binding
        ],
        runner_up=None
        if plan.runner_up is None
        else schema.RunnerUpDocument(
            description=plan.runner_up.description,
            expected_usd_per_hour=money_text(plan.runner_up.expected_usd_per_hour),
            is_bound=plan.runner_up.is_bound,
            reason=plan.runner_up.reason,
        ),
        risk=_risk(plan.risk),
        not_priced=list(plan.not_priced),
        gaps=_gaps(plan.gaps),
        diff=None if plan.diff is None else _diff(plan.diff),
        deadline=None if plan.deadline is None else _deadline(plan.deadline),
        place=None if plan.place is None else _place(plan.place),
        commitments=None if plan.held is None else _held(plan.held),
    )


def _held(held: HeldPlan) -> schema.CommitmentsDocument:
    return schema.CommitmentsDocument(
        saved_usd_per_hour=money_text(held.saved_usd_per_hour),
        nodes=[
            schema.PaidNodesDocument(
                **_named(each.key),
                nodes=each.nodes,
                commitments=list(each.commitments),
                is_whole=each.is_whole,
                usd_per_hour_each=money_text(each.usd_per_hour_each),
            )
            for each in held.nodes
        ],
        uses=[
            schema.CommitmentUseDocument(
                id=each.commitment_id,
                kind=each.kind,
                unit=each.unit,
                used=money_text(each.used),
                idle=money_text(each.idle),
                used_usd_per_hour=money_or_none(each.used_usd_per_hour),
                idle_usd_per_hour=money_or_none(each.idle_usd_per_hour),
            )
            for each in sorted(held.uses, key=lambda one: one.commitment_id)
        ],
    )


def _place(place: PlacePlan) -> schema.PlaceDocument:
    return schema.PlaceDocument(
        disks_usd_per_hour=money_text(place.disks_usd_per_hour),
        addresses_usd_per_hour=money_text(place.addresses_usd_per_hour),
        traffic_usd_per_hour=money_text(place.traffic_usd_per_hour),
        read_usd=money_text(place.read_usd),
        read_usd_per_hour=money_text(place.read_usd_per_hour),
        elsewhere=[
            schema.ElsewhereDocument(
                place=each.place,
                least_usd=money_text(each.least_usd),
                most_usd=money_text(each.most_usd),
            )
            for each in place.elsewhere
        ],
        rates=[
            schema.PlaceRateDocument(
                provider=each.provider,
                charge=each.charge.value,
                usd=money_text(each.usd),
                unit=UNITS[each.charge],
                source=each.source,
            )
            for each in place.rates
        ],
        rates_compiled_on=COMPILED_ON,
    )


def _deadline(advice: DeadlineAdvice) -> deadlines.DeadlineDocument:
    terms = advice.terms
    return deadlines.DeadlineDocument(
        deadline_seconds=terms.deadline_seconds,
        work_seconds=terms.work_seconds,
        changeover_seconds=terms.changeover_seconds,
        lost_work_seconds=terms.lost_work_seconds,
        begin=advice.begin.value,
        steady_hours=advice.steady_hours,
        rules=deadlines.RulesDocument(**asdict(advice.rules)),
        expected_usd=money_text(advice.expected_usd),
        median_usd=money_text(advice.median_usd),
        high_usd=money_text(advice.high_usd),
        on_demand_usd=money_text(advice.on_demand_usd),
        on_demand_usd_per_hour=money_text(terms.on_demand_usd_per_hour),
        on_demand_fleet=[
            deadlines.OnDemandDocument(**_named(key), nodes=nodes) for key, nodes in advice.fleet
        ],
        on_demand_chance=_share(advice.on_demand_chance),
        on_demand_share=_share(advice.on_demand_share),
        hazard_per_hour=terms.hazard_per_hour,
        zones=list(terms.zones),
        away_hours=advice.away_hours,
        source=advice.source,
        beside=[
            deadlines.BesideDocument(policy=name, expected_usd=money_text(usd))
            for name, usd in advice.beside
        ],
        looser=[
            deadlines.LooserDocument(deadline_seconds=seconds, expected_usd=money_text(usd))
            for seconds, usd in advice.looser
        ],
    )


def _infeasible(answer: Infeasible) -> schema.InfeasibleDocument:
    return schema.InfeasibleDocument(
        schema_version=1,
        status="infeasible",
        created_at=answer.created_at,
        workload=_workload(answer.workload),
        prices=_prices(answer.prices),
        conflicts=[
            schema.ConflictDocument(limit=each.limit, problem=each.problem, remedy=each.remedy)
            for each in answer.conflicts
        ],
        gaps=_gaps(answer.gaps),
    )


def money_or_none(usd: Decimal | None) -> str | None:
    """An amount as `money_text` has it, None where nobody knows it."""
    return None if usd is None else money_text(usd)


def _share(share: float) -> float:
    """The share without the last bit by which a quotient of sums may pass its range."""
    return min(max(share, 0.0), 1.0)


def _workload(workload: Workload) -> asked.WorkloadDocument:
    where, machines, market = workload.where, workload.machines, workload.market
    overhead, budget = workload.overhead, workload.budget_pico_per_hour
    return asked.WorkloadDocument(
        name=workload.name,
        workers=[
            asked.WorkerDocument(
                name=shape.name,
                count=shape.count,
                vcpu=shape.need.vcpu_milli / 1000,
                memory_bytes=shape.need.memory_bytes,
                gpus=shape.need.gpus,
                gpu_kinds=list(shape.gpu_kinds),
                markets=list(shape.markets),
            )
            for shape in workload.shapes
        ],
        duration_seconds=workload.duration_seconds,
        where=asked.WhereDocument(
            providers=list(where.providers),
            regions={name: list(where.regions[name]) for name in sorted(where.regions)},
            single_region=where.single_region,
            single_zone=where.single_zone,
            data=None
            if where.data is None
            else asked.DataDocument(
                provider=where.data.provider,
                region=where.data.region,
                zone=where.data.zone or None,
                read_bytes=where.data.read_bytes,
            ),
            traffic_bytes_per_hour=where.traffic_bytes_per_hour,
        ),
        machines=asked.MachinesDocument(
            arch=list(machines.arch),
            include=list(machines.include),
            exclude=list(machines.exclude),
            max_vcpu=machines.max_vcpu,
            burstable=machines.burstable,
            root_disk_bytes=workload.extras.root_disk_bytes,
            public_ip=workload.extras.public_ip,
        ),
        market=asked.MarketDocument(
            allow=list(market.allow),
            spot_max_share=market.spot_max_share,
            on_demand_base_vcpu=market.on_demand_base_vcpu_milli / 1000,
            pool_max_share=market.pool_max_share,
            max_hazard_per_hour=market.max_hazard_per_hour,
        ),
        interruption=asked.InterruptionDocument(
            lost_work_seconds=workload.interruption.lost_work_seconds,
            restart_seconds=workload.interruption.restart_seconds,
        ),
        overhead=asked.OverheadDocument(
            vcpu=overhead.vcpu_milli / 1000,
            memory_share=overhead.memory_share,
            memory_floor_bytes=overhead.memory_floor_bytes,
        ),
        limits=_limits(workload),
        budget_usd_per_hour=None if budget is None else money_text(usd_from_pico(budget)),
    )


def _limits(workload: Workload) -> asked.LimitsDocument:
    return asked.LimitsDocument(
        max_nodes=workload.limits.max_nodes,
        quotas=[
            asked.QuotaDocument(
                provider=quota.provider,
                region=quota.region,
                market=quota.market,
                instance_types=list(quota.instance_types),
                vcpu=None if quota.vcpu_milli is None else quota.vcpu_milli / 1000,
                nodes=quota.nodes,
            )
            for quota in workload.limits.quotas
        ],
    )


def _prices(prices: PricesUsed) -> schema.PricesDocument:
    return schema.PricesDocument(
        source=prices.name,
        digest=prices.digest,
        sources=sorted(prices.sources),
        oldest_observed_at=prices.oldest_observed_at,
        newest_observed_at=prices.newest_observed_at,
        offers_total=prices.offers_total,
        offers_considered=prices.offers_considered,
        left_out=[
            schema.LeftOutDocument(reason=reason, offers=offers)
            for reason, offers in prices.left_out
        ],
    )


def _named(key: OfferKey) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "region": key.region,
        "zone": key.zone or None,
        "instance_type": key.instance_type,
        "market": key.market,
    }


def _pool(priced: PricedPool) -> schema.PoolDocument:
    pool = priced.pool
    packings = [
        (packing.nodes, {name: packing.workers[name] for name in sorted(packing.workers)})
        for packing in pool.packings
    ]
    return schema.PoolDocument(
        **_named(pool.key),
        nodes=pool.nodes,
        usd_per_hour_each=money_text(pool.usd_per_hour_each),
        usd_per_hour=money_text(pool.usd_per_hour_each * pool.nodes),
        packings=[
            schema.PackingDocument(nodes=nodes, workers=workers)
            for nodes, workers in sorted(
                packings, key=lambda each: (-each[0], list(each[1].items()))
            )
        ],
        vcpu_each=priced.vcpu_each,
        memory_bytes_each=priced.memory_bytes_each,
        gpus_each=priced.gpus_each,
        gpu_kind=priced.gpu_kind,
        hazard_per_hour=priced.hazard_per_hour,
        hazard_is_assumed=priced.hazard_assumed,
        price_source=priced.price_source,
        price_observed_at=priced.price_observed_at,
        price_is_estimate=priced.price_is_estimate,
    )


def _offer(key: OfferKey) -> OfferDocument:
    return OfferDocument(**_named(key))


def _risk(risk: Risk) -> schema.RiskDocument:
    return schema.RiskDocument(
        spot_share=_share(risk.spot_share),
        largest_pool=None if risk.largest_pool is None else _offer(risk.largest_pool),
        largest_pool_share=_share(risk.largest_pool_share),
        interruptions_per_day=risk.interruptions_per_day,
        interruptions_per_day_low=risk.interruptions_per_day_low,
        interruptions_per_day_high=risk.interruptions_per_day_high,
        expected_usd_per_hour_low=money_text(risk.expected_usd_per_hour_low),
        expected_usd_per_hour_high=money_text(risk.expected_usd_per_hour_high),
    )


def _gaps(gaps: tuple[Gap, ...]) -> list[schema.GapDocument]:
    return [
        schema.GapDocument(kind=gap.kind, subject=gap.subject, assumed=gap.assumed, since=gap.since)
        for gap in sorted(gaps, key=lambda each: (each.kind, each.subject))
    ]


def _diff(diff: Diff) -> schema.DiffDocument:
    return schema.DiffDocument(
        changes=[_change(change) for change in sorted(diff.changes, key=lambda each: each.key)],
        usd_per_hour_now=money_or_none(diff.usd_per_hour_now),
        unpriced=[_offer(key) for key in sorted(diff.unpriced)],
    )


def _change(change: Change) -> schema.ChangeDocument:
    return schema.ChangeDocument(
        **_named(change.key),
        nodes_now=change.nodes_now,
        nodes_planned=change.nodes_planned,
        usd_per_hour_each=money_or_none(change.usd_per_hour_each),
    )
