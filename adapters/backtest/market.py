"""The market of a backtest: offers of one region from a price list, and when spot is to be had.

Recorded availability is of few zones and types. It is laid over the zones and types that are
sold here by their order: type number t in zone number z follows trace (z + t) modulo the number
of traces, begun t x 5 days later and repeated from its start when it ends. While a trace says
that no machine was to be had, its pool has no room, and the machines in it are taken away, with
the cloud's notice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.machines import Pool
from costplan.adapters.sim.steps import Steps, always
from costplan.planner.buying import fits, room
from costplan.planner.catalogue import Catalogue
from costplan.planner.errors import InputError
from costplan.planner.optimize.offers import candidates
from costplan.planner.risk import cost_factor
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.types import Market, OfferKey, WorkerShape
from costplan.planner.units import usd_from_pico
from costplan.planner.workload import Limits, Where, Workload

MOST_ZONES = 3
SHIFT_SECONDS = 5 * 86400.0
NOTICE_SECONDS = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A pool, and how many workers of the kind one of its machines holds."""

    pool: Pool
    workers: int

    @property
    def usd_per_worker_hour(self) -> float:
        """Dollars an hour and worker while the machine is full."""
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

    def changes(self, shift: float, until: float) -> list[tuple[float, bool]]:
        """(second, up) from 0 to `until`, of the trace begun `shift` seconds after its start."""
        found = [(0.0, self.at(shift))]
        base = -(shift % self.seconds)
        while base < until:
            for second, is_up in zip(self.from_seconds, self.is_up, strict=True):
                at = base + second
                if 0 < at < until and is_up != found[-1][1]:
                    found.append((at, is_up))
            base += self.seconds
        return found


def read_availability(path: Path, part: str | None = None) -> tuple[Availability, ...]:
    """The availability traces of a file whose id has `part` in it, in order of their ids.

    Without it: the set (ids that are alike but for zone and type) that lasts the longest. Raises
    InputError.
    """
    wanted = ["trace_id", "kind", "gap_s", "tick", "run_ticks", "n_available"]
    try:
        table = pq.read_table(path, columns=wanted).to_pydict()
    except FileNotFoundError as error:
        raise InputError(str(path), "there is no such file") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(str(path), f"is no file of spot traces: {said}") from None
    runs: dict[str, list[tuple[int, int, float, int]]] = {}
    for name, kind, gap, tick, ticks, there in zip(*table.values(), strict=True):
        if kind == "availability" and (part is None or part in name):
            runs.setdefault(name, []).append((int(tick), int(ticks), float(gap), int(there)))
    if not runs:
        what = "" if part is None else f" with {part} in its id"
        raise InputError(str(path), f"has no availability trace{what}", "name another --spot-set")
    traces = [_trace(name, sorted(parts)) for name, parts in sorted(runs.items())]
    if part is None:
        longest = max(traces, key=lambda trace: trace.seconds).set_name
        traces = [trace for trace in traces if trace.set_name == longest]
    return tuple(traces)


def _trace(name: str, parts: Sequence[tuple[int, int, float, int]]) -> Availability:
    first, gap = parts[0][0], parts[0][2]
    last_tick, last_ticks = parts[-1][0], parts[-1][1]
    return Availability(
        name=name,
        from_seconds=tuple((tick - first) * gap for tick, _, _, _ in parts),
        is_up=tuple(there > 0 for _, _, _, there in parts),
        seconds=(last_tick + last_ticks - first) * gap,
    )


def wares(
    catalogue: Catalogue,
    settings: Settings,
    *,
    types: int,
    one_type: str | None = None,
    traces: Sequence[Availability] = (),
    until_seconds: float,
) -> tuple[Ware, ...]:
    """What is sold: the machine types that hold a worker cheapest, on demand and on spot.

    The `types` cheapest a worker of each market, in their cheapest region's zones (at most 3 a
    spot type, 1 on demand), and in both markets `one_type` or else the cheapest on demand.
    Raises InputError where nothing holds a worker.
    """
    kind = settings.kinds[0]
    workload = Workload(
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
    chosen = candidates(catalogue, workload)
    factor = cost_factor(chosen.hazards.middle, settings.interruption)
    hazard = {int(row): float(chosen.hazards.middle[row]) for row in chosen.rows}
    found: dict[OfferKey, tuple[float, int, int]] = {}
    for row in (int(row) for row in chosen.rows):
        offer = catalogue.offer(row)
        if not fits(kind, room(offer.resources, settings)):
            continue
        many = workers_on(kind, settings, catalogue, row)
        usd = float(usd_from_pico(int(catalogue.price_pico[row]))) * float(factor[row]) / many
        found[offer.key] = (usd, many, row)
    if not found:
        raise InputError(
            "--prices", f"no machine that may be bought holds a worker of {kind.name}",
            "ask for less of it, or name another region",
        )  # fmt: skip
    place = _cheapest_place(found, settings)
    found = {k: v for k, v in found.items() if (k.provider, k.region) == place}
    firm = {k: usd for k, (usd, _, _) in found.items() if k.market is Market.ON_DEMAND}
    named = one_type or (min(firm, key=lambda k: (firm[k], k)).instance_type if firm else None)
    kept: list[Ware] = []
    for market in (Market.ON_DEMAND, Market.SPOT):
        if market not in settings.market.allow:
            continue
        for number, zone, key in _kept(found, market, types, named):
            _, many, row = found[key]
            capacity: Steps[int | None] = always(None)
            if market is Market.SPOT and traces:
                capacity = _steps(traces[(zone + number) % len(traces)], number, until_seconds)
            pool = _pool(catalogue, row, hazard[row], capacity, is_real=not traces)
            kept.append(Ware(pool=pool, workers=many))
    return tuple(kept)


def _cheapest_place(
    found: Mapping[OfferKey, tuple[float, int, int]], settings: Settings
) -> tuple[str, str]:
    """The region where the cheapest worker on demand is; of spot where only that is allowed."""
    firm = Market.ON_DEMAND in settings.market.allow
    counted = [
        (usd, key.provider, key.region)
        for key, (usd, _, _) in found.items()
        if (key.market is Market.ON_DEMAND) == firm
    ]
    if not counted:
        raise InputError("--prices", "has no on-demand offer that holds a worker", "add one")
    _, provider, region = min(counted)
    return provider, region


def _kept(
    found: Mapping[OfferKey, tuple[float, int, int]],
    market: Market,
    types: int,
    named: str | None,
) -> list[tuple[int, int, OfferKey]]:
    """(number of the type, number of the zone, key) of what is sold, cheapest types first."""
    best: dict[str, float] = {}
    for key, (usd, _, _) in found.items():
        if key.market is market:
            best[key.instance_type] = min(usd, best.get(key.instance_type, usd))
    chosen = sorted(best, key=lambda name: (best[name], name))
    chosen = [name for place, name in enumerate(chosen) if place < types or name == named]
    zones = sorted({key.zone for key in found if key.market is market})
    most = MOST_ZONES if market is Market.SPOT else 1
    rows: list[tuple[int, int, OfferKey]] = []
    for number, name in enumerate(chosen):
        of_type = sorted(
            (k for k in found if k.market is market and k.instance_type == name),
            key=lambda k: (found[k][0], k.zone),
        )
        rows.extend((number, zones.index(key.zone), key) for key in of_type[:most])
    return rows


def workers_on(kind: WorkerKind, settings: Settings, catalogue: Catalogue, row: int) -> int:
    """Workers of the kind that one machine of the offer holds."""
    size, need = room(catalogue.offer(row).resources, settings), kind.need
    fit = [size.memory_bytes // max(1, need.memory_bytes)]
    if need.vcpu_milli:
        fit.append(size.vcpu_milli // need.vcpu_milli)
    if need.gpus:
        fit.append(size.gpus // need.gpus)
    return int(min(fit))


def _steps(trace: Availability, number: int, until_seconds: float) -> Steps[int | None]:
    """Room for any number of machines while the trace says that one was to be had."""
    changes = trace.changes(number * SHIFT_SECONDS, until_seconds)
    return Steps(
        tuple(round(second * MICROS) for second, _ in changes),
        tuple(None if is_up else 0 for _, is_up in changes),
    )


def _pool(
    catalogue: Catalogue, row: int, hazard: float, capacity: Steps[int | None], *, is_real: bool
) -> Pool:
    """The pool of an offer; its hazard is only what the list says where traces take machines."""
    offer = catalogue.offer(row)
    is_spot = offer.key.market is Market.SPOT
    return Pool(
        offer=offer,
        usd_per_hour=always(usd_from_pico(int(catalogue.price_pico[row]))),
        capacity=capacity,
        hazard_per_hour=hazard if is_spot and is_real else 0.0,
        quoted_hazard_per_hour=hazard if is_spot else 0.0,
        notice_seconds=NOTICE_SECONDS.get(offer.key.provider, 30.0),
    )


def outages(sold: Iterable[Ware]) -> list[tuple[float, OfferKey]]:
    """(second, offer) of each moment at which the machines of a pool are taken away."""
    return sorted(
        (micros / MICROS, ware.pool.key)
        for ware in sold
        for micros, capacity in zip(
            ware.pool.capacity.micros, ware.pool.capacity.values, strict=True
        )
        if capacity == 0 and micros
    )


def cheapest_over_time(sold: Sequence[Ware]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From which seconds on a worker costs at least how many dollars an hour, on what is to be
    had then."""
    instants = sorted({m for ware in sold for m in ware.pool.capacity.micros} | {0})
    least = [
        min(
            (w.usd_per_worker_hour for w in sold if w.pool.capacity.at(micros) != 0),
            default=float("nan"),
        )
        for micros in instants
    ]
    return np.array(instants) / MICROS, np.array(least)
