"""What a project holds on Google Cloud: resource-based commitments, and reservations of capacity.

Compute Engine tells of no price: those are of the public price list, by the region and the term.
Flexible commitments are of the billing account, and Compute Engine does not tell of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME
from costplan.adapters.gcp.gpus import KINDS
from costplan.adapters.gcp.operations import pages, refuse_parts
from costplan.adapters.gcp.skus import GIB, VCPU, Rate, rates
from costplan.adapters.instants import utc_or_none
from costplan.planner.commitments.holdings import Holdings, LeftOut
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product
from costplan.planner.errors import ProviderError
from costplan.planner.types import Market

_TERMS = {"TWELVE_MONTH": "1y", "THIRTY_SIX_MONTH": "3y"}
_MARKETS = {"1y": Market.COMMITMENT_1Y, "3y": Market.COMMITMENT_3Y}
_SERIES = {
    "GENERAL_PURPOSE": "n1",
    "COMPUTE_OPTIMIZED": "c2",
    "MEMORY_OPTIMIZED": "m1",
    "ACCELERATOR_OPTIMIZED": "a2",
    "GRAPHICS_OPTIMIZED": "g2",
}
"""The first series of each kind is sold under the kind's own name.
https://cloud.google.com/compute/docs/instances/signing-up-committed-use-discounts"""

_LATER = re.compile(rf"(?:{'|'.join(_SERIES)}|STORAGE_OPTIMIZED)_([A-Z]\d[A-Z]?)")
"""Later ones say their own: GENERAL_PURPOSE_N2D. What says more than a series (A3_MEGA, X4_24TB)
is of some machines of it only, which the file cannot say."""

_MIB = 1024
_HELD = ("ACTIVE", "NOT_YET_ACTIVE")
_LARGEST_PAGE = 500
Found = Commitment | LeftOut


def holdings(clients: Clients, project: str, regions: Collection[str]) -> Holdings:
    """What the project holds in these regions, in all of them where none is named."""
    found: list[Found] = []
    for region, row in _commitments(clients, project):
        if not regions or region in regions:
            found += _commitment_of(region, row)
    for zone, row in _reservations(clients, project):
        if not regions or zone.rpartition("-")[0] in regions:
            found.append(_reservation_of(row))
    held = _named_apart([each for each in found if isinstance(each, Commitment)])
    priced, missing = _priced(clients, held)
    return Holdings(
        provider=NAME,
        account=project,
        held=tuple(priced),
        left_out=tuple(each for each in found if isinstance(each, LeftOut)),
        notes=(
            "flexible commitments are of the billing account, and Compute Engine does not tell "
            "of them: write them into the file, kind: flexible_cud",
            "whether commitments are shared with other projects it does not tell either: where "
            "they are not, add account and scope: account",
            *(["prices are those of the public list, less what a contract takes off"] * bool(held)),
            *missing,
        ),
    )


def _commitments(clients: Clients, project: str) -> Iterator[tuple[str, Any]]:
    kind = clients.compute.AggregatedListRegionCommitmentsRequest
    asked = kind(project=project, max_results=_LARGEST_PAGE)
    for place, part in _parts(clients, clients.commitments.aggregated_list, asked):
        yield from ((place, row) for row in part.commitments)


def _reservations(clients: Clients, project: str) -> Iterator[tuple[str, Any]]:
    kind = clients.compute.AggregatedListReservationsRequest
    asked = kind(project=project, max_results=_LARGEST_PAGE)
    for place, part in _parts(clients, clients.reservations.aggregated_list, asked):
        yield from ((place, row) for row in part.reservations)


def _parts(clients: Clients, lists: Callable[..., Any], asked: Any) -> Iterator[tuple[str, Any]]:
    """Parts of an aggregated list, with the region or zone of each; all of them, or it raises."""
    for page in pages(clients, lists, asked, "commitments"):
        refuse_parts("", page.warning, page.unreachables)
        for scope, part in page.items.items():
            refuse_parts(scope, part.warning)
            yield scope.rpartition("/")[2], part


def _reservation_of(row: Any) -> LeftOut:
    reason = "is charged as its machines are, used or not, and no commitment"
    return LeftOut(commitment_id=row.name, what="capacity reservation", reason=reason)


def _commitment_of(region: str, row: Any) -> Iterator[Found]:
    """One commitment for each resource, since the file has one of each."""
    series = _series_of(row.type_)
    reason = ""
    if row.status not in _HELD:
        reason = row.status.lower()
    elif row.category == "LICENSE":
        reason = "is of licences, and covers no machines"
    elif not series:
        reason = f"of type {row.type_}, whose machines are not known by a series"
    if reason:
        yield LeftOut(commitment_id=row.name, what="committed use", reason=reason)
        return
    for each in row.resources:
        resource, amount = _resource_of(each)
        yield Commitment(
            commitment_id=f"{row.name}-{resource}",
            kind=Kind.RESOURCE_CUD,
            product=Product(
                provider=NAME,
                region=region,
                machine_series=series,
                resource=resource,
            ),
            count=amount,
            term=_TERMS.get(row.plan, ""),
            start=utc_or_none(row.start_timestamp),
            end=utc_or_none(row.end_timestamp),
            owner=Owner(account=_project_of(row.self_link)),
        )


def _series_of(kind: str) -> str:
    """'n2' of GENERAL_PURPOSE_N2; '' for a kind whose machines a series does not tell."""
    if kind in _SERIES:
        return _SERIES[kind]
    later = _LATER.fullmatch(kind)
    return "" if later is None else later[1].lower()


def _resource_of(row: Any) -> tuple[str, Fraction]:
    """The resource in the file's words, and how much: memory in GiB, which the cloud counts in
    MiB."""
    amount = Fraction(row.amount)
    match row.type_:
        case "VCPU":
            return "vcpu", amount
        case "MEMORY":
            return "memory", amount / _MIB
        case "LOCAL_SSD":
            return "local-ssd", amount / _MIB
        case "ACCELERATOR":
            name = row.accelerator_type.rpartition("/")[2]
            return KINDS.get(name, name).lower(), amount
    return str(row.type_).lower(), amount


def _named_apart(held: list[Commitment]) -> list[Commitment]:
    """The same with the region in the names of those that two regions have."""
    names = [each.commitment_id for each in held]
    return [
        replace(each, commitment_id=f"{each.product.region}-{each.commitment_id}")
        if names.count(each.commitment_id) > 1
        else each
        for each in held
    ]


def _priced(clients: Clients, held: list[Commitment]) -> tuple[list[Commitment], list[str]]:
    """The same with the price of a unit an hour, and what is to be said of those without."""
    if not held:
        return held, []
    known: Mapping[Rate, Decimal] = {}
    missing = []
    try:
        known = rates(clients)
    except ProviderError as error:
        missing.append(f"no price could be read: {error}")
    found = []
    for each in held:
        usd = known.get(_rate_of(each)) if each.term else None
        found.append(each if usd is None else replace(each, usd_per_hour=Fraction(usd)))
        if usd is None and known:
            missing.append(f"the price list has no price of {each.commitment_id}")
    return found, missing


def _rate_of(bought: Commitment) -> Rate:
    product, market = bought.product, _MARKETS[bought.term]
    part = {"vcpu": VCPU, "memory": GIB}.get(product.resource)
    if part is not None:
        return Rate(part, product.machine_series, product.region, market)
    return Rate(product.resource.upper(), "", product.region, market)


def _project_of(link: str) -> str:
    """The project in a resource's own address, '' where it does not show."""
    return link.partition("/projects/")[2].partition("/")[0]
