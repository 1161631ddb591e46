"""The cheapest fleet by trying all of them: slow, and plain enough to be believed.

Nothing of the optimizer is used. Fleets are every multiset of up to `most_nodes` nodes of the
offers of one site, cheapest first; the first that keeps every limit and holds every worker is
the answer. Machines that not one worker may run on are not bought, not even to fill a base or to
dilute a share. Shares have the slack that lets a third be a third. Rates beside machines are the
workload's own, one of each kind a cloud.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache
from math import ceil, isnan

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import Catalogue
from costplan.planner.place_rates import Charge
from costplan.planner.risk import ANY_PROVIDER, PRIORS
from costplan.planner.types import Market, OfferKey, WorkerShape
from costplan.planner.workload import Quota, Workload

SLACK = 1e-9

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Room = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One row of a price list: what workers may have of it, and what it costs an hour."""

    key: OfferKey
    room: Room
    gpu_kind: str
    vcpu_milli: int
    price: Fraction
    cost: Fraction

    @property
    def is_spot(self) -> bool:
        """Whether it may be taken away."""
        return self.key.market is Market.SPOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheapest:
    """The least that a fleet costs in expectation, and its nodes by offer."""

    cost: Fraction
    nodes: dict[OfferKey, int]


def cheapest(prices: Catalogue, wanted: Workload, most_nodes: int) -> Cheapest | None:
    """The cheapest fleet of up to `most_nodes` nodes, None where none keeps the rules.

    Only rules of place, market, hazard and the caps are looked at: worlds must not rely on those
    of machine names, architectures and suspect prices.
    """
    found = [
        best
        for site in _sites(_machines(prices, wanted), wanted)
        if (best := _cheapest_at(site, wanted, most_nodes)) is not None
    ]
    return min(found, key=lambda each: each.cost, default=None)


def _machines(prices: Catalogue, wanted: Workload) -> list[Machine]:
    machines = []
    lost = wanted.interruption.lost_work_seconds + wanted.interruption.restart_seconds
    for row in range(len(prices)):
        key = prices.key(row)
        hazard = float(prices.hazard_per_hour[row])
        if key.market is not Market.SPOT:
            hazard = 0.0
        elif isnan(hazard):
            hazard = PRIORS.get(key.provider, ANY_PROVIDER).middle
        most = wanted.market.max_hazard_per_hour
        if key.market not in wanted.market.allow or (most is not None and hazard > most):
            continue
        vcpu, memory = int(prices.vcpu_milli[row]), int(prices.memory_bytes[row])
        kept = max(
            ceil(memory * Fraction(repr(wanted.overhead.memory_share))),
            wanted.overhead.memory_floor_bytes,
        )
        price = Fraction(int(prices.price_pico[row]) + _beside_pico(key, wanted), 10**12)
        machines.append(
            Machine(
                key=key,
                room=(vcpu - wanted.overhead.vcpu_milli, memory - kept, int(prices.gpus[row])),
                gpu_kind=prices.gpu_kind[row],
                vcpu_milli=vcpu,
                price=price,
                cost=price * (1 + Fraction(hazard) * lost / 3600),
            )
        )
    return [m for m in machines if any(_left(m, m.room, s) is not None for s in wanted.shapes)]


def _rate(wanted: Workload, provider: str, charge: Charge) -> Fraction:
    (usd,) = (
        row.usd for row in wanted.extras.rates if (row.provider, row.charge) == (provider, charge)
    )
    return Fraction(usd)


def _beside_pico(key: OfferKey, wanted: Workload) -> int:
    pico = 0
    if wanted.extras.root_disk_bytes is not None:
        gib = ceil(Fraction(wanted.extras.root_disk_bytes, 2**30))
        pico += round(_rate(wanted, key.provider, Charge.ROOT_DISK) * gib * 10**12 / 730)
    if wanted.extras.public_ip:
        pico += round(_rate(wanted, key.provider, Charge.PUBLIC_IP) * 10**12)
    return pico


def _border(one: tuple[str, str, str], other: tuple[str, str, str], wanted: Workload) -> Fraction:
    """Dollars for a GiB from one (provider, region, zone) to another."""
    charges = (Charge.INTERNET, Charge.BETWEEN_REGIONS, Charge.BETWEEN_ZONES)
    for place, charge in enumerate(charges):
        if one[place] != other[place] and one[place] and other[place]:
            return _rate(wanted, one[0], charge)
    return Fraction(0)


def _crossing(fleets: Ints, machines: list[Machine], wanted: Workload) -> NDArray[np.float64]:
    """Dollars an hour [F] for what each fleet reads, and sends itself, over borders."""
    data, sent = wanted.where.data, wanted.where.traffic_bytes_per_hour
    places = [(m.key.provider, m.key.region, m.key.zone) for m in machines]
    milli = fleets * np.array([m.vcpu_milli for m in machines])
    share = milli / np.maximum(milli.sum(axis=1, keepdims=True), 1)
    usd = np.zeros(len(fleets))
    if sent:
        rates = np.array([[float(_border(a, b, wanted)) for b in places] for a in places])
        usd += np.einsum("fi,ij,fj->f", share, rates, share) * sent / 2**30
    if data is not None and wanted.duration_seconds is not None:
        home = (data.provider, data.region, data.zone)
        each = np.array([float(_border(home, place, wanted)) for place in places])
        usd += share @ each * data.read_bytes / 2**30 * 3600 / wanted.duration_seconds
    return usd


def _sites(machines: list[Machine], wanted: Workload) -> list[list[Machine]]:
    sites: dict[tuple[str, ...], list[Machine]] = {}
    for machine in machines:
        key = machine.key
        place: tuple[str, ...] = ()
        if wanted.where.single_zone:
            place = (key.provider, key.region, key.zone)
        elif wanted.where.single_region:
            place = (key.provider, key.region)
        sites.setdefault(place, []).append(machine)
    return list(sites.values())


def _cheapest_at(machines: list[Machine], wanted: Workload, most_nodes: int) -> Cheapest | None:
    fleets = _multisets(len(machines), most_nodes)
    fleets = fleets[_keep_limits(fleets, machines, wanted)]
    cost = fleets @ np.array([float(m.cost) for m in machines])
    crossing = _crossing(fleets, machines, wanted)
    for place in np.argsort(cost + crossing, kind="stable").tolist():
        fleet = fleets[place].tolist()
        bought = [(m, n) for n, m in zip(fleet, machines, strict=True) if n]
        if bought and _holds(bought, wanted):
            total = sum((n * m.cost for m, n in bought), Fraction(0))
            total += Fraction(float(crossing[place]))
            return Cheapest(cost=total, nodes={m.key: n for m, n in bought})
    return None


@cache
def _multisets(kinds: int, most: int) -> Ints:
    """Every way [F, kinds] to take up to `most` things of so many kinds."""
    stops = itertools.combinations(range(most + kinds), kinds)
    edges = np.array([(-1, *stop) for stop in stops], dtype=np.int64)
    return np.diff(edges, axis=1) - 1


def _keep_limits(fleets: Ints, machines: list[Machine], wanted: Workload) -> Bools:
    """Which fleets [F] keep every cap on the fleet as a whole."""
    market, caps = wanted.market, wanted.limits
    milli = np.array([m.vcpu_milli for m in machines], dtype=np.int64)
    is_spot = np.array([m.is_spot for m in machines])
    vcpu, spot = fleets @ milli, fleets * (milli * is_spot)
    kept = spot.sum(axis=1) <= (market.spot_max_share + SLACK) * vcpu
    kept &= spot.max(axis=1) <= (market.pool_max_share + SLACK) * vcpu
    kept &= vcpu - spot.sum(axis=1) >= market.on_demand_base_vcpu_milli
    if caps.max_nodes is not None:
        kept &= fleets.sum(axis=1) <= caps.max_nodes
    if wanted.budget_pico_per_hour is not None:
        price = np.array([int(m.price * 10**12) for m in machines], dtype=np.int64)
        kept &= fleets @ price <= wanted.budget_pico_per_hour
    for quota in caps.quotas:
        under = np.array([_falls_under(m, quota) for m in machines])
        if quota.nodes is not None:
            kept &= fleets @ under.astype(np.int64) <= quota.nodes
        else:
            kept &= fleets @ (milli * under) <= (quota.vcpu_milli or 0)
    return kept


def _falls_under(machine: Machine, quota: Quota) -> bool:
    key = machine.key
    return (
        quota.provider in (None, key.provider)
        and quota.region in (None, key.region)
        and quota.market in (None, key.market)
        and (
            not quota.instance_types
            or any(fnmatchcase(key.instance_type, p) for p in quota.instance_types)
        )
    )


def _holds(bought: list[tuple[Machine, int]], wanted: Workload) -> bool:
    """Whether all workers have a place at once."""
    nodes = [(machine, machine.room) for machine, count in bought for _ in range(count)]
    workers = [shape for shape in wanted.shapes for _ in range(shape.count)]
    workers.sort(key=lambda s: (s.need.gpus, s.need.vcpu_milli, s.need.memory_bytes), reverse=True)
    return _place(nodes, workers)


def _place(nodes: list[tuple[Machine, Room]], workers: list[WorkerShape]) -> bool:
    if not workers:
        return True
    first, rest = workers[0], workers[1:]
    tried = set()
    for place, (machine, room) in enumerate(nodes):
        left = _left(machine, room, first)
        if left is None or (machine.key, room) in tried:
            continue
        tried.add((machine.key, room))
        if _place([*nodes[:place], (machine, left), *nodes[place + 1 :]], rest):
            return True
    return False


def _left(machine: Machine, room: Room, shape: WorkerShape) -> Room | None:
    """What of the room is left beside one more worker, None where it may not or cannot be."""
    need = shape.need
    if shape.markets and machine.key.market not in shape.markets:
        return None
    if need.gpus and (
        not machine.gpu_kind or (shape.gpu_kinds and machine.gpu_kind not in shape.gpu_kinds)
    ):
        return None
    left = (room[0] - need.vcpu_milli, room[1] - need.memory_bytes, room[2] - need.gpus)
    return left if min(left) >= 0 else None
