"""Entries of stores up to version 3, which were JSON in a row each, as blocks."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from costplan.adapters.store.entries import Known, Recording, write_block
from costplan.planner.codec import decode
from costplan.planner.ledger import MACHINE, LedgerEntry
from costplan.planner.ledger_months import month_of
from costplan.planner.types import Market

_BLOCK = 1_000


def pack_entries(db: sqlite3.Connection) -> None:
    """Moves all entries of `old_entries`, with the numbers that they had.

    When they were written nobody kept: they count as recorded at their end. What they did not say
    of their machines is taken from the nodes.
    """
    nodes = {
        node_id: json.loads(zlib.decompress(data))
        for node_id, data in db.execute("SELECT node_id, data FROM nodes")
    }
    known, first_id = Known(), 1
    for (month, end), group in groupby(_old(db, nodes), key=lambda e: (month_of(e.start), e.end)):
        rows = list(group)
        for place in range(0, len(rows), _BLOCK):
            block = rows[place : place + _BLOCK]
            write_block(db, first_id, month, block, Recording(at=end), known)
            first_id += len(block)


def _old(db: sqlite3.Connection, nodes: dict[str, Any]) -> Iterator[LedgerEntry]:
    for (data,) in db.execute("SELECT data FROM old_entries ORDER BY id"):
        entry: LedgerEntry = decode(data, LedgerEntry)
        node = nodes.get(entry.node_id, {})
        size = node.get("resources", {}) if entry.charge == MACHINE else {}
        is_plain = entry.charge != MACHINE or entry.key.market is Market.ON_DEMAND
        yield replace(
            entry,
            on_demand_usd_per_hour=entry.usd_per_hour if is_plain else None,
            resource_id=node.get("provider_id") or "",
            vcpu_milli=size.get("vcpu_milli", 0),
            memory_bytes=size.get("memory_bytes", 0),
            gpus=size.get("gpus", 0),
        )
