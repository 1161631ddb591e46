"""What of each entry's time ran tasks.

A task counts where it ended, and it ran before: what is more than an entry's thread-time goes to
the entry of its node before it, and so on. What is over at a node's first entry is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from costplan.adapters.store.entries import KINDS, USES
from costplan.planner.ledger import Use

if TYPE_CHECKING:
    import duckdb

Ints = NDArray[np.int64]

_BATCH_ROWS = 1_000_000
_WORKING = f"({USES.index(Use.READY)}, {USES.index(Use.DRAIN)})"

_WORKED = f"""
CREATE VIEW worked AS
SELECT entry_id, node_id, start_us, end_us,
    CASE WHEN "use" IN {_WORKING} THEN thread_us ELSE 0 END AS thread_us, busy_us AS own_us
FROM entries JOIN items USING (item)
WHERE charge = 'machine' AND kind = {KINDS.index("usage")} AND (busy_us > 0 OR thread_us > 0)
"""  # noqa: S608 - ours

_AT_ONCE = """
CREATE TABLE busy AS SELECT *, least(own_us, thread_us) AS used_us FROM worked
WHERE own_us > 0 AND thread_us > 0 AND node_id NOT IN (SELECT node_id FROM late)
"""

_LATE = """
CREATE TABLE late AS SELECT node_id, count(*) AS rows FROM worked
GROUP BY node_id HAVING bool_or(own_us > thread_us)
"""
"""Nodes of which something goes to an entry before."""


def make_busy(duck: duckdb.DuckDBPyConnection) -> None:
    """Makes `busy`: machines' entries in which tasks ran, the task-time that was counted in them
    and that which they ran, in microseconds."""
    duck.execute(_WORKED)
    duck.execute(_LATE)
    duck.execute(_AT_ONCE)
    late = duck.execute("SELECT node_id, rows FROM late ORDER BY node_id").fetchall()
    for nodes in _batches(late):
        _carry(duck, nodes)
    duck.execute("DROP TABLE late")
    duck.execute("DROP VIEW worked")


def _batches(late: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """So many nodes at a time that their entries fit in memory."""
    batch, rows = list[str](), 0
    for node, count in late:
        batch.append(node)
        rows += count
        if rows >= _BATCH_ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _carry(duck: duckdb.DuckDBPyConnection, nodes: Sequence[str]) -> None:
    import pyarrow as pa

    duck.register("asked", pa.table({"node": range(len(nodes)), "node_id": list(nodes)}))
    found: dict[str, Any] = duck.execute(
        """SELECT entry_id, node, start_us, own_us, thread_us FROM worked JOIN asked
        USING (node_id) ORDER BY node, start_us DESC, entry_id DESC"""
    ).fetchnumpy()
    columns = {name: np.asarray(values).astype(np.int64) for name, values in found.items()}
    used = used_us(columns["node"], columns["own_us"], columns["thread_us"])
    kept = used > 0
    table = {"entry_id": columns["entry_id"][kept], "used_us": used[kept]}
    duck.register("batch", pa.table(table))
    duck.execute(
        """INSERT INTO busy SELECT w.*, b.used_us FROM batch b JOIN worked w USING (entry_id)"""
    )
    duck.unregister("batch")
    duck.unregister("asked")


def used_us(node: Ints, busy: Ints, thread: Ints) -> Ints:
    """The task-time that each entry ran, of what was counted in it and in later ones of its node.

    Entries are in the order of their nodes, and of each node the last one first.
    """
    used = np.empty_like(busy)
    borders = [0, *(np.flatnonzero(np.diff(node)) + 1).tolist(), len(node)]
    over = np.cumsum(busy - thread)
    for first, last in pairwise(borders):
        here = over[first:last] - (over[first - 1] if first else 0)
        carried = here - np.minimum(0, np.minimum.accumulate(here))
        used[first:last] = busy[first:last] - carried
        used[first + 1 : last] += carried[:-1]
    return used
