"""Work that was finished, in steps of a quarter of an hour: by node, prefix, span and tags."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from costplan.planner.work import WorkBatch, WorkRow, WorkWindow

KEEP_WORK_DAYS = 400
"""A year's report can be made a month after its end."""
STEP_MS = 900_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SEEN = "work_seen"

NodeOf = Callable[[str], str]
"""The node of a worker, by name; '' where it is on none of ours."""


def write_work(db: sqlite3.Connection, batch: WorkBatch, node_of: NodeOf) -> None:
    """Adds windows to their steps, each once: which were taken is kept with them."""
    scheduler_id, last = read_seen(db)
    if scheduler_id != batch.scheduler_id:
        last = 0
    labels: dict[tuple[str, str, str], int] = {}
    new = [window for window in batch.windows if window.number > last]
    for window in new:
        _write_window(db, window, node_of, labels)
    if new:
        seen = json.dumps([batch.scheduler_id, new[-1].number])
        db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (_SEEN, seen))


def read_seen(db: sqlite3.Connection) -> tuple[str, int]:
    """The scheduler whose windows were taken last, and the number of the last of them."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_SEEN,)).fetchone()
    if row is None:
        return "", 0
    scheduler_id, number = json.loads(row[0])
    return str(scheduler_id), int(number)


def read_work(
    db: sqlite3.Connection, start: datetime | None, end: datetime | None
) -> Iterator[WorkRow]:
    """Rows that touch [start, end), in the order of their start, node and label."""
    first = 0 if start is None else _ms(start)
    last = 2**62 if end is None else _ms(end)
    for begins, ends, node_id, prefix, span, tags, busy_us, tasks, rows in db.execute(
        """SELECT w.start, w."end", w.node_id, l.prefix, l.span, l.tags, w.busy_us, w.tasks, w.rows
        FROM work w JOIN work_labels l ON l.id = w.label
        WHERE w.step > ?1 - ?3 AND w."end" > ?1 AND w.start < ?2
        ORDER BY w.start, w.node_id, w.label""",
        (first, last, 2 * STEP_MS),
    ):
        yield WorkRow(
            start=_EPOCH + begins * _MS,
            end=_EPOCH + ends * _MS,
            node_id=node_id,
            prefix=prefix,
            span=tuple(json.loads(span)),
            tags=MappingProxyType(json.loads(tags)),
            busy_seconds=busy_us / 1e6,
            tasks=tasks,
            rows=rows,
        )


def drop_old_work(db: sqlite3.Connection, now: datetime) -> None:
    """Lets go of steps that no report asks for any more, and of labels without one."""
    oldest = _ms(now - timedelta(days=KEEP_WORK_DAYS))
    if db.execute("DELETE FROM work WHERE step < ?", (oldest,)).rowcount:
        db.execute("DELETE FROM work_labels WHERE id NOT IN (SELECT label FROM work)")


def _write_window(
    db: sqlite3.Connection,
    window: WorkWindow,
    node_of: NodeOf,
    labels: dict[tuple[str, str, str], int],
) -> None:
    start, end = _ms(window.start), _ms(window.end)
    step = (end - 1) // STEP_MS * STEP_MS if end else 0
    rows = [
        (step, node_of(each.worker), _label(db, labels, each.prefix, each), start, end,
         round(each.busy_seconds * 1e6), each.tasks, 0)
        for each in window.work
    ]  # fmt: skip
    rows += [
        (step, "", _label(db, labels, "", each), start, end, 0, 0, each.rows)
        for each in window.reported
    ]
    db.executemany(
        """INSERT INTO work (step, node_id, label, start, "end", busy_us, tasks, rows)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        start = min(start, excluded.start), "end" = max("end", excluded."end"),
        busy_us = busy_us + excluded.busy_us, tasks = tasks + excluded.tasks,
        rows = rows + excluded.rows""",
        rows,
    )


def _label(
    db: sqlite3.Connection, labels: dict[tuple[str, str, str], int], prefix: str, of: Any
) -> int:
    """The number of a prefix, span and tags, which gets one where it is new."""
    key = (prefix, json.dumps(list(of.span)), json.dumps(dict(of.tags), sort_keys=True))
    known = labels.get(key)
    if known is None:
        db.execute("INSERT OR IGNORE INTO work_labels (prefix, span, tags) VALUES (?, ?, ?)", key)
        query = "SELECT id FROM work_labels WHERE prefix = ? AND span = ? AND tags = ?"
        known = labels[key] = int(db.execute(query, key).fetchone()[0])
    return known


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MS
