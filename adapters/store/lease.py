"""One daemon at a time: a lease in the store, with a fence that a late writer runs into."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from costplan.planner.errors import CostplanError


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """Who drives the cluster, since when, and until when unless renewed."""

    holder: str
    host: str
    pid: int
    pid_started: str
    since: datetime
    until: datetime
    fence: int


class LeaseHeld(CostplanError):
    """Another process drives the cluster."""

    def __init__(self, row: LeaseRow) -> None:
        self.row = row
        super().__init__(
            f"the cluster is driven by {row.holder} (process {row.pid} on {row.host}) since "
            f"{row.since:%Y-%m-%d %H:%M:%S} UTC; stop it, or wait until "
            f"{row.until:%H:%M:%S} UTC, when its lease ends unless renewed"
        )


class LeaseLost(CostplanError):
    """Our lease ended and another process may drive the cluster: nothing may be written."""

    def __init__(self, row: LeaseRow | None) -> None:
        self.row = row
        by = "nobody holds it" if row is None else f"process {row.pid} on {row.host} has it"
        super().__init__(f"this process lost its lease of the store; {by}")


def read_lease(connection: sqlite3.Connection) -> LeaseRow | None:
    """The lease as it stands, ended or not."""
    row = connection.execute(
        "SELECT holder, host, pid, pid_started, since, until, fence FROM lease"
    ).fetchone()
    if row is None:
        return None
    holder, host, pid, pid_started, since, until, fence = row
    return LeaseRow(
        holder=holder,
        host=host,
        pid=pid,
        pid_started=pid_started,
        since=datetime.fromisoformat(since),
        until=datetime.fromisoformat(until),
        fence=fence,
    )


def take_lease(
    connection: sqlite3.Connection, holder: str, now: datetime, ttl_seconds: float
) -> LeaseRow:
    """Our lease, in a transaction of the caller's; raises LeaseHeld where another's stands."""
    old = read_lease(connection)
    if old is not None and old.until > now and not is_dead(old):
        raise LeaseHeld(old)
    row = LeaseRow(
        holder=holder,
        host=socket.gethostname(),
        pid=os.getpid(),
        pid_started=started(os.getpid()),
        since=now,
        until=now + timedelta(seconds=ttl_seconds),
        fence=1 if old is None else old.fence + 1,
    )
    connection.execute(
        "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.holder,
            row.host,
            row.pid,
            row.pid_started,
            row.since.isoformat(),
            row.until.isoformat(),
            row.fence,
        ),
    )
    return row


def is_dead(row: LeaseRow) -> bool:
    """True where the holder was a process of this computer that is not there any more.

    A container that has another's processes out of sight cannot tell, and waits.
    """
    is_here = row.host == socket.gethostname() and row.pid_started.startswith(_namespace())
    return is_here and started(row.pid) != row.pid_started


def started(pid: int) -> str:
    """What tells a process from all others that had or will have its number: the namespace of
    process numbers, the boot, and the kernel's own count of when it started.

    Not the time of day: that moves when the clock is set. '' at the end where there is none.
    """
    return f"{_namespace()}/{_boot()}/{_start(pid)}"


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "pid"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _start(pid: int) -> str:
    """When a process started; '' where there is none, or only its corpse."""
    try:
        # pid (name) state ppid ... starttime: the name may hold spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _start_by_psutil(pid)
    return "" if fields[0] in ("Z", "X") else fields[19]


def _start_by_psutil(pid: int) -> str:
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.Error:
        return ""
