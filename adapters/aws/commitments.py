"""What an account holds on AWS: reserved instances, savings plans, capacity reservations.

Reserved instances and capacity reservations are of one region, savings plans of all. All that is
there is read, or nothing: a part that may not be read raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.price_list import on_demand_prices
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.adapters.instants import utc_or_none
from costplan.planner.commitments.file_fields import system_name
from costplan.planner.commitments.holdings import Holdings, LeftOut
from costplan.planner.commitments.sizes import family_of
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product

_EC2 = "ec2"
_LINUX = "Linux/UNIX"
_PAYMENTS = {
    "All Upfront": "all_upfront",
    "Partial Upfront": "partial_upfront",
    "No Upfront": "no_upfront",
}
_YEAR_SECONDS = 365 * 24 * 3600
_TERMS = {_YEAR_SECONDS: "1y", 3 * _YEAR_SECONDS: "3y"}
_LEAP_SECONDS = 2 * 24 * 3600
_PLANS = {"Compute": Kind.COMPUTE_SP, "EC2Instance": Kind.EC2_INSTANCE_SP}
_IN_FORCE, _TO_COME = "active", ("queued", "scheduled")
_PICO = Decimal("1e-12")
Found = Commitment | LeftOut


def holdings(clients: Clients, settings: AwsSettings, clock: Callable[[], datetime]) -> Holdings:
    """What the account holds in the region of the settings, and its savings plans."""
    with mapped("commitments", "GetCallerIdentity"):
        account = clients.reading("sts").get_caller_identity()["Account"]
    now = clock()
    plans = list(_plans(clients, account, now))
    in_force = [
        each
        for each in plans
        if isinstance(each, Commitment) and (each.start is None or each.start <= now)
    ]
    found: list[Found] = [
        *_reserved(clients, settings, account, now),
        *plans,
        *_capacity(clients, settings, in_force),
    ]
    held = tuple(each for each in found if isinstance(each, Commitment))
    left_out = tuple(each for each in found if isinstance(each, LeftOut))
    return Holdings(
        provider=PROVIDER, account=account, held=held, left_out=left_out, notes=_notes(held, now)
    )


def _notes(held: Sequence[Commitment], now: datetime) -> tuple[str, ...]:
    notes = [
        "only what this account owns is read; other accounts of an organization may share more"
    ]
    later = [each for each in held if each.start is not None and each.start > now]
    if later:
        names = ", ".join(each.commitment_id for each in later)
        notes.append(f"{names} will begin at its start, if the payment then goes through")
    return tuple(notes)


# Reserved instances


def _reserved(
    clients: Clients, settings: AwsSettings, account: str, now: datetime
) -> Iterator[Found]:
    with mapped("commitments", f"DescribeReservedInstances in {settings.region}"):
        rows = clients.reading(_EC2).describe_reserved_instances()["ReservedInstances"]
    for row in rows:
        reason = _not_ours(row["State"], row.get("Start"), now) or _unpriceable(row)
        if reason:
            yield LeftOut(
                commitment_id=row["ReservedInstancesId"], what="reserved instance", reason=reason
            )
        else:
            yield _reserved_of(row, settings.region, account)


def _unpriceable(row: Mapping[str, Any]) -> str:
    if row.get("CurrencyCode", "USD") != "USD":
        return f"its price is in {row['CurrencyCode']}"
    return "is paid by use as well, of an old kind" if row.get("UsagePrice") else ""


def _reserved_of(row: Mapping[str, Any], region: str, account: str) -> Commitment:
    is_zonal = row["Scope"] == "Availability Zone"
    term = _term(row["Duration"])
    hourly = sum((_money(each["Amount"]) for each in row.get("RecurringCharges", ())), Decimal(0))
    upfront = _money(row.get("FixedPrice", 0))
    if not term and upfront:
        # What was modified may run for a term of its own; the file spreads over whole years only.
        hourly += (upfront * 3600 / row["Duration"]).quantize(_PICO)
        upfront = Decimal(0)
    return Commitment(
        commitment_id=row["ReservedInstancesId"],
        kind=Kind.ZONAL_RI if is_zonal else Kind.REGIONAL_RI,
        product=Product(
            provider=PROVIDER,
            service=_EC2,
            region=region,
            zone=row["AvailabilityZone"] if is_zonal else "",
            instance_type=row["InstanceType"],
            os=system_name(row["ProductDescription"].removesuffix(" (Amazon VPC)")),
            tenancy=_tenancy(row["InstanceTenancy"]),
        ),
        count=Fraction(row["InstanceCount"]),
        usd_per_hour=Fraction(hourly),
        upfront_usd=Fraction(upfront),
        term=term,
        payment=_PAYMENTS.get(row["OfferingType"], ""),
        offering_class=row["OfferingClass"],
        start=row["Start"].astimezone(UTC),
        end=row["End"].astimezone(UTC),
        owner=Owner(account=account),
    )


# Savings plans


def _plans(clients: Clients, account: str, now: datetime) -> Iterator[Found]:
    client = clients.reading("savingsplans")
    token: dict[str, str] = {}
    while True:
        with mapped("commitments", "DescribeSavingsPlans"):
            page = client.describe_savings_plans(**token)
        for row in page.get("savingsPlans", ()):
            yield _plan_of(row, account, now)
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def _plan_of(row: Mapping[str, Any], account: str, now: datetime) -> Found:
    start, end = utc_or_none(row.get("start", "")), utc_or_none(row.get("end", ""))
    kind = _PLANS.get(row["savingsPlanType"])
    reason = _not_ours(row["state"], start, now)
    if not reason and kind is None:
        reason = f"of type {row['savingsPlanType']}, which covers no machines of EC2"
    if not reason and row["currency"] != "USD":
        reason = f"is paid in {row['currency']}"
    if reason or kind is None:
        return LeftOut(commitment_id=row["savingsPlanId"], what="savings plan", reason=reason)
    family = row.get("ec2InstanceFamily", "") if kind is Kind.EC2_INSTANCE_SP else ""
    region = row.get("region", "") if kind is Kind.EC2_INSTANCE_SP else ""
    return Commitment(
        commitment_id=row["savingsPlanId"],
        kind=kind,
        product=Product(provider=PROVIDER, region=region, family=family.lower()),
        usd_per_hour=Fraction(row["commitment"]),
        term=_term(row["termDurationInSeconds"]),
        payment=_PAYMENTS.get(row["paymentOption"], ""),
        start=start,
        end=end,
        owner=Owner(account=account),
    )


# Capacity reservations


def _capacity(
    clients: Clients, settings: AwsSettings, plans: Sequence[Commitment]
) -> Iterator[Found]:
    rows = []
    with mapped("commitments", f"DescribeCapacityReservations in {settings.region}"):
        pages = clients.reading(_EC2).get_paginator("describe_capacity_reservations")
        for page in pages.paginate():
            rows += page["CapacityReservations"]
    ours = [row for row in rows if not _uncovering(row)]
    for row in rows:
        reason = _uncovering(row)
        if reason:
            yield _no_capacity(row, reason)
    types = {row["InstanceType"] for row in ours}
    if not types:
        return
    prices = on_demand_prices(clients, settings, types)
    rates = {name: _idle_rates(clients, settings, plans, name) for name in sorted(types)}
    for row in ours:
        usd = prices.get(row["InstanceType"])
        if usd is None:
            yield _no_capacity(row, f"no price on demand of {row['InstanceType']} is known")
        else:
            yield _capacity_of(row, settings.region, usd, rates[row["InstanceType"]])


def _no_capacity(row: Mapping[str, Any], reason: str) -> LeftOut:
    return LeftOut(
        commitment_id=row["CapacityReservationId"], what="capacity reservation", reason=reason
    )


def _uncovering(row: Mapping[str, Any]) -> str:
    """Why a capacity reservation takes in no machine of a cluster, '' where it does."""
    state = row["State"]
    if state != _IN_FORCE and not (state in _TO_COME and row.get("StartDate")):
        return str(state)
    if row.get("ReservationType", "default") == "capacity-block":
        return "a block, whose machines must name it"
    if row["InstanceMatchCriteria"] != "open":
        return "takes only machines that name it"
    if row["InstancePlatform"] != _LINUX or row["Tenancy"] != "default":
        return f"for {row['InstancePlatform']}, {row['Tenancy']} tenancy: its price is not read"
    return "" if row["TotalInstanceCount"] > 0 else "has no instances"


def _capacity_of(
    row: Mapping[str, Any], region: str, usd: Decimal, rates: Mapping[str, Fraction]
) -> Commitment:
    start, end = row.get("StartDate") or row.get("CreateDate"), row.get("EndDate")
    return Commitment(
        commitment_id=row["CapacityReservationId"],
        kind=Kind.CAPACITY_RESERVATION,
        product=Product(
            provider=PROVIDER,
            service=_EC2,
            region=region,
            zone=row["AvailabilityZone"],
            instance_type=row["InstanceType"],
        ),
        count=Fraction(row["TotalInstanceCount"]),
        usd_per_hour=Fraction(usd),
        start=None if start is None else start.astimezone(UTC),
        end=None if end is None else end.astimezone(UTC),
        owner=Owner(account=row["OwnerId"]),
        idle_rates=rates,
    )


def _idle_rates(
    clients: Clients, settings: AwsSettings, plans: Sequence[Commitment], instance_type: str
) -> Mapping[str, Fraction]:
    """What an idle hour of a type costs under each of the plans, by kind and term; of two plans
    with other payments the dearer rate."""
    found: dict[str, Fraction] = {}
    for plan in plans:
        product = Product(provider=PROVIDER, instance_type=instance_type)
        is_other = plan.kind is Kind.EC2_INSTANCE_SP and (
            (plan.product.family, plan.product.region) != (family_of(product), settings.region)
        )
        for rate in () if is_other else _rates(clients, settings, plan, instance_type):
            name = f"{plan.kind}_{plan.term}" if plan.term else str(plan.kind)
            found[name] = max(rate, found.get(name, rate))
    return MappingProxyType(found)


def _rates(
    clients: Clients, settings: AwsSettings, plan: Commitment, instance_type: str
) -> Iterator[Fraction]:
    asked = {
        "region": settings.region,
        "instanceType": instance_type,
        "productDescription": _LINUX,
        "tenancy": "shared",
        "serviceCode": "AmazonEC2",
    }
    with mapped("commitments", f"DescribeSavingsPlanRates of {plan.commitment_id}"):
        answer = clients.reading("savingsplans").describe_savings_plan_rates(
            savingsPlanId=plan.commitment_id,
            filters=[{"name": name, "values": [value]} for name, value in asked.items()],
        )
    for row in answer.get("searchResults", ()):
        if row["unit"] == "Hrs" and row["currency"] == "USD":
            yield Fraction(row["rate"])


# What they share


def _not_ours(state: str, start: datetime | None, now: datetime) -> str:
    """Why what is in this state is not held, '' where it is, or will be from its start on."""
    if state == _IN_FORCE:
        return ""
    if state in _TO_COME and start is not None and start.astimezone(UTC) > now:
        return ""
    return state


def _term(seconds: int) -> str:
    """'1y' or '3y', leap days or not; '' for another."""
    for whole, term in _TERMS.items():
        if abs(seconds - whole) <= _LEAP_SECONDS:
            return term
    return ""


def _tenancy(word: str) -> str:
    return "shared" if word == "default" else word


def _money(amount: float) -> Decimal:
    """A price as the answer wrote it: the SDK reads it as a float."""
    return Decimal(repr(float(amount)))
