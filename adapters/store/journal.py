"""The journal: what was decided, written before it is done, and what became of it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable
from datetime import datetime

from costplan.planner.codec import decode, digest, encode
from costplan.planner.tick import Action, ActionOutcome

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


def _key(action: Action) -> str:
    """What makes two actions one: an action is said again with the same key."""
    return f"{type(action).__name__}-{digest((action,), _ACTIONS)}"
