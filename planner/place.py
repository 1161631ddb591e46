"""What nodes cost beside their machine, and what it costs to bring their data to them.

The optimizer's side: whole pico-dollars a node-hour for root disk and address, and float64 rates
of reading. `optimize/evaluate_place.py` works all of it out again and shares no code with this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.place_rates import DISK_TIERS, LIST_RATES, Charge, PlaceRate
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import GIB, SECONDS_PER_HOUR, pico_from_usd, usd_from_pico
from costplan.planner.workload import DataSource, Extras, Workload

HOURS_PER_MONTH = 730
_LEAST_TIER_GIB = 4


def rate(
    own: tuple[PlaceRate, ...],
    provider: str,
    charge: Charge,
    region: str,
    *,
    to: str = "",
    market: Market | None = None,
) -> PlaceRate | None:
    """The first of the own rates and then of the list's that matches, None where none does."""
    for row in (*own, *LIST_RATES):
        if (
            row.provider == provider
            and row.charge is charge
            and _matches(row.regions, region)
            and _matches(row.to, to)
            and row.market in (None, market)
        ):
            return row
    return None


def _matches(patterns: str, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns.split("|"))


def billed_gib(provider: str, size_bytes: int) -> int:
    """Whole GiB of a disk as they are billed."""
    gib = -(-size_bytes // GIB)
    if provider in DISK_TIERS:
        return max(_LEAST_TIER_GIB, 1 << (gib - 1).bit_length())
    return gib


@dataclass(frozen=True, slots=True)
class NodeExtras:
    """Pico-dollars an hour of a node beside its machine; whole, so that sums are exact."""

    disk_pico: int = 0
    address_pico: int = 0

    @property
    def usd_per_hour(self) -> Decimal:
        """Both in dollars."""
        return usd_from_pico(self.disk_pico + self.address_pico)


@cache
def node_extras(extras: Extras, provider: str, region: str, market: Market) -> NodeExtras:
    """What the root disk and the address of a node cost; nothing where nobody lists a rate."""
    disk = address = 0
    if extras.root_disk_bytes is not None:
        found = rate(extras.rates, provider, Charge.ROOT_DISK, region)
        if found is not None:
            gib = billed_gib(provider, extras.root_disk_bytes)
            disk = pico_from_usd(found.usd * gib / HOURS_PER_MONTH)
    if extras.public_ip:
        found = rate(extras.rates, provider, Charge.PUBLIC_IP, region, market=market)
        address = 0 if found is None else pico_from_usd(found.usd)
    return NodeExtras(disk, address)


def extra_pico(catalogue: Catalogue, rows: NDArray[np.intp], extras: Extras) -> NDArray[np.int64]:
    """What a node of each row costs an hour beside its machine [N]."""
    if not extras.are_priced:
        return np.zeros(len(rows), dtype=np.int64)
    places, inverse = _places(catalogue, rows, with_market=True)
    each = [node_extras(extras, place.provider, place.region, place.market) for place in places]
    pico = np.array([e.disk_pico + e.address_pico for e in each], dtype=np.int64)
    found: NDArray[np.int64] = pico[inverse]
    return found


def site_reading(
    catalogue: Catalogue, rows: NDArray[np.intp], workload: Workload
) -> NDArray[np.float64]:
    """What reading the data costs any fleet at a row's site an hour, spread over the duration [N].

    It is the least that a fleet there may pay: where a site has places with different rates, what
    is above that depends on all nodes together, and is priced once they are known.
    """
    data, seconds, where = workload.where.data, workload.duration_seconds, workload.where
    if data is None or not seconds or not (where.single_region or where.single_zone):
        return np.zeros(len(rows))
    places, inverse = _places(catalogue, rows)
    per_gib = [
        read_usd_per_gib(
            data, workload.extras.rates, p.provider, p.region, p.zone if where.single_zone else ""
        )
        for p in places
    ]
    hourly = data.read_bytes / GIB * SECONDS_PER_HOUR / seconds
    usd: NDArray[np.float64] = np.array(per_gib, dtype=np.float64)[inverse] * hourly
    return usd


def read_usd_per_gib(
    data: DataSource, own: tuple[PlaceRate, ...], provider: str, region: str, zone: str
) -> Decimal:
    """What bringing a GiB of the data to a place costs; a place without a zone is in any.

    Bytes are charged by the cloud that they leave.
    """
    if provider != data.provider:
        found = rate(own, data.provider, Charge.INTERNET, data.region)
    elif region != data.region:
        found = rate(own, data.provider, Charge.BETWEEN_REGIONS, data.region, to=region)
    elif data.zone and zone and zone != data.zone:
        found = rate(own, data.provider, Charge.BETWEEN_ZONES, data.region)
    else:
        return Decimal(0)
    return Decimal(0) if found is None else found.usd


@dataclass(frozen=True, slots=True)
class _Place:
    provider: str
    region: str
    zone: str
    market: Market


def _places(
    catalogue: Catalogue, rows: NDArray[np.intp], *, with_market: bool = False
) -> tuple[list[_Place], NDArray[np.intp]]:
    """The different places of rows (markets too where asked for), and each row's number."""
    key = catalogue.provider.codes[rows].astype(np.int64) * len(catalogue.region.names)
    key += catalogue.region.codes[rows]
    key = key * (len(catalogue.zone.names) + 1) + catalogue.zone.codes[rows] + 1
    if with_market:
        key = key * len(MARKETS) + catalogue.market[rows]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    places = []
    for row in rows[first].tolist():
        name = catalogue.key(row)
        places.append(_Place(name.provider, name.region, name.zone, name.market))
    return places, inverse.reshape(-1)


def rates_used(workload: Workload, keys: Iterable[OfferKey]) -> tuple[PlaceRate, ...]:
    """The rates that the figures of a plan of these offers rest on, each once, in their order."""
    extras, data, found = workload.extras, workload.where.data, list[PlaceRate | None]()
    for key in sorted(keys):
        if extras.root_disk_bytes is not None:
            found.append(rate(extras.rates, key.provider, Charge.ROOT_DISK, key.region))
        if extras.public_ip:
            found.append(
                rate(extras.rates, key.provider, Charge.PUBLIC_IP, key.region, market=key.market)
            )
        if workload.where.traffic_bytes_per_hour:
            found.append(rate(extras.rates, key.provider, Charge.BETWEEN_ZONES, key.region))
        if data is not None and key.provider != data.provider:
            found.append(rate(extras.rates, data.provider, Charge.INTERNET, data.region))
        elif data is not None and key.region != data.region:
            found.append(
                rate(extras.rates, data.provider, Charge.BETWEEN_REGIONS, data.region,
                     to=key.region)
            )  # fmt: skip
    return tuple(dict.fromkeys(row for row in found if row is not None))


def missing_rates(workload: Workload, providers: Sequence[str]) -> list[tuple[str, Charge]]:
    """Clouds of which the workload needs a rate that neither it nor the list has."""
    wanted: list[tuple[str, Charge]] = []
    extras, where = workload.extras, workload.where
    for provider in providers:
        if extras.root_disk_bytes is not None:
            wanted.append((provider, Charge.ROOT_DISK))
        if extras.public_ip:
            wanted.append((provider, Charge.PUBLIC_IP))
        if where.traffic_bytes_per_hour and not where.single_zone:
            wanted.append((provider, Charge.BETWEEN_ZONES))
            if not where.single_region:
                wanted.append((provider, Charge.BETWEEN_REGIONS))
                wanted.append((provider, Charge.INTERNET))
    if where.data is not None:
        home, others = where.data.provider, [p for p in providers if p != where.data.provider]
        if home in providers:
            wanted.append((home, Charge.BETWEEN_REGIONS))
            if where.data.zone:
                wanted.append((home, Charge.BETWEEN_ZONES))
        if others:
            wanted.append((home, Charge.INTERNET))
    known = {(row.provider, row.charge) for row in (*extras.rates, *LIST_RATES)}
    return [each for each in dict.fromkeys(wanted) if each not in known]
