"""The sections of a file of demand and of what is for sale, as pydantic models.

A field's Python name is the key in the file. `docs/commitments.md` documents every key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, model_validator

from costplan.planner.advice.types import Floats
from costplan.planner.commitments.file_fields import (
    Count,
    Discount,
    HourStart,
    Lower,
    Payment,
    System,
    Tenancy,
    Term,
    Usd,
)
from costplan.planner.commitments.file_models import CommitmentSection, ProductSection
from costplan.planner.config_fields import Flag, Share, Text, refusal, shown
from costplan.planner.config_section import Section

MOST_HOURS = 3 * 366 * 24
_MOST_UNITS = 1e9
_HOURS = "write how much was used in each hour: hours: [3, 3.5, 4]"


def _hours(value: object) -> Floats:
    if not isinstance(value, list | tuple) or not value:
        raise refusal(f"{shown(value)} is no list of numbers", _HOURS)
    if len(value) > MOST_HOURS:
        raise refusal(f"has {len(value):,} hours", f"at most {MOST_HOURS:,} at a time")
    for place, each in enumerate(value):
        is_number = isinstance(each, int | float) and not isinstance(each, bool)
        if not is_number or not 0 <= each <= _MOST_UNITS:
            raise refusal(f"[{place}] {shown(each)} is not from 0 to {_MOST_UNITS:.0e}", _HOURS)
    return np.array(value, dtype=np.float64)


Hours = Annotated[Any, BeforeValidator(_hours)]


class DemandSection(ProductSection):
    """What was used hour by hour; a price that is not said is that of the price list."""

    hours: Hours
    spot_share: Share = 0.0

    @model_validator(mode="after")
    def _one_price(self) -> DemandSection:
        if (self.size_group is None) != (self.size_ratio is None):
            raise refusal("has one of size_group and size_ratio", "add the other, or drop both")
        if self.account is not None or self.resource_group is not None:
            raise refusal("has an account", "advice is for all accounts together; leave it out")
        return self


class OfferSection(Section):
    """A commitment for sale; of machines and resources, the price of each."""

    id: Text | None = None
    kind: Literal[
        "regional_ri",
        "resource_cud",
        "azure_reservation",
        "ec2_instance_sp",
        "compute_sp",
        "flexible_cud",
        "azure_savings_plan",
    ]
    term: Term
    payment: Payment = "no_upfront"
    region: Text | None = None
    family: Lower | None = None
    instance_type: Text | None = None
    os: System = "linux"
    tenancy: Tenancy = "shared"
    machine_series: Lower | None = None
    resource: Lower | None = None
    service: Lower | None = None
    size_group: Text | None = None
    size_ratio: Count | None = None
    size_flexible: Flag = True
    usd_per_hour: Usd | None = None
    upfront_usd: Usd | None = None
    discount: Discount | None = None

    @model_validator(mode="after")
    def _complete(self) -> OfferSection:
        for key in _NEEDS.get(self.kind, ()):
            if getattr(self, key) is None:
                raise refusal(f"{self.kind} has no {key}", f"add {_NEED_EXAMPLES[key]}")
        is_plan = self.kind not in _OF_MACHINES
        if is_plan and (self.usd_per_hour is not None or self.upfront_usd is not None):
            raise refusal(
                f"{self.kind} has a price",
                "a plan is sold by the dollar; give discount here, or rates with the usage",
            )
        if not is_plan and self.usd_per_hour is None and self.upfront_usd is None:
            raise refusal(f"{self.kind} has no price", "add usd_per_hour or upfront_usd")
        if not is_plan and self.discount is not None:
            raise refusal(f"{self.kind} has a discount", "give its price as usd_per_hour")
        return self


_OF_MACHINES = ("regional_ri", "resource_cud", "azure_reservation")
_NEEDS = {
    "regional_ri": ("region", "instance_type"),
    "azure_reservation": ("region", "instance_type"),
    "resource_cud": ("region", "machine_series", "resource"),
    "ec2_instance_sp": ("region", "family"),
}
_NEED_EXAMPLES = {
    "region": "region: us-east-1",
    "instance_type": "instance_type: m5.large",
    "machine_series": "machine_series: n2",
    "resource": "resource: vcpu",
    "family": "family: m5",
}


class DemandFileSection(Section):
    """A file of demand: its first hour, usage, what is for sale, and what is held."""

    start: HourStart
    usage: tuple[DemandSection, ...]
    offers: tuple[OfferSection, ...] = ()
    commitments: tuple[CommitmentSection, ...] = ()

    @model_validator(mode="after")
    def _some_usage(self) -> DemandFileSection:
        if not self.usage:
            raise refusal("has no usage", "list what was used, with its hours")
        return self
