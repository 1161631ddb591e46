"""What of each entry's time ran tasks.

A task counts where it ended, and it ran before: what is more than an entry's thread-time goes to
the entry of its node before it, and so on. What is over at a node's first entry is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from costplan.adapters.store.entries import KINDS, USES
from costplan.planner.ledger import Use

if TYPE_CHECKING:
    import duckdb

Ints = NDArray[np.int64]

_WORKING = f"({USES.index(Use.READY)}, {USES.index(Use.DRAIN)})"

_ASKED = f"""
SELECT entry_id, dense_rank_of.node AS node, start_us, busy_us,
    CASE WHEN "use" IN {_WORKING} THEN thread_us ELSE 0 END AS thread_us
FROM entries JOIN (
    SELECT item, dense_rank() OVER (ORDER BY node_id) AS node FROM items WHERE charge = 'machine'
) dense_rank_of USING (item)
WHERE kind = {KINDS.index("usage")} AND (busy_us > 0 OR thread_us > 0)
"""  # noqa: S608 - ours


def make_busy(duck: duckdb.DuckDBPyConnection) -> None:
    """Makes `busy`: machines' entries in which tasks ran, the task-time that was counted in them
    and that which they ran, in microseconds."""
    import pyarrow as pa

    asked: dict[str, Any] = duck.execute(_ASKED).fetchnumpy()
    node, start = (np.asarray(asked[name]).astype(np.int64) for name in ("node", "start_us"))
    busy, thread, entry = (
        np.asarray(asked[name]).astype(np.int64) for name in ("busy_us", "thread_us", "entry_id")
    )
    used = used_us(node, start, busy, thread, entry)
    kept = used > 0
    columns = {"entry_id": entry, "own_us": busy, "used_us": used, "thread_us": thread}
    duck.register("batch", pa.table({name: values[kept] for name, values in columns.items()}))
    duck.execute(
        """CREATE TABLE busy AS SELECT b.*, i.node_id, e.start_us, e.end_us
        FROM batch b JOIN entries e USING (entry_id) JOIN items i USING (item)"""
    )
    duck.unregister("batch")


def used_us(node: Ints, start: Ints, busy: Ints, thread: Ints, entry: Ints) -> Ints:
    """The task-time that each entry ran, of what was counted in it and in later ones."""
    used = np.minimum(busy, thread)
    late = np.unique(node[busy > thread])
    if not len(late):
        return used
    asked = np.flatnonzero(np.isin(node, late))
    # Of each node the last entry first.
    order = asked[np.lexsort((-entry[asked], -start[asked], node[asked]))]
    borders = np.flatnonzero(np.diff(node[order])) + 1
    for places in np.split(order, borders):
        over = np.cumsum(busy[places] - thread[places])
        carried = over - np.minimum(0, np.minimum.accumulate(over))
        before = np.concatenate(([0], carried[:-1]))
        used[places] = busy[places] + before - carried
    return used
