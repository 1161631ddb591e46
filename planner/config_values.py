"""The sections that files of several kinds share, as the planner's values."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from costplan.planner.config_models import (
    InterruptionSection,
    LimitsSection,
    MachinesSection,
    MarketSection,
    OverheadSection,
    PlaceSection,
    QuotaSection,
    WhereSection,
    WorkloadWhereSection,
)
from costplan.planner.place_rates import DISK_KINDS, Charge, PlaceRate
from costplan.planner.provider_config_models import (
    AwsSection,
    AzureSection,
    CloudSection,
    GcpSection,
    LocalSection,
)
from costplan.planner.units import usd_from_pico
from costplan.planner.workload import (
    DataSource,
    Extras,
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Quota,
    Where,
)

OWN_RATE = "place_rates"
"""The source of a rate that the user's file gives."""


def where_of(where: WhereSection) -> Where:
    """Clouds and regions, and in a workload's file what crosses their borders."""
    data, traffic = None, None
    if isinstance(where, WorkloadWhereSection):
        data, traffic = where.data, where.traffic_per_hour
    home = data.location.split("/") if data else []
    return Where(
        providers=where.providers,
        regions=MappingProxyType(dict(where.regions)),
        single_region=where.single_region,
        single_zone=where.single_zone,
        data=None
        if data is None
        else DataSource(
            provider=home[0], region=home[1], zone="".join(home[2:]), read_bytes=data.read
        ),
        traffic_bytes_per_hour=traffic or 0,
    )


def rates_of(places: Iterable[PlaceSection]) -> tuple[PlaceRate, ...]:
    """The user's own rates; those of a region go before those of its whole cloud."""
    return tuple(
        PlaceRate(
            provider=place.provider,
            charge=charge,
            usd=usd_from_pico(pico),
            source=OWN_RATE,
            regions=place.region or "*",
        )
        for place in sorted(places, key=lambda each: each.region is None)
        for charge in Charge
        if (pico := getattr(place, charge)) is not None
    )


def extras_of(provider: LocalSection | CloudSection, places: Iterable[PlaceSection]) -> Extras:
    """What each machine of the autoscaler has beside itself. The subnets that AWS has by default
    give public addresses; of a disk of another type than the rates are of, the price is not known.
    """
    rates = rates_of(places)
    match provider:
        case AwsSection():
            has_ip = provider.public_ip
            return Extras(
                root_disk_bytes=provider.root_disk,
                public_ip=not provider.subnets if has_ip is None else has_ip,
                rates=rates,
            )
        case GcpSection():
            is_listed = provider.disk_type == DISK_KINDS["gcp"]
            return Extras(
                root_disk_bytes=provider.root_disk if is_listed else None,
                public_ip=provider.external_ip,
                rates=rates,
            )
        case AzureSection():
            is_listed = provider.disk_sku == "StandardSSD_LRS"
            return Extras(
                root_disk_bytes=provider.root_disk if is_listed else None,
                public_ip=provider.public_ip,
                rates=rates,
            )
    return Extras(rates=rates)


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
        name=quota.name,
    )
