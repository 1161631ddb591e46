"""Opens the SQLite file of a store, and says in words what is wrong with one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costplan.adapters.store.schema import APPLICATION_ID, MIGRATIONS, VERSION
from costplan.planner.errors import StoreError

BUSY_MILLISECONDS = 10_000
_RESTORE = (
    "keep the file for inspection and put a backup in its place (docs/store.md), or start with a "
    "new store: the daemon then takes in the machines that carry its tag"
)

_GONE = (
    "put it back, or a backup, and restart; machines are found again by their tag, the ledger "
    "is in the file only"
)


class OldStore(StoreError):
    """A store of an older version cannot be read as it is; a daemon brings it up."""


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection to a store whose tables are of the newest version.

    Raises StoreError where there is none to read, the file is no store, is damaged, is of a newer
    version, or cannot be written.
    """
    if read_only and not path.exists():
        raise StoreError(str(path), "there is no store", "start one with `costplan run`")
    with told(path):
        if not read_only:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=BUSY_MILLISECONDS / 1000,
        )
    try:
        with told(path):
            _prepare(connection, path, read_only=read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (tables or application):
        remedy = "name another file under store.path"
        raise StoreError(str(path), "is a database, but no store of costplan", remedy)
    if version > VERSION:
        problem = f"is of version {version}, this program knows up to {VERSION}"
        raise StoreError(str(path), problem, "run the newer costplan that wrote it")
    connection.execute("PRAGMA foreign_keys=ON")
    if read_only:
        if version < VERSION:
            problem = f"is of version {version}, older than {VERSION}"
            raise OldStore(str(path), problem, "start `costplan run` once; it brings it up")
        return
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreError(str(path), f"is damaged: {found}", _RESTORE)
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    # An intention must be on disk before the machine is asked for, also after a power cut.
    connection.execute("PRAGMA synchronous=FULL")
    migrate(connection)


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the tables to the newest version, all steps or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for steps in MIGRATIONS[version:]:
            for step in steps:
                if isinstance(step, str):
                    connection.execute(step)
                else:
                    step(connection)
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def identity(path: Path) -> tuple[int, int]:
    """What tells a file from another of its name; raises StoreError where it is gone."""
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(str(path), "is not there any more", _GONE) from error
    return found.st_dev, found.st_ino


def require_in_place(path: Path, opened: tuple[int, int]) -> None:
    """Returns where the file that was opened still has its name; raises StoreError otherwise.

    SQLite would go on writing into a file that nobody can open again.
    """
    if identity(path) != opened:
        raise StoreError(str(path), "was replaced by another file", _GONE)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what SQLite and the system say into a StoreError with the way out."""
    try:
        yield
    except sqlite3.Error as error:
        raise _in_words(path, error) from error
    except OSError as error:
        remedy = "make its folder writable, or name another under store.path"
        raise StoreError(str(path), f"cannot be opened: {error.strerror}", remedy) from error


def _in_words(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            problem, remedy = "the disk is full; nothing of the tick was kept", "make room"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            problem = f"cannot be written or opened: {error}"
            remedy = "make the file and its folder writable for this user"
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            problem = "is locked by another process"
            remedy = "see who has it open; a backup of it should use `sqlite3 .backup`"
        case sqlite3.SQLITE_NOTADB:
            problem = "is no SQLite database, or its head is damaged"
            remedy = f"name another file under store.path; if it was a store, {_RESTORE}"
        case sqlite3.SQLITE_CORRUPT:
            problem, remedy = f"is damaged: {error}", _RESTORE
        case sqlite3.SQLITE_IOERR:
            problem, remedy = f"the disk fails: {error}", "look at the disk and the system's log"
        case _:
            problem, remedy = f"cannot be used: {error}", _RESTORE
    return StoreError(str(path), problem, remedy)
