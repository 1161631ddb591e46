"""A location of Azure as a source of prices: all of its zones, with no cluster in mind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.offers import offers
from costplan.adapters.azure.prices import AzurePrices
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.adapters.feeds.sync import Source
from costplan.adapters.remembered import Remembered
from costplan.planner.types import Offer, OfferKey, Quote

_WHILE_SECONDS = 3600.0
_ZONES = ("1", "2", "3")
"""A location has three zones, or none; machines are bought by zone."""


def settings_of(location: str, subscription: str, sizes: Sequence[str]) -> AzureSettings:
    """What the adapter is told where nothing is launched."""
    return AzureSettings(
        subscription=subscription,
        resource_group="",
        location=location,
        zones=tuple(f"{location}-{zone}" for zone in _ZONES),
        images={"x86_64": "/", "arm64": "/"},
        subnet="",
        ssh_key="",
        sizes=tuple(sizes),
    )


def source(clients: Clients, settings: AzureSettings, clock: Callable[[], datetime]) -> Source:
    """The location's feeds. The price list has both markets in one, and has no past."""
    sold: Remembered[None, Sequence[Offer]] = Remembered(
        lambda _: offers(clients, settings), clock, _WHILE_SECONDS
    )
    prices = AzurePrices(clients, settings, clock)
    listed: Remembered[None, Sequence[Quote]] = Remembered(
        lambda _: prices.quotes([offer.key for offer in sold(None)]), clock, _WHILE_SECONDS
    )

    def quotes(keys: Collection[OfferKey]) -> Sequence[Quote]:
        wanted = frozenset(keys)
        return [quote for quote in listed(None) if quote.key in wanted]

    return Source(
        provider=PROVIDER,
        region=settings.location,
        offers=lambda: sold(None),
        quotes=quotes,
        history=lambda *_: (),
    )
