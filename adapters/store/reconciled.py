"""What the store notes of reconciliations and of issued reports; both are only ever added to."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costplan.adapters.instants import sorting_text

TABLES = (
    # `first_id` is the first correction, 0 where none was needed; `files` are names, as JSON.
    """CREATE TABLE reconciled (
        id INTEGER PRIMARY KEY, month TEXT NOT NULL, at TEXT NOT NULL, format TEXT NOT NULL,
        sha256 TEXT NOT NULL, files TEXT NOT NULL, filed_usd TEXT NOT NULL,
        first_id INTEGER NOT NULL, entries INTEGER NOT NULL, usd TEXT NOT NULL)""",
    # Control totals of the charges of a month as they were when its report went out.
    """CREATE TABLE issued (
        id INTEGER PRIMARY KEY, month TEXT NOT NULL, at TEXT NOT NULL, last_id INTEGER NOT NULL,
        lines INTEGER NOT NULL, billed_usd TEXT NOT NULL, effective_usd TEXT NOT NULL,
        sha256 TEXT NOT NULL)""",
    *(
        f"""CREATE TRIGGER {name}_stay_{what.lower()} BEFORE {what} ON {name}
        BEGIN SELECT raise(ABORT, 'what was {name} is only ever added to'); END"""
        for name in ("reconciled", "issued")
        for what in ("UPDATE", "DELETE")
    ),
)

BILLED = ("ALTER TABLE reconciled ADD COLUMN billed_usd TEXT",)
"""What the bill has for machines of ours, after commitments; NULL in notes of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciledRow:
    """A bill that the ledger was made to agree with, by which corrections.

    `filed_usd` is the whole file's, `billed_usd` that of machines of ours, after commitments, None
    where it was not noted; `usd` is the sum of the corrections.
    """

    month: str
    at: datetime
    format: str
    sha256: str
    files: str
    filed_usd: Decimal
    first_id: int
    entries: int
    usd: Decimal
    billed_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRow:
    """A report of a month's charges that went out: what it was made of, and its totals."""

    month: str
    at: datetime
    last_id: int
    lines: int
    billed_usd: Decimal
    effective_usd: Decimal
    sha256: str


def write_reconciled(db: sqlite3.Connection, row: ReconciledRow) -> None:
    """Notes a reconciliation within a transaction."""
    db.execute(
        """INSERT INTO reconciled (month, at, format, sha256, files, filed_usd, first_id, entries,
        usd, billed_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (row.month, sorting_text(row.at), row.format, row.sha256, row.files, str(row.filed_usd),
         row.first_id, row.entries, str(row.usd),
         None if row.billed_usd is None else str(row.billed_usd)),
    )  # fmt: skip


def read_reconciled(db: sqlite3.Connection, month: str) -> tuple[ReconciledRow, ...]:
    """The reconciliations of a month, in order."""
    rows = db.execute(
        """SELECT month, at, format, sha256, files, filed_usd, first_id, entries, usd, billed_usd
        FROM reconciled WHERE month = ? ORDER BY id""",
        (month,),
    )
    return tuple(
        ReconciledRow(
            month=name, at=datetime.fromisoformat(at), format=form, sha256=sha256, files=files,
            filed_usd=Decimal(filed), first_id=first, entries=entries, usd=Decimal(usd),
            billed_usd=None if billed is None else Decimal(billed),
        )
        for name, at, form, sha256, files, filed, first, entries, usd, billed in rows
    )  # fmt: skip


def write_issued(db: sqlite3.Connection, row: IssuedRow) -> None:
    """Notes within a transaction that a report went out."""
    db.execute(
        """INSERT INTO issued (month, at, last_id, lines, billed_usd, effective_usd, sha256)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (row.month, sorting_text(row.at), row.last_id, row.lines, str(row.billed_usd),
         str(row.effective_usd), row.sha256),
    )  # fmt: skip


def read_issued(db: sqlite3.Connection, month: str) -> tuple[IssuedRow, ...]:
    """The issued reports of a month, in order."""
    rows = db.execute(
        """SELECT month, at, last_id, lines, billed_usd, effective_usd, sha256
        FROM issued WHERE month = ? ORDER BY id""",
        (month,),
    )
    return tuple(
        IssuedRow(
            month=name, at=datetime.fromisoformat(at), last_id=last, lines=lines,
            billed_usd=Decimal(billed), effective_usd=Decimal(effective), sha256=sha256,
        )
        for name, at, last, lines, billed, effective, sha256 in rows
    )  # fmt: skip
