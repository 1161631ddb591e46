"""What machines cost on Azure, now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.hazards import eviction_rates, hazard_of
from costplan.adapters.azure.retail import LIST, RESERVATION, SAVINGS_PLAN, Rate, rates
from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.planner.errors import ProviderError
from costplan.planner.types import Market, OfferKey, Quote

Bands = Callable[[], Mapping[str, str]]
"""Bands of eviction rates by size."""


class AzurePrices:
    """The price feed of one location, whose zones cost the same.

    A commitment costs what the savings plan asks, which other sizes may use too; where there is
    none, what the reservation does.
    """

    def __init__(
        self,
        clients: Clients,
        settings: AzureSettings,
        clock: Callable[[], datetime],
        bands: Bands | None = None,
    ) -> None:
        """`bands` says what is known of evictions; they are read with each question where it is
        not given."""
        self._clients, self._settings, self._clock = clients, settings, clock
        self._bands = bands or (lambda: eviction_rates(clients, settings))

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price in force of each of these offers that has one."""
        wanted = sorted(
            key for key in set(keys) if (key.provider, key.region) == (PROVIDER, self._location)
        )
        if not wanted:
            return ()
        known = rates(self._clients, self._settings, {key.instance_type for key in wanted})
        bands: Mapping[str, str] = {}
        if any(key.market is Market.SPOT for key in wanted):
            with suppress(ProviderError):  # prices are of use without it
                bands = self._bands()
        now = self._clock()
        found = []
        for key in wanted:
            rate = _rate_of(key, known)
            if rate is not None:
                usd, source = rate
                found.append(
                    Quote(
                        key=key,
                        usd_per_hour=usd,
                        hazard_per_hour=_hazard(key, bands),
                        observed_at=now,
                        source=source,
                    )
                )
        return tuple(found)

    @property
    def _location(self) -> str:
        return self._settings.location


def _rate_of(key: OfferKey, known: Mapping[Rate, Decimal]) -> tuple[Decimal, str] | None:
    for kind in (LIST, SAVINGS_PLAN, RESERVATION):
        usd = known.get((key.instance_type, key.market, kind))
        if usd is not None:
            return usd, f"{PROVIDER}-{kind}"
    return None


def _hazard(key: OfferKey, bands: Mapping[str, str]) -> float | None:
    if key.market is not Market.SPOT:
        return 0.0
    return hazard_of(bands.get(key.instance_type.lower(), ""))
