"""What is to be delivered, and what was: rows of the store, written before anything is sent.

A delivery waits until it is sent or a person drops it, whatever happens to the process. Before
each try it is marked as begun; one that is found begun was interrupted, and is tried again under
the same key.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from costplan.adapters.instants import sorting_text
from costplan.adapters.store.database import BUSY_MILLISECONDS, connect, told
from costplan.planner.delivered import Deliveries
from costplan.planner.errors import InputError

WAITING, COVERED = "waiting", "covered"
"""Covered is what need not be sent, as another says more. The other states are sent, empty (there
was nothing to report) and dropped."""

INTERRUPTED = "it was interrupted"
_KEPT = timedelta(days=400)
_COLUMNS = (
    "id, key, kind, channel, title, body, state, made_at, due_at, attempts, problem, "
    "ended_at, receipt"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What is to be delivered. The same `key` is never taken twice."""

    key: str
    kind: str
    channel: str
    title: str
    body: Mapping[str, str]
    is_covered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row: `receipt` says what was sent where, `problem` why the last try failed."""

    delivery_id: int
    key: str
    kind: str
    channel: str
    title: str
    body: Mapping[str, str]
    state: str
    made_at: datetime
    due_at: datetime
    attempts: int
    problem: str
    ended_at: datetime | None
    receipt: str


class Outbox:
    """The deliveries of a store, over a connection of their own: nothing here waits for a tick."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._db, self._lock = path, connection, threading.Lock()

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """The deliveries of a store that is of the newest version; raises StoreError."""
        reading = connect(path, read_only=True)
        if read_only:
            return cls(path, reading)
        reading.close()
        with told(path):
            db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_MILLISECONDS / 1000,
            )
            db.execute("PRAGMA synchronous=FULL")
        return cls(path, db)

    def close(self) -> None:
        """Gives the file back."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, told(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, told(self.path):
            return self._db.execute(query, values).fetchall()

    def add(self, new: Iterable[New], marks: Mapping[str, datetime], now: datetime) -> int:
        """Takes in what is new, and up to when was looked for it, at once; gives how many were."""
        at = sorting_text(now)
        with self._writing() as db:
            before = db.total_changes
            db.executemany(
                """INSERT OR IGNORE INTO deliveries
                (key, kind, channel, title, body, state, made_at, due_at, attempts, is_begun,
                problem, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', '')""",
                [
                    (
                        each.key, each.kind, each.channel, each.title,
                        json.dumps(dict(each.body), sort_keys=True),
                        COVERED if each.is_covered else WAITING, at, at,
                    )
                    for each in new
                ],
            )  # fmt: skip
            added = db.total_changes - before
            db.executemany(
                "INSERT OR REPLACE INTO delivery_marks VALUES (?, ?)",
                [(name, sorting_text(mark)) for name, mark in marks.items()],
            )
        return added

    def marks(self) -> dict[str, datetime]:
        """Up to when was looked for what, by name."""
        rows = self._rows("SELECT name, at FROM delivery_marks")
        return {name: datetime.fromisoformat(at) for name, at in rows}

    def due(self, now: datetime) -> tuple[Delivery, ...]:
        """What waits and may be tried now, oldest first; what was interrupted is among it."""
        where = "WHERE state = 'waiting' AND (due_at <= ? OR is_begun = 1) ORDER BY id"
        return self._found(where, sorting_text(now))

    def has_due(self, now: datetime) -> bool:
        """True where there is something to try now."""
        query = "SELECT 1 FROM deliveries WHERE state = 'waiting' AND due_at <= ? LIMIT 1"
        return bool(self._rows(query, sorting_text(now)))

    def listed(self, *, waiting_only: bool = False, limit: int = 50) -> tuple[Delivery, ...]:
        """The newest, newest first."""
        which = "WHERE state = 'waiting' " if waiting_only else ""
        return self._found(f"{which}ORDER BY id DESC LIMIT ?", limit)

    def _found(self, which: str, *values: Any) -> tuple[Delivery, ...]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM deliveries {which}", *values)  # noqa: S608 - ours
        return tuple(_delivery(row) for row in rows)

    def begin(self, delivery_id: int, next_at: datetime) -> bool:
        """Notes a try before it is made, and when the next is due should this one not end. False
        where it does not wait any more."""
        with self._writing() as db:
            done = db.execute(
                """UPDATE deliveries SET attempts = attempts + 1, is_begun = 1, problem = ?,
                due_at = ? WHERE id = ? AND state = 'waiting'""",
                (INTERRUPTED, sorting_text(next_at), delivery_id),
            )
            return done.rowcount == 1

    def sent(self, delivery_id: int, receipt: str, now: datetime) -> None:
        """That it is done."""
        with self._writing() as db:
            db.execute(
                """UPDATE deliveries SET state = 'sent', is_begun = 0, problem = '', receipt = ?,
                ended_at = ? WHERE id = ?""",
                (receipt, sorting_text(now), delivery_id),
            )

    def empty(self, delivery_id: int, reason: str, now: datetime) -> None:
        """That there is nothing to send."""
        with self._writing() as db:
            db.execute(
                """UPDATE deliveries SET state = 'empty', is_begun = 0, problem = '', receipt = ?,
                ended_at = ? WHERE id = ?""",
                (reason, sorting_text(now), delivery_id),
            )

    def failed(self, delivery_id: int, problem: str, next_at: datetime) -> None:
        """That a try failed, why, and when the next is due."""
        with self._writing() as db:
            db.execute(
                "UPDATE deliveries SET is_begun = 0, problem = ?, due_at = ? WHERE id = ?",
                (problem, sorting_text(next_at), delivery_id),
            )

    def retry(self, ids: Iterable[int], now: datetime) -> int:
        """Has what waits tried at once; gives how many. Raises InputError where one does not
        wait."""
        return self._change(ids, "due_at = ?", sorting_text(now))

    def drop(self, ids: Iterable[int], now: datetime) -> int:
        """Gives up on what waits; raises InputError where one does not wait."""
        return self._change(ids, "state = 'dropped', ended_at = ?", sorting_text(now))

    def _change(self, ids: Iterable[int], change: str, value: str) -> int:
        count = 0
        with self._writing() as db:
            for delivery_id in ids:
                done = db.execute(
                    f"UPDATE deliveries SET {change} WHERE id = ? AND state = 'waiting'",  # noqa: S608 - ours
                    (value, delivery_id),
                )
                if done.rowcount != 1:
                    row = db.execute(
                        "SELECT state FROM deliveries WHERE id = ?", (delivery_id,)
                    ).fetchone()
                    problem = "is no delivery" if row is None else f"is {row[0]} already"
                    way_out = "`costplan deliveries list` shows what waits"
                    raise InputError(f"delivery {delivery_id}", problem, way_out)
                count += 1
        return count

    def prune(self, now: datetime) -> None:
        """Lets go of what ended more than 400 days ago."""
        with self._writing() as db:
            db.execute(
                "DELETE FROM deliveries WHERE state != 'waiting' AND made_at < ?",
                (sorting_text(now - _KEPT),),
            )

    def summary(self) -> Deliveries:
        """How deliveries stand."""
        [(waiting, failing)] = self._rows(
            "SELECT count(*), coalesce(sum(problem != ''), 0) FROM deliveries "
            "WHERE state = 'waiting'"
        )
        row = self._rows(
            """SELECT title, problem, due_at FROM deliveries WHERE state = 'waiting'
            AND problem != '' ORDER BY due_at LIMIT 1"""
        )
        last = self._rows("SELECT max(ended_at) FROM deliveries WHERE state = 'sent'")[0][0]
        return Deliveries(
            waiting=waiting,
            failing=failing,
            failing_title=row[0][0] if row else "",
            problem=row[0][1] if row else "",
            next_try_at=datetime.fromisoformat(row[0][2]) if row else None,
            last_sent_at=None if last is None else datetime.fromisoformat(last),
        )


def summary_of(path: Path) -> Deliveries:
    """How the deliveries of a store stand; raises StoreError."""
    with Outbox.open(path, read_only=True) as outbox:
        return outbox.summary()


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        delivery_id=row[0], key=row[1], kind=row[2], channel=row[3], title=row[4],
        body=json.loads(row[5]), state=row[6], made_at=datetime.fromisoformat(row[7]),
        due_at=datetime.fromisoformat(row[8]), attempts=row[9], problem=row[10],
        ended_at=None if row[11] is None else datetime.fromisoformat(row[11]), receipt=row[12],
    )  # fmt: skip
