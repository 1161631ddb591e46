"""What befalls a store from outside, and what is said of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from costplan.adapters.store.lease import LeaseHeld, LeaseLost, is_dead, read_lease, started
from costplan.adapters.store.store import Store
from costplan.planner.errors import StoreError

NOON = datetime(2024, 5, 15, 12, tzinfo=UTC)


def opened(path: Path, **more: bool) -> Store:
    return Store.open(path, clock=lambda: NOON, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "costplan.db"


def test_a_second_daemon_is_told_who_holds_the_cluster(path: Path) -> None:
    with opened(path) as first, opened(path) as second:
        first.acquire_lease("costplan of c", NOON, 30)
        with pytest.raises(LeaseHeld, match=f"costplan of c .process {os.getpid()} on ") as raised:
            second.acquire_lease("another", NOON + timedelta(seconds=29), 30)
        assert raised.value.row.until == NOON + timedelta(seconds=30)
        second.acquire_lease("another", NOON + timedelta(seconds=31), 30)
        with pytest.raises(LeaseLost):
            first.renew_lease(NOON + timedelta(seconds=32), 30)


def test_the_lease_of_a_process_that_is_dead_is_free_at_once(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from datetime import datetime, UTC;"
        "from costplan.adapters.store.store import Store;"
        "now = datetime(2024, 5, 15, 12, tzinfo=UTC);"
        "store = Store.open(Path(sys.argv[1]), clock=lambda: now);"
        "store.acquire_lease('costplan of c', now, 3600); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert died.returncode == -9
    with opened(path) as store:
        store.acquire_lease("the next one", NOON, 30)


def test_who_lives_is_told_by_the_kernel_and_not_by_the_clock(path: Path) -> None:
    """Another boot, another start of the same number, and a number that nobody has are dead; on
    another computer nobody can tell."""
    with opened(path) as store:
        store.acquire_lease("costplan of c", NOON, 30)
        row = store.lease_row()
    assert row is not None
    assert not is_dead(row)
    namespace, boot, start = row.pid_started.rsplit("/", 2)
    assert start.isdecimal()
    assert row.pid_started == started(os.getpid())
    assert is_dead(replace(row, pid_started=f"{namespace}/another-boot/{start}"))
    assert is_dead(replace(row, pid_started=f"{namespace}/{boot}/1"))
    assert is_dead(replace(row, pid=2**22 + 1))
    assert not is_dead(replace(row, host="elsewhere", pid=2**22 + 1))
    assert row.host == socket.gethostname()


def test_the_lease_is_read_where_there_is_none(path: Path) -> None:
    with opened(path) as store:
        assert store.lease() is None
        with store._reading() as db:
            assert read_lease(db) is None


def remove(path: Path) -> None:
    path.unlink()


def swap(path: Path) -> None:
    other = path.with_suffix(".other")
    opened(other).close()
    other.replace(path)


@pytest.mark.parametrize(("harm", "said"), [(remove, "not there any more"), (swap, "replaced")])
def test_a_file_that_is_gone_is_not_written_to(
    path: Path, harm: Callable[[Path], None], said: str
) -> None:
    with opened(path) as store:
        store.acquire_lease("costplan of c", NOON, 30)
        harm(path)
        with pytest.raises(StoreError, match=said):
            store.renew_lease(NOON, 30)
        with pytest.raises(StoreError, match="put it back"):
            store.pause(NOON)


def test_what_is_no_store_is_called_so(path: Path) -> None:
    path.write_text("cluster: fraud\n" * 300)
    with pytest.raises(StoreError, match="no SQLite database"):
        opened(path)
    with pytest.raises(StoreError, match="there is no store"):
        opened(path.with_name("other.db"), read_only=True)


def test_damage_is_noticed_at_the_start(path: Path) -> None:
    with opened(path) as store:
        for number in range(200):
            store.pause(NOON + timedelta(seconds=number))
    data = bytearray(path.read_bytes())
    data[4096 : 4096 * 3] = bytes(range(256)) * 32
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged") as raised:
        opened(path)
    assert "put a backup in its place" in str(raised.value)


def test_a_full_disk_is_called_so_and_nothing_of_the_change_is_kept(path: Path) -> None:
    with opened(path) as store:
        store.pause(NOON)
        db = store._db
        db.execute(f"PRAGMA max_page_count={db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(StoreError, match="the disk is full; nothing of the tick was kept"):
            fill(store)
        assert store.read_control().paused_until == NOON
        assert not db.in_transaction
        db.execute("PRAGMA max_page_count=1073741823")
        fill(store)


def fill(store: Store) -> None:
    with store._writing() as db:
        db.execute("UPDATE control SET value = value")
        db.execute("CREATE TABLE filler AS SELECT zeroblob(1000000) AS data")


def test_a_store_that_may_only_be_read_says_so(path: Path) -> None:
    with opened(path) as store:
        store.pause(NOON)
        store._db.execute("PRAGMA query_only=ON")
        with pytest.raises(StoreError, match="make the file and its folder writable"):
            store.resume()
        assert store.read_control().paused_until == NOON
