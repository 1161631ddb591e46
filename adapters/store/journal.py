"""The journal: what was decided, written before it is done, and what became of it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable
from datetime import datetime

from costplan.planner.codec import decode, digest, encode
from costplan.planner.tick import Action, ActionOutcome, Launch, Terminate
from costplan.planner.types import Phase

_ACTIONS = tuple[Action, ...]


def write_outcomes(db: sqlite3.Connection, outcomes: Iterable[ActionOutcome]) -> None:
    """Closes the open intents of actions that ended."""
    db.executemany(
        """UPDATE intents SET outcome = ?, ended_at = ?, detail = ?
        WHERE action_key = ? AND outcome IS NULL""",
        [
            (ended.outcome.value, ended.at.isoformat(), ended.detail, _key(ended.action))
            for ended in outcomes
        ],
    )


def write_intents(
    db: sqlite3.Connection, tick_id: str, at: datetime, actions: Iterable[Action]
) -> None:
    """Adds what is to be done; an action that is said again before it ended is one intent."""
    for action in actions:
        key = _key(action)
        known = db.execute(
            "SELECT 1 FROM intents WHERE action_key = ? AND outcome IS NULL", (key,)
        ).fetchone()
        if known is None:
            db.execute(
                "INSERT INTO intents (tick_id, action_key, at, action) VALUES (?, ?, ?, ?)",
                (tick_id, key, at.isoformat(), zlib.compress(encode((action,), _ACTIONS), 1)),
            )


def read_open(db: sqlite3.Connection) -> tuple[Action, ...]:
    """Actions of which no outcome is known, in the order in which they were decided."""
    rows = db.execute("SELECT action FROM intents WHERE outcome IS NULL ORDER BY id")
    return tuple(decode(zlib.decompress(data), _ACTIONS)[0] for (data,) in rows)


def drop_forgotten(db: sqlite3.Connection, old: str) -> None:
    """Drops open intents from before `old` whose nodes were all gone by then, or are not known.

    Nobody will hear of their outcome any more, and nothing waits for it.
    """
    rows = db.execute("SELECT id, action FROM intents WHERE outcome IS NULL AND at < ?", (old,))
    named = [(n, _nodes(decode(zlib.decompress(data), _ACTIONS)[0])) for n, data in rows]
    if not named:
        return
    kept = {
        node_id
        for (node_id,) in db.execute(
            "SELECT node_id FROM nodes WHERE phase != ? OR phase_since >= ?",
            (Phase.GONE.value, old),
        )
    }
    dead = [(n,) for n, nodes in named if kept.isdisjoint(nodes)]
    db.executemany("DELETE FROM intents WHERE id = ?", dead)


def _nodes(action: Action) -> tuple[str, ...]:
    return (action.node_id,) if isinstance(action, Launch | Terminate) else action.node_ids


def _key(action: Action) -> str:
    """What makes two actions one: an action is said again with the same key."""
    return f"{type(action).__name__}-{digest((action,), _ACTIONS)}"
