"""What the store lets go of: old ticks and what only they referred to. The ledger is kept."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

KEEP_OBSERVED = 1_000
KEEP_PLANNED = 5_000
KEEP_DAYS = 7


def prune(db: sqlite3.Connection, now: datetime) -> None:
    """Drops ticks beyond their number or age, blobs without a tick, and outcomes that are old.

    The newest tick stays, whatever its age; ticks that made a plan are kept longer.
    """
    old = (now - timedelta(days=KEEP_DAYS)).isoformat()
    for has_plan, keep in ((0, KEEP_OBSERVED), (1, KEEP_PLANNED)):
        db.execute(
            """DELETE FROM ticks WHERE has_plan = ?1 AND seq < (SELECT max(seq) FROM ticks)
            AND (at < ?2 OR seq <= coalesce((SELECT seq FROM ticks WHERE has_plan = ?1
            ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0))""",
            (has_plan, old, keep),
        )
    db.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM tick_blobs)")
    db.execute("DELETE FROM intents WHERE outcome IS NOT NULL AND ended_at < ?", (old,))
