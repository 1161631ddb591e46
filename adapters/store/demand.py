"""What was asked for of each kind of worker, in steps of five minutes: rows, and back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta

from costplan.planner.asked import DemandPart

KEEP_DEMAND_DAYS = 42
"""A forecast learns from the last 35."""


def write_demand(db: sqlite3.Connection, cluster: str, parts: Iterable[DemandPart]) -> None:
    """Adds parts to their steps."""
    db.executemany(
        """INSERT INTO demand (cluster, kind, start, seconds, worker_seconds)
        VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        seconds = seconds + excluded.seconds,
        worker_seconds = worker_seconds + excluded.worker_seconds""",
        [(cluster, p.kind, p.start.isoformat(), p.seconds, p.worker_seconds) for p in parts],
    )


def read_demand(db: sqlite3.Connection, cluster: str) -> tuple[DemandPart, ...]:
    """All steps of a cluster, by kind and time."""
    rows = db.execute(
        """SELECT kind, start, seconds, worker_seconds FROM demand WHERE cluster = ?
        ORDER BY kind, start""",
        (cluster,),
    )
    return tuple(
        DemandPart(
            kind=kind,
            start=datetime.fromisoformat(start),
            seconds=seconds,
            worker_seconds=worker_seconds,
        )
        for kind, start, seconds, worker_seconds in rows
    )


def read_clusters(db: sqlite3.Connection) -> tuple[str, ...]:
    """Clusters of which there are steps, by name."""
    rows = db.execute("SELECT DISTINCT cluster FROM demand ORDER BY cluster")
    return tuple(cluster for (cluster,) in rows)


def drop_old_demand(db: sqlite3.Connection, now: datetime) -> None:
    """Lets go of steps that no forecast learns from any more."""
    oldest = now - timedelta(days=KEEP_DEMAND_DAYS)
    db.execute("DELETE FROM demand WHERE start < ?", (oldest.isoformat(),))
