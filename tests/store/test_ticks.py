"""How ticks are kept: names, shares, one view of each."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.store.parts import Series
from costplan.adapters.store.store import Store, StoreError
from costplan.planner.ledger import Meter
from costplan.planner.tick import State
from costplan.planner.types import Billing
from tests.store.ticking import NOON, clock, held, ran, tick_at


def test_two_ticks_of_one_name_are_both_kept(tmp_path: Path) -> None:
    with held(tmp_path / "s.db") as store:
        first = tick_at(1, State())
        store.commit(first)
        store.commit(replace(first, version="2"))
        assert [tick.version for tick in store.ticks(10)] == ["2", "1"]
        named = store.tick(first.tick_id)
        assert named is not None
        assert named.version == "2"


def test_ticks_share_what_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    meters = {f"n-{i}": meter(i) for i in range(500)}
    with held(path) as store:
        state = State(meters=meters)
        store.commit(tick_at(1, state))
        before = blobs(path)
        changed = replace(state, meters={**meters, "n-7": meter(9999)})
        store.commit(tick_at(2, state, changed))
        store.commit(tick_at(3, changed))
        # Two loads, one list of meters for the state after, and the one chunk in it.
        assert blobs(path) - before == 4
        assert store.load_state().meters == changed.meters


def test_a_part_that_is_gone_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with held(path) as store:
        store.commit(tick_at(1, State()))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM blobs")
    with (
        Store.open(path, read_only=True, clock=clock) as store,
        pytest.raises(StoreError, match=r"part [0-9a-f]{24} is missing"),
    ):
        store.last_tick()


def test_a_part_that_is_another_is_said(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with held(path) as store:
        store.commit(tick_at(1, State(meters={"n-1": meter(1)})))
    with closing(sqlite3.connect(path)) as db, db:
        other = db.execute("SELECT data FROM blobs WHERE parts = x'' LIMIT 1").fetchone()[0]
        db.execute("UPDATE blobs SET data = ?", (other,))
    with (
        Store.open(path, read_only=True, clock=clock) as store,
        pytest.raises(StoreError, match="is damaged"),
    ):
        store.load_state()


def test_a_reader_sees_ticks_while_they_are_written(tmp_path: Path) -> None:
    """Each tick is read in one transaction: a prune in between takes no part of it away."""
    path = tmp_path / "sim.db"
    _, driver, record = ran(path, 60.0)
    with Store.open(path, read_only=True, clock=record.clock) as reader:
        ticks = reader.ticks(100)
        newest = next(ticks)
        driver.run(30.0)
        record.store.prune(record.clock())
        assert [tick.seq for tick in ticks] == list(range(newest.seq - 1, 0, -1))
        last = reader.last_tick()
        assert last is not None
        assert last.seq == newest.seq + 6
    record.close()


def test_a_failed_commit_leaves_nothing_and_the_next_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    state = State(meters={f"n-{i}": meter(i) for i in range(100)})
    with held(path) as store:
        store._db.execute("PRAGMA query_only=ON")
        with pytest.raises(StoreError):
            store.commit(tick_at(1, state))
        store._db.execute("PRAGMA query_only=OFF")
        store.commit(tick_at(2, state))
    with Store.open(path, read_only=True, clock=clock) as store:
        assert store.load_state().meters == state.meters
        assert [tick.tick_id for tick in store.ticks(10)] == ["t-2"]


def test_chunks_keep_order_and_one_change_makes_one_chunk() -> None:
    series = Series(Meter)
    meters = [(f"n-{(7 * i) % 300}", meter(i)) for i in range(300)]
    before = series.chunks(meters)
    again = series.chunks(list(meters))
    assert len(before) > 3
    assert all(old is new for old, new in zip(before, again, strict=True))
    meters[150] = (meters[150][0], meter(5000))
    after = series.chunks(meters)
    assert sum(old is not new for old, new in zip(before, after, strict=True)) == 1
    more = series.chunks([*meters, ("n-new", meter(1))])
    assert len(set(more) - set(after)) == 1


def test_a_name_that_is_listed_twice_is_kept_twice() -> None:
    one, other = ("n-1", meter(1)), ("n-1", meter(2))
    text = b"".join(blob.text for blob in Series(Meter).chunks([one, other, one]))
    assert text.count(b'"n-1"') == 3


def meter(cents: int) -> Meter:
    return Meter(
        until=NOON,
        busy_seconds=0.0,
        usd_per_hour=Decimal(cents) / 100,
        rate_source="test",
        is_estimate=False,
        billing=Billing(minimum_seconds=60),
    )


def blobs(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        found: int = db.execute("SELECT count(*) FROM blobs").fetchone()[0]
        return found
