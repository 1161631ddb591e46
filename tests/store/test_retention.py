"""What the store lets go of, and what it never does."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from costplan.adapters.store import retention
from costplan.adapters.store.store import Store
from costplan.planner.tick import Cordon, State, Terminate
from costplan.planner.types import Phase
from tests.store.ticking import NOON, held, ran, tick_at

TOKEN = "t"  # noqa: S105 - of an action
CORDON = Cordon(node_ids=("n-gone",), workers=("n-gone-0",), token=TOKEN)
LATER = NOON + timedelta(days=retention.KEEP_DAYS, seconds=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with held(tmp_path / "s.db") as store:
        yield store


def test_nothing_grows_beyond_the_retention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_QUIET", 20)
    monkeypatch.setattr(retention, "KEEP_DECIDED", 20)
    _, driver, record = ran(tmp_path / "sim.db", 600.0)
    grown = []
    for _ in range(3):
        driver.run(400.0)
        record.store.prune(record.clock())
        grown.append(record.rows())
    assert record.ticks == 360
    kept = {"entries", "nodes", "sqlite_sequence"}
    for table in grown[0].keys() - kept:
        most = max(rows[table] for rows in grown)
        # A tick refers to eleven parts, and this small fleet makes few chunks; one that decides
        # has a few actions.
        most_of = {"ticks": 42, "blobs": 42 * 15, "intents": 20 * 5}
        assert most <= most_of.get(table, 40), table
    stored = list(record.store.ticks(100))
    assert len(stored) in {40, 41}
    record.close()


def test_what_was_decided_is_kept_longer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEEP_QUIET", 2)
    for second in range(10):
        tick = tick_at(second, State())
        store.commit(replace(tick, actions=(CORDON,)) if second < 3 else tick)
    store.prune(NOON)
    assert [tick.tick_id for tick in store.ticks(100)] == ["t-9", "t-8", "t-2", "t-1", "t-0"]
    for tick in store.ticks(100):
        assert tick.readings.load is not None


def test_the_newest_tick_and_the_state_outlive_every_age(store: Store) -> None:
    store.commit(tick_at(0, State(launches=4, spent_by_day={"2026-03-01": store.total_usd()})))
    store.commit(tick_at(1, State(launches=5)))
    store.prune(NOON + timedelta(days=400))
    assert [tick.tick_id for tick in store.ticks(9)] == ["t-1"]
    assert store.load_state().launches == 5


def test_an_intent_of_a_node_that_is_long_gone_is_let_go(store: Store) -> None:
    store.commit(replace(tick_at(0, State()), actions=(CORDON,)))
    assert store.open_intents() == (CORDON,)
    store.prune(LATER - timedelta(hours=1))
    assert store.open_intents() == (CORDON,)
    store.prune(LATER)
    assert store.open_intents() == ()


def test_an_intent_of_a_node_that_is_there_stays_open(tmp_path: Path) -> None:
    _, _, record = ran(tmp_path / "sim.db", 60.0)
    state = record.load()
    record.close()
    alive = next(n for n in state.nodes.values() if n.phase is not Phase.GONE)
    old = [
        Terminate(node_id=alive.node_id, provider_id="m-1"),
        Cordon(node_ids=("n-gone", alive.node_id), workers=("n-gone-0",), token=TOKEN),
    ]
    with held(tmp_path / "s.db") as store:
        tick = tick_at(0, state)
        store.commit(replace(tick, actions=(*old, CORDON)))
        store.prune(LATER)
        assert store.open_intents() == tuple(old)
        gone = replace(alive, phase=Phase.GONE, phase_since=NOON + timedelta(seconds=1))
        store.commit(tick_at(1, state, replace(state, nodes={alive.node_id: gone})))
        store.prune(LATER - timedelta(seconds=1))
        assert store.open_intents() == tuple(old)
        store.prune(LATER)
        assert store.open_intents() == ()


def test_a_clock_that_is_years_ahead_takes_nothing_at_once(store: Store) -> None:
    """As at the boot of a machine without a battery, until its clock is set."""
    for second in range(3):
        store.commit(tick_at(second, State()))
    store.prune(NOON)
    for _ in range(20):  # more than three hours
        store.prune(NOON + timedelta(days=3650))
    assert len(list(store.ticks(9))) == 3
    for _ in range(30):  # it is right by then, and so are ages
        store.prune(NOON + timedelta(days=6))
    assert len(list(store.ticks(9))) == 3
    for _ in range(5):
        store.prune(NOON + timedelta(days=8))
    assert len(list(store.ticks(9))) == 1


def test_ledger_and_nodes_are_kept(tmp_path: Path) -> None:
    _, driver, record = ran(tmp_path / "sim.db", 600.0)
    entries, nodes = record.store.entries(), record.store.nodes()
    assert entries
    assert nodes
    record.store.prune(record.clock() + timedelta(days=4000))
    assert record.store.entries() == entries
    assert record.store.nodes() == nodes
    record.reopen()
    driver.run(30.0)
    assert tuple(each for each in record.store.entries() if each in entries) == entries
    record.close()


def test_room_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEEP_QUIET", 1)
    path = tmp_path / "s.db"
    with held(path) as store:
        for second in range(50):
            # Texts that do not compress, each another.
            key = "".join(f"{zlib.crc32(bytes([second, i % 256, i // 256])):x}" for i in range(999))
            store.commit(tick_at(second, State(plan_key=key)))
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        store.prune(NOON)
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < before / 2
