"""The fleet as the planner sees it: which nodes count, what they cost, which may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.drain import binding, drain_usd, loads_of, mean_running_seconds
from costplan.planner.ledger import Meter
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Node, WorkerSpec
from costplan.planner.risk import ANY_PROVIDER, PRIORS, cost_factor
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.sizing import Staffing
from costplan.planner.speed import Speeds
from costplan.planner.types import Market, OfferKey, Phase, Quote

COMING = (Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN, Phase.BOOTING)
ALIVE = (*COMING, Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A node that counts: it works or will, and nobody has ordered it away.

    `pinned` says why it must stay now, '' where it may go. `idle_seconds` is for how long all its
    workers have had nothing to do, None while one has. Dollars are None where nobody knows.
    """

    node: Node
    workers: tuple[tuple[str, int], ...]
    is_ready: bool
    usd_per_hour: Decimal | None
    expected_usd_per_hour: float | None
    drain_usd: Decimal
    drain_seconds: float
    pinned: str
    idle_seconds: float | None


def packing(node: Node, kinds: Mapping[str, WorkerKind]) -> tuple[tuple[str, int], ...]:
    """How many workers of each kind a node runs, by kind. Those of a kind that is another now,
    though its name is the same, are none of it."""
    before = {w.shape for w in node.request.kinds if not _is_of(w, kinds.get(w.shape))}
    if not before or node.is_adopted:
        return node.request.packing
    return tuple(
        (f"{kind} as it was" if kind in before else kind, count)
        for kind, count in node.request.packing
    )


def _is_of(worker: WorkerSpec, kind: WorkerKind | None) -> bool:
    """True where a kind is still what the worker was started as, or is not named any more."""
    return kind is None or (
        worker.threads == kind.threads
        and worker.memory_bytes == kind.need.memory_bytes
        and worker.gpus == kind.need.gpus
        and worker.resources == kind.resources
    )


def expected_usd(key: OfferKey, usd: Decimal, quote: Quote | None, settings: Settings) -> float:
    """Dollars an hour with the work that interruptions make be done again."""
    if key.market is not Market.SPOT:
        return float(usd)
    hazard = None if quote is None else quote.hazard_per_hour
    if hazard is None:
        hazard = PRIORS.get(key.provider, ANY_PROVIDER).middle
    return float(usd) * cost_factor(hazard, settings.interruption)


def assets(
    nodes: Iterable[Node],
    load: Load | None,
    quotes: Sequence[Quote],
    meters: Mapping[str, Meter],
    settings: Settings,
    now: datetime,
) -> tuple[Asset, ...]:
    """The nodes that count, in the order of their ids."""
    priced = {quote.key: quote for quote in quotes}
    kinds = {kind.name: kind for kind in settings.kinds}
    running = 0.0 if load is None else mean_running_seconds(load.groups)
    expected: dict[OfferKey, float] = {}  # nodes of an offer that is quoted cost the same
    drained: dict[tuple[object, ...], tuple[Decimal, float]] = {}  # and hold as much
    found = []
    for node in sorted(nodes, key=lambda n: n.node_id):
        # A cordoned node without an order is on its way back.
        is_ready = node.phase in (Phase.READY, Phase.CORDONED)
        if node.drain is not None or not (is_ready or node.phase in COMING):
            continue
        quote, meter = priced.get(node.key), meters.get(node.node_id)
        usd = quote.usd_per_hour if quote else meter.usd_per_hour if meter else None
        there = loads_of(node, load)
        price = usd or Decimal(0)
        like = price, *((w.sole_bytes, w.sole_keys, w.executing) for w in there)
        if like not in drained:
            drained[like] = drain_usd(there, price, running)
        cost, seconds = drained[like]
        dear = expected.get(node.key) if quote else None
        if dear is None and usd is not None:
            dear = expected_usd(node.key, usd, quote, settings)
            if quote:
                expected[node.key] = dear
        found.append(
            Asset(
                node=node,
                workers=packing(node, kinds),
                is_ready=is_ready,
                usd_per_hour=usd,
                expected_usd_per_hour=dear,
                drain_usd=cost,
                drain_seconds=seconds,
                pinned=_pinned(node, there, usd, is_ready=is_ready, now=now),
                idle_seconds=_idle_seconds(there, now) if is_ready else None,
            )
        )
    return tuple(found)


def at_speed(fleet: Sequence[Asset], speeds: Speeds) -> tuple[Asset, ...]:
    """The fleet with what each node is expected to cost for the work of a machine of speed 1."""
    if speeds.is_plain:
        return tuple(fleet)
    return tuple(
        asset
        if asset.expected_usd_per_hour is None
        else replace(
            asset,
            expected_usd_per_hour=asset.expected_usd_per_hour
            / speeds.factor(asset.node.key.instance_type),
        )
        for asset in fleet
    )


def _pinned(
    node: Node, there: tuple[WorkerLoad, ...], usd: Decimal | None, *, is_ready: bool, now: datetime
) -> str:
    if not is_ready:
        return "it is still coming"
    if node.refused_until is not None and node.refused_until > now:
        return f"it refused to be drained; asked again after {node.refused_until:%H:%M:%S}"
    if usd is None:
        return "its price is not known"
    return binding(there)


def _idle_seconds(there: tuple[WorkerLoad, ...], now: datetime) -> float | None:
    """Seconds since the last worker of a node ran out of work; None while one has some."""
    known = []
    for worker in there:
        if worker.is_busy or worker.idle_since is None:
            return None
        known.append(worker.idle_since)
    return max(0.0, (now - max(known)).total_seconds()) if known else None


def staffing(fleet: Sequence[Asset], boot_seconds: float, now: datetime) -> dict[str, Staffing]:
    """Workers by kind that are ready, and that are coming with how long they still take."""
    ready: dict[str, int] = {}
    coming: dict[str, list[float]] = {}
    for asset in fleet:
        for kind, count in asset.workers:
            if asset.is_ready:
                ready[kind] = ready.get(kind, 0) + count
            else:
                age = now - (asset.node.launched_at or asset.node.phase_since)
                left = max(0.0, boot_seconds - age / timedelta(seconds=1))
                coming.setdefault(kind, []).extend([left] * count)
    return {
        kind: Staffing(
            ready=ready.get(kind, 0),
            coming=len(coming.get(kind, ())),
            coming_seconds=(sum(coming[kind]) / len(coming[kind]) if coming.get(kind) else 0.0),
        )
        for kind in sorted(set(ready) | set(coming))
    }


def fleet_usd_per_hour(
    nodes: Iterable[Node], quotes: Sequence[Quote], meters: Mapping[str, Meter]
) -> Decimal:
    """What all nodes that are paid for cost an hour now, by the quote or the last known rate."""
    priced = {quote.key: quote.usd_per_hour for quote in quotes}
    total = Decimal(0)
    for node in nodes:
        if node.phase not in ALIVE:
            continue
        rate = priced.get(node.key)
        if rate is None and node.node_id in meters:
            rate = meters[node.node_id].usd_per_hour
        total += rate or Decimal(0)
    return total
