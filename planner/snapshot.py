"""One consistent view of what was read, and what may still be done with it.

Unknown is not zero: what is missing or too old is a gap, and gaps lower the mode.

    observe   nobody may act: credentials are rejected
    hold      no scale-down and no change for a better price: the load, the machines or the prices
              are missing or too old, or the clock jumped
    full      otherwise
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.accrual import running_usd
from costplan.planner.codec import digest
from costplan.planner.held.account import paid_since
from costplan.planner.held.fleet import HeldNow
from costplan.planner.load import Load
from costplan.planner.nodes import Node, Notice
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings
from costplan.planner.spending import spent_in_month, spent_on_day
from costplan.planner.strangers import strangers
from costplan.planner.tick import Outcome, Readings, Snapshot, State
from costplan.planner.types import Gap, Mode, Offer, Quote
from costplan.planner.units import seconds_text

LOAD, MACHINES, PRICES, CLOCK, CREDENTIALS = "load", "machines", "prices", "clock", "credentials"
HOLDING = frozenset({LOAD, MACHINES, PRICES, CLOCK})
LONG_SLEEP = timedelta(minutes=10)
BACK = timedelta(seconds=1)


def assemble(
    readings: Readings,
    nodes: Mapping[str, Node],
    state: State,
    settings: Settings,
    held: HeldNow | None = None,
) -> Snapshot:
    """The snapshot of a tick. A load that is too old counts as none."""
    load = fresh_load(readings, settings)
    paid = MappingProxyType(dict[str, Decimal]()) if held is None else held.paid_usd
    alive = tuple(nodes[node_id] for node_id in sorted(nodes))
    gaps = (
        *readings.gaps,
        *_found_gaps(readings, load, state, settings),
        *strangers(alive, load, settings),
    )
    notices = readings.notices or ()
    # What the meters show is spent, though the ledger takes it in quarters of an hour.
    running = running_usd(state.nodes, state.meters, readings.at)
    market = readings.market_digest or market_digest(readings.offers, readings.quotes)
    mode = _mode(gaps)
    read = digest((load, notices, gaps), tuple[Load | None, tuple[Notice, ...], tuple[Gap, ...]])
    fleet = "|".join([node.line for node in alive])
    text = f"{readings.at.isoformat()}|{fleet}|{read}|{mode}|{market}"
    if readings.outlook is not None:
        text += f"|{digest(readings.outlook, Outlook)}"
    if held is not None:
        amounts = [(each.commitment_id, each.capacity) for each in held.tariff.held.commitments]
        text += f"|{sorted(paid.items())!r}|{amounts!r}"
    paid_usd = paid_since(state, readings.at)
    return Snapshot(
        at=readings.at,
        nodes=alive,
        load=load,
        offers=readings.offers,
        quotes=readings.quotes,
        notices=notices,
        gaps=gaps,
        mode=mode,
        spent_usd=state.spent_usd,
        digest=_digest(f"{text}|{state.spent_usd}"),
        spent_today_usd=spent_on_day(state.spent_by_day, readings.at)
        + running
        - spent_on_day(paid_usd, readings.at),
        spent_month_usd=spent_in_month(state.spent_by_day, readings.at)
        + running
        - spent_in_month(paid_usd, readings.at),
        outlook=readings.outlook,
        paid_usd=paid,
    )


def market_digest(offers: tuple[Offer, ...], quotes: tuple[Quote, ...]) -> str:
    """What names the offers and quotes of a moment."""
    return digest((offers, quotes), tuple[tuple[Offer, ...], tuple[Quote, ...]])


def fresh_load(readings: Readings, settings: Settings) -> Load | None:
    """The load, None where there is none or it is older than the settings allow."""
    load = readings.load
    oldest = readings.at - timedelta(seconds=settings.cadence.load_stale_seconds)
    return None if load is None or load.at < oldest else load


def with_recent_list(readings: Readings, settings: Settings) -> Readings:
    """The readings; a list of machines that was asked for longer ago than the settings allow, as
    where the cloud took its time over the pages, counts as none, and a gap says so."""
    asked_at, seconds = readings.machines_at, settings.cadence.machines_stale_seconds
    if readings.machines is None or asked_at is None:
        return readings
    if asked_at >= readings.at - timedelta(seconds=seconds):
        return readings
    subject = f"the list of machines took more than {seconds_text(int(seconds))} to come"
    gap = Gap(kind=MACHINES, subject=subject, assumed="as it was last", since=asked_at)
    return replace(readings, machines=None, gaps=(*readings.gaps, gap))


def jumped(before: datetime | None, now: datetime) -> timedelta | None:
    """By how much the clock moved in a way that ticks do not, None where it did not."""
    if before is None:
        return None
    moved = now - before
    return moved if moved < -BACK or moved > LONG_SLEEP else None


def _found_gaps(
    readings: Readings, load: Load | None, state: State, settings: Settings
) -> Iterable[Gap]:
    known = {gap.kind for gap in readings.gaps}
    if load is None and LOAD not in known:
        since = readings.load.at if readings.load else None
        assumed = "nothing of what the cluster does; nobody is let go"
        yield Gap(kind=LOAD, subject="the last sample is too old", assumed=assumed, since=since)
    if readings.machines is None and MACHINES not in known:
        yield Gap(kind=MACHINES, subject="the list of machines", assumed="as it was last")
    if not readings.quotes and PRICES not in known:
        yield Gap(kind=PRICES, subject="all offers", assumed="nothing; nothing is bought")
    elif readings.quotes and PRICES not in known:
        newest = max(quote.observed_at for quote in readings.quotes)
        if newest < readings.at - timedelta(seconds=settings.cadence.prices_stale_seconds):
            yield Gap(
                kind=PRICES, subject="the newest price is too old", assumed="it holds", since=newest
            )
    if any(ended.outcome is Outcome.CREDENTIALS for ended in readings.outcomes):
        yield Gap(kind=CREDENTIALS, subject="the provider rejects them", assumed="nothing is done")
    moved = jumped(state.at, readings.at)
    if moved is not None:
        way = "back" if moved < timedelta(0) else "on"
        yield Gap(
            kind=CLOCK,
            subject=f"went {way} by {abs(moved)} since the last tick",
            assumed="that this tick only looks",
            since=state.at,
        )


def _mode(gaps: Iterable[Gap]) -> Mode:
    kinds = {gap.kind for gap in gaps}
    if CREDENTIALS in kinds:
        return Mode.OBSERVE
    return Mode.HOLD if kinds & HOLDING else Mode.FULL


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of dollars."""
    return sum(amounts, Decimal(0))
