"""Opens the book of a store: its ledger as charge lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from costplan.adapters.clock import utc_now
from costplan.adapters.finance import lines_sql
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.stage import Stage
from costplan.adapters.store.store import Store
from costplan.planner.errors import InputError
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger_cuts import within


def open_book(
    path: Path,
    *,
    month: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    terms: Terms | None = None,
) -> Book:
    """The charge lines of a store's ledger in a month ('2026-10', of UTC) or in [start, end).

    Without `terms`, those of the last tick count. The caller closes the book. A time without
    entries is a book without lines. Raises StoreError, and InputError where the month is none.
    """
    if month is not None:
        start, end = month_bounds(month)
    with Store.open(path, read_only=True, clock=utc_now) as store:
        entries = within(store.entries(start, end), start, end)
        nodes = {node.node_id: node for node in store.nodes()}
        terms = terms or _terms(store)
    stage = Stage(account=terms.account)
    for number, entry in enumerate(entries, start=1):
        stage.add(number, entry, entry.end, nodes.get(entry.node_id))
    book = Book()
    try:
        stage.fill(book.db)
        make_lines(book, terms)
    except BaseException:
        book.db.close()
        raise
    return book


def make_lines(book: Book, terms: Terms) -> None:
    """The view `lines` of what is staged."""
    owner, db = terms.owner, book.db
    db.execute(
        "CREATE TABLE terms AS SELECT ? AS cluster, ? AS team, ? AS project, ? AS cost_center, "
        "? AS environment, ? AS tags",
        [terms.cluster, owner.team, owner.project, owner.cost_center, owner.environment,
         json.dumps(dict(terms.tags), sort_keys=True, ensure_ascii=False)],
    )  # fmt: skip
    for statement in (lines_sql.BUSY, lines_sql.SHARES, lines_sql.FACTS, lines_sql.view()):
        db.execute(statement)


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """The first instants of a month ('2026-10') and of the next; raises InputError."""
    try:
        begin = datetime.strptime(f"{month}-01", "%Y-%m-%d").replace(tzinfo=UTC)
        if len(month) != 7:
            raise ValueError(month)
    except ValueError as error:
        raise InputError(f"month {month}", "is no month", "write it like 2026-10") from error
    years, next_month = divmod(begin.month, 12)
    return begin, begin.replace(year=begin.year + years, month=next_month + 1)


def _terms(store: Store) -> Terms:
    tick = store.last_tick()
    if tick is None:
        return Terms()
    return Terms(cluster=tick.settings.cluster, tags=tick.settings.tags)
