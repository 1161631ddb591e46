"""The tables of what is to be delivered, and of what was; see `outbox`."""

from __future__ import annotations

TABLES = (
    """CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
        channel TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL,
        made_at TEXT NOT NULL, due_at TEXT NOT NULL, attempts INTEGER NOT NULL,
        is_begun INTEGER NOT NULL, problem TEXT NOT NULL, ended_at TEXT, receipt TEXT NOT NULL)""",
    "CREATE INDEX deliveries_waiting ON deliveries (due_at) WHERE state = 'waiting'",
    # Up to when schedules, budgets and days were looked at, by their names.
    "CREATE TABLE delivery_marks (name TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID",
)
"""Instants are ISO 8601 in UTC with microseconds, so that their order is that of their text."""
