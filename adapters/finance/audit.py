"""Whether a ledger adds up: charged once and without holes, as closed, and archives whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from costplan.adapters.finance.archive import check_archive
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.stage import Window, stage
from costplan.adapters.store.archived import read_archives
from costplan.adapters.store.entries import KINDS, instant_of
from costplan.adapters.store.months import digest_of
from costplan.planner.errors import InputError, StoreError
from costplan.planner.units import usd_from_pico

_SWEEP = f"""
CREATE TABLE sweep AS
WITH steps AS (
    SELECT node_id, charge, start_us AS at_us,
        CASE kind WHEN {KINDS.index("usage")} THEN 1 ELSE -1 END AS step
    FROM entries JOIN items USING (item)
    UNION ALL
    SELECT node_id, charge, end_us, CASE kind WHEN {KINDS.index("usage")} THEN -1 ELSE 1 END
    FROM entries JOIN items USING (item)
), summed AS (
    SELECT node_id, charge, at_us, sum(step) AS step FROM steps GROUP BY ALL
)
SELECT node_id, charge, at_us, lead(at_us) OVER life AS to_us,
    sum(step) OVER (life ROWS UNBOUNDED PRECEDING) AS times
FROM summed WINDOW life AS (PARTITION BY node_id, charge ORDER BY at_us)
"""  # noqa: S608 - ours
"""How many times each stretch of a node's time is charged, less what was taken back."""

_TWICE = """SELECT node_id, charge, at_us, to_us FROM sweep
    WHERE to_us IS NOT NULL AND times NOT IN (0, 1) ORDER BY ALL LIMIT 6"""
_HOLES = """
SELECT node_id, charge, at_us, to_us FROM (
    SELECT *, max(CASE WHEN times = 1 THEN to_us END) OVER (PARTITION BY node_id, charge) AS last_us
    FROM sweep WHERE charge = 'machine')
WHERE times = 0 AND to_us <= last_us AND (node_id, to_us) NOT IN (
    SELECT node_id, start_us FROM entries JOIN items USING (item) JOIN recordings USING (recording)
    WHERE reason = 'actuals')
ORDER BY ALL LIMIT 6"""
"""Time between charges of a node that nothing is charged for. A bill may have time of a machine
that nobody here saw, with such a hole before it."""

_STARTS = """SELECT node_id, min(start_us) FROM entries JOIN items USING (item)
    JOIN recordings USING (recording) WHERE charge = 'machine' AND reason != 'actuals' GROUP BY 1"""


def audit(
    db: sqlite3.Connection, path: Path, launches: dict[str, datetime]
) -> Iterator[tuple[str, str]]:
    """What is wrong with the ledger of a store: what, and what to do about it.

    `launches` are when nodes were launched: they are charged from then on. Of archived months the
    digest and the sums are checked, and their entries with all others.
    """
    report = "please report it, with a copy of the store"
    restore = "put the file or the store of a backup in its place (docs/ledger.md)"
    for archive in read_archives(db, path):
        wrong = check_archive(db, path, archive.month)
        if wrong:
            yield f"the archive of {archive.month}: {wrong}", restore
            return
    for month, digest in db.execute("SELECT month, digest FROM closed ORDER BY month"):
        if digest_of(db, month) != digest:
            yield f"{month} is not what it was when it was closed", restore
    with Book(spill=True) as book:
        try:
            stage(book.db, db, path, Window(), lambda _: None)
        except StoreError:
            raise
        except InputError as error:
            yield f"{error.subject} {error.problem}", restore
            return
        for first, count, pico in _sums(db, book):
            yield f"the block of entry {first} has {count} and {pico}", restore
        book.db.execute(_SWEEP)
        for what, query in (("charged twice", _TWICE), ("not charged", _HOLES)):
            found = book.rows(query)
            if found:
                yield f"{_said(found)} {what}", report
        late = [
            f"{node} from {instant_of(at):%Y-%m-%d %H:%M:%S} on"
            for node, at in book.rows(_STARTS)
            if node in launches and abs(instant_of(at) - launches[node]) > timedelta(microseconds=1)
        ]
        if late:
            more = f" and {len(late) - 5} more" if len(late) > 5 else ""
            yield f"not charged from their launch: {', '.join(sorted(late)[:5])}{more}", report


def _sums(db: sqlite3.Connection, book: Book) -> Iterator[tuple[int, str, str]]:
    """Blocks whose entries are not those that their heads say."""
    there = {
        first: (count, int(pico))
        for first, count, pico in book.rows(
            "SELECT recording, count(*), sum(pico) FROM entries GROUP BY 1"
        )
    }
    for first, rows, pico in db.execute("SELECT first_id, rows, pico FROM entries"):
        count, total = there.get(first, (0, 0))
        if (count, total) != (rows, pico):
            yield (
                first,
                f"{count} of {rows} entries",
                f"${usd_from_pico(total)} of ${usd_from_pico(pico)}",
            )


def _said(found: list[tuple[str, str, int, int]]) -> str:
    names = [
        f"{node} ({charge}) {instant_of(start):%Y-%m-%d %H:%M:%S} to {instant_of(end):%H:%M:%S}"
        for node, charge, start, end in found[:5]
    ]
    return ", ".join(names) + (" and more" if len(found) > 5 else "")
