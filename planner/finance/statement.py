"""The statement of a period: what finance reads, as values that add up exactly.

Two views of the same money stand side by side and are never added: *cash* is what is billed, a
commitment's fee when it is paid; *amortised* spreads that fee over what it covers and counts what
of it nobody used. Which one rows are sorted by and shares are of is `view`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from costplan.planner.finance.anomalies import Anomaly
from costplan.planner.finance.budgets import Burn
from costplan.planner.finance.carbon import Footprint
from costplan.planner.finance.coverage import Commitments
from costplan.planner.finance.savings import Otherwise
from costplan.planner.finance.units_of_work import UnitCost
from costplan.planner.finance.variance import Variance

_HOUR = Decimal(3_600_000_000)


class View(StrEnum):
    """Which dollars are meant where one column must do."""

    AMORTISED = "amortised"
    CASH = "cash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What is stated: the lines issued in `name` ('2026-10'), a UTC month from `start` to `end`.

    `until` is how far the month has come, its end where it is over.
    """

    name: str
    start: datetime
    end: datetime
    until: datetime

    @property
    def is_over(self) -> bool:
        """True where nothing can come but corrections."""
        return self.until >= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What some lines come to. Money is in whole pico-dollars, quantities in microseconds.

    `estimated_usd` is the part of `effective_usd` at prices that were derived, not read.
    `node_micros` are of machines alone, `vcpu_micros` and `gpu_micros` of their vCPU and GPUs.
    `grams_co2e` is None where a machine's place or card is not in the tables.
    """

    lines: int = 0
    billed_usd: Decimal = Decimal(0)
    effective_usd: Decimal = Decimal(0)
    list_usd: Decimal = Decimal(0)
    estimated_usd: Decimal = Decimal(0)
    node_micros: int = 0
    vcpu_micros: Decimal = Decimal(0)
    gpu_micros: int = 0
    grams_co2e: Decimal | None = None

    def usd(self, view: View) -> Decimal:
        """Dollars of a view."""
        return self.billed_usd if view is View.CASH else self.effective_usd

    @property
    def node_hours(self) -> Decimal:
        """Machine-hours."""
        return Decimal(self.node_micros) / _HOUR

    @property
    def vcpu_hours(self) -> Decimal:
        """vCPU-hours."""
        return self.vcpu_micros / _HOUR

    @property
    def gpu_hours(self) -> Decimal:
        """GPU-hours."""
        return Decimal(self.gpu_micros) / _HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One combination of what a table is by; a name is '' where nobody said so."""

    names: tuple[str, ...]
    sums: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows by `dimensions`, dearest first; their sums add up to the statement's total."""

    dimensions: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Dollars from `start` on, until the next bucket, by market ('' of what has none)."""

    start: datetime
    by_market: tuple[tuple[str, Decimal], ...]

    @property
    def usd(self) -> Decimal:
        """Of all markets."""
        return sum((usd for _, usd in self.by_market), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Dollars over time in the statement's view; buckets are `bucket_seconds` long."""

    bucket_seconds: int
    buckets: tuple[Bucket, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """Lines of this period that change what was charged: how many, of which `of_earlier` are for
    time before it, and their dollars in both views, which are in every total."""

    lines: int
    of_earlier: int
    billed_usd: Decimal
    effective_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What is known besides the lines: dollars that run and are not in them, and what is not
    known, in words."""

    running_usd: Decimal = Decimal(0)
    gaps: tuple[str, ...] = ()
    interruptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The whole of it. `tables` are by what was asked for; `purposes`, `markets`, `charges` and
    `kinds` are always there. `first` and `last` are the days that lines lie in. `as_of` is when
    the newest line was written: equal ledgers give equal statements, whenever they are asked
    for."""

    cluster: str
    as_of: datetime
    period: Period
    view: View
    total: Sums
    nodes: int
    first: date
    last: date
    tables: tuple[Table, ...]
    purposes: Table
    markets: Table
    charges: Table
    kinds: Table
    types: Table
    series: Series
    corrections: Corrections
    otherwise: tuple[Otherwise, ...]
    variance: Variance
    commitments: Commitments
    budgets: tuple[Burn, ...]
    forecast: Burn | None
    anomalies: tuple[Anomaly, ...]
    footprint: Footprint
    unit_costs: tuple[UnitCost, ...]
    aside: Aside = Aside()

    @property
    def usd(self) -> Decimal:
        """The total in the statement's view."""
        return self.total.usd(self.view)
