"""Task-time that was spent on results that had been there before and were lost."""

from __future__ import annotations

import sqlite3

from costplan.adapters.store.entries import micros
from costplan.adapters.store.records import TickCommit

TABLE = """CREATE TABLE again (
    id INTEGER PRIMARY KEY, begin_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
    recomputed_us INTEGER NOT NULL)"""


def write_again(db: sqlite3.Connection, tick: TickCommit) -> None:
    """Notes what the scheduler counted as recomputed since it was last heard. One that started
    anew counts from zero."""
    load, before = tick.readings.load, tick.state_before.load
    if load is None:
        return
    is_same = before is not None and before.scheduler_id == load.scheduler_id
    since = before if is_same else None
    seconds = load.totals.recomputed_seconds - (since.totals.recomputed_seconds if since else 0.0)
    if seconds > 0:
        end = micros(load.at)
        window = round(max(load.window_seconds, 1e-6) * 1e6)
        begin = micros(since.at) if since and since.at < load.at else end - window
        db.execute(
            "INSERT INTO again (begin_us, end_us, recomputed_us) VALUES (?, ?, ?)",
            (begin, end, round(seconds * 1e6)),
        )
