"""The sections of files of usage and commitments as pydantic models.

A field's Python name is the key in the file. `docs/commitments.md` documents every key.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from costplan.planner.commitments.file_fields import (
    AzureScope,
    Cloud,
    Count,
    Discount,
    HourStart,
    Instant,
    Lower,
    OfferingClass,
    OwnerScope,
    Payment,
    Quantity,
    RateName,
    Seconds,
    Step,
    System,
    Tenancy,
    Term,
    Usd,
    UsdPerHour,
)
from costplan.planner.config_fields import Flag, Text, refusal
from costplan.planner.config_section import Section
from costplan.planner.daemon_config_fields import FilePath


class ProductSection(Section):
    """What is used, whose it is, and what it costs."""

    id: Text
    provider: Cloud
    service: Lower | None = None
    region: Text | None = None
    zone: Text | None = None
    instance_type: Text | None = None
    os: System = "linux"
    tenancy: Tenancy = "shared"
    machine_series: Lower | None = None
    resource: Lower | None = None
    size_group: Text | None = None
    size_ratio: Count | None = None
    account: Text | None = None
    resource_group: Text | None = None
    on_demand_usd: Usd | None = None
    spot_usd: Usd | None = None
    rates: dict[RateName, Usd] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_price(self) -> ProductSection:
        if self.on_demand_usd is None and self.spot_usd is None:
            raise refusal("on_demand_usd is missing", "add the price of a unit: on_demand_usd: 0.1")
        if self.on_demand_usd is not None and self.spot_usd is not None:
            raise refusal("has both on_demand_usd and spot_usd", "keep the one that is paid")
        if self.spot_usd is not None and self.rates:
            raise refusal("has rates, but commitments do not cover spot", "leave rates out")
        if (self.size_group is None) != (self.size_ratio is None):
            raise refusal("has one of size_group and size_ratio", "add the other, or drop both")
        return self


class _RunningSection(ProductSection):
    """What runs from one second to another, and whether the provider ended it."""

    count: Count = Field(default=1, validate_default=True)
    interrupted: Flag = False

    @model_validator(mode="after")
    def _interrupted_spot(self) -> _RunningSection:
        if self.interrupted and self.spot_usd is None:
            raise refusal("is interrupted, but not spot", "give spot_usd, or drop interrupted")
        return self


class UsageSection(_RunningSection):
    """What was used in an hour: a quantity, or from when to when."""

    quantity: Quantity | None = None
    unit: Text | None = None
    start: Instant | None = None
    end: Instant | None = None

    @model_validator(mode="after")
    def _quantity_or_seconds(self) -> UsageSection:
        if self.quantity is None and (self.start is None or self.end is None):
            raise refusal("has no quantity", "add quantity: 4, or start and end")
        if self.quantity is not None:
            for key in sorted({"start", "end", "count", "interrupted"} & self.model_fields_set):
                raise refusal(f"has both quantity and {key}", "keep one")
        _check_order(self.start, self.end)
        return self


class MachineSection(_RunningSection):
    """Machines, or resources of machines, from one second to another."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _ends_later(self) -> MachineSection:
        _check_order(self.start, self.end)
        return self


def _check_order(start: datetime | None, end: datetime | None) -> None:
    if start is not None and end is not None and end <= start:
        raise refusal("ends before it starts", "correct start or end")


class _CommitmentSection(Section):
    """What all commitments have."""

    id: Text
    account: Text | None = None
    scope: OwnerScope = "shared"
    term: Term | None = None
    payment: Payment | None = None
    start: Instant | None = None
    end: Instant | None = None

    @model_validator(mode="after")
    def _ends_later(self) -> _CommitmentSection:
        _check_order(self.start, self.end)
        if self.scope == "account" and self.account is None:
            raise refusal("has scope account, but no account", "add the account that owns it")
        return self


class _CountedSection(_CommitmentSection):
    """What commitments of machines have: `usd_per_hour` and `upfront_usd` are of each."""

    count: Count
    usd_per_hour: Usd | None = None
    upfront_usd: Usd | None = None

    @model_validator(mode="after")
    def _spread_over_a_term(self) -> _CountedSection:
        if self.upfront_usd and self.term is None:
            raise refusal("has upfront_usd, but no term", "add term: 1y or 3y")
        return self


class ZonalRiSection(_CountedSection):
    """AWS: reserved instances of a zone."""

    kind: Literal["zonal_ri"]
    zone: Text
    region: Text | None = None
    instance_type: Text
    os: System = "linux"
    tenancy: Tenancy = "shared"
    offering_class: OfferingClass = "standard"


class RegionalRiSection(_CountedSection):
    """AWS: reserved instances of a region."""

    kind: Literal["regional_ri"]
    region: Text
    instance_type: Text
    os: System = "linux"
    tenancy: Tenancy = "shared"
    offering_class: OfferingClass = "standard"


class CapacityReservationSection(_CommitmentSection):
    """AWS: capacity kept free at the on-demand price, and the rates of what stands idle."""

    kind: Literal["capacity_reservation"]
    zone: Text
    region: Text | None = None
    instance_type: Text
    os: System = "linux"
    tenancy: Tenancy = "shared"
    count: Count
    on_demand_usd: Usd
    rates: dict[RateName, Usd] = Field(default_factory=dict)


class InstancePlanSection(_CommitmentSection):
    """AWS: an EC2 Instance Savings Plan."""

    kind: Literal["ec2_instance_sp"]
    family: Lower
    region: Text
    usd_per_hour: UsdPerHour


class ComputePlanSection(_CommitmentSection):
    """AWS: a Compute Savings Plan."""

    kind: Literal["compute_sp"]
    usd_per_hour: UsdPerHour


class ResourceCudSection(_CommitmentSection):
    """Google Cloud: an amount of one resource of a machine series in a region."""

    kind: Literal["resource_cud"]
    region: Text
    machine_series: Lower
    resource: Lower
    amount: Count
    usd_per_hour: Usd | None = None


class FlexibleCudSection(_CommitmentSection):
    """Google Cloud: dollars an hour, as they are paid, or at prices on demand with a discount."""

    kind: Literal["flexible_cud"]
    service: Lower | None = None
    usd_per_hour: UsdPerHour | None = None
    on_demand_usd_per_hour: UsdPerHour | None = None
    discount: Discount | None = None

    @model_validator(mode="after")
    def _one_amount(self) -> FlexibleCudSection:
        if (self.usd_per_hour is None) == (self.on_demand_usd_per_hour is None):
            raise refusal(
                "has none or both of usd_per_hour and on_demand_usd_per_hour", "write one of them"
            )
        if self.on_demand_usd_per_hour is not None and self.discount is None:
            raise refusal("has on_demand_usd_per_hour, but no discount", "add discount: 0.28")
        return self


class _AzureSection(_CommitmentSection):
    """What commitments of Azure have: the account is the subscription."""

    scope: AzureScope = "shared"
    resource_group: Text | None = None

    @model_validator(mode="after")
    def _named_group(self) -> _AzureSection:
        if self.scope == "resource_group" and None in (self.account, self.resource_group):
            raise refusal(
                "has scope resource_group, but not account and resource_group", "add both"
            )
        return self


class AzureReservationSection(_AzureSection, _CountedSection):
    """Azure: reserved virtual machines of a region, in one size or flexible in it."""

    kind: Literal["azure_reservation"]
    region: Text
    instance_type: Text
    service: Lower | None = None
    size_flexible: Flag = True
    size_group: Text | None = None
    size_ratio: Count | None = None

    @model_validator(mode="after")
    def _both_of_a_size(self) -> AzureReservationSection:
        if (self.size_group is None) != (self.size_ratio is None):
            raise refusal("has one of size_group and size_ratio", "add the other, or drop both")
        return self


class AzurePlanSection(_AzureSection):
    """Azure: a savings plan for compute."""

    kind: Literal["azure_savings_plan"]
    usd_per_hour: UsdPerHour


CommitmentSection = Annotated[
    ZonalRiSection
    | RegionalRiSection
    | CapacityReservationSection
    | InstancePlanSection
    | ComputePlanSection
    | ResourceCudSection
    | FlexibleCudSection
    | AzureReservationSection
    | AzurePlanSection,
    Field(discriminator="kind"),
]


class MachineRateSection(Section):
    """What a machine costs under commitments of dollars an hour; without a region, in all."""

    provider: Cloud
    instance_type: Text
    region: Text | None = None
    rates: dict[RateName, Usd]


class CommitmentsSection(Section):
    """A file of what is held."""

    commitments: tuple[CommitmentSection, ...]
    commitment_rates: tuple[MachineRateSection, ...] = ()


class OwnerSection(Section):
    """Whose the machines are that are planned."""

    account: Text
    resource_group: Text | None = None


class HeldSection(Section):
    """What a file of something that runs says of what is held for it."""

    commitments: tuple[CommitmentSection, ...] = ()
    commitment_rates: tuple[MachineRateSection, ...] = ()
    commitments_file: FilePath | None = None
    commitments_owner: OwnerSection | None = None
    commitments_used: dict[Text, Quantity] = Field(default_factory=dict)
    commitments_ledger: FilePath | None = None


class HourSection(Section):
    """What was used in an hour, and what was held in it besides what the file holds in all."""

    start: HourStart | None = None
    usage: tuple[UsageSection, ...] = ()
    commitments: tuple[CommitmentSection, ...] = ()


class MeteringSection(Section):
    """How a provider charges running time."""

    minimum_seconds: Seconds | None = None
    step_seconds: Step | None = None
    drop_partial_step: Flag | None = None
    free_seconds: Seconds | None = None


class RulesSection(Section):
    """What sources leave open."""

    aws: MeteringSection = MeteringSection()
    gcp: MeteringSection = MeteringSection()
    azure: MeteringSection = MeteringSection()
    sustained_use: Flag = True
    month_hours: Count | None = None


class BillSection(Section):
    """A file of hours, or of machines by the second, billed from `start` to `end` at least."""

    hours: tuple[HourSection, ...] = ()
    machines: tuple[MachineSection, ...] = ()
    start: HourStart | None = None
    end: HourStart | None = None
    commitments: tuple[CommitmentSection, ...] = ()
    rules: RulesSection = RulesSection()

    @model_validator(mode="after")
    def _hours_or_machines(self) -> BillSection:
        if bool(self.hours) == bool(self.machines):
            raise refusal("holds none or both of hours and machines", "write one of them")
        if self.hours and (self.start or self.end):
            raise refusal("has start or end, but no machines", "give each hour its own start")
        _check_order(self.start, self.end)
        return self
