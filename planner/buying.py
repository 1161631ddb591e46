"""What could be bought for workers that are wanted: the columns of the transition program.

The one-shot optimizer packs the workers that are missing, and the whole demand from nothing; the
machines it would buy are candidates, next to the cheapest single-worker and full machines of each
kind. Its bound for the whole demand is what no fleet, however it came to be, costs less than.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.market import catalogue_of, priced_offers
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.offers import Candidates, candidates
from costplan.planner.optimize.problem import Frame, Problem, frame_of
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.optimize.single import is_single, solve_single
from costplan.planner.optimize.solve import solve
from costplan.planner.risk import cost_factor
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources, WorkerShape
from costplan.planner.units import usd_from_pico
from costplan.planner.workload import Limits, MarketRules, Where, Workload

DEAREST_ALTERNATIVE = Decimal("1.15")
MOST_ALTERNATIVES = 3
_Found = tuple[int, tuple[tuple[str, int], ...]]
"""A row of the catalogue, and the workers of each kind on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A machine that could be bought: offers that will do, the first preferred, and its workers.

    `usd_per_hour` is of the dearest of the keys, `expected_usd_per_hour` adds the work that
    interruptions make be done again, of the first `risk_usd_per_hour`.
    """

    keys: tuple[OfferKey, ...]
    workers: Mapping[str, int]
    usd_per_hour: Decimal
    expected_usd_per_hour: float
    resources: Resources
    risk_usd_per_hour: float = 0.0


def missing_kinds(
    kinds: Sequence[WorkerKind], offers: Iterable[Offer], settings: Settings
) -> dict[str, str]:
    """Kinds that no machine that may be bought can hold, and why."""
    allowed = [offer.resources for offer in offers if offer.key.market in settings.market.allow]
    found = {}
    for kind in kinds:
        if any(fits(kind, room(size, settings)) for size in allowed):
            continue
        what = f"{kind.need.vcpu_milli / 1000:g} vCPU"
        if kind.need.gpus:
            what = f"{kind.need.gpus} GPU{'s' if kind.need.gpus > 1 else ''}"
        found[kind.name] = f"no machine that may be bought now has {what} for a {kind.name} worker"
    return found


def room(resources: Resources, settings: Settings) -> Resources:
    """What of a machine the workers may have."""
    overhead = settings.overhead
    kept = max(
        -int(-resources.memory_bytes * overhead.memory_share // 1), overhead.memory_floor_bytes
    )
    return replace(
        resources,
        vcpu_milli=max(0, resources.vcpu_milli - overhead.vcpu_milli),
        memory_bytes=max(0, resources.memory_bytes - kept),
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
    """Columns, and the least dollars an hour that any fleet for the demand costs (0: unknown)."""

    columns: tuple[Column, ...]
    bound_usd_per_hour: float


def _packed(problem: Problem) -> tuple[Fleet, float] | None:
    """A fleet and the least that any costs; a knapsack does where there is one kind of worker."""
    if is_single(problem):
        fleet = solve_single(problem)
        return None if fleet is None else (fleet, fleet.cost)
    solution = solve(problem)
    return None if solution is None else (solution.fleet, solution.bound)


class Shop:
    """What is on offer at a moment: a shelf for whatever workers are wanted."""

    def __init__(
        self, offers: Sequence[Offer], quotes: Sequence[Quote], settings: Settings
    ) -> None:
        self.settings = settings
        priced = priced_offers(offers, quotes)
        self.catalogue = catalogue_of(priced)
        self.found: dict[_Found, None] = {}
        self.made: dict[_Found, Column] = {}
        self.frames: dict[tuple[object, ...], Frame] = {}
        self.chosen: dict[tuple[Market, ...], Candidates] = {}
        one = self._workload({kind.name: 1 for kind in settings.kinds}, settings.market)
        chosen = self._candidates(one)
        self.rows: list[int] = chosen.rows.tolist()
        factor = cost_factor(chosen.hazards.middle, settings.interruption).tolist()
        pico = self.catalogue.price_pico.tolist()
        self.usd = {row: usd_from_pico(pico[row]) for row in self.rows}
        self.cost = {row: float(self.usd[row]) * factor[row] for row in self.rows}
        self.key = {row: priced[row][0].key for row in self.rows}
        self.row_of = {key: row for row, key in self.key.items()}
        self.size = {row: priced[row][0].resources for row in self.rows}
        self.room = {row: room(size, settings) for row, size in self.size.items()}

    def shelf(self, wanted: Mapping[str, int], short: Mapping[str, int]) -> Shelf:
        """What could be bought for `wanted` workers by kind, of which `short` are not there."""
        market = self.settings.market
        if not len(self.catalogue) or not any(wanted.values()):
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

    def _candidates(self, workload: Workload) -> Candidates:
        """The rows that may be bought, which do not depend on how many workers are wanted."""
        allowed = workload.market.allow
        if allowed not in self.chosen:
            self.chosen[allowed] = candidates(self.catalogue, workload)
        return self.chosen[allowed]

    def _problem(self, count: Mapping[str, int], market: MarketRules) -> Problem:
        """The problem of placing so many workers; most of it is the same for any number."""
        wanted = {
            kind.name: count[kind.name] for kind in self.settings.kinds if count.get(kind.name)
        }
        like = (market.allow, tuple(wanted))
        if like not in self.frames:
            workload = self._workload(wanted, market)
            self.frames[like] = frame_of(self.catalogue, self._candidates(workload), workload)
        return self.frames[like].problem(tuple(wanted.values()))

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
        """Adds the machines that the optimizer would buy for so many workers; says its bound."""
        if not any(count.values()):
            return 0.0
        problem = self._problem(count, market)
        packed = _packed(problem) if problem.offers else None
        if packed is None:
            return 0.0
        fleet, bound = packed
        for pool in pools(problem, fleet, self.catalogue):
            for packing in pool.packings:
                self._add(self.row_of[pool.key], packing.workers)
        return bound

    def _add_plain(self, wanted: Mapping[str, int]) -> None:
        """Adds, for each kind and market, the cheapest machine for one worker and the one that is
        cheapest a worker when it is full."""
        for kind in self.settings.kinds:
            if not wanted.get(kind.name):
                continue
            able = [row for row in self.rows if fits(kind, self.room[row])]
            for market in self.settings.market.allow:
                here = [row for row in able if self.key[row].market is market]
                if not here:
                    continue
                self._add(min(here, key=lambda r: (self.cost[r], r)), {kind.name: 1})
                most = wanted[kind.name]
                full = {row: min(most, workers_on(kind, self.room[row])) for row in here}
                best = min(here, key=lambda r: (self.cost[r] / full[r], r))
                self._add(best, {kind.name: full[best]})

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
        need = Resources(
            vcpu_milli=sum(kinds[name].need.vcpu_milli * n for name, n in workers.items()),
            memory_bytes=sum(kinds[name].need.memory_bytes * n for name, n in workers.items()),
            gpus=sum(kinds[name].need.gpus * n for name, n in workers.items()),
            gpu_kind=self.size[row].gpu_kind if self._needs_gpu(workers, kinds) else None,
        )
        dearest = price * DEAREST_ALTERNATIVE
        others = [
            other
            for other in self.rows
            if other != row
            and self.usd[other] <= dearest
            and need.fits_in(self.room[other])
            and self._like(key, self.key[other])
        ]
        others = sorted(others, key=lambda r: (self.cost[r], r))[:MOST_ALTERNATIVES]
        rows = [row, *others]
        return Column(
            keys=tuple(self.key[r] for r in rows),
            workers=MappingProxyType(workers),
            usd_per_hour=max(self.usd[r] for r in rows),
            expected_usd_per_hour=self.cost[row],
            resources=self.size[row],
            risk_usd_per_hour=max(0.0, self.cost[row] - float(price)),
        )

    def _like(self, key: OfferKey, other: OfferKey) -> bool:
        """Same market and place, so that no rule that the one keeps is broken by the other."""
        same_zone = key.zone == other.zone or not self.settings.where.single_zone
        return (
            key.market is other.market
            and (key.provider, key.region) == (other.provider, other.region)
            and same_zone
        )

    def _needs_gpu(self, workers: Mapping[str, int], kinds: Mapping[str, WorkerKind]) -> bool:
        return any(kinds[name].need.gpus for name in workers)
