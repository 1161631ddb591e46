"""What clusters that share commitments may use of each: one SQLite file for an account.

A cluster's lease of an amount counts until it ends; renewed in time it goes on. All that is leased
of a commitment never comes to more than there is: asking is one transaction. A cluster's newest
process has the highest fence, and one with a lower fence, which was taken for dead, gets nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

from costplan.adapters.instants import sorting_text
from costplan.planner.errors import StoreError

APPLICATION_ID = 0x6370_6C63
"""'cplc': tells the file from others, a store's among them."""
VERSION = 1
BUSY_SECONDS = 5.0

_TABLES = (
    "CREATE TABLE holders (holder TEXT PRIMARY KEY, fence INTEGER NOT NULL)",
    """CREATE TABLE leases (commitment TEXT NOT NULL, holder TEXT NOT NULL, amount TEXT NOT NULL,
    until TEXT NOT NULL, PRIMARY KEY (commitment, holder))""",
)
_REMEDY = "name another file under commitments_ledger"


class Fenced(StoreError):
    """Another process has taken over this cluster's leases."""

    def __init__(self, path: Path, holder: str) -> None:
        problem = f"the leases of {holder!r} belong to a newer process"
        super().__init__(str(path), problem, "give each cluster its own name, and one daemon")


class CommitmentLedger:
    """The leases of one cluster, and the sums of all others'. Opened for each use: the file is
    shared, and asked a few times a minute."""

    def __init__(self, path: Path, holder: str) -> None:
        self._path, self._holder = path, holder
        self._fence = 0

    def enter(self) -> None:
        """Takes over what an earlier process of the cluster has leased; raises StoreError."""
        with self._changed() as db:
            db.execute(
                """INSERT INTO holders VALUES (?1, 1)
                ON CONFLICT DO UPDATE SET fence = fence + 1""",
                (self._holder,),
            )
            self._fence = _fence(db, self._holder)

    def take(
        self,
        wants: Mapping[str, Fraction],
        totals: Mapping[str, Fraction],
        now: datetime,
        seconds: float,
    ) -> dict[str, Fraction]:
        """Leases as much as is wanted of each commitment and others leave of its total, for so
        long, in place of what was leased before; says how much that is.

        Raises Fenced where a newer process of the cluster has come, StoreError where the file
        cannot be used.
        """
        until = sorting_text(now + timedelta(seconds=seconds))
        with self._changed() as db:
            if _fence(db, self._holder) != self._fence:
                raise Fenced(self._path, self._holder)
            db.execute("DELETE FROM leases WHERE holder = ?", (self._holder,))
            taken = _leased(db, now)
            granted = {}
            for name in sorted(totals):
                free = totals[name] - taken.get(name, Fraction(0))
                granted[name] = max(Fraction(0), min(wants.get(name, Fraction(0)), free))
            db.executemany(
                "INSERT INTO leases VALUES (?, ?, ?, ?)",
                [(n, self._holder, str(amount), until) for n, amount in granted.items() if amount],
            )
        return granted

    @contextmanager
    def _changed(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process's comes between."""
        with _told(self._path), closing(_connect(self._path)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                _prepare(db, self._path)
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise


def leased_by_all(path: Path, now: datetime) -> dict[str, Fraction]:
    """What is leased of each commitment now; nothing where nobody has made the file yet.

    Raises StoreError where it cannot be used.
    """
    if not path.exists():
        return {}
    with _told(path), closing(_connect(path)) as db:
        if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return {}
        _prepare(db, path)
        return _leased(db, now)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and (tables or application):
        raise StoreError(str(path), "is a database, but no ledger of commitments", _REMEDY)
    if version > VERSION:
        problem = f"is of version {version}, this program knows up to {VERSION}"
        raise StoreError(str(path), problem, "run the newer costplan that wrote it")
    if not tables:
        for statement in _TABLES:
            db.execute(statement)
        db.execute(f"PRAGMA user_version={VERSION}")
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def _fence(db: sqlite3.Connection, holder: str) -> int:
    row = db.execute("SELECT fence FROM holders WHERE holder = ?", (holder,)).fetchone()
    return 0 if row is None else int(row[0])


def _leased(db: sqlite3.Connection, now: datetime) -> dict[str, Fraction]:
    """The sums of the leases that have not ended."""
    found: dict[str, Fraction] = {}
    rows = db.execute("SELECT commitment, amount FROM leases WHERE until > ?", (sorting_text(now),))
    for name, amount in rows:
        found[name] = found.get(name, Fraction(0)) + Fraction(amount)
    return found


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(str(path), f"cannot be used: {error}", _REMEDY) from error
