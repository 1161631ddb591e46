"""The bill of a rig's machines, from their lives alone: shares no code with the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """A machine of a node that was paid for in [`began`, `ended`), at least for a while."""

    node_id: str
    began: datetime
    ended: datetime
    usd_per_hour: Decimal
    disk_usd_per_month: Decimal = Decimal(0)
    address_usd_per_hour: Decimal = Decimal(0)
    minimum_seconds: int = 60
    step_seconds: int = 1

    @property
    def usd(self) -> Decimal:
        """By begun seconds: 61.5 s of 0.60 USD/h are 62/3600 of that, 10 s are 60/3600; by begun
        minutes where a step is one: 61.5 s are 120/3600. A month of the disk has 730 hours."""
        lasted = self.ended - self.began
        whole = lasted.days * 86_400 + lasted.seconds + (lasted.microseconds > 0)
        whole = -(-whole // self.step_seconds) * self.step_seconds
        rate = self.usd_per_hour + self.disk_usd_per_month / 730 + self.address_usd_per_hour
        return max(whole, self.minimum_seconds) * rate / 3600


def bill(lives: Iterable[Lived]) -> dict[str, Decimal]:
    """Dollars by node; raises ValueError where a node has two machines."""
    found: dict[str, Decimal] = {}
    for one in lives:
        if one.node_id in found:
            raise ValueError(f"{one.node_id} has two machines")
        found[one.node_id] = one.usd
    return found
