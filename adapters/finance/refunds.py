"""Spot machines that a provider took away so soon that it charges nothing for them."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import orjson

from costplan.adapters.finance.restating import REASON
from costplan.adapters.store.entries import instant_of
from costplan.planner.commitments.values import Metering, Rules
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market, Phase
from costplan.planner.units import pico_from_usd

if TYPE_CHECKING:
    import duckdb

_NO_METERING = Metering()

GivenBack = tuple[int | None, dict[int, tuple[int, int]]]
"""A recording and what is given back from it on; see `given_back`."""


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


def given_back(duck: duckdb.DuckDBPyConnection) -> dict[int, tuple[int, int]]:
    """Charges of `refunded` nodes by their numbers, in pico-dollars, and as much of each as is
    `standing`.

    What was taken back is not given back once more, and what a bill said that it cost is final.
    """
    rows = duck.execute(
        """SELECT entry_id, e.pico, e.start_us, e.end_us, exact, s.start_us, s.end_us
        FROM refunded JOIN items USING (node_id) JOIN entries e USING (item)
        JOIN rates USING (rate) JOIN recordings USING (recording) JOIN standing s USING (entry_id)
        WHERE charge = 'machine' AND reason != ? AND e.pico > 0 ORDER BY entry_id, s.start_us""",
        [REASON],
    ).fetchall()
    found: dict[int, tuple[int, int]] = {}
    for entry, pico, start, end, exact, from_us, to_us in rows:
        back = pico
        if (from_us, to_us) != (start, end):
            usd = amount_usd(Decimal(exact), instant_of(from_us), instant_of(to_us))
            back = found.get(entry, (pico, 0))[1] + pico_from_usd(usd)
        found[entry] = pico, back
    return found


def stage_given_back(duck: duckdb.DuckDBPyConnection, stages: Sequence[GivenBack]) -> None:
    """Makes `given_back` of what is given back of each charge, one month's issues after the other:
    what a later recording changes of an earlier charge is that one's, and else the charge's own."""
    rows, before = list[list[int | None]](), dict[int, tuple[int, int]]()
    known = set[int]()
    for recording, found in stages:
        for entry in sorted(before.keys() | found.keys()):
            pico = (found.get(entry) or before[entry])[0]
            back = found.get(entry, (pico, 0))[1] - before.get(entry, (pico, 0))[1]
            if back:
                rows.append([entry, pico, back, recording if entry in known else None])
        before = found
        known |= found.keys()
    duck.execute(
        "CREATE TABLE given_back (entry_id BIGINT, pico BIGINT, back_pico BIGINT, recording BIGINT)"
    )
    if rows:
        duck.executemany("INSERT INTO given_back VALUES (?, ?, ?, ?)", rows)


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
