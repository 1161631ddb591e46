"""Sections of files of usage and commitments as the values of the core."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from costplan.planner.commitments.file_models import (
    AzurePlanSection,
    AzureReservationSection,
    CapacityReservationSection,
    CommitmentSection,
    ComputePlanSection,
    FlexibleCudSection,
    HourSection,
    InstancePlanSection,
    MachineSection,
    MeteringSection,
    ProductSection,
    RegionalRiSection,
    ResourceCudSection,
    RulesSection,
    UsageSection,
    ZonalRiSection,
)
from costplan.planner.commitments.metering import Run, hour_start, usage_of
from costplan.planner.commitments.values import (
    PROVIDERS,
    SPEND_KINDS,
    Commitment,
    Hour,
    Kind,
    Metering,
    Owner,
    Product,
    Rules,
    Scope,
    Usage,
)

_SERVICES = {"aws": "ec2", "gcp": "compute", "azure": "virtual-machines"}
"""What a line is of that does not say so."""

_REGION = re.compile(r"((?:[a-z]+-)+[a-z]*\d+)-?[a-z]")


def hour_of(section: HourSection, held: tuple[Commitment, ...], rules: Rules) -> Hour:
    """An hour with what is held in it, and what is held in all."""
    start = start_of(section)
    return Hour(
        usage=tuple(_usage(each, start, rules) for each in section.usage),
        commitments=(*map(commitment_of, section.commitments), *held),
        start=start,
    )


def start_of(section: HourSection) -> datetime | None:
    """When an hour starts, by its own word or by that of the first usage that has seconds."""
    if section.start is not None:
        return section.start
    starts = [each.start for each in section.usage if each.start is not None]
    return hour_start(starts[0]) if starts else None


def run_of(section: MachineSection) -> Run:
    """Machines by the second."""
    return _run(section, section.start, section.end)


def _usage(section: UsageSection, hour: datetime | None, rules: Rules) -> Usage:
    if section.start is not None and section.end is not None and hour is not None:
        return usage_of(_run(section, section.start, section.end), hour, rules)
    return Usage(
        usage_id=section.id,
        product=product_of(section),
        quantity=Fraction(section.quantity or 0),
        usd_per_unit=price_of(section),
        unit=section.unit or "",
        rates=_rates(section.rates),
        owner=_owner(section),
        is_spot=section.spot_usd is not None,
    )


def _run(section: UsageSection | MachineSection, start: datetime, end: datetime) -> Run:
    return Run(
        run_id=section.id,
        product=product_of(section),
        start=start,
        end=end,
        usd_per_hour=price_of(section),
        count=Fraction(section.count),
        rates=_rates(section.rates),
        owner=_owner(section),
        is_spot=section.spot_usd is not None,
        is_interrupted=section.interrupted,
    )


def price_of(section: ProductSection) -> Fraction:
    """The price of a unit, on demand or spot."""
    usd = section.on_demand_usd if section.spot_usd is None else section.spot_usd
    return Fraction(usd or 0)


def product_of(section: ProductSection) -> Product:
    """What a section is of."""
    return Product(
        provider=section.provider,
        service=section.service or _SERVICES[section.provider],
        region=section.region or _region_of(section.zone),
        zone=section.zone or "",
        instance_type=section.instance_type or "",
        os=section.os,
        tenancy=section.tenancy,
        machine_series=section.machine_series or _series_of(section),
        resource=section.resource or "",
        size_group=section.size_group or "",
        size_ratio=_fraction(section.size_ratio),
    )


def _series_of(section: ProductSection) -> str:
    """'n2' of n2-standard-4, '' where it does not show."""
    if section.provider != "gcp" or section.instance_type is None:
        return ""
    return section.instance_type.partition("-")[0].lower()


def _region_of(zone: str | None) -> str:
    """'us-east-1' of us-east-1a, 'us-central1' of us-central1-a, '' where it does not show."""
    match = _REGION.fullmatch(zone or "")
    return match.group(1) if match else ""


def _rates(rates: Mapping[str, Decimal]) -> Mapping[str, Fraction]:
    return MappingProxyType({name: Fraction(usd) for name, usd in rates.items()})


def _fraction(amount: Decimal | None) -> Fraction | None:
    return None if amount is None else Fraction(amount)


def _owner(section: ProductSection | CommitmentSection) -> Owner:
    group = getattr(section, "resource_group", None)
    return Owner(account=section.account or "", resource_group=group or "")


def commitment_of(section: CommitmentSection) -> Commitment:
    """The commitment that a section describes."""
    kind = Kind(section.kind)
    bought = Commitment(
        commitment_id=section.id,
        kind=kind,
        product=_bought(section),
        count=Fraction(0) if kind not in SPEND_KINDS else None,
        usd_per_hour=Fraction(0),
        term=section.term or "",
        payment=section.payment or "",
        start=section.start,
        end=section.end,
        owner=_owner(section),
        scope=Scope(section.scope),
    )
    match section:
        case ResourceCudSection():
            return replace(bought, **_amount(section.amount, section.usd_per_hour))
        case CapacityReservationSection():
            return replace(
                bought,
                **_amount(section.count, section.on_demand_usd),
                idle_rates=_rates(section.rates),
            )
        case FlexibleCudSection():
            return replace(
                bought, usd_per_hour=_paid(section), discount=_fraction(section.discount)
            )
        case InstancePlanSection() | ComputePlanSection() | AzurePlanSection():
            return replace(bought, usd_per_hour=Fraction(section.usd_per_hour))
    reserved = replace(
        bought,
        **_amount(section.count, section.usd_per_hour),
        upfront_usd=Fraction(section.upfront_usd or 0),
    )
    if isinstance(section, AzureReservationSection):
        return replace(reserved, is_size_flexible=section.size_flexible)
    return replace(reserved, offering_class=section.offering_class)


def _amount(count: Decimal, usd_per_hour: Decimal | None) -> dict[str, Any]:
    return {"count": Fraction(count), "usd_per_hour": _fraction(usd_per_hour)}


def _paid(section: FlexibleCudSection) -> Fraction:
    """Dollars an hour that are paid: those on demand less the discount, where they are written."""
    if section.usd_per_hour is not None:
        return Fraction(section.usd_per_hour)
    listed, discount = section.on_demand_usd_per_hour, section.discount
    return Fraction(listed or 0) * (1 - Fraction(discount or 0))


def _bought(section: CommitmentSection) -> Product:
    """What a commitment is of."""
    provider = PROVIDERS.get(Kind(section.kind), "aws")
    match section:
        case ZonalRiSection() | RegionalRiSection() | CapacityReservationSection():
            zone = "" if isinstance(section, RegionalRiSection) else section.zone
            return Product(
                provider=provider,
                service=_SERVICES[provider],
                region=section.region or _region_of(zone),
                zone=zone,
                instance_type=section.instance_type,
                os=section.os,
                tenancy=section.tenancy,
            )
        case InstancePlanSection():
            return Product(provider=provider, region=section.region, family=section.family)
        case ResourceCudSection():
            return Product(
                provider=provider,
                region=section.region,
                machine_series=section.machine_series,
                resource=section.resource,
            )
        case FlexibleCudSection():
            return Product(provider=provider, service=section.service or "")
        case AzureReservationSection():
            return Product(
                provider=provider,
                service=section.service or _SERVICES[provider],
                region=section.region,
                instance_type=section.instance_type,
                size_group=section.size_group or "",
                size_ratio=_fraction(section.size_ratio),
            )
        case ComputePlanSection() | AzurePlanSection():
            return Product(provider=provider)


def rules_of(section: RulesSection) -> Rules:
    """The default rules with what the section says instead."""
    default = Rules()
    metering = {
        provider: _metering(default.metering[provider], getattr(section, provider))
        for provider in default.metering
    }
    hours = section.month_hours
    return Rules(
        metering=MappingProxyType(metering),
        sustained_use=section.sustained_use,
        month_hours=default.month_hours if hours is None else Fraction(hours),
    )


def _metering(default: Metering, section: MeteringSection) -> Metering:
    return replace(default, **section.model_dump(exclude_none=True))
