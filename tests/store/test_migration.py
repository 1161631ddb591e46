"""A store of an older version is brought up; one of a newer version is refused."""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from costplan.adapters.store.parts import DIGEST_BYTES
from costplan.adapters.store.schema import APPLICATION_ID, VERSION
from costplan.adapters.store.store import Store, StoreError
from costplan.planner.codec import encode
from costplan.planner.ledger import LedgerEntry
from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.tick import Action, Control, DrainRequest, State
from costplan.planner.types import Market
from tests.store.ticking import NOON, clock, held, ran, tick_at

VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, host TEXT NOT NULL,
    pid INTEGER NOT NULL, pid_started TEXT NOT NULL, since TEXT NOT NULL,
    until TEXT NOT NULL, fence INTEGER NOT NULL);
CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE nodes (
    node_id TEXT PRIMARY KEY, phase TEXT NOT NULL, phase_since TEXT NOT NULL,
    is_current INTEGER NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL);
CREATE INDEX nodes_by_phase ON nodes (is_current, phase);
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL, load BLOB);
CREATE TABLE intents (
    id INTEGER PRIMARY KEY, tick_id TEXT NOT NULL, action_key TEXT NOT NULL,
    at TEXT NOT NULL, action BLOB NOT NULL, outcome TEXT, ended_at TEXT, detail TEXT);
CREATE INDEX intents_open ON intents (action_key) WHERE outcome IS NULL;
CREATE TABLE ticks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, tick_id TEXT NOT NULL UNIQUE, at TEXT NOT NULL,
    replan INTEGER NOT NULL, mode TEXT NOT NULL, has_plan INTEGER NOT NULL,
    version TEXT NOT NULL, snapshot TEXT NOT NULL,
    summary TEXT NOT NULL, body BLOB NOT NULL, load BLOB);
CREATE INDEX ticks_with_plan ON ticks (has_plan, seq);
CREATE TABLE tick_blobs (
    seq INTEGER NOT NULL REFERENCES ticks (seq) ON DELETE CASCADE, digest TEXT NOT NULL,
    PRIMARY KEY (seq, digest)) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
    usd TEXT NOT NULL, workload TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX entries_by_time ON entries (start, "end");
CREATE TABLE control (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE drains (node_id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE applied (plan_id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
"""
"""The tables as version 1 made them."""

FACTS = (
    "account", "gpus", "memory_bytes", "on_demand_usd_per_hour", "resource_id", "vcpu_milli",
)  # fmt: skip


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, State, tuple[LedgerEntry, ...], tuple[Action, ...]]:
    """A file of version 1, and what was put in it."""
    _, driver, record = ran(tmp_path / "sim.db", 240.0)
    state = replace(record.load(), control=Control())
    entries = tuple(entry for tick in driver.history for entry in tick.entries)
    actions = next(tick.actions for tick in driver.history if tick.actions)
    record.close()
    assert state.nodes
    assert state.meters
    assert state.load is not None
    assert entries
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(VERSION_1)
        write_old(db, state, entries, actions)
        db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        db.execute("PRAGMA user_version=1")
    return path, state, entries, actions


def write_old(
    db: sqlite3.Connection,
    state: State,
    entries: tuple[LedgerEntry, ...],
    actions: tuple[Action, ...],
) -> None:
    """Rows as version 1 wrote them."""
    for node in state.nodes.values():
        db.execute(
            "INSERT INTO nodes VALUES (?, ?, ?, 1, 'digest', ?)",
            (node.node_id, node.phase.value, node.phase_since.isoformat(),
             zlib.compress(encode(node, Node))),
        )  # fmt: skip
    rest = replace(state, nodes={}, load=None, control=Control())
    db.execute(
        "INSERT INTO state VALUES (1, ?, ?)",
        (zlib.compress(encode(rest, State)), zlib.compress(encode(state.load, Load))),
    )
    for entry in entries:
        db.execute(
            """INSERT INTO entries (node_id, start, "end", usd, workload, data)
            VALUES (?, ?, ?, ?, ?, ?)""",
            (entry.node_id, entry.start.isoformat(timespec="microseconds"),
             entry.end.isoformat(timespec="microseconds"), str(entry.usd), entry.workload,
             old_entry(entry)),
        )  # fmt: skip
    for action in actions:
        db.execute(
            "INSERT INTO intents (tick_id, action_key, at, action) VALUES ('t', ?, ?, ?)",
            (repr(action), NOON.isoformat(),
             zlib.compress(encode((action,), tuple[Action, ...]))),
        )  # fmt: skip
    db.execute("INSERT INTO control VALUES ('paused_until', ?)", (NOON.isoformat(),))
    drain = DrainRequest(node_id="n-1", requested_at=NOON)
    db.execute("INSERT INTO drains VALUES ('n-1', ?)", (encode(drain, DrainRequest).decode(),))
    db.execute("INSERT INTO blobs VALUES ('ab', x'00')")
    db.execute("INSERT INTO ticks VALUES (7, 't', 'at', 0, 'full', 0, '1', 's', '{}', x'00', NULL)")
    db.execute("INSERT INTO tick_blobs VALUES (7, 'ab')")
    db.execute(
        "INSERT INTO lease VALUES (1, 'old', 'elsewhere', 1, '1', ?, ?, 41)",
        (NOON.isoformat(), (NOON + timedelta(seconds=-1)).isoformat()),
    )


def as_version_3(db: sqlite3.Connection) -> None:
    """Takes away from a store without entries what came after version 3."""
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for name in ("entries", "items", "rates", "closed", "archives", "owners", "again", "work",
                 "work_labels", "reconciled", "issued"):  # fmt: skip
        db.execute(f"DROP TABLE {name}")
    tables = [each for each in VERSION_1.split(";") if "entries" in each]
    for each in tables:
        db.execute(each)


def old_entry(entry: LedgerEntry) -> str:
    """An entry as versions up to 3 wrote it: it said nothing of its machine."""
    plain = json.loads(encode(entry, LedgerEntry))
    for name in FACTS:
        del plain[name]
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def without_price(entry: LedgerEntry) -> LedgerEntry:
    """The entry without the price on demand of spot machines, which nobody kept then."""
    is_spot = entry.key.market is Market.SPOT
    return replace(entry, on_demand_usd_per_hour=None) if is_spot else entry


Old = tuple[Path, State, tuple[LedgerEntry, ...], tuple[Action, ...]]


def test_all_but_the_ticks_is_kept(old: Old) -> None:
    path, state, entries, actions = old
    drain = DrainRequest(node_id="n-1", requested_at=NOON)
    said = Control(paused_until=NOON, drains=(drain,))
    with Store.open(path, clock=clock) as store:
        assert store.load_state() == replace(state, control=said)
        assert sorted(map(repr, store.entries())) == sorted(map(repr, map(without_price, entries)))
        assert store.open_intents() == actions
        assert store.read_control() == said
        assert {node.node_id for node in store.nodes()} == set(state.nodes)
        assert store.last_tick() is None


def test_a_store_that_was_brought_up_goes_on(old: Old) -> None:
    path, state, _, _ = old
    with held(path) as store:
        row = store.lease_row()
        assert row is not None
        assert row.fence == 42
        before = store.load_state()
        store.commit(tick_at(5, before))
        store.prune(NOON)
    with Store.open(path, read_only=True, clock=clock) as store:
        after, tick = store.load_state(), store.last_tick()
        assert (after.nodes, after.meters, after.learnt) == (
            state.nodes, state.meters, state.learnt
        )  # fmt: skip
        assert after.plan == state.plan
        assert tick is not None
        assert tick.state_before == before


def test_reading_does_not_bring_a_store_up(old: Old) -> None:
    path, *_ = old
    with pytest.raises(StoreError, match=rf"version 1, older than {VERSION}; start `costplan run`"):
        Store.open(path, read_only=True, clock=clock)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_store_is_refused(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "new.db"
    with held(path) as store:
        store.commit(tick_at(1, State()))
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StoreError, match=rf"is of version {VERSION + 1}.*knows up to {VERSION}"):
        Store.open(path, read_only=read_only, clock=clock)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        assert db.execute("SELECT count(*) FROM ticks").fetchone() == (1,)


def test_a_step_that_fails_leaves_the_old_version(old: Old) -> None:
    path, *_ = old
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE state")
    with pytest.raises(StoreError):
        Store.open(path, clock=clock)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert db.execute("SELECT count(*) FROM ticks").fetchone() == (1,)


def test_ticks_of_version_2_are_read_as_without_an_outlook(tmp_path: Path) -> None:
    """They had one part less, and no table of demand."""
    path = tmp_path / "s.db"
    with held(path) as store:
        store.commit(tick_at(1, State()))
        before = store.last_tick()
    with closing(sqlite3.connect(path)) as db, db:
        as_version_3(db)
        db.execute("DROP TABLE demand")
        db.execute("DROP TABLE plans")
        db.execute("DROP TABLE deliveries")
        db.execute("DROP TABLE delivery_marks")
        db.execute("UPDATE ticks SET refs = substr(refs, 1, length(refs) - ?)", (DIGEST_BYTES,))
        db.execute("PRAGMA user_version=2")
    with held(path) as store:
        assert store.last_tick() == before
        assert store.demand("test") == ()
        store.commit(tick_at(2, State()))
        store.prune(NOON)
        assert [tick.tick_id for tick in store.ticks(2)] == ["t-2", "t-1"]
