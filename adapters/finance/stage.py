"""The ledger as narrow tables of a book: what an entry says once, and what many say alike.

    entries     what was paid for, from when to when, and how much
    items       what it is: node, machine, offer, charge, workload
    rates       at which price, and how that is known
    recordings  when it was written, by which plan the cluster was held, for which month

Amounts are whole pico-dollars, instants and task-time are microseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costplan.adapters.store.archived import archive_of
from costplan.adapters.store.entries import (
    KINDS,
    ROW,
    USES,
    Block,
    instant_of,
    micros,
    read_blocks,
    read_names,
    unpacked,
)
from costplan.planner.ledger_months import month_bounds
from costplan.planner.spans import amount_usd
from costplan.planner.units import pico_from_usd, rounded_usd

if TYPE_CHECKING:
    import duckdb

Told = Callable[[str], None]
"""Hears in words what is being done."""

_GIB = Decimal(2**30)
_CHUNK_ROWS = 500_000

TABLES = {
    "items": """item BIGINT, node_id VARCHAR, resource_id VARCHAR, provider VARCHAR,
        account VARCHAR, region VARCHAR, zone VARCHAR, instance_type VARCHAR, market VARCHAR,
        vcpu DECIMAL(18,3), memory_gib DECIMAL(18,3), gpus INTEGER, charge VARCHAR,
        workload VARCHAR""",
    "rates": """rate BIGINT, usd_per_hour DECIMAL(38,12), on_demand_usd_per_hour DECIMAL(38,12),
        rate_source VARCHAR, is_estimate BOOLEAN, exact VARCHAR""",
    "recordings": """recording BIGINT, recorded_at TIMESTAMP, tick_id VARCHAR, plan_id VARCHAR,
        reason VARCHAR, month VARCHAR, month_us BIGINT""",
    "entries": """entry_id BIGINT, item BIGINT, rate BIGINT, recording BIGINT, kind UTINYINT,
        "use" UTINYINT, start_us BIGINT, end_us BIGINT, pico BIGINT, busy_us BIGINT,
        thread_us BIGINT""",
}
"""`kind` and `use` are places in `KINDS` and `USES`; a recording's number is its first entry's, and
`month_us` is when its month begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of the ledger: what was issued in `month`, or what lies in [start, end); of it
    what had been recorded by `as_of`. None is no bound."""

    month: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    as_of: datetime | None = None


def stage(
    duck: duckdb.DuckDBPyConnection, db: sqlite3.Connection, store: Path, window: Window, told: Told
) -> None:
    """Makes the four tables of a part of the ledger; raises StoreError and InputError."""
    months = None if window.month is None else (window.month,)
    blocks = [
        block
        for block in read_blocks(db, window.start, window.end, months)
        if window.as_of is None or block.recording.at <= window.as_of
    ]
    fill_table(duck, "recordings", map(_recording, blocks))
    names = read_names(db)
    fill_table(duck, "items", (_item(number, row) for number, row in names.items.items()))
    fill_table(duck, "rates", (_rate(number, row) for number, row in names.rates.items()))
    duck.execute(f"CREATE TABLE entries ({TABLES['entries']})")
    total = sum(block.rows for block in blocks)
    here = [block for block in blocks if block.data is not None]
    for chunk in _chunks(here):
        told(f"reading the ledger: {total:,} entries")
        _take_in(duck, chunk)
    for month in sorted({block.month for block in blocks if block.data is None}):
        told(f"reading the archive of {month}: {total:,} entries")
        _take_in_archive(duck, archive_of(db, store, month).file, window)
    for border in (window.start, window.end):
        if border is not None:
            _cut(duck, border)
    _drop_outside(duck, window)


def fill_table(duck: duckdb.DuckDBPyConnection, name: str, rows: Iterable[Sequence[Any]]) -> None:
    """Makes one of the `TABLES` and puts rows of plain values into it."""
    import pyarrow as pa

    duck.execute(f"CREATE TABLE {name} ({TABLES[name]})")
    schema = duck.sql(f"SELECT * FROM {name}").to_arrow_table().schema  # noqa: S608 - ours
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    arrays = [pa.array(values, f.type) for values, f in zip(columns, schema, strict=True)]
    _insert(duck, name, pa.Table.from_arrays(arrays, schema=schema))


def _insert(duck: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    duck.register("batch", table)
    duck.execute(f"INSERT INTO {name} SELECT * FROM batch")  # noqa: S608 - ours
    duck.unregister("batch")


def _recording(block: Block) -> tuple[Any, ...]:
    said = block.recording
    at = said.at.astimezone(UTC).replace(tzinfo=None)
    begin = micros(month_bounds(block.month)[0])
    return (block.first_id, at, said.tick_id, said.plan_id, said.reason, block.month, begin)


def _item(number: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    *words, vcpu_milli, memory_bytes, gpus, charge, workload = row
    memory = (Decimal(memory_bytes) / _GIB).quantize(Decimal("0.001"), rounding=ROUND_HALF_EVEN)
    return (number, *words, Decimal(vcpu_milli).scaleb(-3), memory, gpus, charge, workload)


def _rate(number: int, row: tuple[Any, ...]) -> tuple[Any, ...]:
    usd, on_demand, source, is_estimate = row
    listed = rounded_usd(Decimal(on_demand)) if on_demand else None
    return (number, rounded_usd(Decimal(usd)), listed, source, bool(is_estimate), usd)


def _chunks(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    chunk, rows = list[Block](), 0
    for block in blocks:
        chunk.append(block)
        rows += block.rows
        if rows >= _CHUNK_ROWS:
            yield chunk
            chunk, rows = [], 0
    if chunk:
        yield chunk


def _take_in(duck: duckdb.DuckDBPyConnection, blocks: Sequence[Block]) -> None:
    """Blocks of the store, all at once: there are millions of rows, and no Python for any."""
    import numpy as np
    import pyarrow as pa

    form = np.dtype([
        ("item", "<u4"), ("rate", "<u4"), ("kind", "u1"), ("use", "u1"), ("start_us", "<i8"),
        ("end_us", "<i8"), ("pico", "<i8"), ("busy", "<f8"), ("thread", "<f8"),
    ])  # fmt: skip
    if form.itemsize != ROW.size:
        raise AssertionError("rows are read as they are written")
    rows = np.frombuffer(b"".join(map(unpacked, blocks)), form)
    counts = np.array([block.rows for block in blocks])
    first = np.repeat(np.array([block.first_id for block in blocks]), counts)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    _insert(
        duck,
        "entries",
        pa.table({
            "entry_id": first + place,
            "item": rows["item"].astype(np.int64),
            "rate": rows["rate"].astype(np.int64),
            "recording": first,
            "kind": rows["kind"].copy(),
            "use": rows["use"].copy(),
            "start_us": rows["start_us"].copy(),
            "end_us": rows["end_us"].copy(),
            "pico": rows["pico"].copy(),
            "busy_us": np.rint(rows["busy"] * 1e6).astype(np.int64),
            "thread_us": np.rint(rows["thread"] * 1e6).astype(np.int64),
        }),
    )  # fmt: skip


def _take_in_archive(duck: duckdb.DuckDBPyConnection, file: Path, window: Window) -> None:
    """A month's file, as far as the window asks for it."""
    kinds = " ".join(f"WHEN '{name}' THEN {place}" for place, name in enumerate(KINDS))
    uses = " ".join(f"WHEN '{use.value}' THEN {place}" for place, use in enumerate(USES))
    duck.execute(
        f"""INSERT INTO entries SELECT entry_id, item, rate, recording, CASE kind {kinds} END,
        CASE "use" {uses} END, epoch_us(start_at), epoch_us(end_at),
        (usd * 1000000000000::DECIMAL(13,0))::BIGINT,
        round(busy_seconds * 1e6)::BIGINT, round(thread_seconds * 1e6)::BIGINT
        FROM read_parquet($1) WHERE recording IN (SELECT recording FROM recordings)
        AND ($2 IS NULL OR epoch_us(end_at) > $2) AND ($3 IS NULL OR epoch_us(start_at) < $3)""",  # noqa: S608 - ours
        [
            str(file),
            None if window.start is None else micros(window.start),
            None if window.end is None else micros(window.end),
        ],
    )


def _cut(duck: duckdb.DuckDBPyConnection, border: datetime) -> None:
    """Cuts entries over a border in two, as `ledger_cuts` does: the first part is what a meter
    shows up to it, the second the rest."""
    at = micros(border)
    rows = duck.execute(
        """SELECT entry_id, item, rate, recording, kind, "use", start_us, end_us, pico, busy_us,
        thread_us, exact FROM entries JOIN rates USING (rate)
        WHERE start_us < $1 AND end_us > $1 ORDER BY entry_id, start_us""",
        [at],
    ).fetchall()
    parts = []
    for entry, item, rate, recording, kind, use, start, end, pico, busy, thread, exact in rows:
        usd = amount_usd(Decimal(exact), instant_of(start), border)
        first = pico_from_usd(usd) * (-1 if pico < 0 else 1)
        done, spent = ((value * (at - start)) // (end - start) for value in (busy, thread))
        same = (entry, item, rate, recording, kind, use)
        parts.append((*same, start, at, first, done, spent))
        parts.append((*same, at, end, pico - first, busy - done, thread - spent))
    if parts:
        duck.execute("DELETE FROM entries WHERE start_us < $1 AND end_us > $1", [at])
        duck.executemany(f"INSERT INTO entries VALUES ({', '.join('?' * 11)})", parts)  # noqa: S608 - ours


def _drop_outside(duck: duckdb.DuckDBPyConnection, window: Window) -> None:
    if window.start is not None:
        duck.execute("DELETE FROM entries WHERE end_us <= ?", [micros(window.start)])
    if window.end is not None:
        duck.execute("DELETE FROM entries WHERE start_us >= ?", [micros(window.end)])
