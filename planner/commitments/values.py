"""Commitments, usage and rules as values.

All amounts are `Fraction`: dollars, quantities and hours are exact rationals from the file to the
answer, and are rounded once, where they are written. A float is never summed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.types import require, require_utc

HOURS_OF_TERM = {"1y": 8760, "3y": 26280}

_HOUR_SECONDS = Fraction(3600)


class Kind(StrEnum):
    """What is bought, in the words of the provider."""

    ZONAL_RI = "zonal_ri"
    REGIONAL_RI = "regional_ri"
    CAPACITY_RESERVATION = "capacity_reservation"
    EC2_INSTANCE_SP = "ec2_instance_sp"
    COMPUTE_SP = "compute_sp"
    RESOURCE_CUD = "resource_cud"
    FLEXIBLE_CUD = "flexible_cud"
    AZURE_RESERVATION = "azure_reservation"
    AZURE_SAVINGS_PLAN = "azure_savings_plan"


SPEND_KINDS = (
    Kind.EC2_INSTANCE_SP,
    Kind.COMPUTE_SP,
    Kind.FLEXIBLE_CUD,
    Kind.AZURE_SAVINGS_PLAN,
)
"""Commitments of so many dollars an hour; all others are of so many machines or resources."""

PROVIDERS = {
    Kind.RESOURCE_CUD: "gcp",
    Kind.FLEXIBLE_CUD: "gcp",
    Kind.AZURE_RESERVATION: "azure",
    Kind.AZURE_SAVINGS_PLAN: "azure",
}
"""Who sells a kind; AWS sells what is not named."""


class Scope(StrEnum):
    """Whose usage a commitment may cover: all accounts', the owner's, or one resource group's."""

    SHARED = "shared"
    ACCOUNT = "account"
    RESOURCE_GROUP = "resource_group"


def _none() -> Mapping[str, Fraction]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is used, or what a commitment is of: '' is not said, and matches nothing but itself.

    `size_ratio` is the size in units of its `size_group`, where the provider publishes both
    (Azure's instance size flexibility); AWS derives them from the name of the type.
    """

    provider: str
    service: str = ""
    region: str = ""
    zone: str = ""
    family: str = ""
    instance_type: str = ""
    os: str = "linux"
    tenancy: str = "shared"
    machine_series: str = ""
    resource: str = ""
    size_group: str = ""
    size_ratio: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The account (AWS), project (GCP) or subscription (Azure), and its resource group."""

    account: str = ""
    resource_group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`count` units in use from one second of the hour to another."""

    start_seconds: Fraction
    end_seconds: Fraction
    count: Fraction

    @property
    def hours(self) -> Fraction:
        """Unit-hours of it."""
        return self.count * (self.end_seconds - self.start_seconds) / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used in an hour, at which price without a commitment and which with one.

    `rates` are dollars a unit by kind of commitment, or by kind and term: 'compute_sp',
    'compute_sp_3y'. `spans` say when in the hour; without them it is used all through the hour.
    """

    usage_id: str
    product: Product
    quantity: Fraction
    usd_per_unit: Fraction
    unit: str = ""
    rates: Mapping[str, Fraction] = field(default_factory=_none)
    owner: Owner = Owner()
    is_spot: bool = False
    is_idle: bool = False
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        require(min(self.quantity, self.usd_per_unit) >= 0, "below zero in", self.usage_id)
        require(
            not self.spans or sum(span.hours for span in self.spans) == self.quantity,
            "spans do not add up to the quantity of",
            self.usage_id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What is bought ahead for a term.

    Of machines or resources (`count`) the price is that of each for an hour: `usd_per_hour` and
    the share of `upfront_usd`; None is not known. Of spend, `usd_per_hour` is what is committed
    to, however it is paid. `discount` is what a flexible CUD takes off where usage has no rate.
    `idle_rates` are those of a capacity reservation's unused part, `usd_per_hour` its price.
    """

    commitment_id: str
    kind: Kind
    product: Product
    count: Fraction | None = None
    usd_per_hour: Fraction | None = None
    upfront_usd: Fraction = Fraction(0)
    term: str = ""
    payment: str = ""
    offering_class: str = ""
    start: datetime | None = None
    end: datetime | None = None
    owner: Owner = Owner()
    scope: Scope = Scope.SHARED
    discount: Fraction | None = None
    is_size_flexible: bool = True
    idle_rates: Mapping[str, Fraction] = field(default_factory=_none)

    def __post_init__(self) -> None:
        require(
            (self.count is None) == (self.kind in SPEND_KINDS),
            "must be of machines or of dollars, not both:",
            self.commitment_id,
        )
        require(
            self.kind not in SPEND_KINDS or self.usd_per_hour is not None,
            "no dollars an hour in",
            self.commitment_id,
        )
        require(not self.upfront_usd or bool(self.term), "no term in", self.commitment_id)
        for instant, name in ((self.start, "start"), (self.end, "end")):
            if instant is not None:
                require_utc(instant, name)
        if self.start is not None and self.end is not None:
            require(self.start < self.end, self.commitment_id, "ends before it starts")

    @property
    def capacity(self) -> Fraction:
        """What it covers in an hour: unit-hours, or dollars."""
        return (self.usd_per_hour or Fraction(0)) if self.count is None else self.count

    @property
    def unit_usd(self) -> Fraction | None:
        """Dollars for each unit and hour, the upfront payment spread over the term."""
        if self.kind in SPEND_KINDS:
            return Fraction(1)
        if self.kind is Kind.CAPACITY_RESERVATION:
            return Fraction(0)
        if self.usd_per_hour is None and not self.upfront_usd:
            return None
        upfront = self.upfront_usd / HOURS_OF_TERM[self.term] if self.upfront_usd else 0
        return (self.usd_per_hour or 0) + Fraction(upfront)

    @property
    def hourly_usd(self) -> Fraction:
        """What an hour of it costs, used or not; what is not known counts as nothing."""
        return self.capacity * (self.unit_usd or 0)

    def window_seconds(self, hour: datetime | None) -> tuple[Fraction, Fraction]:
        """From which second to which of an hour it is in force; nobody says when that is: in all.

        Capacity is reserved, and charged, by the second. What else is in force when the hour
        starts is so until it ends.
        """
        if hour is None:
            return Fraction(0), _HOUR_SECONDS
        begin = self._seconds_after(hour, self.start, Fraction(0))
        end = self._seconds_after(hour, self.end, _HOUR_SECONDS)
        if self.kind is not Kind.CAPACITY_RESERVATION:
            return Fraction(0), _HOUR_SECONDS if begin == 0 < end else Fraction(0)
        return begin, max(begin, end)

    @staticmethod
    def _seconds_after(hour: datetime, instant: datetime | None, without: Fraction) -> Fraction:
        if instant is None:
            return without
        micros = (instant - hour) // timedelta(microseconds=1)
        return min(max(Fraction(micros, 10**6), Fraction(0)), _HOUR_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What was used in an hour, and what was held; `start` is None where it does not matter."""

    usage: tuple[Usage, ...]
    commitments: tuple[Commitment, ...] = ()
    start: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """How running time is charged: at least `minimum_seconds` from each start, then in steps.

    The last step is charged in full, or not at all where `drop_partial_step`. A spot machine that
    the provider takes away within `free_seconds` costs nothing.
    """

    minimum_seconds: int = 60
    step_seconds: int = 1
    drop_partial_step: bool = False
    free_seconds: int = 0


def _metering() -> Mapping[str, Metering]:
    return MappingProxyType(
        {
            "aws": Metering(free_seconds=3600),
            "gcp": Metering(free_seconds=60),
            "azure": Metering(),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What sources leave open or contradict, with the defaults that `docs/commitments.md` gives
    reasons for. `month_hours` is the month of hours that have no date."""

    metering: Mapping[str, Metering] = field(default_factory=_metering)
    sustained_use: bool = True
    month_hours: Fraction = Fraction(730)


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledLine:
    """A part of a usage line at one price: of a commitment, or on demand (None)."""

    usage_id: str
    covered_by: str | None
    quantity: Fraction
    usd_per_unit: Fraction
    unit: str = ""
    is_idle: bool = False

    @property
    def usd(self) -> Fraction:
        """Quantity times price."""
        return self.quantity * self.usd_per_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentUse:
    """What was used of a commitment in an hour, in its own unit, and what was not.

    `is_price_known` is False where its dollars are zero for want of a price.
    """

    commitment_id: str
    kind: Kind
    unit: str
    used_quantity: Fraction
    unused_quantity: Fraction
    used_usd: Fraction
    unused_usd: Fraction
    is_price_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HourBill:
    """An hour's bill: lines by usage, commitments in the order in which they are applied.

    The dollars of covered lines are those that the commitments used, to the last place.
    """

    lines: tuple[BilledLine, ...]
    commitments: tuple[CommitmentUse, ...]
    start: datetime | None = None

    @property
    def on_demand_usd(self) -> Fraction:
        """What no commitment covers, at its price without one."""
        return sum((line.usd for line in self.lines if line.covered_by is None), Fraction(0))

    @property
    def unused_usd(self) -> Fraction:
        """What was paid for commitments that nothing used."""
        return sum((each.unused_usd for each in self.commitments), Fraction(0))

    @property
    def total_usd(self) -> Fraction:
        """What is not covered, and all commitments, used or not."""
        used = sum((each.used_usd for each in self.commitments), Fraction(0))
        return self.on_demand_usd + used + self.unused_usd
