"""Corrections of a tick, by what stands in the ledger: the meter knows what it wrote, and not what
a better price or a bill has made of that since."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from costplan.adapters.store.entries import read_blocks
from costplan.adapters.store.ledger import read_recorded
from costplan.planner.ledger import MACHINE, LedgerEntry
from costplan.planner.ledger_net import standing, taken_back


def as_charged(
    db: sqlite3.Connection, path: Path, entries: Sequence[LedgerEntry]
) -> Sequence[LedgerEntry]:
    """The entries, with what corrections of machines take back at the rates that stand of it."""
    late = [entry for entry in entries if _is_late(entry)]
    if not late:
        return entries
    start, end = min(entry.start for entry in late), max(entry.end for entry in late)
    if not any(block.recording.reason for block in read_blocks(db, start, end)):
        return entries
    nodes = {entry.node_id for entry in late}
    stands = standing(
        each
        for each in read_recorded(db, path, start, end)
        if each.entry.charge == MACHINE and each.entry.node_id in nodes
    )
    found = list[LedgerEntry]()
    for entry in entries:
        own = [piece for piece in stands if piece.of.entry.node_id == entry.node_id]
        found += taken_back(entry, own) if _is_late(entry) else [entry]
    return found


def _is_late(entry: LedgerEntry) -> bool:
    return entry.kind == "correction" and entry.charge == MACHINE
