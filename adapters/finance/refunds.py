"""Spot machines that a provider took away so soon that it charges nothing for them."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import orjson

from costplan.planner.commitments.values import Metering, Rules
from costplan.planner.types import Market, Phase

if TYPE_CHECKING:
    import duckdb

_NO_METERING = Metering()


def stage_refunded(duck: duckdb.DuckDBPyConnection, db: sqlite3.Connection, rules: Rules) -> bool:
    """Makes `refunded`: staged spot nodes that ended within their provider's free time, by its
    own doing. Gives whether there are any."""
    duck.execute("CREATE TABLE refunded (node_id VARCHAR)")
    spot = dict(
        duck.execute(
            "SELECT DISTINCT node_id, provider FROM items WHERE market = ? AND charge = 'machine'",
            [Market.SPOT.value],
        ).fetchall()
    )
    free = {name for name, each in rules.metering.items() if each.free_seconds > 0}
    if not free & set(spot.values()):
        return False
    found = [[node_id] for node_id in _taken_soon(db, spot, rules)]
    if found:
        duck.executemany("INSERT INTO refunded VALUES (?)", found)
    return bool(found)


def _taken_soon(db: sqlite3.Connection, spot: dict[str, str], rules: Rules) -> Iterator[str]:
    for node_id, data in db.execute(
        "SELECT node_id, data FROM nodes WHERE phase = ? ORDER BY node_id", (Phase.GONE.value,)
    ):
        if node_id not in spot:
            continue
        node = orjson.loads(zlib.decompress(data))
        over = [cause for phase, _, cause in node["history"] if phase == Phase.GONE.value]
        if not (over and over[0].startswith("reclaimed") and node["ended_at"]):
            continue
        lived = datetime.fromisoformat(node["ended_at"]) - datetime.fromisoformat(
            node["launched_at"]
        )
        metering = rules.metering.get(spot[node_id], _NO_METERING)
        if lived.total_seconds() < metering.free_seconds:
            yield node_id
