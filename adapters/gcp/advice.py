"""What Google advises of spot capacity: how long a machine lasts, and the past of its price.

Two sources of a hazard, neither of them a count of interruptions:
  uptime   'the estimated run time of the majority of Spot VMs before preemption' is taken for the
           median of an exponential lifetime: hazard = ln 2 / hours.
  history  the share r of machines that stopped because they were preempted, over intervals of h
           hours. It says nothing of how long they ran; they are taken to have run an interval, so
           hazard = -ln(1 - r) / h. Only where no uptime is given.
Both descriptions are those of the discovery document of compute v1 of 2026-11-06.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME, calling
from costplan.adapters.gcp.gpus import hardware_of
from costplan.planner.errors import RequestRejected
from costplan.planner.types import OfferKey, Quote, require

_PATIENCE_SECONDS = 5.0
"""Advice is good to have, and nothing waits for it for long."""
_HIGHEST_SHARE = 0.999
_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotHistory:
    """The past of a spot offer: list prices, and shares of stops that were preemptions, each
    with the interval that it was so in."""

    prices: tuple[tuple[datetime, datetime, Decimal], ...]
    preempted_shares: tuple[tuple[datetime, datetime, float], ...]


def spot_history(clients: Clients, project: str, key: OfferKey) -> SpotHistory | None:
    """The history of a machine type in its zone, None where Google gives none of it."""
    hardware = hardware_of(key.instance_type)
    if clients.advice is None or hardware.accelerator:
        return None
    types = clients.compute
    spot = types.CapacityHistoryRequestInstancePropertiesScheduling(provisioning_model="SPOT")
    asked = types.CapacityHistoryAdviceRequest(
        project=project,
        region=key.region,
        capacity_history_request_resource=types.CapacityHistoryRequest(
            types=["PRICE", "PREEMPTION"],
            instance_properties=types.CapacityHistoryRequestInstanceProperties(
                machine_type=hardware.machine_type, scheduling=spot
            ),
            location_policy=types.CapacityHistoryRequestLocationPolicy(
                location=f"zones/{key.zone}"
            ),
        ),
    )
    try:
        with calling("quotes", str(key)):
            found = clients.call(clients.advice.capacity_history, asked, _PATIENCE_SECONDS)
    except RequestRejected:
        return None
    return SpotHistory(
        prices=tuple(
            (*_interval(one.interval), _usd(one.list_price)) for one in found.price_history
        ),
        preempted_shares=tuple(
            (*_interval(one.interval), float(one.preemption_rate))
            for one in found.preemption_history
        ),
    )


def uptime_hours(clients: Clients, project: str, key: OfferKey) -> float | None:
    """How long the majority of spot machines of an offer lasts, None where nobody says."""
    hardware = hardware_of(key.instance_type)
    if clients.advice is None or hardware.accelerator:
        return None
    types = clients.compute
    spot = types.CapacityAdviceRequestInstancePropertiesScheduling(provisioning_model="SPOT")
    selection = types.CapacityAdviceRequestInstanceFlexibilityPolicyInstanceSelection(
        machine_types=[hardware.machine_type]
    )
    zone = types.CapacityAdviceRequestDistributionPolicyZoneConfiguration(zone=f"zones/{key.zone}")
    asked = types.CapacityAdviceRpcRequest(
        project=project,
        region=key.region,
        capacity_advice_request_resource=types.CapacityAdviceRequest(
            size=1,
            instance_properties=types.CapacityAdviceRequestInstanceProperties(scheduling=spot),
            instance_flexibility_policy=types.CapacityAdviceRequestInstanceFlexibilityPolicy(
                instance_selections={"one": selection}
            ),
            distribution_policy=types.CapacityAdviceRequestDistributionPolicy(
                target_shape="ANY_SINGLE_ZONE", zones=[zone]
            ),
        ),
    )
    try:
        with calling("quotes", str(key)):
            found = clients.call(clients.advice.capacity, asked, _PATIENCE_SECONDS)
    except RequestRejected:
        return None
    seconds = [
        float(one.scores.estimated_uptime.removesuffix("s"))
        for one in found.recommendations
        if one.scores.estimated_uptime
    ]
    return min(seconds) / _HOUR if seconds and min(seconds) > 0 else None


def hazard_of_uptime(hours: float) -> float:
    """Preemptions per node-hour where half of the machines last so long: 0.0866 for 8 h."""
    return math.log(2) / hours


def hazard_of_history(history: SpotHistory) -> float | None:
    """Preemptions per node-hour, None where no share is known.

    A tenth of the stops over a day: -ln(0.9) / 24 = 0.0044.
    """
    shares = history.preempted_shares
    if not shares:
        return None
    hours = sum((end - start) / timedelta(hours=1) for start, end, _ in shares)
    total = 0.0
    for _, _, share in shares:
        require(0.0 <= share <= 1.0, f"{share} is no share of preemptions")
        total -= math.log(1.0 - min(share, _HIGHEST_SHARE))
    return total / hours if hours > 0 else None


def quotes_of(history: SpotHistory, key: OfferKey) -> tuple[Quote, ...]:
    """The prices of a history as quotes, each observed when it came into force."""
    return tuple(
        Quote(
            key=key,
            usd_per_hour=usd,
            hazard_per_hour=None,
            observed_at=start,
            source=f"{NAME}-capacity-history",
            valid_until=end,
        )
        for start, end, usd in history.prices
        if usd > 0
    )


def _interval(interval: Any) -> tuple[datetime, datetime]:
    start, end = (datetime.fromisoformat(t) for t in (interval.start_time, interval.end_time))
    return start, end


def _usd(money: Any) -> Decimal:
    return Decimal(money.units) + Decimal(money.nanos) * Decimal("1e-9")
