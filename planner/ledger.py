"""What the machines cost: entries that add up, priced by the quote in force.

Shares no code with the optimizer: two independent pieces of code must agree on every dollar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from costplan.planner.errors import InvariantBroken
from costplan.planner.types import Billing, OfferKey, require_utc


class Use(StrEnum):
    """What a node was doing while it was paid for: `READY` time is busy or idle by its share."""

    BOOT = "boot"
    READY = "ready"
    DRAIN = "drain"
    END = "end"


MACHINE, DISK, ADDRESS = "machine", "disk", "address"
"""What an entry is charged for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Dollars for the half-open interval [start, end) of one node; corrections are new entries.

    `usd` is `usd_per_hour` x (end - start) to within 1e-12, which lies within one quote and one
    use, and neighbours at one rate add up to it exactly. `busy_seconds` is task-time that the
    node's workers finished in it and `thread_seconds` what they could have. `kind` is 'usage' or
    'correction', which takes back what was charged too much and is below zero. `is_estimate`
    says that the source derived the price instead of reading it. `charge` is 'machine', or 'disk'
    or 'address' of a line beside the machine's for the same time, which has no task-time.

    `on_demand_usd_per_hour` is what the same costs on demand, as it was known when this was
    written (None: nobody knew). `account` is who pays, `resource_id` what the cloud calls the
    machine, and `vcpu_milli`, `memory_bytes` and `gpus` are the machine's; '' and 0 where
    nobody said.
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
    is_estimate: bool = False
    charge: str = MACHINE
    on_demand_usd_per_hour: Decimal | None = None
    account: str = ""
    resource_id: str = ""
    vcpu_milli: int = 0
    memory_bytes: int = 0
    gpus: int = 0

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        if self.start >= self.end:
            raise InvariantBroken(f"an interval must not be empty: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry as it stands in the ledger, for good.

    `recorded_at` is when it was written, by the tick `tick_id`, while the plan `plan_id` was in
    force. `month` ('2026-10') is the one that it is issued in: that of its start, or a later one
    where that was closed before. `reason` says why, where no tick wrote it.
    """

    entry_id: int
    entry: LedgerEntry
    recorded_at: datetime
    month: str
    tick_id: str = ""
    plan_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """How far a node is accounted for, and what runs on from there.

    All is in the ledger up to `until`, and nothing after it; since then it runs at
    `usd_per_hour`. `busy_seconds` is the task-time of its workers that is in the ledger, and
    `counters` are what their own counters showed for it, by worker. `rates` are the rates that
    were charged and since when, newest last, for corrections. `ended_at` is the end that the
    node was closed with, None while it runs. A node without a meter is not accounted for at all.
    """

    until: datetime
    busy_seconds: float
    usd_per_hour: Decimal
    rate_source: str
    is_estimate: bool = False
    billing: Billing = Billing(minimum_seconds=0)
    counters: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(dict[str, float]())
    )
    rates: tuple[tuple[datetime, Decimal], ...] = ()
    ended_at: datetime | None = None
