"""A region of Compute Engine as a source of prices: all of its zones, with no cluster in mind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from costplan.adapters.feeds.sync import Source
from costplan.adapters.gcp.advice import quotes_of, spot_history
from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME
from costplan.adapters.gcp.offers import offers
from costplan.adapters.gcp.operations import pages
from costplan.adapters.gcp.prices import GcpPrices, Listed, advised_hazards, read_list
from costplan.adapters.gcp.settings import GcpSettings, region_of
from costplan.adapters.remembered import Remembered
from costplan.planner.config_fields import suggestion
from costplan.planner.errors import InputError
from costplan.planner.types import Offer, OfferKey, Quote

_AT_ONCE = 8
_WHILE_SECONDS = 3600.0


def sources(
    clients: Clients,
    project: str,
    regions: Sequence[str],
    *,
    machine_types: tuple[str, ...],
    clock: Callable[[], datetime],
) -> tuple[Source, ...]:
    """The regions' feeds, which share the one price list. Raises InputError for one that is not."""
    there = _zones(clients, project)
    listed: Remembered[None, Listed] = Remembered(
        lambda _: read_list(clients, clock), clock, _WHILE_SECONDS
    )

    def one(region: str) -> Source:
        settings = GcpSettings(
            project=project,
            zones=there[region],
            images={"x86_64": "", "arm64": ""},
            machine_types=machine_types,
        )
        sold: Remembered[None, Sequence[Offer]] = Remembered(
            lambda _: offers(clients, settings), clock, _WHILE_SECONDS
        )
        prices = GcpPrices(
            clients,
            settings,
            clock,
            advised_hazards(clients, project),
            listed=lambda: listed(None),
            sold=lambda: sold(None),
        )
        return Source(
            provider=NAME,
            region=region,
            offers=lambda: sold(None),
            quotes=prices.quotes,
            history=lambda keys, start, end: history(clients, project, keys, start, end),
        )

    for region in regions:
        if region not in there:
            way_out = suggestion(region, sorted(there)) or "gcloud compute regions list has them"
            raise InputError(f"--region {region}", "is no region of this project", way_out)
    return tuple(one(region) for region in regions)


def history(
    clients: Clients, project: str, keys: Collection[OfferKey], start: datetime, end: datetime
) -> Sequence[Quote]:
    """The spot prices of these offers in force in [start, end), a call an offer."""

    def of(key: OfferKey) -> Sequence[Quote]:
        found = spot_history(clients, project, key)
        return () if found is None else quotes_of(found, key)

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="history") as pool:
        found = [quote for quotes in pool.map(of, sorted(keys)) for quote in quotes]
    return [
        quote
        for quote in found
        if quote.observed_at < end and (quote.valid_until is None or quote.valid_until > start)
    ]


def _zones(clients: Clients, project: str) -> dict[str, tuple[str, ...]]:
    """The zones that are up, by region."""
    asked = clients.compute.ListZonesRequest(project=project)
    up = [
        one.name
        for page in pages(clients, clients.zones.list, asked, "zones")
        for one in page.items
        if one.status == "UP"
    ]
    regions = sorted({region_of(zone) for zone in up})
    return {
        region: tuple(sorted(zone for zone in up if region_of(zone) == region))
        for region in regions
    }
