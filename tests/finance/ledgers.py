"""Small ledgers in real stores, made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from costplan.adapters.finance.book import Book, decimal_of
from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import Known, Recording, write_entries
from costplan.adapters.store.work import write_work
from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market, OfferKey
from costplan.planner.work import Reported, WorkBatch, WorkerWindow, WorkWindow

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
KEY = OfferKey(
    provider="aws", region="us-east-1", zone="us-east-1a", instance_type="m5.xlarge",
    market=Market.ON_DEMAND,
)  # fmt: skip
SPOT = replace(KEY, market=Market.SPOT)


def entry(
    node: str,
    start: datetime,
    *,
    lasts: timedelta = QUARTER,
    usd_per_hour: str = "0.192",
    use: Use = Use.READY,
    busy: float = 0.0,
    key: OfferKey = KEY,
    workload: str = "fraud",
) -> LedgerEntry:
    """A machine with four threads for a while."""
    rate, end = Decimal(usd_per_hour), start + lasts
    threads = 4 * lasts.total_seconds() if use in (Use.READY, Use.DRAIN) else 0.0
    return LedgerEntry(
        node_id=node,
        key=key,
        start=start,
        end=end,
        usd=amount_usd(rate, start, end),
        usd_per_hour=rate,
        kind="usage",
        use=use,
        busy_seconds=busy,
        thread_seconds=threads,
        rate_source="list",
        workload=workload,
        on_demand_usd_per_hour=rate if key.market is Market.ON_DEMAND else Decimal("0.192"),
        account="111122223333",
        resource_id=f"i-{node}",
        vcpu_milli=4000,
        memory_bytes=16 * 2**30,
    )


def hours_of(node: str, start: datetime, hours: int, **said: object) -> list[LedgerEntry]:
    """Quarters of so many hours of a machine."""
    return [entry(node, start + n * QUARTER, **said) for n in range(4 * hours)]  # type: ignore[arg-type]


def taken_back(of: LedgerEntry, start: datetime | None = None) -> LedgerEntry:
    """A correction of the end of an entry, from `start` on."""
    start = start or of.start
    usd = -amount_usd(of.usd_per_hour, start, of.end)
    return replace(
        of, start=start, usd=usd, kind="correction", busy_seconds=0.0, thread_seconds=0.0
    )


def write(path: Path, entries: Iterable[LedgerEntry], at: datetime, reason: str = "") -> None:
    """Adds entries to a store as one tick."""
    with closing(connect(path, read_only=False)) as db:
        db.execute("BEGIN IMMEDIATE")
        said = Recording(at=at, tick_id=f"t-{at:%d%H%M}", plan_id="plan-1", reason=reason)
        write_entries(db, entries, said, Known())
        db.execute("COMMIT")


Done = tuple[str, str, str, dict[str, str], float]


def work(
    path: Path, start: datetime, end: datetime, done: Iterable[Done],
    rows: Iterable[tuple[str, dict[str, str], int]] = (),
) -> None:  # fmt: skip
    """Adds a window of work: (node, prefix, span, tags, task-seconds); ten tasks each."""
    window = WorkWindow(
        number=int(start.timestamp()),
        start=start,
        end=end,
        work=tuple(
            WorkerWindow(
                worker=node,
                prefix=prefix,
                span=tuple(filter(None, span.split("/"))),
                tags=tags,
                busy_seconds=seconds,
                tasks=10,
            )
            for node, prefix, span, tags, seconds in done
        ),
        reported=tuple(
            Reported(span=tuple(filter(None, span.split("/"))), tags=tags, rows=count)
            for span, tags, count in rows
        ),
    )
    with closing(connect(path, read_only=False)) as db:
        db.execute("BEGIN IMMEDIATE")
        write_work(db, WorkBatch(scheduler_id="s", windows=(window,)), lambda worker: worker)
        db.execute("COMMIT")


def total(book: Book, what: str = "billed_usd", where: str = "true") -> Decimal:
    """A sum over lines."""
    return decimal_of(book.rows(f"SELECT sum({what}) FROM lines WHERE {where}")[0][0])  # noqa: S608


def by(book: Book, names: str, what: str = "billed_usd") -> dict[tuple[str, ...], Decimal]:
    """Sums over lines by some columns."""
    rows = book.rows(f"SELECT {names}, sum({what}) FROM lines GROUP BY ALL ORDER BY ALL")  # noqa: S608
    return {tuple(row[:-1]): decimal_of(row[-1]) for row in rows}
