"""What the same would have cost otherwise, and what exactly "the same" means.

Prices are those of the market that the report was made with, for the whole of its time. All that
is not certain is decided for the alternative, so that a saving is not talked up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costplan.planner.ledger import MACHINE, LedgerEntry, Use
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources
from costplan.planner.units import SECONDS_PER_HOUR, pico_from_usd, usd_text
from costplan.planner.wording import place_text, plain
from costplan.planner.workload import Overhead

SINGLE_TYPE = "one on-demand type"
ON_DEMAND = "on-demand prices"

_PICO = Decimal(1).scaleb(-12)
_ZERO = Decimal(0)
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """Another way to have bought the same, in words, and its dollars (None: not known, why).

    `paid_usd` is what was really paid for what it is compared with.
    """

    name: str
    words: str
    usd: Decimal | None
    paid_usd: Decimal
    is_estimate: bool = False

    @property
    def saved_usd(self) -> Decimal | None:
        """What was saved against it, below zero where it would have cost less."""
        return None if self.usd is None else self.usd - self.paid_usd


def on_demand_instead(entries: Sequence[LedgerEntry], quotes: Sequence[Quote]) -> Counterfactual:
    """Every machine that ran, for as long as it did, at the on-demand price of its type.

    The price is that of its zone, else of its region; entries without one are left out of both
    sides of the comparison, and named. Disks and addresses cost the same either way.
    """
    priced = _on_demand(quotes)
    other = paid = _ZERO
    unknown: set[str] = set()
    used: dict[OfferKey, Quote] = {}
    for entry in entries:
        if entry.key.market is Market.ON_DEMAND or entry.charge != MACHINE:
            other, paid = other + entry.usd, paid + entry.usd
            continue
        quote = _nearest(entry.key, priced)
        if quote is None:
            unknown.add(entry.key.instance_type)
            continue
        used[quote.key] = quote
        sign = -1 if entry.usd < 0 else 1
        other += sign * amount_usd(quote.usd_per_hour, entry.start, entry.end)
        paid += entry.usd
    words = "The same machines for the same time, each at the on-demand price of its type"
    if used:
        words += f" as quoted on {_dates(used.values())}"
    if unknown:
        words += f"; without {_named(unknown)}, of which no on-demand price is known"
    if unknown and not paid:
        return Counterfactual(name=ON_DEMAND, words=words, usd=None, paid_usd=_ZERO)
    return Counterfactual(
        name=ON_DEMAND,
        words=words,
        usd=other,
        paid_usd=paid,
        is_estimate=any(quote.is_estimate for quote in used.values()),
    )


def single_type_instead(
    entries: Sequence[LedgerEntry],
    nodes: Sequence[Node],
    offers: Sequence[Offer],
    quotes: Sequence[Quote],
    settings: Settings | None,
) -> Counterfactual:
    """The same thread-seconds of ready time on the cheapest single on-demand type that fits.

    It fits where a worker of every kind that was used goes onto it. It is charged for the ready
    threads alone, by the second and in parts of a machine: no boot, no drain, no odd machine
    that is half full. Machines alone are compared.
    """
    entries = [entry for entry in entries if entry.charge == MACHINE]
    paid = sum((entry.usd for entry in entries), _ZERO)
    kinds = settings.kinds if settings is not None else ()
    wanted = _ready_by_kind(entries, nodes, kinds)
    base = "The same ready threads for the same time on the cheapest one on-demand type"
    if settings is None or not wanted:
        why = "no worker was ready" if settings is not None else "the worker kinds are not known"
        return Counterfactual(name=SINGLE_TYPE, words=f"{base}: {why}", usd=None, paid_usd=paid)
    sizes = {offer.key: offer.resources for offer in offers}
    best: tuple[Decimal, OfferKey, Quote] | None = None
    for key, quote in sorted(_on_demand(quotes).items()):
        threads = _threads_on(sizes.get(key), wanted, settings.overhead)
        if threads is None:
            continue
        cost = sum(
            (
                quote.usd_per_hour * Decimal(seconds) / (SECONDS_PER_HOUR * threads[kind.name])
                for kind, seconds in wanted.values()
            ),
            _ZERO,
        ).quantize(_PICO)
        if best is None or cost < best[0]:
            best = (cost, key, quote)
    if best is None:
        words = f"{base}: no on-demand type with a known price holds a worker of every kind"
        return Counterfactual(name=SINGLE_TYPE, words=words, usd=None, paid_usd=paid)
    cost, key, quote = best
    hours = sum(seconds for _, seconds in wanted.values()) / SECONDS_PER_HOUR
    words = (
        f"{base} that holds them: {plain(key.instance_type)} in {place_text(key)} at "
        f"${usd_text(pico_from_usd(quote.usd_per_hour))}/h as quoted on {_dates([quote])}, "
        f"for {_hours(hours)} thread-hours, in parts of a machine and without boot and drain"
    )
    return Counterfactual(
        name=SINGLE_TYPE, words=words, usd=cost, paid_usd=paid, is_estimate=quote.is_estimate
    )


def _on_demand(quotes: Iterable[Quote]) -> Mapping[OfferKey, Quote]:
    return {quote.key: quote for quote in quotes if quote.key.market is Market.ON_DEMAND}


def _nearest(key: OfferKey, priced: Mapping[OfferKey, Quote]) -> Quote | None:
    """The on-demand quote of a type in its zone, its region as a whole, or else the cheapest
    zone of its region."""
    same = [
        quote
        for quote in priced.values()
        if (quote.key.provider, quote.key.region, quote.key.instance_type)
        == (key.provider, key.region, key.instance_type)
    ]
    ranked = sorted(
        same,
        key=lambda quote: (
            quote.key.zone != key.zone,
            quote.key.zone != "",
            quote.usd_per_hour,
            quote.key,
        ),
    )
    return ranked[0] if ranked else None


def _ready_by_kind(
    entries: Iterable[LedgerEntry], nodes: Iterable[Node], kinds: Sequence[WorkerKind]
) -> Mapping[str, tuple[WorkerKind, float]]:
    """Ready thread-seconds by the kind of worker that had them."""
    known = {kind.name: kind for kind in kinds}
    by_id = {node.node_id: node for node in nodes}
    found: dict[str, float] = defaultdict(float)
    for entry in entries:
        node = by_id.get(entry.node_id)
        if entry.use is not Use.READY or node is None:
            continue
        workers = node.request.workers
        threads = sum(worker.threads for worker in workers)
        for worker in workers:
            if worker.shape in known and threads:
                found[worker.shape] += entry.thread_seconds * worker.threads / threads
    return {name: (known[name], found[name]) for name in sorted(found) if found[name] > 0}


def _threads_on(
    machine: Resources | None,
    wanted: Mapping[str, tuple[WorkerKind, float]],
    overhead: Overhead,
) -> Mapping[str, int] | None:
    """Threads that a machine runs, by kind, where it is full of that kind; None where one does
    not fit."""
    if machine is None:
        return None
    kept = max(
        int(machine.memory_bytes * Decimal(repr(overhead.memory_share))),
        overhead.memory_floor_bytes,
    )
    free = (machine.vcpu_milli - overhead.vcpu_milli, machine.memory_bytes - kept, machine.gpus)
    found = {}
    for name, (kind, _) in wanted.items():
        need = kind.need
        if need.gpus and kind.gpu_kinds and machine.gpu_kind not in kind.gpu_kinds:
            return None
        asked = (need.vcpu_milli, need.memory_bytes, need.gpus)
        workers = min(have // want for have, want in zip(free, asked, strict=True) if want > 0)
        if workers < 1:
            return None
        found[name] = workers * kind.threads
    return found


def _named(names: set[str]) -> str:
    shown = ", ".join(plain(name) for name in sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _dates(quotes: Iterable[Quote]) -> str:
    days = sorted({_day(quote.observed_at) for quote in quotes})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours >= 1 else f"{hours:.4f}"


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"
