"""Ticks and the state as rows, and back, exactly as they were."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from costplan.adapters.store import control
from costplan.adapters.store.bodies import (
    STATE_PARTS,
    TICK_PARTS,
    Packed,
    Texts,
    load_from,
    opened,
    plan_from,
    with_parts,
)
from costplan.adapters.store.parts import Blob, split, whole
from costplan.adapters.store.records import Body, StoredTick, TickCommit
from costplan.planner.codec import decode
from costplan.planner.errors import InputError
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.tick import State
from costplan.planner.types import Mode


def write_tick(db: sqlite3.Connection, tick: TickCommit, packed: Packed) -> None:
    """Writes a tick's row and the state after it; their blobs are written apart."""
    db.execute(
        """INSERT INTO state (one, data, load, refs) VALUES (1, ?1, NULL, ?2)
        ON CONFLICT DO UPDATE SET data = ?1, load = NULL, refs = ?2""",
        (packed.state, _joined(packed.state_parts)),
    )
    db.execute(
        """INSERT INTO ticks (tick_id, at, replan, mode, has_plan, is_quiet, version, snapshot,
        summary, body, refs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            tick.tick_id,
            tick.at.isoformat(),
            int(tick.replan),
            tick.mode.value,
            int(tick.plan is not None),
            int(tick.plan is None and not tick.actions),
            tick.version,
            tick.snapshot_digest,
            json.dumps(dict(tick.summary), sort_keys=True),
            packed.body,
            _joined(packed.parts),
        ),
    )


def write_blobs(db: sqlite3.Connection, blobs: Iterable[Blob]) -> None:
    """Writes blobs that are not there yet."""
    db.executemany(
        "INSERT OR IGNORE INTO blobs (digest, data, parts) VALUES (?, ?, ?)",
        [(blob.digest, blob.data, blob.parts) for blob in blobs],
    )


def read_state(db: sqlite3.Connection) -> State:
    """The state after the newest tick, with what the operator has said since."""
    nodes = {
        node_id: decode(zlib.decompress(data), Node)
        for node_id, data in db.execute(
            "SELECT node_id, data FROM nodes WHERE is_current = 1 ORDER BY node_id"
        )
    }
    state = State()
    row = db.execute("SELECT data, load, refs FROM state").fetchone()
    if row is not None:
        data, load, refs = row
        state = decode(zlib.decompress(data), State)
        if refs is None:
            # Version 1 kept all of it in the row.
            state = replace(state, load=load_from(load))
        else:
            state = with_parts(state, _texts(db, STATE_PARTS, refs))
    return replace(state, nodes=MappingProxyType(nodes), control=control.read_control(db))


def read_tick(db: sqlite3.Connection, seq: int) -> StoredTick | None:
    """The tick of a number, None where there is none any more; raises InputError."""
    row = db.execute(
        """SELECT tick_id, at, replan, mode, version, snapshot, summary, body, refs
        FROM ticks WHERE seq = ?""",
        (seq,),
    ).fetchone()
    if row is None:
        return None
    tick_id, at, replan, mode, version, snapshot, summary, data, refs = row
    body: Body = decode(zlib.decompress(data), Body)
    texts = _texts(db, TICK_PARTS, refs)
    readings, before = opened(body, texts)
    settings: Settings = decode(texts["settings"][0], Settings)
    return StoredTick(
        seq=seq,
        tick_id=tick_id,
        at=datetime.fromisoformat(at),
        replan=bool(replan),
        mode=Mode(mode),
        gaps=body.gaps,
        readings=readings,
        state_before=before,
        settings=settings,
        snapshot_digest=snapshot,
        plan=plan_from(texts["plan"]),
        actions=body.actions,
        entries=body.entries,
        version=version,
        summary=MappingProxyType(json.loads(summary)),
    )


def _texts(db: sqlite3.Connection, names: Iterable[str], refs: bytes) -> dict[str, Texts]:
    found: dict[str, Texts] = {}
    for name, digest in zip(names, split(refs), strict=True):
        text, parts = _blob(db, digest)
        found[name] = text, [_blob(db, part)[0] for part in split(parts)]
    return found


def _blob(db: sqlite3.Connection, digest: bytes) -> tuple[str, bytes]:
    row: Any = db.execute("SELECT data, parts FROM blobs WHERE digest = ?", (digest,)).fetchone()
    if row is None:
        raise InputError(f"part {digest.hex()}", "is missing", "restore a backup (docs/store.md)")
    return whole(digest, *row), row[1]


def _joined(blobs: Iterable[Blob]) -> bytes:
    return b"".join(blob.digest for blob in blobs)
