"""The market of a backtest: offers of one region from a price list, and when spot is to be had.

Recorded availability is of few zones and types. It is laid over the zones and types that are
sold here by their order: type number t in zone number z follows trace (z + t) modulo the number
of traces, begun t x 5 days later and repeated from its start when it ends. While a trace says
that no machine was to be had, its pool has no room, and the machines in it are taken away, with
the cloud's notice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from costplan.adapters.backtest.courses import Course, course_of
from costplan.adapters.backtest.recorded_file import read_columns
from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.machines import Pool
from costplan.adapters.sim.steps import Steps, always
from costplan.planner.buying import fits, room, workers_on
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.config_fields import MOST_SECONDS
from costplan.planner.errors import InputError
from costplan.planner.optimize.offers import candidates
from costplan.planner.risk import cost_factor
from costplan.planner.settings import Settings
from costplan.planner.types import Market, OfferKey, WorkerShape
from costplan.planner.units import PICO_PER_USD, usd_from_pico
from costplan.planner.wording import counted
from costplan.planner.workload import Limits, Where, Workload

T = TypeVar("T")

MOST_ZONES = 3
_LARGEST_BITS = 5
"""Machines of 16 workers (five binary digits) and more count as one size."""
SHIFT_SECONDS = 5 * 86400.0
_TRACE_COLUMNS = ("trace_id", "kind", "gap_s", "tick", "run_ticks", "n_available")
NOTICE_SECONDS = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A pool, and how many workers of the kind one of its machines holds."""

    pool: Pool
    workers: int

    @property
    def usd_per_worker_hour(self) -> float:
        """Dollars an hour and worker while the machine is full, at the begin."""
        return float(self.pool.usd_per_hour.at(0)) / self.workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """One trace: whether a machine was to be had, from each second on until the next.

    It lasts `seconds` and is repeated after that. The first instant is 0.
    """

    name: str
    from_seconds: tuple[float, ...]
    is_up: tuple[bool, ...]
    seconds: float

    @property
    def set_name(self) -> str:
        """The id without zone and type."""
        return self.name.rsplit("/", 2)[0]

    def at(self, second: float) -> bool:
        """Whether one was to be had then."""
        return self.is_up[bisect_right(self.from_seconds, second % self.seconds) - 1]

    def begun(self, shift: float) -> Steps[bool]:
        """Whether one is to be had over time, of the trace begun `shift` seconds after its start
        and repeated when it ends."""
        rows = zip(self.from_seconds, self.is_up, strict=True)
        later = sorted(((second - shift) % self.seconds, is_up) for second, is_up in rows)
        found = [(0.0, self.at(shift)), *(row for row in later if row[0] > 0)]
        return Steps(
            tuple(round(second * MICROS) for second, _ in found),
            tuple(is_up for _, is_up in found),
            period=round(self.seconds * MICROS),
        )


def read_availability(path: Path, part: str | None = None) -> tuple[Availability, ...]:
    """The availability traces of a file whose id has `part` in it, in order of their ids.

    Without it: the set (ids that are alike but for zone and type) that lasts the longest. Raises
    InputError.
    """
    table = read_columns(path, _TRACE_COLUMNS, "a file of spot traces")
    runs: dict[str, list[tuple[int, int, float, int]]] = {}
    rows = enumerate(zip(*table.values(), strict=True), start=1)
    for row, (name, kind, gap, tick, ticks, there) in rows:
        if kind != "availability" or (part is not None and part not in str(name)):
            continue
        if not name or not _are_counts(tick, ticks, there) or not ticks or not _is_time(gap):
            raise InputError(
                f"{path}: row {row}",
                f"has {name}, a gap of {gap} s, tick {tick}, {ticks} ticks, {there} available",
                "give an id, a gap of 1 s to 10 years, at least a tick, and how many were to be "
                "had",
            )
        runs.setdefault(str(name), []).append((int(tick), int(ticks), float(gap), int(there)))
    if not runs:
        what = "" if part is None else f" with {part} in its id"
        raise InputError(str(path), f"has no availability trace{what}", "name another --spot-set")
    for name, parts in runs.items():
        _check_runs(f"{path}: {name}", sorted(parts))
    traces = [_trace(name, sorted(parts)) for name, parts in sorted(runs.items())]
    if part is None:
        longest = max(traces, key=lambda trace: trace.seconds).set_name
        traces = [trace for trace in traces if trace.set_name == longest]
    return tuple(traces)


def _are_counts(*values: object) -> bool:
    """Whether all are whole numbers from 0 to a thousand million."""
    return all(isinstance(v, (int, float)) and 0 <= v <= 10**9 and v == v // 1 for v in values)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and 1 <= seconds <= MOST_SECONDS


def _check_runs(name: str, parts: Sequence[tuple[int, int, float, int]]) -> None:
    """Returns where the runs of a trace come one after the other; raises InputError."""
    for (tick, ticks, gap, _), (later, _, other, _) in pairwise(parts):
        if other != gap:
            what = f"has gaps of {gap:g} s and of {other:g} s"
            raise InputError(name, what, "give each a trace_id of its own")
        if later < tick + ticks:
            raise InputError(
                name,
                f"tick {later} is within the {counted(ticks, 'tick')} from {tick} on",
                "give each tick once, and each trace a trace_id of its own",
            )


def _trace(name: str, parts: Sequence[tuple[int, int, float, int]]) -> Availability:
    first, gap = parts[0][0], parts[0][2]
    last_tick, last_ticks = parts[-1][0], parts[-1][1]
    return Availability(
        name=name,
        from_seconds=tuple((tick - first) * gap for tick, _, _, _ in parts),
        is_up=tuple(there > 0 for _, _, _, there in parts),
        seconds=(last_tick + last_ticks - first) * gap,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was recorded of spot: when it was to be had, and how its price moved."""

    traces: Sequence[Availability] = ()
    courses: Sequence[Course] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """An offer of the list that holds a worker: its row, workers, and dollars a worker-hour."""

    row: int
    workers: int
    usd: float
    hazard: float


def wares(
    catalogue: Catalogue,
    settings: Settings,
    *,
    types: int,
    one_type: str | None = None,
    recorded: Recorded = Recorded(),
) -> tuple[Ware, ...]:
    """What is sold: the machine types that hold a worker cheapest, on demand and on spot.

    The `types` cheapest a worker of each market, and the cheapest that hold 1, 2 to 3, 4 to 7, 8
    to 15 and 16 or more workers, in the cheapest region's zones (at most 3 a spot type, 1 on
    demand); in both markets `one_type`, or else the cheapest on demand.
    Raises InputError where nothing holds a worker.
    """
    found = _listed(catalogue, settings)
    firm = {key: one.usd for key, one in found.items() if key.market is Market.ON_DEMAND}
    named = one_type or (min(firm, key=lambda k: (firm[k], k)).instance_type if firm else None)
    kept: list[Ware] = []
    for market in (Market.ON_DEMAND, Market.SPOT):
        if market not in settings.market.allow:
            continue
        for place in _kept(found, market, types, named):
            one = found[place.key]
            pool = _pool(catalogue, one, place, recorded)
            kept.append(Ware(pool=pool, workers=one.workers))
    return tuple(kept)


def _listed(catalogue: Catalogue, settings: Settings) -> dict[OfferKey, _Listed]:
    """The offers that hold a worker and may be bought, in the region that is cheapest."""
    kind = settings.kinds[0]
    chosen = candidates(catalogue, _workload(settings))
    rows = chosen.rows
    # A list has many offers and few sizes of machines.
    sizes = np.stack(
        [catalogue.vcpu_milli[rows], catalogue.memory_bytes[rows], catalogue.gpus[rows],
         catalogue.gpu_kind.codes[rows]]
    )  # fmt: skip
    _, first, which = np.unique(sizes, axis=1, return_index=True, return_inverse=True)
    left = [room(catalogue.offer(int(rows[n])).resources, settings.overhead) for n in first]
    held = [workers_on(kind, size) if fits(kind, size) else 0 for size in left]
    many = np.array(held, dtype=np.int64)[which.ravel()]
    rows, many = rows[many > 0], many[many > 0]
    if not len(rows):
        raise InputError(
            "--prices", f"no machine that may be bought holds a worker of {kind.name}",
            "ask for less of it, or name another region",
        )  # fmt: skip
    factor = cost_factor(chosen.hazards.middle, settings.interruption)
    usd = catalogue.price_pico[rows] / PICO_PER_USD * factor[rows] / many
    place = _cheapest_place(catalogue, settings, rows, usd)
    here = np.flatnonzero(place).tolist()
    return {
        catalogue.key(int(rows[n])): _Listed(
            row=int(rows[n]),
            workers=int(many[n]),
            usd=float(usd[n]),
            hazard=float(chosen.hazards.middle[rows[n]]),
        )
        for n in here
    }


def _workload(settings: Settings) -> Workload:
    """One worker under the settings' rules."""
    kind = settings.kinds[0]
    return Workload(
        name=settings.workload,
        shapes=(WorkerShape(name=kind.name, count=1, need=kind.need, gpu_kinds=kind.gpu_kinds),),
        where=Where(
            providers=settings.where.providers, regions=settings.where.regions, single_region=False
        ),
        machines=settings.machines,
        market=settings.market,
        interruption=settings.interruption,
        overhead=settings.overhead,
        limits=Limits(),
    )


def _cheapest_place(
    catalogue: Catalogue, settings: Settings, rows: NDArray[np.intp], usd: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which of the rows are in the region where the cheapest worker on demand is; of spot where
    only that is allowed."""
    firm = Market.ON_DEMAND in settings.market.allow
    counted = np.flatnonzero((catalogue.market[rows] == MARKETS.index(Market.ON_DEMAND)) == firm)
    if not len(counted):
        raise InputError("--prices", "has no on-demand offer that holds a worker", "add one")
    provider, region = catalogue.provider.codes[rows], catalogue.region.codes[rows]
    order = np.lexsort((region[counted], provider[counted], usd[counted]))
    best = counted[order[0]]
    return np.asarray((provider == provider[best]) & (region == region[best]), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class _Place:
    """An offer that is sold: the number of its type among those of its market, and of its zone."""

    type_number: int
    zone_number: int
    key: OfferKey


def _kept(
    found: Mapping[OfferKey, _Listed], market: Market, types: int, named: str | None
) -> list[_Place]:
    """What is sold, the cheapest types first; the cheapest of each size is among them.

    Large machines are often the cheapest a worker, and a fleet of nothing else wastes what is
    left of them: where only those were sold on spot, small demand would have to go on demand.
    """
    best: dict[str, float] = {}
    for key, one in found.items():
        if key.market is market:
            best[key.instance_type] = min(one.usd, best.get(key.instance_type, one.usd))
    chosen = sorted(best, key=lambda name: (best[name], name))
    held = {key.instance_type: one.workers for key, one in found.items()}
    sizes: dict[int, str] = {}
    for name in chosen:
        sizes.setdefault(min(held[name].bit_length(), _LARGEST_BITS), name)
    also = {named, *sizes.values()}
    chosen = [name for place, name in enumerate(chosen) if place < types or name in also]
    zones = sorted({key.zone for key in found if key.market is market})
    most = MOST_ZONES if market is Market.SPOT else 1
    rows: list[_Place] = []
    for number, name in enumerate(chosen):
        of_type = sorted(
            (k for k in found if k.market is market and k.instance_type == name),
            key=lambda k: (found[k].usd, k.zone),
        )
        rows.extend(_Place(number, zones.index(key.zone), key) for key in of_type[:most])
    return rows


def _room(trace: Availability, number: int) -> Steps[int | None]:
    """Room for any number of machines while the trace says that one was to be had."""
    there = trace.begun(number * SHIFT_SECONDS)
    room = tuple(None if is_up else 0 for is_up in there.values)
    return Steps(there.micros, room, period=there.period)


def _pool(catalogue: Catalogue, one: _Listed, place: _Place, recorded: Recorded) -> Pool:
    """The pool of an offer; its hazard is only what the list says where traces take machines."""
    offer = catalogue.offer(one.row)
    is_spot = offer.key.market is Market.SPOT
    usd = usd_from_pico(int(catalogue.price_pico[one.row]))
    price = always(usd)
    capacity: Steps[int | None] = always(None)
    number, zone = place.type_number, place.zone_number
    if is_spot and recorded.courses:
        course = course_of(recorded.courses, offer.key.instance_type, number, zone)
        price = course.around(usd)
    if is_spot and recorded.traces:
        trace = recorded.traces[(zone + number) % len(recorded.traces)]
        capacity = _room(trace, number)
    return Pool(
        offer=offer,
        usd_per_hour=price,
        capacity=capacity,
        hazard_per_hour=one.hazard if is_spot and not recorded.traces else 0.0,
        quoted_hazard_per_hour=one.hazard if is_spot else 0.0,
        notice_seconds=NOTICE_SECONDS.get(offer.key.provider, 30.0),
    )


def outages(pool: Pool) -> Iterator[float]:
    """The second of each moment at which the machines of a pool are taken away, without an end
    where its trace is repeated."""
    changes = pool.capacity.changes()
    next(changes)  # at first there is no machine
    return (micros / MICROS for micros, capacity in changes if capacity == 0)


def cheapest_over_time(
    sold: Sequence[Ware], until_seconds: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From which seconds on, up to `until_seconds`, a worker costs at least how many dollars an
    hour, on what is to be had then; NaN where nothing is."""
    until = round(until_seconds * MICROS)
    courses = [
        (
            ware.workers,
            changes_until(ware.pool.usd_per_hour, until),
            changes_until(ware.pool.capacity, until),
        )
        for ware in sold
    ]
    instants = np.unique(np.concatenate([at for _, *both in courses for at, _ in both]))
    least = np.full(len(instants), np.inf)
    for workers, (priced_at, prices), (held_at, held) in courses:
        usd = np.array([float(price) / workers for price in prices])
        is_up = np.array([value != 0 for value in held])
        now = usd[np.searchsorted(priced_at, instants, side="right") - 1]
        there = is_up[np.searchsorted(held_at, instants, side="right") - 1]
        least = np.minimum(least, np.where(there, now, np.inf))
    return instants / MICROS, np.where(np.isinf(least), np.nan, least)


def changes_until(course: Steps[T], micros: int) -> tuple[NDArray[np.int64], list[T]]:
    """The changes of a course up to an instant: when they come (in microseconds), and to what."""
    found = list(takewhile(lambda change: change[0] <= micros, course.changes()))
    return np.array([at for at, _ in found], dtype=np.int64), [value for _, value in found]
