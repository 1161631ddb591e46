"""The tables of the store, and the steps from each version of them to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from costplan.adapters.store import again, entries, outbox_tables, owners, plans, reconciled
from costplan.adapters.store.parts import blob_of
from costplan.adapters.store.upgrade import pack_entries

Step = str | Callable[[sqlite3.Connection], None]
"""A statement, or what no statement can do."""

APPLICATION_ID = 0x636F7374
"""'cost' in ASCII: what tells a store from any other SQLite file."""

_NOTHING = blob_of("null")

MIGRATIONS: tuple[tuple[Step, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # One row while somebody drives the cluster; `fence` counts takings of it.
        """CREATE TABLE lease (
            one INTEGER PRIMARY KEY CHECK (one = 1), holder TEXT NOT NULL, host TEXT NOT NULL,
            pid INTEGER NOT NULL, pid_started TEXT NOT NULL, since TEXT NOT NULL,
            until TEXT NOT NULL, fence INTEGER NOT NULL)""",
        # What ticks share is stored once, by its digest.
        "CREATE TABLE blobs (digest TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID",
        """CREATE TABLE nodes (
            node_id TEXT PRIMARY KEY, phase TEXT NOT NULL, phase_since TEXT NOT NULL,
            is_current INTEGER NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL)""",
        "CREATE INDEX nodes_by_phase ON nodes (is_current, phase)",
        # Everything else that must survive: one row.
        """CREATE TABLE state (
            one INTEGER PRIMARY KEY CHECK (one = 1), data BLOB NOT NULL, load BLOB)""",
        """CREATE TABLE intents (
            id INTEGER PRIMARY KEY, tick_id TEXT NOT NULL, action_key TEXT NOT NULL,
            at TEXT NOT NULL, action BLOB NOT NULL, outcome TEXT, ended_at TEXT, detail TEXT)""",
        "CREATE INDEX intents_open ON intents (action_key) WHERE outcome IS NULL",
        """CREATE TABLE ticks (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, tick_id TEXT NOT NULL UNIQUE, at TEXT NOT NULL,
            replan INTEGER NOT NULL, mode TEXT NOT NULL, has_plan INTEGER NOT NULL,
            version TEXT NOT NULL, snapshot TEXT NOT NULL,
            summary TEXT NOT NULL, body BLOB NOT NULL, load BLOB)""",
        "CREATE INDEX ticks_with_plan ON ticks (has_plan, seq)",
        """CREATE TABLE tick_blobs (
            seq INTEGER NOT NULL REFERENCES ticks (seq) ON DELETE CASCADE, digest TEXT NOT NULL,
            PRIMARY KEY (seq, digest)) WITHOUT ROWID""",
        """CREATE TABLE entries (
            id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, start TEXT NOT NULL, "end" TEXT NOT NULL,
            usd TEXT NOT NULL, workload TEXT NOT NULL, data TEXT NOT NULL)""",
        'CREATE INDEX entries_by_time ON entries (start, "end")',
        # What the operator said; the daemon reads it at every tick.
        "CREATE TABLE control (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE drains (node_id TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE applied (plan_id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        # Ticks refer to few blobs, and a blob to its chunks; ticks of version 1 are let go of.
        "DROP TABLE tick_blobs",
        "DROP TABLE ticks",
        "DROP TABLE blobs",
        "CREATE TABLE blobs (digest BLOB PRIMARY KEY, data BLOB NOT NULL, parts BLOB NOT NULL)",
        """CREATE TABLE ticks (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, tick_id TEXT NOT NULL, at TEXT NOT NULL,
            replan INTEGER NOT NULL, mode TEXT NOT NULL, has_plan INTEGER NOT NULL,
            is_quiet INTEGER NOT NULL, version TEXT NOT NULL, snapshot TEXT NOT NULL,
            summary TEXT NOT NULL, body BLOB NOT NULL, refs BLOB NOT NULL)""",
        "CREATE INDEX ticks_by_id ON ticks (tick_id)",
        "CREATE INDEX ticks_with_plan ON ticks (has_plan, seq)",
        "CREATE INDEX ticks_quiet ON ticks (is_quiet, seq)",
        # The parts of the state by digest; NULL where version 1 kept all of it in the row.
        "ALTER TABLE state ADD COLUMN refs BLOB",
    ),
    (
        # Of each kind of worker: for how many seconds of a step of five minutes it was known how
        # many are asked for, and worker-seconds.
        """CREATE TABLE demand (
            cluster TEXT NOT NULL, kind TEXT NOT NULL, start TEXT NOT NULL,
            seconds REAL NOT NULL, worker_seconds REAL NOT NULL,
            PRIMARY KEY (cluster, kind, start)) WITHOUT ROWID""",
        # Ticks have one part more, the demand to come; those there are had none.
        f"""INSERT OR IGNORE INTO blobs (digest, data, parts)
            VALUES (x'{_NOTHING.digest.hex()}', x'{_NOTHING.data.hex()}', x'')""",  # noqa: S608 - ours
        f"UPDATE ticks SET refs = CAST(refs || x'{_NOTHING.digest.hex()}' AS BLOB)",  # noqa: S608 - ours
    ),
    (
        # What was computed and for what, in steps of a quarter of an hour; instants in epoch
        # milliseconds. A label's span is its path and its tags are an object, both as JSON.
        """CREATE TABLE work_labels (
            id INTEGER PRIMARY KEY, prefix TEXT NOT NULL, span TEXT NOT NULL, tags TEXT NOT NULL,
            UNIQUE (prefix, span, tags))""",
        """CREATE TABLE work (
            step INTEGER NOT NULL, node_id TEXT NOT NULL,
            label INTEGER NOT NULL REFERENCES work_labels (id), start INTEGER NOT NULL,
            "end" INTEGER NOT NULL, busy_us INTEGER NOT NULL, tasks INTEGER NOT NULL,
            rows INTEGER NOT NULL, PRIMARY KEY (step, node_id, label)) WITHOUT ROWID""",
    ),
    (
        # The ledger in blocks that nobody may change, with what finance asks for.
        "DROP INDEX entries_by_time",
        "ALTER TABLE entries RENAME TO old_entries",
        *entries.TABLES,
        owners.TABLE,
        again.TABLE,
        pack_entries,
        "DROP TABLE old_entries",
    ),
    (plans.TABLE,),
    # Which bills the ledger was made to agree with, and what was issued to people.
    reconciled.TABLES,
    outbox_tables.TABLES,
    reconciled.BILLED,
)
"""Steps that lead from version n to n + 1; the last is the newest."""

VERSION = len(MIGRATIONS)
