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
from costplan.planner.types import Market, OfferKey, Quote, Resources
from costplan.planner.units import GIB as GIB_BYTES

SOURCE = f"{NAME}-billing-catalogue"
_WITH_MORE = ("a2-ultragpu-", "a3-", "a4-", "z3-", "m2-")
"""Machine types whose price has more in it than vCPU, memory and GPUs: local disks, premiums."""

Hazards = Callable[[OfferKey], float | None]


class GcpPrices:
    """The price feed over Google's own list. One call reads all of it, and what is sold."""

    def __init__(
        self,
        clients: Clients,
        settings: GcpSettings,
        clock: Callable[[], datetime],
        hazards: Hazards | None = None,
    ) -> None:
        self._clients, self._settings, self._clock = clients, settings, clock
        self._hazards = hazards

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price of each of these machine types whose parts all have a rate.

        On-demand machines have a hazard of 0; of spot it is what `hazards` says.
        """
        if not keys:
            return ()
        sizes = {
            (offer.key.zone, offer.key.instance_type): offer.resources
            for offer in offers(self._clients, self._settings)
        }
        known, now = rates(self._clients), self._clock()
        found = []
        for key in sorted(set(keys)):
            size = sizes.get((key.zone, key.instance_type))
            usd = None if size is None else usd_per_hour(key, size, known)
            if usd is not None:
                found.append(
                    Quote(
                        key=key,
                        usd_per_hour=usd,
                        hazard_per_hour=self._hazard(key),
                        observed_at=now,
                        source=SOURCE,
                    )
                )
        return tuple(found)

    def _hazard(self, key: OfferKey) -> float | None:
        if key.market is not Market.SPOT:
            return 0.0
        return None if self._hazards is None else self._hazards(key)


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
    calls an offer at most."""

    def hazard(key: OfferKey) -> float | None:
        hours = uptime_hours(clients, project, key)
        if hours is not None and math.isfinite(hours):
            return hazard_of_uptime(hours)
        history = spot_history(clients, project, key)
        return None if history is None else hazard_of_history(history)

    return hazard
