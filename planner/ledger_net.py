"""What of a ledger stands: charges less what was taken back, piece by piece.

A correction takes back what it lies over, of the same node and charge, at the rate that was
charged. What is left of two charges never overlaps, and has no holes between launch and end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from costplan.planner.ledger import LedgerEntry, Recorded
from costplan.planner.ledger_cuts import pieces
from costplan.planner.spans import amount_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The part [start, end) of an entry that stands."""

    of: Recorded
    start: datetime
    end: datetime


def standing(entries: Iterable[Recorded]) -> list[Standing]:
    """What stands of entries in the order of their numbers, by node, charge and time."""
    left: dict[tuple[str, str], list[Standing]] = defaultdict(list)
    for each in entries:
        entry = each.entry
        of_node = left[entry.node_id, entry.charge]
        if entry.kind == "usage":
            of_node.append(Standing(of=each, start=entry.start, end=entry.end))
        else:
            left[entry.node_id, entry.charge] = _without(of_node, entry)
    return [
        piece
        for key in sorted(left)
        for piece in sorted(left[key], key=lambda piece: (piece.start, piece.of.entry_id))
    ]


def taken_back(correction: LedgerEntry, stands: Sequence[Standing]) -> list[LedgerEntry]:
    """The correction at the rates that stand of its node and charge in its time, which may have
    been charged anew since the meter wrote them."""
    cuts = sorted({at for piece in stands for at in (piece.start, piece.end)})
    found = []
    for part in pieces(correction, cuts):
        for piece in stands:
            if piece.start <= part.start and part.end <= piece.end:
                of = piece.of.entry
                is_whole = (part.start, part.end) == (of.start, of.end)
                usd = of.usd if is_whole else amount_usd(of.usd_per_hour, part.start, part.end)
                found.append(
                    replace(
                        part,
                        usd=-usd,
                        usd_per_hour=of.usd_per_hour,
                        on_demand_usd_per_hour=of.on_demand_usd_per_hour,
                    )
                )
    return found


def _without(stands: Sequence[Standing], taken: LedgerEntry) -> list[Standing]:
    found = []
    for piece in stands:
        is_met = piece.start < taken.end and taken.start < piece.end
        if not is_met or not _same_rate(piece.of.entry.usd_per_hour, taken.usd_per_hour):
            found.append(piece)
            continue
        if piece.start < taken.start:
            found.append(Standing(of=piece.of, start=piece.start, end=taken.start))
        if taken.end < piece.end:
            found.append(Standing(of=piece.of, start=taken.end, end=piece.end))
    return found


def _same_rate(one: Decimal, other: Decimal) -> bool:
    return one == other
