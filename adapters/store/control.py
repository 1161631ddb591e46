"""What the operator said, in tables of its own: commands write it, the daemon reads it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from costplan.planner.codec import decode, encode
from costplan.planner.tick import AppliedPlan, Control, DrainRequest

PAUSED, DOWN, APPLIED, EXECUTED, RELOAD = "paused_until", "down", "applied", "executed", "reload"


def read_control(connection: sqlite3.Connection) -> Control:
    """All of it, as a tick wants it."""
    said = dict(connection.execute("SELECT name, value FROM control").fetchall())
    drains = connection.execute("SELECT data FROM drains ORDER BY node_id").fetchall()
    paused = said.get(PAUSED)
    applied = said.get(APPLIED)
    return Control(
        paused_until=None if paused is None else datetime.fromisoformat(paused),
        drains=tuple(decode(data.encode(), DrainRequest) for (data,) in drains),
        down=DOWN in said,
        down_discard=said.get(DOWN) == "discard",
        applied_plan=said.get(EXECUTED),
        applied=None if applied is None else decode(applied.encode(), AppliedPlan),
    )


def say(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    """Sets a word, None takes it back."""
    if value is None:
        connection.execute("DELETE FROM control WHERE name = ?", (name,))
    else:
        connection.execute("INSERT OR REPLACE INTO control VALUES (?, ?)", (name, value))


def say_drain(connection: sqlite3.Connection, request: DrainRequest) -> None:
    """That a node must go."""
    data = encode(request, DrainRequest).decode()
    connection.execute("INSERT OR REPLACE INTO drains VALUES (?, ?)", (request.node_id, data))


def say_applied(connection: sqlite3.Connection, plan_id: str, at: datetime) -> None:
    """That an operator's plan was executed; it is not executed again."""
    connection.execute(
        "INSERT OR REPLACE INTO applied VALUES (?, ?)", (plan_id, at.astimezone(UTC).isoformat())
    )
    say(connection, EXECUTED, plan_id)
