"""The sections that files of several kinds share, as the planner's values."""

from __future__ import annotations

from types import MappingProxyType

from costplan.planner.config_models import (
    InterruptionSection,
    LimitsSection,
    MachinesSection,
    MarketSection,
    OverheadSection,
    QuotaSection,
    WhereSection,
)
from costplan.planner.workload import (
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Quota,
    Where,
)


def where_of(where: WhereSection) -> Where:
    """Clouds and regions."""
    return Where(
        providers=where.providers,
        regions=MappingProxyType(dict(where.regions)),
        single_region=where.single_region,
        single_zone=where.single_zone,
    )


def machines_of(machines: MachinesSection) -> Machines:
    """Machine types."""
    return Machines(
        arch=machines.arch,
        include=machines.include,
        exclude=machines.exclude,
        max_vcpu=None if machines.max_vcpu is None else machines.max_vcpu / 1000,
        burstable=machines.burstable,
        suspect_share=machines.suspect_share,
    )


def market_of(market: MarketSection) -> MarketRules:
    """Markets and shares of them."""
    return MarketRules(
        allow=market.allow,
        spot_max_share=market.spot_max_share,
        on_demand_base_vcpu_milli=market.on_demand_base_vcpu,
        pool_max_share=market.pool_max_share,
        max_hazard_per_hour=market.max_hazard_per_hour,
    )


def interruption_of(interruption: InterruptionSection) -> Interruption:
    """What an interruption costs in time."""
    return Interruption(
        lost_work_seconds=interruption.lost_work,
        restart_seconds=interruption.restart,
    )


def overhead_of(overhead: OverheadSection) -> Overhead:
    """What the system keeps of a node."""
    return Overhead(
        vcpu_milli=overhead.vcpu,
        memory_share=overhead.memory_share,
        memory_floor_bytes=overhead.memory_floor,
    )


def limits_of(limits: LimitsSection) -> Limits:
    """Hard limits on the fleet."""
    return Limits(
        max_nodes=limits.max_nodes,
        quotas=tuple(_quota(quota) for quota in limits.quotas),
    )


def _quota(quota: QuotaSection) -> Quota:
    return Quota(
        provider=quota.provider,
        region=quota.region,
        market=quota.market,
        instance_types=quota.instance_types,
        vcpu_milli=quota.vcpu,
        nodes=quota.nodes,
    )
