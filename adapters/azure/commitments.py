"""What is held on Azure: reserved virtual machines and savings plans that we may see.

Both are of the tenant and not of a subscription, and Azure lists those that the identity has a role
on. Prices of reservations are those of the public price list; the ratios of sizes are those of the
catalogue that reservations are sold from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.region import settings_of
from costplan.adapters.azure.retail import RESERVATION, rates
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.adapters.instants import utc_or_none
from costplan.planner.commitments.holdings import Holdings, LeftOut
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product, Scope
from costplan.planner.errors import ProviderError
from costplan.planner.types import Market
from costplan.planner.wording import plain

_RESERVATIONS = "/providers/Microsoft.Capacity/reservations"
_PLANS = "/providers/Microsoft.BillingBenefits/savingsPlans"
_VERSION = "2022-11-01"
"""Of both, and of the catalogue."""

_TERMS = {"P1Y": "1y", "P3Y": "3y"}
_MARKETS = {"1y": Market.COMMITMENT_1Y, "3y": Market.COMMITMENT_3Y}
_GROUP, _RATIO = "ReservationsAutofitGroup", "ReservationsAutofitRatio"
_IN_FORCE = "Succeeded"
_PICO = Decimal("1e-12")
Found = Commitment | LeftOut


def holdings(
    clients: Clients, settings: AzureSettings, regions: Collection[str], now: datetime
) -> Holdings:
    """What is held: reservations of these regions (of all where none is named), and all plans."""
    found: list[Found] = []
    for row in _listed(clients, _RESERVATIONS, "reservations"):
        if not regions or row.get("location", "").lower() in regions:
            found.append(_reservation_of(row, now))
    for row in _listed(clients, _PLANS, "savings plans"):
        found.append(_plan_of(row, now))
    held = [each for each in found if isinstance(each, Commitment)]
    held, missing = _with_ratios(clients, settings, held)
    held, unpriced = _priced(clients, settings, held)
    return Holdings(
        provider=PROVIDER,
        account=settings.subscription,
        held=tuple(held),
        left_out=tuple(each for each in found if isinstance(each, LeftOut)),
        notes=(*_notes(held), *missing, *unpriced),
    )


def _notes(held: Sequence[Commitment]) -> Iterator[str]:
    yield "Azure lists what this identity has a role on, such as Reservations Reader; nothing else"
    if any(each.kind is Kind.AZURE_RESERVATION for each in held):
        yield "prices of reservations are those of the public list, less what a contract takes off"


def _listed(clients: Clients, path: str, what: str) -> Iterator[Mapping[str, Any]]:
    with calling("commitments", what):
        for page in clients.pages(path, {"api-version": _VERSION}):
            yield from page["value"]


def _reservation_of(row: Mapping[str, Any], now: datetime) -> Found:
    properties, name = row["properties"], _name(row)
    reason = _not_ours(properties, now)
    kind = properties.get("reservedResourceType")
    if not reason and kind != "VirtualMachines":
        reason = f"is of {kind}, and covers no machines"
    if reason:
        return LeftOut(commitment_id=name, what="reservation", reason=reason)
    owner, scope = _scope(properties)
    billing = properties.get("billingPlan", "")
    return Commitment(
        commitment_id=name,
        kind=Kind.AZURE_RESERVATION,
        product=Product(
            provider=PROVIDER,
            service="virtual-machines",
            region=row["location"].lower(),
            instance_type=row["sku"]["name"],
        ),
        count=Fraction(properties["quantity"]),
        term=_TERMS.get(properties.get("term", ""), ""),
        payment={"Upfront": "all_upfront", "Monthly": "no_upfront"}.get(billing, ""),
        start=_start(properties),
        end=_end(properties),
        owner=owner,
        scope=scope,
        is_size_flexible=properties.get("instanceFlexibility", "On") == "On",
    )


def _plan_of(row: Mapping[str, Any], now: datetime) -> Found:
    properties, name = row["properties"], _name(row)
    reason = _not_ours(properties, now)
    sku, commitment = row["sku"]["name"], properties.get("commitment") or {}
    if not reason and sku != "Compute_Savings_Plan":
        reason = f"is a {sku}, and covers no machines"
    if not reason and (commitment.get("currencyCode"), commitment.get("grain")) != (
        "USD",
        "Hourly",
    ):
        reason = f"is not in dollars an hour, but in {commitment.get('currencyCode')}"
    if reason:
        return LeftOut(commitment_id=name, what="savings plan", reason=reason)
    owner, scope = _scope(properties)
    return Commitment(
        commitment_id=name,
        kind=Kind.AZURE_SAVINGS_PLAN,
        product=Product(provider=PROVIDER),
        usd_per_hour=Fraction(repr(float(commitment["amount"]))),
        term=_TERMS.get(properties.get("term", ""), ""),
        payment="no_upfront" if properties.get("billingPlan") == "P1M" else "",
        start=_start(properties),
        end=_end(properties),
        owner=owner,
        scope=scope,
    )


def _not_ours(properties: Mapping[str, Any], now: datetime) -> str:
    """Why it is not held, '' where it is."""
    state, end = properties.get("provisioningState", ""), _end(properties)
    if state != _IN_FORCE:
        return str(state).lower() or "of no state"
    return "expired" if end is not None and end <= now else ""


def _scope(properties: Mapping[str, Any]) -> tuple[Owner, Scope]:
    """Whose machines it may cover. One of a management group counts as shared: which subscriptions
    are in it is not read."""
    if properties.get("appliedScopeType") != "Single":
        return Owner(), Scope.SHARED
    applied = properties.get("appliedScopeProperties") or {}
    first = (properties.get("appliedScopes") or [""])[0]
    path = applied.get("resourceGroupId") or applied.get("subscriptionId") or first
    parts = path.strip("/").split("/")
    account = parts[1] if len(parts) > 1 else ""
    if len(parts) > 3:
        return Owner(account=account, resource_group=parts[3]), Scope.RESOURCE_GROUP
    return Owner(account=account), Scope.ACCOUNT if account else Scope.SHARED


def _with_ratios(
    clients: Clients, settings: AzureSettings, held: list[Commitment]
) -> tuple[list[Commitment], list[str]]:
    """The same with the group and ratio of each size that is flexible, and what is missing."""
    flexible = [each for each in held if each.is_size_flexible and each.product.instance_type]
    ratios: dict[tuple[str, str], tuple[str, Fraction]] = {}
    missing = []
    for region in sorted({each.product.region for each in flexible}):
        try:
            ratios |= {(region, size): one for size, one in _ratios(clients, settings, region)}
        except ProviderError as error:
            missing.append(f"ratios of sizes could not be read, so each covers its own: {error}")
    found = []
    for each in held:
        group = ratios.get((each.product.region, each.product.instance_type.lower()))
        if group is not None and each.is_size_flexible:
            sized = replace(each.product, size_group=group[0], size_ratio=group[1])
            found.append(replace(each, product=sized))
        else:
            found.append(each)
    return found, missing


def _ratios(
    clients: Clients, settings: AzureSettings, region: str
) -> Iterator[tuple[str, tuple[str, Fraction]]]:
    """Size -> the group of sizes that share a reservation, and its units in it."""
    path = f"/subscriptions/{settings.subscription}/providers/Microsoft.Capacity/catalogs"
    query = {
        "api-version": _VERSION,
        "reservedResourceType": "VirtualMachines",
        "location": region,
    }
    with calling("commitments", f"catalogue of {region}"):
        for page in clients.pages(path, query):
            for row in page["value"]:
                said = {one["name"]: one["value"] for one in row.get("skuProperties") or ()}
                if said.get(_GROUP) and _is_number(said.get(_RATIO, "")):
                    yield row["name"].lower(), (said[_GROUP].strip(), Fraction(said[_RATIO]))


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and Fraction(text) > 0


def _priced(
    clients: Clients, settings: AzureSettings, held: list[Commitment]
) -> tuple[list[Commitment], list[str]]:
    """The same with the price of a reserved machine an hour, and what is to be said of those
    without."""
    by_region: dict[str, set[str]] = {}
    for each in held:
        if each.kind is Kind.AZURE_RESERVATION:
            by_region.setdefault(each.product.region, set()).add(each.product.instance_type)
    known, missing = {}, []
    for region, sizes in sorted(by_region.items()):
        own = replace(
            settings_of(region, settings.subscription, ()),
            prices_endpoint=settings.prices_endpoint,
        )
        try:
            known[region] = rates(clients, own, sizes)
        except ProviderError as error:
            missing.append(f"no price could be read: {error}")
    found = []
    for each in held:
        product, listed = each.product, known.get(each.product.region, {})
        market = _MARKETS.get(each.term)
        usd = listed.get((product.instance_type, market, RESERVATION)) if market else None
        if usd is not None and each.count is not None:
            found.append(replace(each, usd_per_hour=Fraction(usd.quantize(_PICO))))
        else:
            found.append(each)
            if listed and each.kind is Kind.AZURE_RESERVATION:
                missing.append(f"the price list has no price of {each.commitment_id}")
    return found, missing


def _name(row: Mapping[str, Any]) -> str:
    """The name that people gave it, with the last of its id, since two may have the same."""
    shown = plain(str(row["properties"].get("displayName") or "").strip())
    own = str(row["name"]).rpartition("/")[2]
    return f"{shown}-{own[:8]}" if shown else own


def _start(properties: Mapping[str, Any]) -> datetime | None:
    """When the benefit began; without a word of that, when it was bought."""
    return utc_or_none(properties.get("benefitStartTime") or properties.get("purchaseDateTime"))


def _end(properties: Mapping[str, Any]) -> datetime | None:
    return utc_or_none(properties.get("expiryDateTime"))
