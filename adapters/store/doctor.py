"""What can be said of a store without writing to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from costplan.adapters.store.database import OldStore, connect, told
from costplan.adapters.store.lease import LeaseRow, is_dead, read_lease
from costplan.adapters.store.schema import VERSION
from costplan.planner.doctor import Finding, ok, problem, warning
from costplan.planner.wording import counted, span_text

AREA = "store"

_OVERLAPS = """
    SELECT node_id, count(*) FROM (
        SELECT node_id, start,
            lag("end") OVER (PARTITION BY node_id ORDER BY start, "end") AS before
        FROM entries WHERE json_extract(data, '$.kind') = 'usage')
    WHERE before > start GROUP BY node_id ORDER BY node_id"""
"""Nodes with usage that is charged twice. Instants are written so that text sorts as they do."""


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
            entries = connection.execute("SELECT count(*) FROM entries").fetchone()[0]
            twice = connection.execute(_OVERLAPS).fetchall()
            last = connection.execute("SELECT max(at) FROM ticks").fetchone()[0]
    finally:
        connection.close()
    if said != "ok":
        yield problem(
            AREA, f"{path} is damaged: {said}", "put a backup in its place (docs/store.md)"
        )
        return
    size = path.stat().st_size / 2**20
    yield ok(AREA, f"{path}: whole, version {VERSION}, {size:,.1f} MiB")
    if twice:
        names = ", ".join(name for name, _ in twice[:5])
        text = f"{counted(sum(count for _, count in twice), 'interval')} charged twice, of {names}"
        yield problem("ledger", text, "please report it, with a copy of the store")
    else:
        yield ok("ledger", f"{entries:,} entries, none of which overlap")
    age = "" if last is None else _age(last, now)
    if lease is None or lease.until <= lease.since:
        yield ok("daemon", f"none runs{age}")
    elif is_driven(lease, now):
        text = f"process {lease.pid} on {lease.host} drives the cluster{age}"
        yield ok("daemon", text)
    else:
        text = f"process {lease.pid} on {lease.host} is gone without giving its lease back{age}"
        yield warning("daemon", text, "start it: costplan run")


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
