"""Prices of machine types: the rates of their parts, added up, and the hazard of spot.

    n2-standard-4 on demand in us-central1
      4 vCPU x $0.031611 (N2 Instance Core)  +  16 GiB x $0.004237 (N2 Instance Ram)

The list is large (tens of thousands of SKUs) and has prices by region; every zone of a region
costs the same. Not in these prices: disks, addresses, traffic, licences and sustained-use
discounts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from threading import Event

from costplan.adapters.gcp.advice import (
    hazard_of_history,
    hazard_of_uptime,
    spot_history,
    uptime_hours,
)
from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME
from costplan.adapters.gcp.offers import offers
from costplan.adapters.gcp.settings import GcpSettings
from costplan.adapters.gcp.skus import GIB, VCPU, Rate, rates
from costplan.adapters.threads import Threads
from costplan.planner.errors import ProviderError
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources
from costplan.planner.units import GIB as GIB_BYTES

SOURCE = f"{NAME}-billing-catalogue"
_WITH_MORE = ("a2-ultragpu-", "a3-", "a4-", "z3-", "m2-")
"""Machine types whose price has more in it than vCPU, memory and GPUs: local disks, premiums."""

_ADVICE_AT_ONCE = 8

Hazards = Callable[[Collection[OfferKey]], Mapping[OfferKey, float]]
"""Interruptions per node-hour of spot offers, as far as they are known."""
Listed = tuple[datetime, Mapping[Rate, Decimal]]
"""The rates of the price list, and when they were read."""


class GcpPrices:
    """The price feed over Google's own list, and over what is sold.

    Each call reads both anew, unless `listed` and `sold` say what they have them from.
    """

    def __init__(
        self,
        clients: Clients,
        settings: GcpSettings,
        clock: Callable[[], datetime],
        hazards: Hazards | None = None,
        *,
        listed: Callable[[], Listed] | None = None,
        sold: Callable[[], Sequence[Offer]] | None = None,
    ) -> None:
        self._hazards = hazards
        self._listed = listed or (lambda: read_list(clients, clock))
        self._sold = sold or (lambda: offers(clients, settings))

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price of each of these machine types whose parts all have a rate.

        On-demand machines have a hazard of 0; of spot it is what `hazards` says.
        """
        if not keys:
            return ()
        sizes = {
            (offer.key.zone, offer.key.instance_type): offer.resources for offer in self._sold()
        }
        read_at, known = self._listed()
        priced = {}
        for key in sorted(set(keys)):
            size = sizes.get((key.zone, key.instance_type))
            usd = None if size is None else usd_per_hour(key, size, known)
            if usd is not None:
                priced[key] = usd
        spot = [key for key in priced if key.market is Market.SPOT]
        hazards = self._hazards(spot) if self._hazards is not None and spot else {}
        return tuple(
            Quote(
                key=key,
                usd_per_hour=usd,
                hazard_per_hour=hazards.get(key) if key.market is Market.SPOT else 0.0,
                observed_at=read_at,
                source=SOURCE,
            )
            for key, usd in priced.items()
        )


def read_list(clients: Clients, clock: Callable[[], datetime]) -> Listed:
    """The price list as of now."""
    at = clock()
    return at, rates(clients)


def usd_per_hour(key: OfferKey, size: Resources, known: Mapping[Rate, Decimal]) -> Decimal | None:
    """What a machine costs an hour, None where the rate of a part is not known."""
    if key.instance_type.endswith("-lssd") or key.instance_type.startswith(_WITH_MORE):
        return None
    family = key.instance_type.split("-", 1)[0]
    parts = [
        (Rate(VCPU, family, key.region, key.market), Decimal(size.vcpu_milli) / 1000),
        (Rate(GIB, family, key.region, key.market), Decimal(size.memory_bytes) / GIB_BYTES),
    ]
    if size.gpu_kind is not None:
        parts.append((Rate(size.gpu_kind, "", key.region, key.market), Decimal(size.gpus)))
    total = Decimal(0)
    for rate, amount in parts:
        if rate not in known:
            return None
        total += known[rate] * amount
    return total


def advised_hazards(clients: Clients, project: str) -> Hazards:
    """Hazards from Google's advice: of the uptime where it is given, else of the history. Two
    calls an offer at most; where one fails nothing more is asked, and the rest is not known."""

    def hazard(key: OfferKey) -> float | None:
        hours = uptime_hours(clients, project, key)
        if hours is not None and math.isfinite(hours):
            return hazard_of_uptime(hours)
        history = spot_history(clients, project, key)
        return None if history is None else hazard_of_history(history)

    def hazards(keys: Collection[OfferKey]) -> Mapping[OfferKey, float]:
        has_failed = Event()

        def one(key: OfferKey) -> float | None:
            if has_failed.is_set():
                return None
            try:
                return hazard(key)
            except ProviderError:
                has_failed.set()
                return None

        if clients.advice is None:
            return {}
        threads = Threads(_ADVICE_AT_ONCE, "advice")
        try:
            asked = {key: threads.submit(partial(one, key)) for key in keys}
            found = {key: future.result() for key, future in asked.items()}
        finally:
            threads.close()
        return {key: value for key, value in found.items() if value is not None}

    return hazards
