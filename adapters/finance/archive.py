"""Closed months as Parquet files: one a month, whole or not there, and checked before the store
lets go of what is in it.

    write beside -> read back and compare -> move to its place -> note it and drop the rows, at once

Killed at any of these, nothing is lost and nothing is there twice: rows are in the store until the
one transaction that notes the file, and a file that nobody noted is written anew.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from costplan.adapters.faults import reach
from costplan.adapters.finance.book import Book, quoted
from costplan.adapters.finance.stage import Told, Window, stage
from costplan.adapters.store.archived import WAY_OUT, folder_of, read_archives
from costplan.adapters.store.database import connect, told
from costplan.adapters.store.entries import KINDS, USES
from costplan.adapters.store.months import MonthRow, digest_of, read_months
from costplan.planner.errors import InputError, StoreError

_SAME = "SELECT first_id, rows, pico FROM entries WHERE month = ? ORDER BY first_id"


def _rows_sql() -> str:
    kinds = " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(KINDS))
    uses = " ".join(f"WHEN {place} THEN '{use.value}'" for place, use in enumerate(USES))
    return f"""
    SELECT e.entry_id, k.recorded_at::TIMESTAMPTZ AS recorded_at, k.tick_id, k.plan_id, k.reason,
        k.month, i.node_id, i.resource_id, i.provider, i.account, i.region, i.zone,
        i.instance_type, i.market, i.vcpu, i.memory_gib, i.gpus, i.charge, i.workload,
        CASE e.kind {kinds} END AS kind, CASE e."use" {uses} END AS "use",
        make_timestamp(e.start_us)::TIMESTAMPTZ AS start_at,
        make_timestamp(e.end_us)::TIMESTAMPTZ AS end_at,
        (e.pico::DECIMAL(38,0) * 0.000000000001::DECIMAL(13,12))::DECIMAL(38,12) AS usd,
        r.usd_per_hour, r.on_demand_usd_per_hour, r.rate_source, r.is_estimate,
        e.busy_us / 1e6 AS busy_seconds, e.thread_us / 1e6 AS thread_seconds,
        e.item, e.rate, e.recording
    FROM entries e JOIN items i USING (item) JOIN rates r USING (rate)
    JOIN recordings k USING (recording) ORDER BY e.entry_id"""  # noqa: S608 - ours


def archive_month(
    path: Path, month: str, now: datetime, progress: Told = lambda _: None
) -> MonthRow:
    """Archives a closed month of the store at `path`; gives it as it is now.

    Raises InputError where it is not closed or archived already, and StoreError where the store
    or the folder cannot be written, or what was written is not what is in the store.
    """
    with closing(connect(path, read_only=True)) as db, told(path):
        _require_closed(db, month)
        heads = db.execute(_SAME, (month,)).fetchall()
    folder = folder_of(path)
    file = folder / f"{month}.parquet"
    with _partial(file) as partial:
        _write(path, month, partial, progress)
        reach("ledger.archive.written")
        _compare(partial, heads)
        sha256 = _sha256(partial)
        size = partial.stat().st_size
        partial.replace(file)
        _sync(folder)
        reach("ledger.archive.placed")
    with closing(connect(path, read_only=False)) as db, told(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            _require_closed(db, month)
            if db.execute(_SAME, (month,)).fetchall() != heads:
                raise StoreError(str(path), f"changed in {month}, which is closed", "see doctor")
            db.execute(
                "INSERT INTO archives VALUES (?, ?, ?, ?, ?, ?, ?)",
                (month, file.name, now.isoformat(), sum(rows for _, rows, _ in heads),
                 str(sum(pico for *_, pico in heads)), size, sha256),
            )  # fmt: skip
            db.execute("UPDATE entries SET data = NULL WHERE month = ?", (month,))
            reach("ledger.archive.noting")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        reach("ledger.archive.noted")
        db.executescript("PRAGMA incremental_vacuum")
        return next(row for row in read_months(db) if row.month == month)


def check_archive(db: sqlite3.Connection, path: Path, month: str) -> str:
    """What is wrong with an archive, '' where nothing is: read whole."""
    (archive,) = (one for one in read_archives(db, path) if one.month == month)
    if not archive.file.is_file():
        return f"{archive.file} is not there"
    if archive.file.stat().st_size != archive.size_bytes or _sha256(archive.file) != archive.sha256:
        return f"{archive.file} is not what was archived"
    try:
        _compare(archive.file, db.execute(_SAME, (month,)).fetchall())
    except StoreError as error:
        return str(error)
    return ""


def _require_closed(db: sqlite3.Connection, month: str) -> None:
    row = db.execute("SELECT digest FROM closed WHERE month = ?", (month,)).fetchone()
    if row is None:
        way_out = f"close it first: costplan ledger close {month}"
        raise InputError(f"month {month}", "is not closed", way_out)
    if db.execute("SELECT 1 FROM archives WHERE month = ?", (month,)).fetchone():
        raise InputError(f"month {month}", "is archived already", "there is nothing to do")
    if digest_of(db, month) != row[0]:
        raise StoreError(f"month {month}", "is not what it was when it was closed", WAY_OUT)


def _write(path: Path, month: str, file: Path, progress: Told) -> None:
    with closing(connect(path, read_only=True)) as db, told(path), Book(spill=True) as book:
        db.execute("BEGIN")
        stage(book.db, db, path, Window(month=month), progress)
        progress(f"writing the archive of {month}")
        try:
            book.db.execute(
                f"COPY ({_rows_sql()}) TO {quoted(str(file))} (FORMAT parquet, COMPRESSION zstd)"
            )
        except OSError as error:
            raise StoreError(str(file), f"cannot be written: {error}", "make room") from error
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _compare(file: Path, heads: list[tuple[int, int, int]]) -> None:
    """Returns where the file has the entries of these blocks, no more and no less, and their sums
    are the same; raises StoreError otherwise."""
    with Book() as book:
        found = book.rows(
            """SELECT recording, count(*), sum(usd), min(entry_id), max(entry_id),
            count(DISTINCT entry_id) FROM read_parquet(?) GROUP BY recording ORDER BY recording""",
            str(file),
        )
    there = [
        (first, count, int(usd.scaleb(12)))
        for first, count, usd, low, high, distinct in found
        if (low, high, distinct) == (first, first + count - 1, count)
    ]
    if len(there) != len(found) or there != heads:
        raise StoreError(str(file), "does not have what the ledger has", WAY_OUT)


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


@contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """A name beside the file to write to; nothing is left there, whatever happens."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in file.parent.glob(f".{file.name}.*.part"):
            old.unlink(missing_ok=True)
        partial = file.with_name(f".{file.name}.{os.getpid()}.part")
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        way_out = "make the store's folder writable"
        raise StoreError(str(file), f"cannot be written: {error.strerror}", way_out) from error
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
