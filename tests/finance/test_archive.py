"""Months are closed for good, and moved to files without losing or doubling anything, ever."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from costplan.adapters.finance.archive import archive_month
from costplan.adapters.finance.audit import audit
from costplan.adapters.finance.ledger_changes import close, months_of
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.store.archived import folder_of
from costplan.adapters.store.database import connect
from costplan.adapters.store.ledger import read_recorded
from costplan.adapters.store.store import Store
from costplan.planner.errors import InputError, StoreError
from costplan.planner.ledger import Use
from tests.crash_points import OF_THE_LEDGER
from tests.finance.ledgers import OCTOBER, QUARTER, entry, hours_of, taken_back, total, write

NOVEMBER = OCTOBER.replace(month=11)
NOW = NOVEMBER + timedelta(days=3)
ALL_LINES = "SELECT * FROM lines ORDER BY line_id"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two machines over the end of October, one of which was corrected, closed in November."""
    path = tmp_path / "s.db"
    start = NOVEMBER - timedelta(hours=5)
    for node, hours, busy in (("n-1", 8, 1800.0), ("n-2", 5, 5000.0)):
        for each in hours_of(node, start, hours, busy=busy)[: 4 * hours - (node == "n-2")]:
            write(path, [each], each.end)
    over = entry("n-2", NOVEMBER - QUARTER, lasts=QUARTER + timedelta(seconds=30), use=Use.END)
    write(path, [over], NOVEMBER + QUARTER)
    write(path, [taken_back(over, NOVEMBER)], NOVEMBER + 2 * QUARTER)
    close(path, "2026-10", NOW)
    return path


def everything(path: Path) -> tuple[list[object], list[object], str]:
    """All entries as they were recorded, all lines of October, and the sum."""
    with closing(connect(path, read_only=True)) as db, open_book(path, month="2026-10") as book:
        recorded = list(read_recorded(db, path))
        lines = book.rows(ALL_LINES)
    with Store.open(path, read_only=True, clock=lambda: NOW) as store:
        return list(recorded), list(lines), str(store.total_usd())


def test_an_archived_month_is_the_same_month(path: Path) -> None:
    before = everything(path)
    row = archive_month(path, "2026-10", NOW)
    assert row.is_archived
    with closing(sqlite3.connect(path)) as db:
        kept = db.execute("SELECT month, count(*) FROM entries WHERE data IS NOT NULL GROUP BY 1")
        assert [month for month, _ in kept] == ["2026-11"]
    assert everything(path) == before
    with closing(connect(path, read_only=True)) as db:
        assert list(audit(db, path, {})) == []
    with pytest.raises(InputError, match="is archived already"):
        archive_month(path, "2026-10", NOW)


@pytest.mark.parametrize("place", OF_THE_LEDGER)
def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(path: Path, place: str) -> None:
    before = everything(path)
    code = (
        "from datetime import datetime; from pathlib import Path;"
        "from costplan.adapters.finance.archive import archive_month;"
        f"archive_month(Path({str(path)!r}), '2026-10',"
        f" datetime.fromisoformat({NOW.isoformat()!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "COSTPLAN_FAULTS": f"{place}:1"},
        check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert everything(path) == before
    if place != OF_THE_LEDGER[-1]:
        archive_month(path, "2026-10", NOW)
    assert everything(path) == before
    assert [file.name for file in folder_of(path).iterdir()] == ["2026-10.parquet"]


def test_a_file_that_is_lost_or_changed_is_said(path: Path) -> None:
    archive_month(path, "2026-10", NOW)
    file = folder_of(path) / "2026-10.parquet"
    data = file.read_bytes()
    file.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with closing(connect(path, read_only=True)) as db:
        [(problem, _)] = audit(db, path, {})
    assert "2026-10.parquet is not what was archived" in problem
    file.unlink()
    for read in (lambda: open_book(path, month="2026-10"), lambda: everything(path)):
        with pytest.raises(StoreError, match=r"2026-10\.parquet: is not there"):
            read()
    with open_book(path, month="2026-11") as book:
        assert total(book) > 0


def test_what_is_learnt_of_a_closed_month_is_issued_later(path: Path) -> None:
    october, november = (
        open_book(path, month=month).rows(ALL_LINES) for month in ("2026-10", "2026-11")
    )
    late = entry("n-3", NOVEMBER - QUARTER)
    write(path, [late, taken_back(hours_of("n-1", NOVEMBER - QUARTER, 1)[0])], NOW)
    assert open_book(path, month="2026-10").rows(ALL_LINES) == october
    with open_book(path, month="2026-11") as book:
        new = [row for row in book.rows(ALL_LINES) if row not in november]
        assert len(new) == 2
        assert total(book, where="kind = 'correction' AND start_at < '2026-11-01'") == 0
    with open_book(path, start=OCTOBER, end=NOVEMBER) as book:
        assert total(book, where="node_id = 'n-3'") == late.usd
    assert (
        open_book(path, month="2026-11", as_of=NOVEMBER + timedelta(days=1)).rows(ALL_LINES)
        == november
    )


def test_nobody_can_change_the_ledger(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in (
            "DELETE FROM entries",
            "UPDATE entries SET pico = pico + 1",
            "UPDATE entries SET data = NULL",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
                db.execute(statement)
        with pytest.raises(sqlite3.IntegrityError, match="is closed"):
            db.execute("INSERT INTO entries SELECT first_id + 1000, rows, month, recorded_at, "
                       "tick_id, plan_id, reason, begin_us, end_us, pico, data FROM entries "
                       "WHERE month = '2026-10' LIMIT 1")  # fmt: skip


@pytest.mark.parametrize(
    ("month", "now", "said"),
    [
        ("2026-10", NOW, "is closed already"),
        ("2026-11", NOW, "has not ended; close it from 2026-12-01 01:00 UTC on"),
        ("2026-11", NOVEMBER.replace(month=12), "ended less than an hour ago"),
        ("2026-12", NOW + timedelta(days=90), "2026-11 before it is open; close 2026-11 first"),
        ("2026-1", NOW, "is no month"),
    ],
)
def test_months_that_cannot_be_closed(path: Path, month: str, now: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        close(path, month, now)  # type: ignore[arg-type]
    assert [row.closed_at is not None for row in months_of(path)] == [True, False]
