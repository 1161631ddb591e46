"""New nodes, and the dearer ones whose place they take."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from costplan.planner.buying import Column
from costplan.planner.fleet_view import Asset
from costplan.planner.tick import NewNode
from costplan.planner.units import usd_of
from costplan.planner.wording import plain

PART_USD = Decimal("0.01")
"""What is left to pay of a machine that is said to be paid for in full, disks and the like."""


def replacements(
    bought: Sequence[Column], dearer: Sequence[Asset]
) -> tuple[list[NewNode], list[Asset]]:
    """New nodes with the dearer ones that they replace, as far as they cover their workers."""
    names: list[list[str]] = [[] for _ in bought]
    room = [dict(column.workers) for column in bought]
    replaced = []
    for asset in dearer:
        left, used = dict(asset.workers), []
        for place, free in enumerate(room):
            taken = {k: min(n, free.get(k, 0)) for k, n in left.items()}
            if any(taken.values()):
                used.append((place, taken))
                left = {k: n - taken[k] for k, n in left.items()}
        if any(left.values()):
            continue
        for place, taken in used:
            names[place].append(asset.node.node_id)
            for kind, count in taken.items():
                room[place][kind] = room[place].get(kind, 0) - count
        replaced.append(asset)
    new = [
        NewNode(
            keys=column.keys,
            workers=column.workers,
            usd_per_hour=column.usd_per_hour,
            reason=_why_new(column, names[place]),
            replaces=tuple(names[place]),
            risk_usd_per_hour=usd_of(column.risk_usd_per_hour),
        )
        for place, column in enumerate(bought)
    ]
    return new, replaced


def _why_new(column: Column, replaced: Sequence[str]) -> str:
    why = f"takes the place of {', '.join(replaced)}" if replaced else "more work"
    if not column.paid_by:
        return why
    paid = " and ".join(map(plain, column.paid_by))
    return f"{why}; paid by {paid}" + (" in part" if column.usd_per_hour > PART_USD else "")
