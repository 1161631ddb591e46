"""Dollars as they are shown, so that what is shown adds up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal


def digits_for(total: Decimal) -> int:
    """Decimal places that show an amount and its parts: cents from $10 on, else more."""
    size = abs(total)
    if size >= 10 or size == 0:
        return 2
    return 4 if size >= Decimal("0.1") else min(12, 3 - size.adjusted())


def rounded_parts(parts: Sequence[Decimal], digits: int) -> list[Decimal]:
    """The parts rounded so that they add up to their rounded sum, each off by less than one
    unit: what is missing goes to the largest remainders, the first of equals."""
    unit = Decimal(1).scaleb(-digits)
    total = sum(parts, Decimal(0)).quantize(unit, rounding=ROUND_HALF_EVEN)
    floors = [part.quantize(unit, rounding=ROUND_FLOOR) for part in parts]
    missing = int((total - sum(floors, Decimal(0))) / unit)
    order = sorted(range(len(parts)), key=lambda i: (floors[i] - parts[i], i))
    for place in order[:missing]:
        floors[place] += unit
    return floors


def dollars(amount: Decimal, digits: int) -> str:
    """'$1,234.50', '-$0.0021'."""
    text = f"{abs(amount):,.{digits}f}"
    return f"-${text}" if amount < 0 and text.strip("0.,") else f"${text}"
