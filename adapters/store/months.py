"""Closing months of the ledger: from then on what is learnt of one is issued in a later month."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from costplan.adapters.instants import sorting_text
from costplan.adapters.store.entries import closed_months, instant_of
from costplan.planner.errors import InputError
from costplan.planner.ledger_months import month_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRow:
    """A month of the ledger: its entries, their sum in pico-dollars, and what became of it."""

    month: str
    rows: int
    pico: int
    closed_at: datetime | None = None
    is_archived: bool = False


def read_months(db: sqlite3.Connection) -> tuple[MonthRow, ...]:
    """All months that have entries or are closed, in order."""
    rows: dict[str, int] = {}
    pico: dict[str, int] = {}
    for month, count, amount in db.execute("SELECT month, rows, pico FROM entries"):
        rows[month] = rows.get(month, 0) + count
        pico[month] = pico.get(month, 0) + amount
    closed = dict(db.execute("SELECT month, closed_at FROM closed"))
    archived = {month for (month,) in db.execute("SELECT month FROM archives")}
    return tuple(
        MonthRow(
            month=month,
            rows=rows.get(month, 0),
            pico=pico.get(month, 0),
            closed_at=datetime.fromisoformat(closed[month]) if month in closed else None,
            is_archived=month in archived,
        )
        for month in sorted({*rows, *closed})
    )


def charged_from(db: sqlite3.Connection, month: str) -> datetime | None:
    """From when on there is time that is issued in a month, which may be of months before it; None
    where nothing is."""
    row = db.execute("SELECT min(begin_us) FROM entries WHERE month = ?", (month,)).fetchone()
    return None if row[0] is None else instant_of(row[0])


def close_month(db: sqlite3.Connection, month: str, now: datetime) -> MonthRow:
    """Closes a month within a transaction. Raises InputError where it has not ended, is closed, or
    one before it is open."""
    if now < month_bounds(month)[1]:
        raise InputError(f"month {month}", "has not ended", "close it when it has")
    closed = closed_months(db)
    if month in closed:
        raise InputError(
            f"month {month}", "is closed already", "`costplan ledger months` lists all"
        )
    before = [row.month for row in read_months(db) if row.month < month and row.closed_at is None]
    if before:
        raise InputError(
            f"month {month}", f"{before[0]} before it is open", f"close {before[0]} first"
        )
    of_month = [row for row in read_months(db) if row.month == month]
    row = of_month[0] if of_month else MonthRow(month=month, rows=0, pico=0)
    last = db.execute(
        "SELECT max(first_id + rows - 1) FROM entries WHERE month = ?", (month,)
    ).fetchone()[0]
    at = sorting_text(now)
    db.execute(
        "INSERT INTO closed VALUES (?, ?, ?, ?, ?, ?)",
        (month, at, last or 0, row.rows, str(row.pico), digest_of(db, month)),
    )
    return MonthRow(month=month, rows=row.rows, pico=row.pico, closed_at=now)


def digest_of(db: sqlite3.Connection, month: str) -> str:
    """What names all that was issued in a month: of the heads of its blocks, which stay."""
    found = hashlib.sha256()
    for row in db.execute(
        """SELECT first_id, rows, recorded_at, tick_id, plan_id, reason, begin_us, end_us, pico
        FROM entries WHERE month = ? ORDER BY first_id""",
        (month,),
    ):
        found.update(repr(row).encode())
    return found.hexdigest()
