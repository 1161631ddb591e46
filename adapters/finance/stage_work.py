"""The work that a book's dollars paid for, and what of it ran again."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.whose import People
from costplan.adapters.store.entries import micros

if TYPE_CHECKING:
    import duckdb

Span = tuple[datetime | None, datetime | None]

_FIRST, _LAST = -(2**60), 2**60


def stage_done(duck: duckdb.DuckDBPyConnection, db: sqlite3.Connection, span: Span) -> bool:
    """Makes `done`: finished work by node, step and label. Gives whether there is any.

    A step counts to the time that it begins in.
    """
    import pyarrow as pa

    begin, end = _bounds(span)
    rows = db.execute(
        """SELECT step * 1000, node_id, label, start * 1000, "end" * 1000, busy_us, tasks, rows
        FROM work WHERE step * 1000 >= ? AND step * 1000 < ? ORDER BY step, node_id, label""",
        (begin, end),
    ).fetchall()
    names = ("step_us", "node_id", "label", "start_us", "end_us", "busy_us", "tasks", "rows")
    columns = list(zip(*rows, strict=True)) or [() for _ in names]
    kinds = [pa.string() if name == "node_id" else pa.int64() for name in names]
    table = pa.table({n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)})
    _create(duck, "done", table)
    return bool(rows)


def stage_again(duck: duckdb.DuckDBPyConnection, db: sqlite3.Connection, span: Span) -> bool:
    """Makes `again`: task-time that was spent on what had been lost. Gives whether there is any."""
    import pyarrow as pa

    begin, end = _bounds(span)
    rows = db.execute(
        """SELECT begin_us, end_us, recomputed_us FROM again WHERE end_us > ? AND begin_us < ?
        ORDER BY id""",
        (begin, end),
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    names = ("begin_us", "end_us", "recomputed_us")
    table = pa.table({n: pa.array(c, pa.int64()) for n, c in zip(names, columns, strict=True)})
    _create(duck, "again", table)
    return bool(rows)


def make_work(duck: duckdb.DuckDBPyConnection, people: People) -> None:
    """Makes the view `work`: what was finished, by node, quarter of an hour and label, in words."""
    import pyarrow as pa

    known = sorted(people.labels)
    said = [people.labels[number] for number in known]
    names = ("workload", "team", "project", "cost_center", "environment", "user", "run", "span",
             "prefix")  # fmt: skip
    columns: dict[str, Any] = {"label": pa.array(known, pa.int64())}
    for name in names:
        columns[name] = pa.array([each.said.get(name, "") for each in said], pa.string())
    _create(duck, "labels", pa.table(columns))
    listed = ", ".join(f'coalesce(l."{name}", \'\') AS "{name}"' for name in names)
    duck.execute(
        f"""CREATE VIEW work AS SELECT make_timestamp(d.step_us) AS step_at,
        make_timestamp(d.start_us) AS start_at, make_timestamp(d.end_us) AS end_at, d.node_id,
        {listed}, d.busy_us, d.tasks, d.rows FROM done d LEFT JOIN labels l USING (label)"""  # noqa: S608 - ours
    )


def _create(duck: duckdb.DuckDBPyConnection, name: str, table: Any) -> None:
    duck.register("batch", table)
    duck.execute(f"CREATE TABLE {name} AS SELECT * FROM batch")  # noqa: S608 - ours
    duck.unregister("batch")


def _bounds(span: Span) -> tuple[int, int]:
    begin, end = span
    return (
        _FIRST if begin is None else micros(begin),
        _LAST if end is None else micros(end),
    )
