"""Charge lines: the ledger priced and attributed, one row for each thing that is paid for.

Every report, export and reconciliation reads charge lines and nothing else, so that all of them
add up to the same total. A line is a part of one ledger entry, or a charge that no machine has
(the fee of a commitment, what of it nobody used). Lines of one entry add up to it exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from costplan.planner.types import require, require_utc


class LineKind(StrEnum):
    """What a line is: time that was used, a commitment's price, or a change of earlier lines.

    `CORRECTION` changes what was charged before, in either direction; `CREDIT` is the provider's
    own, such as the refund of a first hour that was interrupted.
    """

    USAGE = "usage"
    PURCHASE = "purchase"
    CREDIT = "credit"
    CORRECTION = "correction"


class Charge(StrEnum):
    """What is paid for."""

    MACHINE = "machine"
    DISK = "disk"
    ADDRESS = "address"
    COMMITMENT = "commitment"


class Purpose(StrEnum):
    """What the money did. `WORK` alone was useful.

    `RECOMPUTE` ran again what an interruption lost; `STRANDED` was committed to and not used;
    `FEE` is the purchase of a commitment, which the effective view spreads over its use.
    """

    WORK = "work"
    RECOMPUTE = "recompute"
    IDLE = "idle"
    BOOT = "boot"
    DRAIN = "drain"
    STRANDED = "stranded"
    FEE = "fee"


class Cover(StrEnum):
    """Whether a commitment's part of this line was used."""

    USED = "used"
    UNUSED = "unused"


NOBODY = ""
"""A dimension that nothing is known of: shown as `unattributed`, never left out of a total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """For whom a line was spent; each is '' where nobody said so."""

    workload: str = NOBODY
    team: str = NOBODY
    project: str = NOBODY
    cost_center: str = NOBODY
    environment: str = NOBODY
    user: str = NOBODY
    run: str = NOBODY
    span: str = NOBODY
    prefix: str = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where a thing that is paid for is and what it is; '' where it has none (a plan's region)."""

    provider: str
    account: str = ""
    region: str = ""
    zone: str = ""
    instance_type: str = ""
    market: str = ""
    vcpu: Decimal = Decimal(0)
    memory_gib: Decimal = Decimal(0)
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """The part of a commitment that a line is about; `quantity` in `unit` ('USD', 'Hours', ...)."""

    commitment_id: str
    kind: str
    status: Cover | None
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """One thing that is paid for during [start, end), half-open and aware UTC.

    `billed_usd` is cash: zero for covered use, the fee for a purchase. `effective_usd` is
    amortised: its part of the commitment for covered use, zero for the purchase. The two are views
    of the same money and are never added together. `on_demand_usd` is what the same quantity
    costs on demand (None where nobody knows, and for fees), `list_usd` what it costs at the
    provider's public price for how it was bought: the spot price of the moment for spot.
    `micros` is the quantity in microseconds of the resource, of which a line that is a part has
    its part; 0 for fees. `usd_per_hour` is the price that was charged, `on_demand_usd_per_hour`
    that of the same machine on demand.

    `month` ('2026-10') is the period that the line is issued in: that of `start`, or a later one
    for a correction of a month that is closed. `entry_id` is the ledger entry that it is part of.
    All money is whole pico-dollars: at most twelve places.
    """

    line_id: int
    entry_id: int
    recorded_at: datetime
    month: str
    cluster: str
    node_id: str
    resource_id: str
    cell: Cell
    charge: Charge
    kind: LineKind
    purpose: Purpose
    start: datetime
    end: datetime
    micros: int
    usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal | None
    billed_usd: Decimal
    effective_usd: Decimal
    list_usd: Decimal
    on_demand_usd: Decimal | None
    rate_source: str
    plan_id: str = ""
    is_estimate: bool = False
    covered: Covered | None = None
    owner: Owner = Owner()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))

    def __post_init__(self) -> None:
        require_utc(self.recorded_at, "recorded_at")
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        require(self.start < self.end, "an interval must not be empty:", self)
        require(self.micros >= 0, "a negative quantity in", self)
