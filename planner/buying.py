"""What could be bought for workers that are wanted: the columns of the transition program.

The one-shot optimizer packs the workers that are missing, and the whole demand from nothing; the
machines it would buy are candidates, next to the cheapest single-worker and full machines of each
kind. Its bound for the whole demand is what no fleet, however it came to be, costs less than.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property, lru_cache
from math import ceil, inf
from types import MappingProxyType

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.fleet_view import expected_usd
from costplan.planner.market import catalogue_of, priced_offers
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.offers import Candidates, candidates
from costplan.planner.optimize.problem import Floats, build
from costplan.planner.optimize.single import Machine, cheapest, worth_looking_at
from costplan.planner.optimize.solve import solve
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.speed import PLAIN, Speeds
from costplan.planner.spread import spreads
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources, WorkerShape
from costplan.planner.units import usd_from_pico
from costplan.planner.workload import Limits, MarketRules, Overhead, Where, Workload

DEAREST_ALTERNATIVE = Decimal("1.15")
MOST_ALTERNATIVES = 3
_Found = tuple[int, tuple[tuple[str, int], ...]]
"""A row of the catalogue, and the workers of each kind on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A machine that could be bought: offers that will do, the first preferred, and its workers.

    `usd_per_hour` is of the dearest of the keys, `expected_usd_per_hour` adds the work that
    interruptions make be done again, and is for the work of a machine of speed 1; both together,
    of the first, are `risk_usd_per_hour`, which is negative of a fast one. Where commitments pay
    for it (`paid_by`), the dollars are what is left, and `takes` what it takes of which rows.
    """

    keys: tuple[OfferKey, ...]
    workers: Mapping[str, int]
    usd_per_hour: Decimal
    expected_usd_per_hour: float
    resources: Resources
    risk_usd_per_hour: float = 0.0
    takes: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    paid_by: tuple[str, ...] = ()


def missing_kinds(
    kinds: Sequence[WorkerKind], offers: Iterable[Offer], settings: Settings
) -> dict[str, str]:
    """Kinds that no machine that may be bought can hold, and why."""
    allowed = [offer.resources for offer in offers if offer.key.market in settings.market.allow]
    found = {}
    for kind in kinds:
        if any(fits(kind, room(size, settings.overhead)) for size in allowed):
            continue
        what = f"{kind.need.vcpu_milli / 1000:g} vCPU"
        if kind.need.gpus:
            what = f"{kind.need.gpus} GPU{'s' if kind.need.gpus > 1 else ''}"
        found[kind.name] = f"no machine that may be bought now has {what} for a {kind.name} worker"
    return found


def room(resources: Resources, overhead: Overhead) -> Resources:
    """What of a machine the workers may have."""
    kept = max(
        -int(-resources.memory_bytes * overhead.memory_share // 1), overhead.memory_floor_bytes
    )
    return Resources(
        vcpu_milli=max(0, resources.vcpu_milli - overhead.vcpu_milli),
        memory_bytes=max(0, resources.memory_bytes - kept),
        gpus=resources.gpus,
        gpu_kind=resources.gpu_kind,
    )


def fits(kind: WorkerKind, size: Resources) -> bool:
    """True where one worker of the kind fits into what a machine leaves for workers."""
    kinds_ok = kind.need.gpus == 0 or not kind.gpu_kinds or size.gpu_kind in kind.gpu_kinds
    return kinds_ok and kind.need.fits_in(size)


def workers_on(kind: WorkerKind, size: Resources) -> int:
    """How many workers of the kind `size` holds, which is what a machine leaves for workers."""
    need = kind.need
    fit = [size.memory_bytes // max(1, need.memory_bytes)]
    if need.vcpu_milli:
        fit.append(size.vcpu_milli // need.vcpu_milli)
    if need.gpus:
        fit.append(size.gpus // need.gpus)
    return int(min(fit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Columns, and the least dollars an hour that any fleet for the demand costs (0: unknown).

    `left` is what of commitments may be bought with, in units by the names of their rows.
    """

    columns: tuple[Column, ...]
    bound_usd_per_hour: float
    left: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


class _PriceList:
    """Offers with their quotes. Two are the same where what `_goods` looks at is."""

    def __init__(self, priced: Sequence[tuple[Offer, Quote]], settings: Settings) -> None:
        self.priced, self.machines, self.market = priced, settings.machines, settings.market
        self.overhead = settings.overhead
        is_limited = settings.market.max_hazard_per_hour is not None
        self._says = (
            tuple([offer for offer, _ in priced]),
            tuple([quote.usd_per_hour for _, quote in priced]),
            tuple([quote.hazard_per_hour for _, quote in priced]) if is_limited else (),
            self.machines,
            self.market,
            self.overhead,
        )

    def __hash__(self) -> int:
        return hash(self._says)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _PriceList) and self._says == other._says


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goods:
    """What of a price list may be bought, by its row there: what it is called and costs an hour,
    the machine's size, and what of that the workers may have."""

    key: Mapping[int, OfferKey]
    usd: Mapping[int, Decimal]
    size: Mapping[int, Resources]
    room: Mapping[int, Resources]


@lru_cache(maxsize=4)  # prices stay the same for hours, and some pools refuse for minutes
def _goods(listed: _PriceList) -> _Goods:
    catalogue = catalogue_of(listed.priced)
    rules = Workload(name="", shapes=(), machines=listed.machines, market=listed.market)
    rows = candidates(catalogue, rules).rows.tolist()
    size = {row: listed.priced[row][0].resources for row in rows}
    return _Goods(
        key={row: listed.priced[row][0].key for row in rows},
        usd={row: usd_from_pico(int(catalogue.price_pico[row])) for row in rows},
        size=size,
        room={row: room(size[row], listed.overhead) for row in rows},
    )


class Shop:
    """What is on offer at a moment: a shelf for whatever workers are wanted."""

    def __init__(
        self,
        offers: Sequence[Offer],
        quotes: Sequence[Quote],
        settings: Settings,
        speeds: Speeds = PLAIN,
    ) -> None:
        self.offers, self.settings, self.speeds = offers, settings, speeds
        self.priced = priced_offers(offers, quotes)
        goods = _goods(_PriceList(self.priced, settings))
        self.rows = tuple(goods.key)
        self.key, self.usd, self.size, self.room = goods.key, goods.usd, goods.size, goods.room
        self.cost = {
            row: expected_usd(key, self.usd[row], self.priced[row][1], settings)
            / speeds.factor(key.instance_type)
            for row, key in self.key.items()
        }
        self.found: dict[_Found, None] = {}
        self.made: dict[_Found, Column] = {}
        self.full: dict[str, dict[int, int]] = {}
        self.sites: dict[tuple[str, tuple[Market, ...]], list[tuple[Machine, ...]]] = {}
        self.chosen: dict[tuple[Market, ...], Candidates] = {}

    def shelf(self, wanted: Mapping[str, int], short: Mapping[str, int]) -> Shelf:
        """What could be bought for `wanted` workers by kind, of which `short` are not there."""
        market = self.settings.market
        if not self.priced or not any(wanted.values()):
            return Shelf(columns=(), bound_usd_per_hour=0.0)
        self.found.clear()
        whole = self._pack(wanted, market)
        self._pack(short, market)
        if market.spot_max_share < 1 or market.on_demand_base_vcpu_milli:
            firm = tuple(m for m in market.allow if m is not Market.SPOT)
            if firm:
                self._pack(wanted, replace(market, allow=firm))
                self._pack(short, replace(market, allow=firm))
        self._add_plain(wanted)
        return Shelf(columns=tuple(map(self._column, self.found)), bound_usd_per_hour=whole)

    def places(self, kind: str) -> Mapping[int, int]:
        """How many workers of a kind each row has room for, of those that have room for one."""
        found = next(each for each in self.settings.kinds if each.name == kind)
        return self._full(found)

    def column(self, row: int, workers: Mapping[str, int]) -> Column:
        """A machine of a row with workers on it."""
        return self._column((row, tuple(sorted((n, c) for n, c in workers.items() if c))))

    def usd_of(self, key: OfferKey) -> Decimal:
        """What a node of an offer costs an hour."""
        return self._usd_by_key[key]

    @cached_property
    def _usd_by_key(self) -> Mapping[OfferKey, Decimal]:
        return {key: self.usd[row] for row, key in self.key.items()}

    @cached_property
    def catalogue(self) -> Catalogue:
        """The price list in columns."""
        return catalogue_of(self.priced)

    @cached_property
    def _factors(self) -> Floats:
        """Speeds of the catalogue's rows."""
        types = self.catalogue.instance_type
        factors = np.array([self.speeds.factor(name) for name in types.names])
        found: Floats = factors[types.codes]
        return found

    def _candidates(self, workload: Workload) -> Candidates:
        """The rows that may be bought, which do not depend on how many workers are wanted."""
        allowed = workload.market.allow
        if allowed not in self.chosen:
            self.chosen[allowed] = candidates(self.catalogue, workload)
        return self.chosen[allowed]

    def _workload(self, count: Mapping[str, int], market: MarketRules) -> Workload:
        """Rules on the fleet as a whole are the transition program's, not the packing's."""
        settings = self.settings
        return Workload(
            name=settings.workload,
            shapes=tuple(
                WorkerShape(
                    name=kind.name, count=count[kind.name], need=kind.need, gpu_kinds=kind.gpu_kinds
                )
                for kind in settings.kinds
                if count.get(kind.name)
            ),
            where=Where(
                single_region=settings.where.single_region, single_zone=settings.where.single_zone
            ),
            machines=settings.machines,
            market=replace(
                market, spot_max_share=1.0, pool_max_share=1.0, on_demand_base_vcpu_milli=0
            ),
            interruption=settings.interruption,
            overhead=settings.overhead,
            limits=Limits(),
        )

    def _pack(self, count: Mapping[str, int], market: MarketRules) -> float:
        """Adds the machines that the optimizer would buy for so many workers; says its bound.

        Of one kind of worker a knapsack says which ones.
        """
        wanted = [(kind, n) for kind in self.settings.kinds if (n := count.get(kind.name, 0))]
        if not wanted:
            return 0.0
        if len(wanted) == 1:
            kind, many = wanted[0]
            bought = cheapest(self._sites(kind, market.allow), many)
            for row, workers, _ in () if bought is None else bought.nodes:
                self._add(row, {kind.name: workers})
            return 0.0 if bought is None else bought.cost
        workload = self._workload(count, market)
        problem = build(self.catalogue, self._candidates(workload), workload)
        if not self.speeds.is_plain:
            problem = problem.at_speed(self._factors)
        solution = solve(problem) if problem.offers else None
        if solution is None:
            return 0.0
        row_of = {key: row for row, key in self.key.items()}
        for pool in pools(problem, solution.fleet, self.catalogue):
            for packing in pool.packings:
                self._add(row_of[pool.key], packing.workers)
        return solution.bound

    def _full(self, kind: WorkerKind) -> dict[int, int]:
        """How many workers of a kind each row has room for, of those that have room for one."""
        if kind.name not in self.full:
            self.full[kind.name] = {
                row: workers_on(kind, size) for row, size in self.room.items() if fits(kind, size)
            }
        return self.full[kind.name]

    def _sites(self, kind: WorkerKind, allow: tuple[Market, ...]) -> Iterable[Sequence[Machine]]:
        """The machines for a kind that are worth looking at, site by site."""
        like = (kind.name, allow)
        if like not in self.sites:
            sites: dict[tuple[str, ...], list[Machine]] = {}
            for row, holds in self._full(kind).items():
                if self.key[row].market in allow:
                    machine = Machine(row=row, holds=holds, cost=self.cost[row])
                    sites.setdefault(self._site(self.key[row]), []).append(machine)
            self.sites[like] = [worth_looking_at(sites[site]) for site in sorted(sites)]
        return self.sites[like]

    def _site(self, key: OfferKey) -> tuple[str, ...]:
        """The place that the whole cluster must share."""
        where = self.settings.where
        if where.single_zone:
            return key.provider, key.region, key.zone
        return (key.provider, key.region) if where.single_region else ()

    def _add_plain(self, wanted: Mapping[str, int]) -> None:
        """Adds, for each kind and market, the cheapest machine for one worker and the one that is
        cheapest a worker when it is full."""
        for kind in self.settings.kinds:
            most = wanted.get(kind.name, 0)
            full = self._full(kind) if most else {}
            for market in self.settings.market.allow:
                here = [row for row in full if self.key[row].market is market]
                if not here:
                    continue
                self._add(min(here, key=lambda r: (self.cost[r], r)), {kind.name: 1})
                best = min(here, key=lambda r: (self.cost[r] / min(most, full[r]), r))
                self._add(best, {kind.name: min(most, full[best])})
            if most:
                self._add_spread(kind.name, most, full)

    def _add_spread(self, kind: str, most: int, full: Mapping[int, int]) -> None:
        """Adds spot machines of as many zones, families and pools as must share the fleet where
        none may have more than its share: the cheapest a worker of each."""
        rows = [row for row in full if self.key[row].market is Market.SPOT]
        for spread in spreads(self.settings):
            best: dict[str, int] = {}
            for row in sorted(rows, key=lambda r: (self.cost[r] / min(most, full[r]), r)):
                best.setdefault(spread.group(self.key[row]), row)
            for row in list(best.values())[: ceil(1 / spread.share) if spread.share else 0]:
                self._add(row, {kind: min(most, full[row])})
                self._add(row, {kind: 1})

    def _add(self, row: int, workers: Mapping[str, int]) -> None:
        there = tuple(sorted((name, count) for name, count in workers.items() if count))
        if there:
            self.found.setdefault((row, there))

    def _column(self, found: _Found) -> Column:
        """A column that was found, with other offers that would do at about the price."""
        if found not in self.made:
            self.made[found] = self._made(found[0], dict(found[1]))
        return self.made[found]

    def _made(self, row: int, workers: dict[str, int]) -> Column:
        key, price = self.key[row], self.usd[row]
        kinds = {kind.name: kind for kind in self.settings.kinds}
        gpus = sum(kinds[name].need.gpus * n for name, n in workers.items())
        need = Resources(
            vcpu_milli=sum(kinds[name].need.vcpu_milli * n for name, n in workers.items()),
            memory_bytes=sum(kinds[name].need.memory_bytes * n for name, n in workers.items()),
            gpus=gpus,
            gpu_kind=self.size[row].gpu_kind if gpus else None,
        )
        dearest = price * DEAREST_ALTERNATIVE
        # Of another speed the same price is not the same cost.
        most = inf if self.speeds.is_plain else self.cost[row] * float(DEAREST_ALTERNATIVE)
        others = [
            other
            for other in self.rows
            if other != row
            and self.usd[other] <= dearest
            and need.fits_in(self.room[other])
            and self._like(key, self.key[other])
            and self.cost[other] <= most
        ]
        rows = [row, *sorted(others, key=lambda r: (self.cost[r], r))[:MOST_ALTERNATIVES]]
        return Column(
            keys=tuple(self.key[r] for r in rows),
            workers=MappingProxyType(workers),
            usd_per_hour=max(self.usd[r] for r in rows),
            expected_usd_per_hour=self.cost[row],
            resources=self.size[row],
            risk_usd_per_hour=self.cost[row] - float(price),
        )

    def _like(self, key: OfferKey, other: OfferKey) -> bool:
        """Same market and place, so that no rule that the one keeps is broken by the other."""
        ours = (key.market, key.provider, key.region)
        if ours != (other.market, other.provider, other.region):
            return False
        return key.zone == other.zone or not self.settings.where.single_zone
