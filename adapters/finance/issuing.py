"""Notes that a month's report went out, and says what has changed of that month since."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from costplan.adapters.finance.book import Book, decimal_of
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.stage import Told
from costplan.adapters.store.database import connect, told
from costplan.adapters.store.entries import next_id
from costplan.adapters.store.reconciled import (
    IssuedRow,
    read_issued,
    read_reconciled,
    write_issued,
)
from costplan.planner.errors import InputError
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger_months import month_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceIssued:
    """What a month's charges are now, less what the last issued report of it said; by whom the
    change falls on: (team, billed dollars), largest first."""

    issued: IssuedRow
    billed_usd: Decimal
    effective_usd: Decimal
    by_team: tuple[tuple[str, Decimal], ...]


def issue(path: Path, month: str, now: datetime, terms: Terms | None = None) -> IssuedRow:
    """Notes the control totals of all charges of a month as they stand.

    Raises InputError where it has none, or StoreError.
    """
    start, end = month_bounds(month)
    with open_book(path, start=start, end=end, terms=terms) as book:
        lines, billed, effective, text = _totals(book)
    if not lines:
        raise InputError(f"month {month}", "has no charges", "`costplan ledger months` lists all")
    with closing(connect(path, read_only=False)) as db, told(path):
        db.execute("BEGIN IMMEDIATE")
        row = IssuedRow(
            month=month,
            at=now,
            last_id=next_id(db) - 1,
            lines=lines,
            billed_usd=billed,
            effective_usd=effective,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        write_issued(db, row)
        db.execute("COMMIT")
    return row


def last_billed(path: Path, month: str) -> Decimal | None:
    """What the last bill that was restated by has for a month's machines of ours, after
    commitments; None where there was none. Raises StoreError."""
    with closing(connect(path, read_only=True)) as db, told(path):
        rows = read_reconciled(db, month)
    return rows[-1].billed_usd if rows else None


def since_issued(
    path: Path, month: str, terms: Terms | None = None, progress: Told = lambda _: None
) -> SinceIssued | None:
    """What changed of a month since its last issued report, None where none was issued."""
    start, end = month_bounds(month)
    with closing(connect(path, read_only=True)) as db, told(path):
        rows = read_issued(db, month)
    if not rows:
        return None
    last = rows[-1]
    progress("comparing with the report that was issued")
    with open_book(path, start=start, end=end, terms=terms) as book:
        _, billed, effective, _ = _totals(book)
        now = _by_team(book)
    with open_book(path, start=start, end=end, as_of=last.at, terms=terms) as book:
        then = _by_team(book)
    teams = {team: now.get(team, Decimal(0)) - then.get(team, Decimal(0)) for team in now | then}
    changed = sorted(
        ((team, usd) for team, usd in teams.items() if usd), key=lambda row: (-abs(row[1]), row[0])
    )
    return SinceIssued(
        issued=last,
        billed_usd=billed - last.billed_usd,
        effective_usd=effective - last.effective_usd,
        by_team=tuple(changed),
    )


def _totals(book: Book) -> tuple[int, Decimal, Decimal, str]:
    """Lines and both totals, and a text that is the same for the same lines."""
    [(lines, billed, effective, last, times)] = book.rows(
        """SELECT count(*), sum(billed_usd), sum(effective_usd), max(entry_id),
        sum(micros::HUGEINT) FROM lines"""
    )
    billed, effective = decimal_of(billed), decimal_of(effective)
    return lines, billed, effective, f"{lines} {last} {times} {billed} {effective}"


def _by_team(book: Book) -> dict[str, Decimal]:
    rows = book.rows("SELECT team, sum(billed_usd) FROM lines GROUP BY 1 ORDER BY 1")
    return {team: decimal_of(usd) for team, usd in rows}
