"""What a fleet costs beside its machines, from the workload and the list of rates alone.

Part of the second opinion on a plan (`evaluate.py`): it shares no code with the solver's side in
`place.py`, only the rows of `place_rates.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from fnmatch import fnmatchcase

from costplan.planner.place_rates import DISK_TIERS, LIST_RATES, Charge
from costplan.planner.types import OfferKey
from costplan.planner.workload import Workload

_HOURS_OF_MONTH = 730
_GIB = 1024**3
_PICO = Decimal("1e-12")
_NONE = Decimal(0)

Sized = tuple[OfferKey, int, int]
"""Nodes of an offer in a fleet: which, how many, and the milli-vCPU of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCosts:
    """Dollars of a fleet beside its machines.

    Disks, addresses and traffic are billed every hour; `read_usd` is paid once, and an hour of the
    workload's duration bears `read_usd_per_hour` of it. `unplaced` are the regions with nodes whose
    zone the price list does not name: traffic is counted as if they were where most others are.
    """

    disks_usd_per_hour: Decimal = _NONE
    addresses_usd_per_hour: Decimal = _NONE
    traffic_usd_per_hour: Decimal = _NONE
    read_usd: Decimal = _NONE
    read_usd_per_hour: Decimal = _NONE
    unplaced: tuple[str, ...] = ()

    @property
    def crossing_usd_per_hour(self) -> Decimal:
        """What bytes cost that cross a border: workers' traffic, and an hour's part of reading."""
        return self.traffic_usd_per_hour + self.read_usd_per_hour

    @property
    def by_node_usd_per_hour(self) -> Decimal:
        """What the nodes' own disks and addresses cost."""
        return self.disks_usd_per_hour + self.addresses_usd_per_hour


def node_usd(key: OfferKey, workload: Workload) -> tuple[Decimal, Decimal]:
    """Dollars an hour of one node's root disk and of its address."""
    size, disk, address = workload.extras.root_disk_bytes, _NONE, _NONE
    if size is not None:
        gib = math.ceil(Decimal(size) / _GIB)
        if key.provider in DISK_TIERS:
            tier = 4
            while tier < gib:
                tier *= 2
            gib = tier
        month = _usd(workload, key.provider, Charge.ROOT_DISK, key.region) * gib
        disk = (month / _HOURS_OF_MONTH).quantize(_PICO, rounding=ROUND_HALF_EVEN)
    if workload.extras.public_ip:
        address = _usd(workload, key.provider, Charge.PUBLIC_IP, key.region, of=key)
    return disk, address.quantize(_PICO)


def place_costs(fleet: Sequence[Sized], workload: Workload) -> PlaceCosts:
    """What a fleet costs beside its machines."""
    disks = addresses = _NONE
    for key, nodes, _ in fleet:
        disk, address = node_usd(key, workload)
        disks += nodes * disk
        addresses += nodes * address
    once = _read_usd(fleet, workload)
    hours = Decimal(workload.duration_seconds or 0) / 3600
    traffic, unplaced = _traffic(fleet, workload)
    return PlaceCosts(
        disks_usd_per_hour=disks,
        addresses_usd_per_hour=addresses,
        traffic_usd_per_hour=traffic,
        read_usd=once,
        read_usd_per_hour=once / hours if hours else _NONE,
        unplaced=unplaced,
    )


def _read_usd(fleet: Sequence[Sized], workload: Workload) -> Decimal:
    """Dollars for all that is read, each node's part of it by its share of the vCPU."""
    data = workload.where.data
    whole = sum(nodes * milli for _, nodes, milli in fleet)
    if data is None or not whole:
        return _NONE
    parts = (nodes * milli * _to_read(key, workload) for key, nodes, milli in fleet)
    return Decimal(data.read_bytes) / _GIB * sum(parts, _NONE) / whole


def _to_read(key: OfferKey, workload: Workload) -> Decimal:
    """Dollars to bring a GiB of the data to a node of an offer."""
    data = workload.where.data
    if data is None:
        return _NONE
    return _crossing(
        (data.provider, data.region, data.zone), (key.provider, key.region, key.zone), workload
    )


def _crossing(
    home: tuple[str, str, str], there: tuple[str, str, str], workload: Workload
) -> Decimal:
    """Dollars for a GiB from one (provider, region, zone) to another; '' is any zone."""
    if home[0] != there[0]:
        return _usd(workload, home[0], Charge.INTERNET, home[1])
    if home[1] != there[1]:
        return _usd(workload, home[0], Charge.BETWEEN_REGIONS, home[1], to=there[1])
    if home[2] and there[2] and home[2] != there[2]:
        return _usd(workload, home[0], Charge.BETWEEN_ZONES, home[1])
    return _NONE


def _traffic(fleet: Sequence[Sized], workload: Workload) -> tuple[Decimal, tuple[str, ...]]:
    """Dollars an hour for what workers send each other over borders: each byte starts and ends on
    nodes by their shares of the vCPU. Also regions with nodes of no named zone."""
    sent = workload.where.traffic_bytes_per_hour
    if not sent or not fleet:
        return _NONE, ()
    milli: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for key, nodes, each in fleet:
        milli[key.provider, key.region, key.zone] += nodes * each
    unplaced = tuple(f"{p}/{r}" for p, r, zone in sorted(milli) if not zone)
    joined = _joined(milli)
    whole = sum(joined.values())
    total = _NONE
    for home, one in joined.items():
        for there, other in joined.items():
            if home != there:
                total += one * other * _crossing(home, there, workload)
    return total * sent / _GIB / (whole * whole), unplaced


def _joined(milli: Mapping[tuple[str, str, str], int]) -> dict[tuple[str, str, str], int]:
    """vCPU by zone, that of no named zone added to the largest zone of its region."""
    named = {place: amount for place, amount in milli.items() if place[2]}
    found = dict(named)
    for place, amount in milli.items():
        if not place[2]:
            here = [p for p in named if p[:2] == place[:2]]
            most = max(here, key=lambda p: (named[p], p), default=place)
            found[most] = found.get(most, 0) + amount
    return found


def _usd(
    workload: Workload,
    provider: str,
    charge: Charge,
    region: str,
    *,
    to: str = "",
    of: OfferKey | None = None,
) -> Decimal:
    """The rate of the first row that is of all this, the workload's own before the list's."""
    for row in (*workload.extras.rates, *LIST_RATES):
        if row.charge is not charge or row.provider != provider:
            continue
        if row.market is not None and (of is None or of.market is not row.market):
            continue
        here = any(fnmatchcase(region, one) for one in row.regions.split("|"))
        if here and any(fnmatchcase(to, one) for one in row.to.split("|")):
            return row.usd
    return _NONE
