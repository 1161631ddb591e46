"""What was spent, on what, and what of it did no work: a summary of the ledger.

Dollars are summed as decimals, never as floats, and whatever is split adds up to what it was
split from, to the last place: rows to the total, work and waste to the total, days to the period.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.ledger import MACHINE, LedgerEntry, Use
from costplan.planner.ledger_cuts import by_day, within
from costplan.planner.load import Totals
from costplan.planner.nodes import Cause, Node
from costplan.planner.report_savings import Counterfactual, on_demand_instead, single_type_instead
from costplan.planner.settings import Settings
from costplan.planner.types import Gap, Offer, Phase, Quote
from costplan.planner.units import rounded_usd

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Dollars of one market, type, workload or day, and what they bought.

    `estimated_usd` of them are at prices that their source derived. Node-seconds are what was
    paid for; thread-seconds are those of nodes that were ready or draining.
    """

    name: str
    nodes: int
    node_seconds: Decimal
    usd: Decimal
    estimated_usd: Decimal
    busy_seconds: float
    thread_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """All dollars by what they did: `work_usd` was useful, the rest was not.

    `recompute_usd` ran tasks whose results had been there before, `idle_usd` were ready threads
    without a task, `boot_usd` machines that were not ready yet, `drain_usd` machines that were
    being emptied or ended. Where nobody knows what ran again, it is None and in the work.
    """

    work_usd: Decimal
    recompute_usd: Decimal | None
    idle_usd: Decimal
    boot_usd: Decimal
    drain_usd: Decimal

    @property
    def waste_usd(self) -> Decimal:
        """All that was not useful."""
        return (self.recompute_usd or _ZERO) + self.idle_usd + self.boot_usd + self.drain_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """Machines that ended against our will: of those that were `noticed` before, so many were
    `emptied` in time; `reclaimed` were taken by their cloud, `lost` vanished, `failed` broke or
    never came up."""

    noticed: int
    emptied: int
    reclaimed: int
    lost: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What a report is made from.

    `entries` are the ledger, `nodes` their nodes, gone ones too. `offers` and `quotes` are the
    market that the counterfactuals buy in. `totals` are the scheduler's counters, None where
    nobody has them. `running_usd` is spent and not in the ledger yet, `gaps` are not known.
    """

    entries: Sequence[LedgerEntry]
    nodes: Sequence[Node]
    settings: Settings | None = None
    offers: Sequence[Offer] = ()
    quotes: Sequence[Quote] = ()
    totals: Totals | None = None
    running_usd: Decimal = _ZERO
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The summary of [start, end). `corrections_usd` is in the total; `running_usd` is not.
    `by_charge` is of machines, disks and addresses; only machines' rows have time."""

    cluster: str
    made_at: datetime
    start: datetime
    end: datetime
    total: Row
    split: Split
    by_market: tuple[Row, ...]
    by_type: tuple[Row, ...]
    by_workload: tuple[Row, ...]
    by_day: tuple[Row, ...]
    by_source: tuple[Row, ...]
    by_charge: tuple[Row, ...]
    counterfactuals: tuple[Counterfactual, ...]
    interruptions: Interruptions
    totals: Totals | None
    corrections: int
    corrections_usd: Decimal
    running_usd: Decimal
    gaps: tuple[Gap, ...]
    entries: tuple[LedgerEntry, ...]


def summarise(
    books: Books,
    made_at: datetime,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Report | None:
    """The report of a period, by default all of it; None where nothing was spent in it."""
    entries = within(books.entries, start, end)
    if not entries:
        return None
    corrections = [entry for entry in entries if entry.kind == "correction"]
    # The scheduler counts from its start on: of a part of the time nobody knows what ran again.
    totals = books.totals if start is None and end is None else None
    begins = start or min(entry.start for entry in entries)
    ends = end or max(entry.end for entry in entries)
    return Report(
        cluster=books.settings.cluster if books.settings else "",
        made_at=made_at,
        start=begins,
        end=ends,
        total=_row("total", entries),
        split=_split(entries, totals),
        by_market=_rows(entries, lambda entry: entry.key.market),
        by_type=_rows(entries, lambda entry: entry.key.instance_type),
        by_workload=_rows(entries, lambda entry: entry.workload),
        by_day=_days(entries),
        by_source=_rows(entries, lambda entry: entry.rate_source),
        by_charge=_rows(entries, lambda entry: entry.charge),
        counterfactuals=(
            single_type_instead(entries, books.nodes, books.offers, books.quotes, books.settings),
            on_demand_instead(entries, books.quotes),
        ),
        interruptions=interruptions_of(books.nodes, begins, ends),
        totals=totals,
        corrections=len(corrections),
        corrections_usd=_usd(corrections),
        running_usd=books.running_usd,
        gaps=books.gaps,
        entries=entries,
    )


def _usd(entries: Iterable[LedgerEntry]) -> Decimal:
    return sum((entry.usd for entry in entries), _ZERO)


def _row(name: str, entries: Sequence[LedgerEntry]) -> Row:
    # A disk's line is of the same time as its machine's.
    seconds = sum(_signed_seconds(entry) for entry in entries if entry.charge == MACHINE)
    return Row(
        name=name,
        nodes=len({entry.node_id for entry in entries}),
        node_seconds=Decimal(seconds).scaleb(-6),
        usd=_usd(entries),
        estimated_usd=_usd(entry for entry in entries if entry.is_estimate),
        busy_seconds=sum(entry.busy_seconds for entry in entries),
        thread_seconds=sum(entry.thread_seconds for entry in entries),
    )


def _signed_seconds(entry: LedgerEntry) -> int:
    """Microseconds that an entry pays for; a correction takes some back."""
    micros = (entry.end - entry.start) // timedelta(microseconds=1)
    return -micros if entry.usd < 0 else micros


def _rows(entries: Iterable[LedgerEntry], name: Callable[[LedgerEntry], str]) -> tuple[Row, ...]:
    """A row a name, dearest first."""
    found: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        found[name(entry)].append(entry)
    rows = (_row(each, of) for each, of in found.items())
    return tuple(sorted(rows, key=lambda row: (-row.usd, row.name)))


def _days(entries: Iterable[LedgerEntry]) -> tuple[Row, ...]:
    found: dict[str, list[LedgerEntry]] = defaultdict(list)
    for day, piece in by_day(entries):
        found[day].append(piece)
    return tuple(_row(day, found[day]) for day in sorted(found))


def _split(entries: Sequence[LedgerEntry], totals: Totals | None) -> Split:
    """Dollars by what they did.

    Node by node, task-time fills the thread-time of its ready entries first and then that of its
    drain; dollars follow the share that is filled. What tasks that ran again cost is their time
    at the mean price of a thread-second, taken out of the work.
    """
    nodes: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        nodes[entry.node_id].append(entry)
    worked = idle = drain = _ZERO
    for name in sorted(nodes):
        here = {use: [e for e in nodes[name] if e.use is use] for use in Use}
        busy = sum((Decimal(e.busy_seconds) for e in nodes[name]), _ZERO)
        ready, ready_usd = _thread_seconds(here[Use.READY]), _usd(here[Use.READY])
        going, going_usd = _thread_seconds(here[Use.DRAIN]), _usd(here[Use.DRAIN])
        ready_worked = _share(ready_usd, min(busy, ready), ready)
        going_worked = _share(going_usd, min(max(busy - ready, _ZERO), going), going)
        worked += ready_worked + going_worked
        idle += ready_usd - ready_worked
        drain += going_usd - going_worked
    again = _recompute_usd(entries, totals, worked)
    return Split(
        work_usd=worked - (again or _ZERO),
        recompute_usd=again,
        idle_usd=idle,
        boot_usd=_usd(entry for entry in entries if entry.use is Use.BOOT),
        drain_usd=drain + _usd(entry for entry in entries if entry.use is Use.END),
    )


def _recompute_usd(
    entries: Sequence[LedgerEntry], totals: Totals | None, worked: Decimal
) -> Decimal | None:
    if totals is None:
        return None
    working = [entry for entry in entries if entry.use in (Use.READY, Use.DRAIN)]
    threads = _thread_seconds(working)
    return min(_share(_usd(working), Decimal(totals.recomputed_seconds), threads), worked)


def _thread_seconds(entries: Iterable[LedgerEntry]) -> Decimal:
    return sum((Decimal(entry.thread_seconds) for entry in entries), _ZERO)


def _share(usd: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """The dollars of a part; none where the whole is nothing."""
    if whole <= 0:
        return _ZERO
    return rounded_usd(usd * part / whole)


def interruptions_of(nodes: Iterable[Node], start: datetime, end: datetime) -> Interruptions:
    """What ended against our will in [start, end]."""
    noticed = emptied = reclaimed = lost = failed = 0
    for node in nodes:
        over = next((at for phase, at, _ in node.history if phase is Phase.GONE), None)
        ended = node.ended_at or over
        if ended is None or not start <= ended <= end or node.launched_at is None:
            continue
        phases = _causes(node)
        cause = phases.get(Phase.GONE, "")
        warned = node.drain is not None and node.drain.cause is Cause.NOTICE
        noticed += warned
        emptied += warned and Phase.TERMINATING in phases
        reclaimed += cause.startswith("reclaimed")
        lost += Phase.LOST in phases
        broken = node.drain is not None and node.drain.cause is Cause.BOOT_FAILED
        failed += broken or cause.startswith("failed")
    return Interruptions(
        noticed=noticed, emptied=emptied, reclaimed=reclaimed, lost=lost, failed=failed
    )


def _causes(node: Node) -> Mapping[Phase, str]:
    return {phase: cause for phase, _, cause in node.history}
