"""What the store lets go of: old ticks and what only they referred to. The ledger is kept."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from costplan.adapters.store.demand import drop_old_demand
from costplan.adapters.store.journal import drop_forgotten
from costplan.adapters.store.parts import split
from costplan.adapters.store.work import drop_old_work

KEEP_QUIET = 1_000
KEEP_DECIDED = 5_000
KEEP_DAYS = 7
MOST_STEP = timedelta(hours=6)
"""How far the instant that ages are counted to moves at a time, every ten minutes: a clock that is
years ahead at boot, until it is set, takes nothing along at once. After a month without a daemon
it takes 20 hours."""
_AGED_TO = "aged_to"


def prune(db: sqlite3.Connection, now: datetime) -> None:
    """Drops ticks beyond their number or age, parts without a tick, old intents and old demand.

    The newest tick stays, whatever its age; ticks that made a plan or acted are kept longer.
    """
    now = _aged_to(db, now)
    old = (now - timedelta(days=KEEP_DAYS)).isoformat()
    for is_quiet, keep in ((1, KEEP_QUIET), (0, KEEP_DECIDED)):
        db.execute(
            """DELETE FROM ticks WHERE is_quiet = ?1 AND seq < (SELECT max(seq) FROM ticks)
            AND (at < ?2 OR seq <= coalesce((SELECT seq FROM ticks WHERE is_quiet = ?1
            ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0))""",
            (is_quiet, old, keep),
        )
    _drop_parts(db)
    db.execute("DELETE FROM intents WHERE outcome IS NOT NULL AND ended_at < ?", (old,))
    drop_forgotten(db, old)
    drop_old_demand(db, now)
    drop_old_work(db, now)


def _aged_to(db: sqlite3.Connection, now: datetime) -> datetime:
    """The instant that ages are counted to: what the clock says, but not much later than the last
    time."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_AGED_TO,)).fetchone()
    found = now if row is None else min(now, datetime.fromisoformat(row[0]) + MOST_STEP)
    said = (_AGED_TO, found.isoformat())
    db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", said)
    return found


def _drop_parts(db: sqlite3.Connection) -> None:
    """Drops the parts that no tick and not the state refers to, through others neither."""
    used: set[bytes] = set()
    for table in ("ticks", "state"):
        for (refs,) in db.execute(f"SELECT refs FROM {table} WHERE refs IS NOT NULL"):  # noqa: S608 - ours
            used.update(split(refs))
    for digest, parts in db.execute("SELECT digest, parts FROM blobs WHERE parts != x''"):
        if digest in used:
            used.update(split(parts))
    dead = [row for row in db.execute("SELECT digest FROM blobs") if row[0] not in used]
    db.executemany("DELETE FROM blobs WHERE digest = ?", dead)
