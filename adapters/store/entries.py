"""The ledger in the store: entries packed in blocks, what they say alike once beside them.

A block is what one tick (or one correction) adds to one month. It is written once and never
changed; triggers of the database hold everybody to that. `items` are what is paid for and `rates`
at which price; numbers are integers of 64 bits, and what they stand for comes back exactly.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from costplan.adapters.instants import sorting_text
from costplan.planner.errors import InputError
from costplan.planner.ledger import LedgerEntry, Recorded, Use
from costplan.planner.ledger_months import cut_by_month, issue_month, month_of
from costplan.planner.types import Market, OfferKey, require
from costplan.planner.units import pico_from_usd, usd_from_pico

ROW = struct.Struct("<IIBBqqqdd")
"""An entry: item, rate, kind, use, start and end in microseconds since 1970, pico-dollars,
task-seconds and thread-seconds."""

KINDS = ("usage", "correction")
USES = tuple(Use)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WAY_OUT = "restore a backup (docs/store.md)"

TABLES = (
    """CREATE TABLE items (
        id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, resource_id TEXT NOT NULL,
        provider TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, zone TEXT NOT NULL,
        instance_type TEXT NOT NULL, market TEXT NOT NULL, vcpu_milli INTEGER NOT NULL,
        memory_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL, charge TEXT NOT NULL,
        workload TEXT NOT NULL,
        UNIQUE (node_id, charge, resource_id, provider, account, region, zone, instance_type,
        market, vcpu_milli, memory_bytes, gpus, workload))""",
    # '' where nobody knew the price on demand.
    """CREATE TABLE rates (
        id INTEGER PRIMARY KEY, usd_per_hour TEXT NOT NULL, on_demand_usd_per_hour TEXT NOT NULL,
        source TEXT NOT NULL, is_estimate INTEGER NOT NULL,
        UNIQUE (usd_per_hour, on_demand_usd_per_hour, source, is_estimate))""",
    # `data` is NULL once the month is archived: the head stays, and its sum.
    """CREATE TABLE entries (
        first_id INTEGER PRIMARY KEY, rows INTEGER NOT NULL, month TEXT NOT NULL,
        recorded_at TEXT NOT NULL, tick_id TEXT NOT NULL, plan_id TEXT NOT NULL,
        reason TEXT NOT NULL, begin_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
        pico INTEGER NOT NULL, data BLOB)""",
    "CREATE INDEX entries_by_month ON entries (month, first_id)",
    "CREATE INDEX entries_by_time ON entries (end_us, begin_us)",
    """CREATE TABLE closed (
        month TEXT PRIMARY KEY, closed_at TEXT NOT NULL, last_id INTEGER NOT NULL,
        rows INTEGER NOT NULL, pico TEXT NOT NULL, digest TEXT NOT NULL)""",
    """CREATE TABLE archives (
        month TEXT PRIMARY KEY, file TEXT NOT NULL, written_at TEXT NOT NULL,
        rows INTEGER NOT NULL, pico TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL)""",
    """CREATE TRIGGER entries_stay BEFORE DELETE ON entries
        BEGIN SELECT raise(ABORT, 'the ledger is only ever added to'); END""",
    """CREATE TRIGGER entries_are_final BEFORE UPDATE ON entries WHEN
        NEW.data IS NOT NULL OR NEW.first_id != OLD.first_id OR NEW.rows != OLD.rows
        OR NEW.month != OLD.month OR NEW.recorded_at != OLD.recorded_at
        OR NEW.tick_id != OLD.tick_id OR NEW.plan_id != OLD.plan_id OR NEW.reason != OLD.reason
        OR NEW.begin_us != OLD.begin_us OR NEW.end_us != OLD.end_us OR NEW.pico != OLD.pico
        OR NOT EXISTS (SELECT 1 FROM archives WHERE archives.month = OLD.month)
        BEGIN SELECT raise(ABORT, 'the ledger is only ever added to'); END""",
    """CREATE TRIGGER closed_stay_closed BEFORE INSERT ON entries WHEN
        EXISTS (SELECT 1 FROM closed WHERE closed.month = NEW.month)
        BEGIN SELECT raise(ABORT, 'the month is closed'); END""",
)

_ITEM = (
    "node_id", "resource_id", "provider", "account", "region", "zone", "instance_type", "market",
    "vcpu_milli", "memory_bytes", "gpus", "charge", "workload",
)  # fmt: skip
_RATE = ("usd_per_hour", "on_demand_usd_per_hour", "source", "is_estimate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """When entries are written, by which tick, while which plan was in force, and why where no
    tick writes them."""

    at: datetime
    tick_id: str = ""
    plan_id: str = ""
    reason: str = ""


@dataclass(slots=True)
class Known:
    """Numbers of items and rates that were looked up. Of no use once a transaction failed."""

    items: dict[tuple[Any, ...], int] = field(default_factory=dict)
    rates: dict[tuple[Any, ...], int] = field(default_factory=dict)


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def instant_of(at_us: int) -> datetime:
    """The instant of so many microseconds since 1970."""
    return _EPOCH + at_us * _MICROSECOND


# Writing


def write_entries(
    db: sqlite3.Connection, entries: Iterable[LedgerEntry], recording: Recording, known: Known
) -> None:
    """Adds to the ledger: a block for each month that the entries are issued in."""
    months: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in entries:
        for part in cut_by_month(entry):
            months[month_of(part.start)].append(part)
    if not months:
        return
    closed = closed_months(db)
    issued: dict[str, list[LedgerEntry]] = defaultdict(list)
    for month, parts in months.items():
        issued[issue_month(month, recording.at, closed)] += parts
    for month in sorted(issued):
        write_block(db, next_id(db), month, issued[month], recording, known)


def write_block(
    db: sqlite3.Connection,
    first_id: int,
    month: str,
    entries: Sequence[LedgerEntry],
    recording: Recording,
    known: Known,
) -> None:
    """Writes one block; its entries have the numbers from `first_id` on."""
    packed, total = [], 0
    for entry in entries:
        pico = pico_from_usd(entry.usd)
        require(usd_from_pico(pico) == entry.usd, "not in whole pico-dollars:", entry)
        total += pico
        packed.append(
            ROW.pack(
                _item(db, entry, known),
                _rate(db, entry, known),
                KINDS.index(entry.kind),
                USES.index(entry.use),
                micros(entry.start),
                micros(entry.end),
                pico,
                entry.busy_seconds,
                entry.thread_seconds,
            )
        )
    db.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            first_id,
            len(packed),
            month,
            sorting_text(recording.at),
            recording.tick_id,
            recording.plan_id,
            recording.reason,
            min(micros(entry.start) for entry in entries),
            max(micros(entry.end) for entry in entries),
            total,
            zlib.compress(b"".join(packed), 1),
        ),
    )


def next_id(db: sqlite3.Connection) -> int:
    """The number of the next entry."""
    row = db.execute(
        "SELECT first_id + rows FROM entries ORDER BY first_id DESC LIMIT 1"
    ).fetchone()
    return 1 if row is None else int(row[0])


def closed_months(db: sqlite3.Connection) -> frozenset[str]:
    """Months that are closed."""
    return frozenset(month for (month,) in db.execute("SELECT month FROM closed"))


def _item(db: sqlite3.Connection, entry: LedgerEntry, known: Known) -> int:
    key = entry.key
    row = (
        entry.node_id, entry.resource_id, key.provider, entry.account, key.region, key.zone,
        key.instance_type, key.market.value, entry.vcpu_milli, entry.memory_bytes, entry.gpus,
        entry.charge, entry.workload,
    )  # fmt: skip
    return _number(db, "items", _ITEM, row, known.items)


def _rate(db: sqlite3.Connection, entry: LedgerEntry, known: Known) -> int:
    on_demand = entry.on_demand_usd_per_hour
    row = (
        str(entry.usd_per_hour), "" if on_demand is None else str(on_demand), entry.rate_source,
        int(entry.is_estimate),
    )  # fmt: skip
    return _number(db, "rates", _RATE, row, known.rates)


def _number(
    db: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    row: tuple[Any, ...],
    known: dict[tuple[Any, ...], int],
) -> int:
    number = known.get(row)
    if number is None:
        marks = ", ".join("?" * len(row))
        db.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({marks})", row)  # noqa: S608 - ours
        same = " AND ".join(f"{name} = ?" for name in names)
        found = db.execute(f"SELECT id FROM {table} WHERE {same}", row).fetchone()  # noqa: S608 - ours
        number = known[row] = int(found[0])
    return number


# Reading


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it stands in the store; `data` is None where it is archived."""

    first_id: int
    rows: int
    month: str
    recording: Recording
    pico: int
    data: bytes | None


def read_blocks(
    db: sqlite3.Connection, start: datetime | None = None, end: datetime | None = None,
    months: Collection[str] | None = None,
) -> Iterator[Block]:  # fmt: skip
    """Blocks of these months of issue that touch [start, end), in the order of their numbers."""
    rows = db.execute(
        """SELECT first_id, rows, month, recorded_at, tick_id, plan_id, reason, pico, data
        FROM entries WHERE (?1 IS NULL OR end_us > ?1) AND (?2 IS NULL OR begin_us < ?2)
        ORDER BY first_id""",
        (None if start is None else micros(start), None if end is None else micros(end)),
    )
    for first, count, month, at, tick_id, plan_id, reason, pico, data in rows:
        if months is None or month in months:
            recording = Recording(
                at=datetime.fromisoformat(at), tick_id=tick_id, plan_id=plan_id, reason=reason
            )
            yield Block(first, count, month, recording, pico, data)


def unpacked(block: Block) -> bytes:
    """The rows of a block that is not archived; raises InputError where it is damaged."""
    try:
        rows = zlib.decompress(block.data or b"")
    except zlib.error as error:
        raise InputError(f"entry {block.first_id}", f"is damaged: {error}", _WAY_OUT) from error
    if len(rows) != ROW.size * block.rows:
        raise InputError(f"entry {block.first_id}", "is damaged: it is too short", _WAY_OUT)
    return rows


@dataclass(frozen=True, slots=True)
class Names:
    """Items and rates by their numbers."""

    items: Mapping[int, tuple[Any, ...]]
    rates: Mapping[int, tuple[Any, ...]]


def read_names(db: sqlite3.Connection) -> Names:
    """All items and rates."""
    items = db.execute(f"SELECT id, {', '.join(_ITEM)} FROM items ORDER BY id")  # noqa: S608 - ours
    rates = db.execute(f"SELECT id, {', '.join(_RATE)} FROM rates ORDER BY id")  # noqa: S608 - ours
    return Names({row[0]: row[1:] for row in items}, {row[0]: row[1:] for row in rates})


def recorded(block: Block, number: int, row: tuple[Any, ...], names: Names) -> Recorded:
    """The entry of a number that a row of the block is, as `ROW` has it."""
    said = block.recording
    return Recorded(
        entry_id=number,
        entry=entry_of(row, names),
        recorded_at=said.at,
        month=block.month,
        tick_id=said.tick_id,
        plan_id=said.plan_id,
        reason=said.reason,
    )


def entry_of(row: tuple[Any, ...], names: Names) -> LedgerEntry:
    """An entry from its row."""
    item, rate, kind, use, start_us, end_us, pico, busy_seconds, thread_seconds = row
    (
        node_id, resource_id, provider, account, region, zone, instance_type, market, vcpu_milli,
        memory_bytes, gpus, charge, workload,
    ) = names.items[item]  # fmt: skip
    usd_per_hour, on_demand, source, is_estimate = names.rates[rate]
    return LedgerEntry(
        node_id=node_id,
        key=OfferKey(
            provider=provider,
            region=region,
            zone=zone,
            instance_type=instance_type,
            market=Market(market),
        ),
        start=instant_of(start_us),
        end=instant_of(end_us),
        usd=usd_from_pico(pico),
        usd_per_hour=Decimal(usd_per_hour),
        kind=KINDS[kind],
        use=USES[use],
        busy_seconds=busy_seconds,
        thread_seconds=thread_seconds,
        rate_source=source,
        workload=workload,
        is_estimate=bool(is_estimate),
        charge=charge,
        on_demand_usd_per_hour=Decimal(on_demand) if on_demand else None,
        account=account,
        resource_id=resource_id,
        vcpu_milli=vcpu_milli,
        memory_bytes=memory_bytes,
        gpus=gpus,
    )
