"""Where archived months are kept, and their entries from there."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costplan.adapters.store.entries import KINDS, USES, Block
from costplan.planner.errors import StoreError

NARROW = (
    "item",
    "rate",
    "kind",
    "use",
    "start_at",
    "end_at",
    "usd",
    "busy_seconds",
    "thread_seconds",
)
"""Columns of an archive that make an entry, with the names that stay in the store."""

WAY_OUT = "put the file of that name of a backup there (docs/store.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A month in a file of its own, and what must be in it."""

    month: str
    file: Path
    rows: int
    pico: int
    size_bytes: int
    sha256: str


def folder_of(store: Path) -> Path:
    """Where the archives of a store are: beside it, so that both are moved together."""
    return store.with_name(f"{store.name}.archive")


def read_archives(db: sqlite3.Connection, store: Path) -> tuple[Archive, ...]:
    """The archives of a store, by month."""
    rows = db.execute("SELECT month, file, rows, pico, bytes, sha256 FROM archives ORDER BY month")
    return tuple(
        Archive(
            month=month,
            file=folder_of(store) / file,
            rows=count,
            pico=int(pico),
            size_bytes=size,
            sha256=sha256,
        )
        for month, file, count, pico, size, sha256 in rows
    )


def archive_of(db: sqlite3.Connection, store: Path, month: str) -> Archive:
    """The archive of a month; raises StoreError where it is not there or not whole."""
    for one in read_archives(db, store):
        if one.month == month:
            if not one.file.is_file():
                raise StoreError(str(one.file), "is not there; it has the ledger's month", WAY_OUT)
            if one.file.stat().st_size != one.size_bytes:
                raise StoreError(str(one.file), "is not what was archived", WAY_OUT)
            return one
    raise StoreError(str(store), f"has entries of {month} neither here nor archived", WAY_OUT)


def archived_rows(
    db: sqlite3.Connection, store: Path, month: str, blocks: Sequence[Block]
) -> Mapping[int, list[tuple[Any, ...]]]:
    """The rows of the month's blocks by the number of each block's first; raises StoreError."""
    import pyarrow.parquet as pq

    file = archive_of(db, store, month).file
    try:
        table = pq.read_table(file, columns=["entry_id", *NARROW])
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(str(file), f"cannot be read: {error}", WAY_OUT) from error
    rows: dict[int, tuple[Any, ...]] = {}
    columns = [table["entry_id"].to_pylist()]
    for name in NARROW:
        column = table[name]
        if name in ("start_at", "end_at"):
            column = column.cast("int64")
        values = column.to_pylist()
        if name == "kind":
            values = [KINDS.index(value) for value in values]
        elif name == "use":
            values = [USES.index(value) for value in values]
        elif name == "usd":
            values = [int(value.scaleb(12)) for value in values]
        columns.append(values)
    for number, *row in zip(*columns, strict=True):
        rows[number] = tuple(row)
    try:
        return {
            block.first_id: [rows[block.first_id + place] for place in range(block.rows)]
            for block in blocks
        }
    except KeyError as error:
        raise StoreError(str(file), f"lacks entry {error}", WAY_OUT) from error
