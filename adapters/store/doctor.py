"""What can be said of a store without writing to it."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import orjson

from costplan.adapters.store.database import OldStore, connect, told
from costplan.adapters.store.lease import LeaseRow, is_dead, read_lease
from costplan.adapters.store.schema import VERSION
from costplan.planner.doctor import Finding, ok, problem, warning
from costplan.planner.wording import span_text

AREA = "store"


def store_findings(path: Path, now: datetime) -> Iterator[Finding]:
    """Whether the store opens, is whole, who drives the cluster, and whether its ledger adds up.
    Raises StoreError where it cannot be opened."""
    if not path.exists():
        yield _not_there(path)
        return
    try:
        connection = connect(path, read_only=True)
    except OldStore as error:
        yield warning(AREA, f"{path} {error.problem}", error.remedy)
        return
    try:
        with told(path):
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            lease = read_lease(connection)
            entries = connection.execute("SELECT sum(rows) FROM entries").fetchone()[0] or 0
            last = connection.execute("SELECT max(at) FROM ticks").fetchone()[0]
            found = tuple(_ledger(connection, path, entries)) if said == "ok" else ()
    finally:
        connection.close()
    if said != "ok":
        yield problem(
            AREA, f"{path} is damaged: {said}", "put a backup in its place (docs/store.md)"
        )
        return
    size = path.stat().st_size / 2**20
    yield ok(AREA, f"{path}: whole, version {VERSION}, {size:,.1f} MiB")
    yield from found
    age = "" if last is None else _age(last, now)
    if lease is None or lease.until <= lease.since:
        yield ok("daemon", f"none runs{age}")
    elif is_driven(lease, now):
        text = f"process {lease.pid} on {lease.host} drives the cluster{age}"
        yield ok("daemon", text)
    else:
        text = f"process {lease.pid} on {lease.host} is gone without giving its lease back{age}"
        yield warning("daemon", text, "start it: costplan run")


def _ledger(db: sqlite3.Connection, path: Path, entries: int) -> Iterator[Finding]:
    """Whether the ledger adds up."""
    from costplan.adapters.finance.audit import audit

    launches = {
        node_id: datetime.fromisoformat(at)
        for node_id, data in db.execute("SELECT node_id, data FROM nodes")
        if (at := orjson.loads(zlib.decompress(data))["launched_at"]) is not None
    }
    wrong = list(audit(db, path, launches))
    for text, remedy in wrong:
        yield problem("ledger", text, remedy)
    if not wrong:
        text = f"{entries:,} entries, none of which overlap and none of which is missing"
        yield ok("ledger", text)


def is_driven(lease: LeaseRow | None, now: datetime) -> bool:
    """True while somebody drives the cluster."""
    return lease is not None and lease.until > now and not is_dead(lease)


def _age(last: str, now: datetime) -> str:
    return f"; last tick {span_text((now - datetime.fromisoformat(last)).total_seconds())} ago"


def _not_there(path: Path) -> Finding:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK | os.X_OK):
        return ok(AREA, f"{path} is not there yet; `costplan run` makes it")
    return problem(AREA, f"{path} cannot be made: {folder} may not be written", "change store.path")
