"""Dollars for a unit of what is wanted: a run, a thousand tasks, a GPU-hour."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """`usd` in the statement's view were spent on `units`; the price of one is their ratio.

    `of` names what is meant among its like (a prefix of tasks), '' of all.
    """

    unit: str
    of: str
    units: Decimal
    usd: Decimal

    @property
    def usd_each(self) -> Decimal:
        """Dollars for one; there is at least a part of one."""
        return self.usd / self.units
