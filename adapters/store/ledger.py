"""The ledger as it stands: entries of the store, and those of archived months from their files."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from costplan.adapters.store.archived import archived_rows
from costplan.adapters.store.entries import (
    ROW,
    Block,
    micros,
    read_blocks,
    read_names,
    recorded,
    unpacked,
)
from costplan.planner.ledger import Recorded


def read_recorded(
    db: sqlite3.Connection, path: Path, start: datetime | None = None, end: datetime | None = None
) -> Iterator[Recorded]:
    """Entries of the store at `path` that touch [start, end), in the order in which they were
    recorded; raises InputError and StoreError."""
    blocks = list(read_blocks(db, start, end))
    if not blocks:
        return
    names = read_names(db)
    gone = defaultdict[str, list[Block]](list)
    for block in blocks:
        if block.data is None:
            gone[block.month].append(block)
    archived = {month: archived_rows(db, path, month, of) for month, of in gone.items()}
    begin_us = None if start is None else micros(start)
    end_us = None if end is None else micros(end)
    for block in blocks:
        is_here = block.data is not None
        rows = (
            ROW.iter_unpack(unpacked(block)) if is_here else archived[block.month][block.first_id]
        )
        for number, row in enumerate(rows, start=block.first_id):
            if (begin_us is None or row[5] > begin_us) and (end_us is None or row[4] < end_us):
                yield recorded(block, number, row, names)


def total_pico(db: sqlite3.Connection) -> int:
    """The sum of the whole ledger in pico-dollars."""
    # SQLite's own sum ends at 64 bits, some nine million dollars.
    return sum(pico for (pico,) in db.execute("SELECT pico FROM entries"))
