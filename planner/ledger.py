"""What the machines cost: entries that add up, priced by the quote in force.

Shares no code with the optimizer: two independent pieces of code must agree on every dollar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from costplan.planner.types import OfferKey, require, require_utc


class Use(StrEnum):
    """What a node was doing while it was paid for: `READY` time is busy or idle by its share."""

    BOOT = "boot"
    READY = "ready"
    DRAIN = "drain"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Dollars for the half-open interval [start, end) of one node; corrections are new entries.

    `usd` is exact at 12 places: `usd_per_hour` x (end - start), which lies within one quote and
    one use. `busy_seconds` is task-time that the node's workers finished in it and
    `thread_seconds` what they could have. `kind` is 'usage' or 'correction'.
    """

    node_id: str
    key: OfferKey
    start: datetime
    end: datetime
    usd: Decimal
    usd_per_hour: Decimal
    kind: str
    use: Use
    busy_seconds: float
    thread_seconds: float
    rate_source: str
    workload: str

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        require(self.start < self.end, f"an interval must not be empty: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """How far a node is accounted for: up to `until`, with its workers' task-time then, at the
    rate in force since."""

    until: datetime
    busy_seconds: float
    usd_per_hour: Decimal
    rate_source: str
