"""Finished work in the store: once each, by node, and in quarters of an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costplan.adapters.store.lease import LeaseLost
from costplan.adapters.store.store import Store
from costplan.planner.work import Reported, WorkBatch, WorkerWindow, WorkWindow
from tests.fleets import NOON

TAGS = {"team": "risk", "run": "7"}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def window(number: int, start: float, end: float, *rows: int, **more: Any) -> WorkWindow:
    work = tuple(
        WorkerWindow(
            worker=f"n{place}-0", prefix="fit", span=("train",), tags=TAGS,
            busy_seconds=float(seconds), tasks=1,
        )
        for place, seconds in enumerate(rows)
    )  # fmt: skip
    return WorkWindow(number=number, start=at(start), end=at(end), work=work, **more)


def batch(*windows: WorkWindow, scheduler_id: str = "s1") -> WorkBatch:
    return WorkBatch(scheduler_id=scheduler_id, windows=windows)


def node_of(worker: str) -> str:
    return worker.rpartition("-")[0]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "costplan.db", clock=lambda: NOON) as opened:
        opened.acquire_lease("test", NOON, 60)
        yield opened


def test_windows_are_kept_once_and_added_up_by_quarters(store: Store) -> None:
    first, second = window(1, 0, 1, 10, 20), window(2, 1, 2, 5)
    store.keep_work(batch(first, second), node_of)
    store.keep_work(batch(second, window(3, 14, 16, 7)), node_of)  # asked for again
    rows = [(r.node_id, r.start, r.end, r.busy_seconds, r.tasks) for r in store.work()]
    assert rows == [
        ("n0", at(0), at(2), 15.0, 2),
        ("n1", at(0), at(1), 20.0, 1),
        ("n0", at(14), at(16), 7.0, 1),  # it ended in the next quarter
    ]
    assert [dict(row.tags) for row in store.work()] == [TAGS] * 3
    assert store.work_seen() == ("s1", 3)
    assert [row.busy_seconds for row in store.work(at(10), at(20))] == [7.0]
    assert [row.busy_seconds for row in store.work(at(0), at(14))] == [15.0, 20.0]


def test_a_scheduler_that_was_born_again_counts_from_one(store: Store) -> None:
    store.keep_work(batch(window(7, 0, 1, 10)), node_of)
    reported = (Reported(span=("train",), tags=TAGS, rows=500),)
    again = batch(window(1, 5, 6, 3, reported=reported), scheduler_id="s2")
    store.keep_work(again, node_of)
    assert sum(row.busy_seconds for row in store.work()) == 13.0
    assert [(row.node_id, row.rows) for row in store.work() if row.rows] == [("", 500)]
    assert store.work_seen() == ("s2", 1)


def test_who_does_not_drive_keeps_nothing_and_old_work_goes(store: Store) -> None:
    store.keep_work(batch(window(1, 0, 1, 10)), node_of)
    store.prune(NOON + timedelta(days=400))
    assert len(store.work()) == 1
    store.prune(NOON + timedelta(days=400, hours=6))
    assert store.work() == ()
    store.release_lease()
    with pytest.raises(LeaseLost):
        store.keep_work(batch(window(2, 0, 1, 10)), node_of)
