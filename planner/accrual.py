"""Accrual: what the machines cost since the last time, as ledger entries.

A node is paid for in [`launched_at`, `ended_at`), and up to the minimum and step of its billing.
Entries cover that time once and without holes. They end where something changes: the price, what
the node is doing, the workers it has, a quarter of an hour on the clock, or its life. In between
its meter runs, and nothing is written. So entries depend on what happened, not on when anybody
looked: a daemon that was away writes the same ones when it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.ledger import LedgerEntry, Meter, Use
from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.spans import (
    WORKING,
    Rate,
    Span,
    amount_usd,
    clock_marks,
    end_of,
    in_force,
    last_mark,
    launched,
    paid_until,
    spans_between,
    uses_of,
)
from costplan.planner.task_time import anyone_left, departed, finished, shared_out
from costplan.planner.tick import Readings
from costplan.planner.types import Billing, Gap, Offer, OfferKey, Quote

EVERY_SECONDS = 900
LAST_KNOWN = " (last known)"
FIRST_KNOWN = " (first known)"

_MOST_RATES = 200
"""Rates that a meter remembers. Spot prices move a few times a day, and an end is known within
hours, so that a correction finds the rates that it takes back."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known when the meters are read."""

    now: datetime
    every_seconds: int
    last_mark: datetime
    quotes: Mapping[OfferKey, Quote]
    load: Load | None
    last_load: Load | None
    anyone_left: bool


@dataclass(frozen=True, slots=True)
class _Account:
    """A node with its meter, what it was doing and what it cost since when."""

    node: Node
    meter: Meter
    uses: Sequence[tuple[datetime, Use]]
    rates: Sequence[tuple[datetime, Rate]]


def accrue(
    nodes: Mapping[str, Node],
    meters: Mapping[str, Meter],
    readings: Readings,
    *,
    last_load: Load | None = None,
    every_seconds: int = EVERY_SECONDS,
) -> tuple[tuple[LedgerEntry, ...], Mapping[str, Meter]]:
    """The entries that are due, by node and time, and the meters after them.

    `last_load` is the last load that could be read before this tick's. A node is priced by the
    newest quote of its offer from when that was observed on; where there is none any more, its
    last rate goes on, and a node that never had one waits and is accounted for in full at the
    first that is known. A meter that nothing is written for stays the same value.
    """
    billed = [nodes[name] for name in sorted(nodes) if nodes[name].launched_at is not None]
    # What was opened for a machine that never came is no meter of the one that did.
    own = {
        node.node_id: meter
        for node in billed
        if (meter := meters.get(node.node_id)) is not None and meter.until >= launched(node)
    }
    new = {node.key for node in billed if node.node_id not in own}
    billing = _billing(new, readings.offers) if new else {}
    before = last_load if readings.load is not None else None
    look = _Look(
        now=readings.at,
        every_seconds=every_seconds,
        last_mark=last_mark(readings.at, every_seconds),
        quotes=_newest({node.key for node in billed}, readings.quotes),
        load=readings.load or last_load,
        last_load=before,
        anyone_left=before is not None and anyone_left(before, readings.load),
    )
    entries: list[LedgerEntry] = []
    after: dict[str, Meter] = {}
    for node in billed:
        quote = look.quotes.get(node.key)
        meter = own.get(node.node_id)
        word = LAST_KNOWN
        if meter is None:
            if quote is None:
                continue
            meter = _opened(node, quote, billing.get(node.key, Billing(minimum_seconds=0)))
            word = FIRST_KNOWN
        written, after[node.node_id] = _read(node, meter, look, word)
        entries += written
    return tuple(entries), MappingProxyType(after)


def is_settled(node: Node, meters: Mapping[str, Meter]) -> bool:
    """True where all that a node cost is in the ledger, as far as its end is known."""
    meter = meters.get(node.node_id)
    return node.launched_at is None or (meter is not None and meter.ended_at is not None)


def unpriced(nodes: Mapping[str, Node], meters: Mapping[str, Meter]) -> tuple[Gap, ...]:
    """Nodes that are paid for at a price that nobody knows yet, a gap each."""
    return tuple(
        Gap(
            kind="price of a running node",
            subject=f"{name} ({nodes[name].key})",
            assumed="what it costs waits for a price, and is in no total until then",
            since=nodes[name].launched_at,
        )
        for name in sorted(nodes)
        if nodes[name].launched_at is not None and name not in meters
    )


def running_usd(
    nodes: Mapping[str, Node],
    meters: Mapping[str, Meter],
    now: datetime,
    since: datetime | None = None,
) -> Decimal:
    """Dollars that the meters show at `now` and that no entry has yet; of those, what has run up
    from `since` on."""
    total = Decimal(0)
    for name, meter in meters.items():
        node = nodes.get(name)
        if node is None or meter.ended_at is not None:
            continue
        start = meter.until if since is None else max(meter.until, since)
        stop = end_of(node, now) or now
        if stop > start:
            total += amount_usd(meter.usd_per_hour, start, stop)
    return total


def _newest(keys: Collection[OfferKey], quotes: Iterable[Quote]) -> dict[OfferKey, Quote]:
    found: dict[OfferKey, Quote] = {}
    for quote in quotes:
        if quote.key in keys:
            other = found.get(quote.key)
            if other is None or _order(quote) > _order(other):
                found[quote.key] = quote
    return found


def _order(quote: Quote) -> tuple[datetime, Decimal, str, bool]:
    return (quote.observed_at, quote.usd_per_hour, quote.source, quote.is_estimate)


def _billing(keys: Collection[OfferKey], offers: Iterable[Offer]) -> dict[OfferKey, Billing]:
    return {offer.key: offer.billing for offer in offers if offer.key in keys}


def _opened(node: Node, quote: Quote, billing: Billing) -> Meter:
    """The meter of a node of which nothing is in the ledger."""
    return Meter(
        until=launched(node),
        busy_seconds=0.0,
        usd_per_hour=quote.usd_per_hour,
        rate_source=quote.source,
        is_estimate=quote.is_estimate,
        billing=billing,
    )


def _read(node: Node, meter: Meter, look: _Look, word: str) -> tuple[list[LedgerEntry], Meter]:
    """What is due of one node; `word` is said of its rate where nobody looked for long."""
    end = end_of(node, look.now)
    if meter.ended_at is not None and end in (None, meter.ended_at):
        return [], meter
    if end is None and _runs_on(node, meter, look):
        return [], meter
    account = _Account(node, meter, uses_of(node), _rates(node, meter, look, word))
    if end is None:
        cuts = _cuts(account, look)
        spans = list(spans_between((meter.until, *cuts), account.uses, account.rates))
        return _written(account, look, spans)
    paid = paid_until(node, end, meter.billing)
    if meter.until > paid:
        return _taken_back(account, paid), replace(meter, until=paid, ended_at=end)
    cuts = [cut for cut in _cuts(account, look) if cut < end]
    if end > meter.until:
        cuts.append(end)
    spans = list(spans_between((meter.until, *cuts), account.uses, account.rates))
    reached = max(end, meter.until)
    if paid > reached:
        spans.append(Span(reached, paid, Use.END, in_force(reached, account.rates)))
    entries, after = _written(account, look, spans)
    return entries, replace(after, until=paid, ended_at=end)


def _runs_on(node: Node, meter: Meter, look: _Look) -> bool:
    """True where nothing can be due: asked first, for it is so of nearly all at most times."""
    since = meter.until
    if node.phase_since > since or (node.history and node.history[-1][1] > since):
        return False
    if look.last_mark > since:
        return False
    if not _is_same_price(look.quotes.get(node.key), meter):
        return False
    return not look.anyone_left or not departed(node, look.last_load, look.load, since)


def _is_same_price(quote: Quote | None, meter: Meter) -> bool:
    return quote is None or (
        quote.usd_per_hour == meter.usd_per_hour and quote.is_estimate == meter.is_estimate
    )


def _rates(node: Node, meter: Meter, look: _Look, word: str) -> list[tuple[datetime, Rate]]:
    """The rates since the meter was read last, the one in force then first."""
    source = meter.rate_source
    if look.now - meter.until > timedelta(seconds=2 * look.every_seconds):
        source += word
    found = [(meter.until, Rate(meter.usd_per_hour, source, meter.is_estimate))]
    quote = look.quotes.get(node.key)
    if quote is not None and not _is_same_price(quote, meter):
        at = min(max(quote.observed_at, meter.until), max(look.now, meter.until))
        found.append((at, Rate(quote.usd_per_hour, quote.source, quote.is_estimate)))
    return found


def _cuts(account: _Account, look: _Look) -> list[datetime]:
    """Instants after the meter's and up to now at which an entry ends."""
    start, now = account.meter.until, look.now
    found = set(clock_marks(start, now, look.every_seconds))
    found.update(at for at, _ in account.uses)
    found.update(at for at, _ in account.rates)
    if departed(account.node, look.last_load, look.load, start):
        # Their counters are seen for the last time.
        found.add(now)
    return sorted(at for at in found if start < at <= now)


def _written(account: _Account, look: _Look, spans: list[Span]) -> tuple[list[LedgerEntry], Meter]:
    """Entries for the spans, and the meter at the end of them at the rate in force there."""
    node, meter, rates = account.node, account.meter, account.rates
    until = spans[-1].end if spans else meter.until
    rate = in_force(until, rates)
    if not spans and rate is rates[0][1]:
        return [], meter
    shares: list[float] | None = None
    if look.load is not None:
        gone = departed(node, look.last_load, look.load, meter.until)
        seconds, counters = finished(node, meter, look.load, gone)
        shares = shared_out(seconds, spans, is_over=end_of(node, look.now) is not None)
    busy_seconds, counted = meter.busy_seconds, meter.counters
    if shares is not None:
        busy_seconds, counted = busy_seconds + seconds, MappingProxyType(dict(counters))
    busy = shares or [0.0] * len(spans)
    entries = [_entry(node, span, share) for span, share in zip(spans, busy, strict=True)]
    charged = list(meter.rates)
    for span in spans:
        if not charged or charged[-1][1] != span.rate.usd_per_hour:
            charged.append((span.start, span.rate.usd_per_hour))
    return entries, replace(
        meter,
        until=until,
        busy_seconds=busy_seconds,
        counters=counted,
        usd_per_hour=rate.usd_per_hour,
        rate_source=meter.rate_source if rate is rates[0][1] else rate.source,
        is_estimate=rate.is_estimate,
        rates=tuple(charged[-_MOST_RATES:]),
    )


def _entry(node: Node, span: Span, busy_seconds: float) -> LedgerEntry:
    threads = sum(worker.threads for worker in node.request.workers)
    return LedgerEntry(
        node_id=node.node_id,
        key=node.key,
        start=span.start,
        end=span.end,
        usd=amount_usd(span.rate.usd_per_hour, span.start, span.end),
        usd_per_hour=span.rate.usd_per_hour,
        kind="usage",
        use=span.use,
        busy_seconds=busy_seconds,
        thread_seconds=threads * span.seconds if span.use in WORKING else 0.0,
        rate_source=span.rate.source,
        workload=node.workload,
        is_estimate=span.rate.is_estimate,
    )


def _taken_back(account: _Account, paid: datetime) -> list[LedgerEntry]:
    """Corrections for what was charged after `paid`, at the rates and uses it was charged at."""
    node, meter, uses = account.node, account.meter, list(account.uses)
    if meter.ended_at is not None:
        # After the end that was taken for right only the minimum was charged.
        uses = [step for step in uses if step[0] < meter.ended_at]
        uses.append((meter.ended_at, Use.END))
    source = f"correction of {meter.rate_source}"
    charged = meter.rates or ((paid, meter.usd_per_hour),)
    rates = [(at, Rate(usd, source, meter.is_estimate)) for at, usd in charged]
    inside = {at for at, _ in uses} | {at for at, _ in rates}
    cuts = [paid, *sorted(at for at in inside if paid < at < meter.until), meter.until]
    charges = [_entry(node, span, 0.0) for span in spans_between(cuts, uses, rates)]
    return [
        replace(entry, kind="correction", usd=-entry.usd, thread_seconds=-entry.thread_seconds)
        for entry in charges
    ]
