"""A workload and a price list as one optimization problem in arrays.

Offers with the same allocatable capacity and the same admissible shapes form a *class*: what fits
on one fits on all, so everything expensive (packing) is done per class, of which there are a few
hundred, and not per offer, of which there may be a million. Offers also belong to a *site*: the
region or zone that the whole cluster must share, or everywhere.

Sizes are exact integers (milli-vCPU, bytes, GPUs). Prices and costs are float64 dollars here and
only here; `evaluate.py` prices the answer again in Decimal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.held.machines import Tariff
from costplan.planner.held.reach import reach_of
from costplan.planner.optimize.offers import Candidates, matching
from costplan.planner.optimize.twins import LEAST_SHARE, LIMIT, Copies, Twins, copies_of, twins_of
from costplan.planner.place import extra_pico, site_reading
from costplan.planner.risk import cost_factor
from costplan.planner.types import Market
from costplan.planner.units import PICO_PER_USD
from costplan.planner.workload import Quota, Workload

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SPOT = MARKETS.index(Market.SPOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One cap on the fleet: sum over offers of `per_node[o]` x nodes[o] <= `most`.

    A share limit is homogeneous (`most` is 0): `share` is the limit itself, and one more unit
    of it is one unit of share of all vCPU.
    """

    name: str
    per_node: Floats
    most: float
    unit: str
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Axes: S shapes, K classes, O offers. Any offer may be bought in any number.

    needs[S, 3] and capacity[K, 3] are (milli-vCPU, bytes, GPUs); `admits[K, S]` says which
    shapes may run on a class at all (market, GPU kind, size); `count[S]` workers must be placed.
    `row[O]` is the offer's row in the catalogue, `cost[O]` its expected dollars per node-hour
    (price plus interruption), `price[O]` what is billed (machine, root disk and address),
    `site[O]` its place in `sites`. `site_usd` is what any fleet of a site costs an hour on top.
    `pool_share` is the most of all vCPU that one spot pool may hold; 1 is no limit. `twins` are
    offers that commitments pay for, None where nothing is held.
    """

    shape_names: tuple[str, ...]
    needs: Ints
    count: Ints
    capacity: Ints
    admits: Bools
    row: Ints
    site: Ints
    sites: tuple[str, ...]
    klass: Ints
    cost: Floats
    price: Floats
    site_usd: Floats
    vcpu: Floats
    is_spot: Bools
    limits: tuple[Limit, ...]
    pool_share: float
    twins: Twins | None = None

    @property
    def offers(self) -> int:
        """How many offers there are."""
        return len(self.row)

    def take(self, offers: NDArray[np.intp]) -> Problem:
        """The same problem with only these offers; classes keep their numbers."""
        return replace(
            self,
            row=self.row[offers],
            site=self.site[offers],
            klass=self.klass[offers],
            cost=self.cost[offers],
            price=self.price[offers],
            vcpu=self.vcpu[offers],
            is_spot=self.is_spot[offers],
            limits=tuple(replace(lim, per_node=lim.per_node[offers]) for lim in self.limits),
            twins=None if self.twins is None else self.twins.take(offers),
        )

    def at_speed(self, factor: Floats) -> Problem:
        """The same problem in dollars for the work of a machine of speed 1, by the factor of each
        row of the catalogue; prices, which budgets are of, stay."""
        cost = self.cost / factor[self.row]
        order = np.argsort(cost, kind="stable")
        where = self.site[order] * len(self.capacity) + self.klass[order]
        order = order[np.argsort(where, kind="stable")]
        return replace(self, cost=cost).take(order)

    def fits(self) -> Bools:
        """Which shapes [K, S] fit on which class at least once."""
        fits: Bools = self.admits & np.all(self.needs[None] <= self.capacity[:, None], axis=2)
        return fits


def build(catalogue: Catalogue, chosen: Candidates, workload: Workload) -> Problem:
    """The problem of placing a workload on the chosen rows of a catalogue."""
    rows = chosen.rows
    needs = np.array(
        [(s.need.vcpu_milli, s.need.memory_bytes, s.need.gpus) for s in workload.shapes],
        dtype=np.int64,
    )
    count = np.array([s.count for s in workload.shapes], dtype=np.int64)
    group, admits = _admissions(catalogue, rows, workload)
    capacity = _useful(_allocatable(catalogue, rows, workload), group, admits, needs, count)
    klass, capacity, admits = _classes(capacity, group, admits, catalogue.vcpu_milli[rows])
    able = np.any(admits & np.all(needs[None] <= capacity[:, None], axis=2), axis=1)[klass]
    site, sites = _sites(catalogue, rows, workload)
    beside = extra_pico(catalogue, rows, workload.extras)
    price = (catalogue.price_pico[rows] + beside) / PICO_PER_USD
    cost = price * cost_factor(chosen.hazards.middle[rows], workload.interruption)
    site_usd = np.zeros(len(sites))
    site_usd[site] = site_reading(catalogue, rows, workload)
    whole, twins = cost, None
    limits: tuple[Limit, ...] = ()
    order = np.flatnonzero(able)
    if workload.held.is_any:
        reach = reach_of(Tariff(catalogue, workload.held), rows)
        copies = copies_of(reach, rows)
        place = np.concatenate([np.arange(len(rows)), copies.of])
        left = copies.left_usd + beside[copies.of] / PICO_PER_USD
        whole = cost[place]
        price = np.concatenate([price, left])
        cost = np.concatenate([cost, left + LEAST_SHARE * cost[copies.of]])
        rows, site, klass = rows[place], site[place], klass[place]
        order = np.flatnonzero(able[place])
    order = order[np.argsort(cost[order], kind="stable")]
    order = order[np.argsort(site[order] * len(capacity) + klass[order], kind="stable")]
    if workload.held.is_any:
        twins = twins_of(copies, order - len(able), whole[order], reach.gaps)
        limits = tuple(_paid(copies, order - len(able)))
    rows = rows[order]
    vcpu = catalogue.vcpu_milli[rows] / 1000.0
    is_spot = catalogue.market[rows] == _SPOT
    return Problem(
        shape_names=tuple(s.name for s in workload.shapes),
        needs=needs,
        count=count,
        capacity=capacity,
        admits=admits,
        row=rows,
        site=site[order],
        sites=sites,
        klass=klass[order],
        cost=cost[order],
        price=price[order],
        site_usd=site_usd,
        vcpu=vcpu,
        is_spot=is_spot,
        limits=(*_limits(catalogue, rows, workload, price[order], vcpu, is_spot), *limits),
        pool_share=workload.market.pool_max_share,
        twins=twins,
    )


def _paid(copies: Copies, copy: NDArray[np.intp]) -> Iterator[Limit]:
    """What there is of each pool of commitments; `copy` is an offer's place among the copies,
    below 0 where it is none."""
    for pool, units in zip(copies.pools, copies.units, strict=True):
        per_node = np.where(copy >= 0, units[np.maximum(copy, 0)] if len(units) else 0.0, 0.0)
        name = LIMIT + "+".join(pool.names)
        yield Limit(name=name, per_node=per_node, most=pool.most, unit=pool.unit)


def _admissions(
    catalogue: Catalogue, rows: NDArray[np.intp], workload: Workload
) -> tuple[Ints, Bools]:
    """For each row the number of its group, and for each group the shapes it admits."""
    kinds = catalogue.gpu_kind.names
    combos = (catalogue.gpu_kind.codes[rows].astype(np.int64) + 1) * len(MARKETS)
    combos += catalogue.market[rows]
    seen, group = np.unique(combos, return_inverse=True)
    admits = np.zeros((len(seen), len(workload.shapes)), dtype=bool)
    for place, combo in enumerate(seen):
        kind_code, market_code = divmod(int(combo), len(MARKETS))
        kind = kinds[kind_code - 1] if kind_code else None
        for s, shape in enumerate(workload.shapes):
            market_ok = not shape.markets or MARKETS[market_code] in shape.markets
            kind_ok = shape.need.gpus == 0 or (
                kind is not None and (not shape.gpu_kinds or kind in shape.gpu_kinds)
            )
            admits[place, s] = market_ok and kind_ok
    distinct, same = np.unique(admits, axis=0, return_inverse=True)
    return same.reshape(-1)[group].astype(np.int64), distinct


def _allocatable(catalogue: Catalogue, rows: NDArray[np.intp], workload: Workload) -> Ints:
    """What of each row's machine the workers may have [N, 3]."""
    overhead = workload.overhead
    memory = catalogue.memory_bytes[rows]
    kept = np.maximum(
        np.ceil(memory * overhead.memory_share).astype(np.int64), overhead.memory_floor_bytes
    )
    free = (catalogue.vcpu_milli[rows] - overhead.vcpu_milli, memory - kept, catalogue.gpus[rows])
    allocatable: Ints = np.maximum(np.stack(free, axis=1), 0)
    return allocatable


def _useful(capacity: Ints, group: Ints, admits: Bools, needs: Ints, count: Ints) -> Ints:
    """Capacity without what no mix of the admitted workers can use; packing is unchanged.

    Floors each size to the greatest common divisor of the needs, cuts memory (CPU) to the
    highest memory per CPU (CPU per memory) that any admitted shape has, and cuts all to the
    whole demand.
    """
    useful = capacity.copy()
    for number, shapes in enumerate(admits):
        mine = np.flatnonzero(group == number)
        if not shapes.any():
            useful[mine] = 0
            continue
        wanted, most = needs[shapes], (needs[shapes] * count[shapes, None]).sum(axis=0)
        sizes = np.minimum(useful[mine], most)
        memory_per_cpu = (wanted[:, 1] / wanted[:, 0]).max()
        cpu_per_memory = (wanted[:, 0] / wanted[:, 1]).max()
        by_cpu = np.ceil(sizes[:, 0] * memory_per_cpu).astype(np.int64)
        by_memory = np.ceil(sizes[:, 1] * cpu_per_memory).astype(np.int64)
        sizes[:, 1] = np.minimum(sizes[:, 1], by_cpu)
        sizes[:, 0] = np.minimum(sizes[:, 0], by_memory)
        for axis in range(3):
            step = math.gcd(*(int(need) for need in wanted[:, axis])) or 1
            sizes[:, axis] -= sizes[:, axis] % step
        useful[mine] = sizes
    return useful


def _classes(
    capacity: Ints, group: Ints, admits: Bools, vcpu_milli: Ints
) -> tuple[Ints, Ints, Bools]:
    """For each row the number of its class; each class's capacity and admitted shapes.

    The machine's own vCPU is part of the key although packing does not see it: with it, how
    many nodes of each class there are says how much vCPU the fleet has, which shares rest on.
    """
    columns = np.stack([group, *capacity.T, vcpu_milli])
    order = np.lexsort(columns[::-1])
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (columns[:, order[1:]] != columns[:, order[:-1]]).any(axis=0)
    klass = np.empty(len(order), dtype=np.int64)
    klass[order] = np.cumsum(is_first) - 1
    first = order[is_first]
    return klass, capacity[first], admits[group[first]]


def _sites(
    catalogue: Catalogue, rows: NDArray[np.intp], workload: Workload
) -> tuple[Ints, tuple[str, ...]]:
    """For each row the number of the place that the whole cluster must share, and their names."""
    where = workload.where
    if not (where.single_region or where.single_zone):
        return np.zeros(len(rows), dtype=np.int64), ("anywhere",)
    provider, region = catalogue.provider, catalogue.region
    key = provider.codes[rows].astype(np.int64) * len(region.names) + region.codes[rows]
    if where.single_zone:
        key = key * (len(catalogue.zone.names) + 1) + catalogue.zone.codes[rows] + 1
    _, first, site = np.unique(key, return_index=True, return_inverse=True)
    names = []
    for row in rows[first]:
        zone = catalogue.zone[row] or "zone not named"
        suffix = f"/{zone}" if where.single_zone else ""
        names.append(f"{provider[row]}/{region[row]}{suffix}")
    return site.reshape(-1).astype(np.int64), tuple(names)


def _limits(
    catalogue: Catalogue,
    rows: NDArray[np.intp],
    workload: Workload,
    price: Floats,
    vcpu: Floats,
    is_spot: Bools,
) -> tuple[Limit, ...]:
    """The caps of a workload that bind the fleet as a whole; see `Limit` for their form."""
    market, caps = workload.market, workload.limits
    limits = []
    if market.spot_max_share < 1:
        share = market.spot_max_share
        per_node = np.where(is_spot, (1 - share) * vcpu, -share * vcpu)
        limits.append(
            Limit(
                name="market.spot_max_share", per_node=per_node, most=0.0, unit="share", share=share
            )
        )
    if market.on_demand_base_vcpu_milli:
        base = market.on_demand_base_vcpu_milli / 1000
        per_node = np.where(is_spot, 0.0, -vcpu)
        limits.append(
            Limit(name="market.on_demand_base_vcpu", per_node=per_node, most=-base, unit="vCPU")
        )
    if workload.budget_pico_per_hour is not None:
        most = workload.budget_pico_per_hour / PICO_PER_USD
        limits.append(Limit(name="budget.usd_per_hour", per_node=price, most=most, unit="USD/h"))
    if caps.max_nodes is not None:
        ones = np.ones(len(rows))
        limits.append(
            Limit(name="limits.max_nodes", per_node=ones, most=float(caps.max_nodes), unit="node")
        )
    for number, quota in enumerate(caps.quotas):
        matched = _quota_rows(catalogue, rows, quota)
        per_node = np.where(matched, vcpu if quota.nodes is None else 1.0, 0.0)
        most = quota.nodes if quota.nodes is not None else (quota.vcpu_milli or 0) / 1000
        unit = "vCPU" if quota.nodes is None else "node"
        name = quota.name or f"limits.quotas[{number}]"
        limits.append(Limit(name=name, per_node=per_node, most=float(most), unit=unit))
    return tuple(limits)


def _quota_rows(catalogue: Catalogue, rows: NDArray[np.intp], quota: Quota) -> Bools:
    matched = np.ones(len(rows), dtype=bool)
    if quota.provider is not None:
        matched &= catalogue.provider.codes[rows] == catalogue.provider.code_of(quota.provider)
    if quota.region is not None:
        matched &= catalogue.region.codes[rows] == catalogue.region.code_of(quota.region)
    if quota.market is not None:
        matched &= catalogue.market[rows] == MARKETS.index(quota.market)
    if quota.instance_types:
        types = matching(catalogue.instance_type.names, quota.instance_types)
        matched &= types[catalogue.instance_type.codes[rows]]
    return matched
