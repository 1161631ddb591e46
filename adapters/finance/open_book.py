"""Opens the book of a store: its ledger as charge lines, and the work that they paid for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.adapters.finance import lines_sql, share_sql
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.busy import make_busy
from costplan.adapters.finance.covering import Covering, add_charges, held_rows
from costplan.adapters.finance.refunds import (
    GivenBack,
    given_back,
    stage_given_back,
    stage_refunded,
)
from costplan.adapters.finance.stage import Told, Window, stage
from costplan.adapters.finance.stage_work import make_work, stage_again, stage_done
from costplan.adapters.finance.standing_sql import late_months, make_standing
from costplan.adapters.finance.whose import make_payers, make_whose, read_people
from costplan.adapters.store.database import connect, told
from costplan.adapters.store.entries import instant_of, micros
from costplan.planner.errors import InputError, StoreError
from costplan.planner.finance.sharing import Method
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger_months import month_bounds

if TYPE_CHECKING:
    import duckdb

_HOUR_US = 3_600_000_000
_MOST_IN_MEMORY = 2_000_000
"""Entries; a book of more is on disk."""
_DAMAGED = ("entry ", "work ")


def open_book(  # noqa: PLR0913 - all by name, and each has a default
    path: Path,
    *,
    month: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    terms: Terms | None = None,
    progress: Told = lambda _: None,
) -> Book:
    """The charge lines of a store's ledger: those issued in a month ('2026-10', of UTC), or those
    of the time [start, end), cut at its borders; as it stood at `as_of`, where that is given.

    Without `terms` the cluster, its owner and its tags are those that were noted. `progress` hears
    what is done, in words. The caller closes the book. A time without entries is a book without
    lines. Raises StoreError where the store or an archive cannot be read, and InputError where the
    month is none or commitments contradict the ledger.
    """
    if month is not None and (start is not None or end is not None):
        raise InputError("a book", "is asked for by month and by time", "give one of them")
    span = (start, end) if month is None else month_bounds(month)
    window = Window(month=month, start=start, end=end, as_of=as_of)
    with closing(connect(path, read_only=True)) as db, told(path):
        db.execute("BEGIN")
        rows = db.execute("SELECT sum(rows) FROM entries").fetchone()[0] or 0
        book = Book(spill=rows > _MOST_IN_MEMORY)
        asked = _Asked(book.db, db, path, window, span, terms or Terms(), progress)
        try:
            _fill(asked)
        except InputError as error:
            book.close()
            if not error.subject.startswith(_DAMAGED):
                raise
            problem = f"is damaged: {error.subject} {error.problem}"
            raise StoreError(str(path), problem, error.remedy) from error
        except BaseException:
            book.close()
            raise
    return book


@dataclass(frozen=True, slots=True)
class _Asked:
    """A book that is being made, and of what."""

    duck: duckdb.DuckDBPyConnection
    db: sqlite3.Connection
    path: Path
    window: Window
    span: tuple[datetime | None, datetime | None]
    terms: Terms
    progress: Told


def _fill(asked: _Asked) -> None:
    """All tables of a book; see `lines_sql` for what each is."""
    duck, db, terms, progress = asked.duck, asked.db, asked.terms, asked.progress
    stage(duck, db, asked.path, asked.window, progress)
    if terms.account:
        duck.execute("UPDATE items SET account = ? WHERE account = ''", [terms.account])
    progress("finding what ran")
    make_busy(duck)
    duck.execute(lines_sql.SHARES)
    measures = _pay(asked)
    has_work = stage_done(duck, db, asked.span)
    if has_work:
        progress("sharing out work")
        duck.execute(share_sql.WEIGHTS)
    duck.execute(share_sql.told(measures) if has_work else share_sql.UNTOLD)
    source = "told"
    if stage_again(duck, db, asked.span):
        duck.execute(share_sql.REDO)
        duck.execute(share_sql.redone(measures))
        source = "redone"
    people = read_people(duck, db, terms)
    duck.execute(lines_sql.owned(source))
    is_shared = terms.sharing.method is not Method.APART
    if is_shared:
        progress("sharing out what no work can be named for")
        effective = "effective_pico" if "effective_pico" in measures else "billed_pico"
        make_payers(duck, people, terms.sharing, effective)
        duck.execute(share_sql.borne(terms.sharing.purposes, measures))
    [(refunded,)] = duck.execute("SELECT count(*) FROM refunded").fetchall()
    is_simple = not (has_work or is_shared or terms.commitments or refunded or source != "told")
    progress("writing lines")
    final = "borne" if is_shared else "owned"
    duck.execute(lines_sql.facts(final, measures, is_simple=is_simple))
    make_whose(duck, people)
    duck.execute(lines_sql.view(measures))
    make_work(duck, people)
    _drop(duck)


def _pay(asked: _Asked) -> tuple[str, ...]:
    """Makes `parts`: who pays for each entry, and what it did; gives what is measured of them."""
    duck, db, terms = asked.duck, asked.db, asked.terms
    duck.execute(
        "CREATE TABLE held (held BIGINT, commitment_id VARCHAR, kind VARCHAR, unit VARCHAR)"
    )
    hours = _hours(asked) if terms.commitments else None
    measures = lines_sql.BARE if hours is None else lines_sql.FULL
    covering = None
    is_refunded = stage_refunded(duck, db, terms.rules)
    if hours is None:
        duck.execute(lines_sql.PAID)
    else:
        rows = held_rows(terms.commitments)
        duck.executemany("INSERT INTO held VALUES (?, ?, ?, ?)", [list(row) for row in rows])
        covering = Covering(duck, terms, hours, asked.progress)
    if is_refunded or covering is not None:
        _pay_by_month(duck, covering, is_refunded=is_refunded)
    duck.execute(lines_sql.parts(measures, is_final=not (is_refunded or terms.commitments)))
    if is_refunded:
        duck.execute(lines_sql.refunds(measures))
    if covering is not None:
        duck.execute(lines_sql.moved(measures))
        add_charges(duck, covering.charges, terms, asked.window.month)
    return measures


def _pay_by_month(
    duck: duckdb.DuckDBPyConnection, covering: Covering | None, *, is_refunded: bool
) -> None:
    """What is covered and given back of what was issued in time, and what each later month that
    corrects it changes of that: a month that is closed stays as it is."""
    make_standing(duck, 0)
    if covering is not None:
        covering.begin()
    stages = list[GivenBack]()
    if is_refunded:
        stages.append((None, given_back(duck)))
    for month_us, recording in late_months(duck):
        make_standing(duck, month_us)
        if covering is not None:
            covering.go_on(month_us, recording)
        if is_refunded:
            stages.append((recording, given_back(duck)))
    if is_refunded:
        stage_given_back(duck, stages)


def _hours(asked: _Asked) -> tuple[datetime, datetime] | None:
    """The hours in which commitments are looked at: those of the time asked for that are over, as
    far as the ledger goes, or longer where the terms say so."""
    [(first_us,)] = asked.duck.execute("SELECT min(start_us) FROM entries").fetchall()
    row = asked.db.execute("SELECT max(end_us) FROM entries").fetchone()
    if row is None or row[0] is None:
        return None
    begin = asked.span[0] or (None if first_us is None else instant_of(first_us))
    last = instant_of(-(-row[0] // _HOUR_US) * _HOUR_US)
    if asked.terms.until is not None:
        last = max(last, instant_of(micros(asked.terms.until) // _HOUR_US * _HOUR_US))
    end = last if asked.span[1] is None else min(asked.span[1], last)
    if begin is None or begin >= end:
        return None
    return begin, end


def _drop(duck: duckdb.DuckDBPyConnection) -> None:
    """Lets go of the steps; what is left is what `lines` and `work` are made of."""
    duck.execute("DROP VIEW owned")
    for name in ("borne", "redone", "told", "parts", "paid", "covered", "segments", "pieces",
                 "weights", "payers", "redo", "again", "shares", "busy", "given_back", "standing",
                 "issued", "kinds", "touched", "paid_now", "paid_before", "moved",
                 "entries"):  # fmt: skip
        kinds = duck.execute(
            "SELECT table_type FROM information_schema.tables WHERE table_name = ?", [name]
        ).fetchall()
        for (kind,) in kinds:
            duck.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {name}")
