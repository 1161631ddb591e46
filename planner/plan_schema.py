"""The published form of an answer: what `--format json` holds, and its JSON Schema.

Version 1 may gain fields and never loses or redefines one; a reader ignores fields that it does
not know. Money is decimal text, exact to 10^-12 US dollars and never in exponent notation,
because a reader that parses numbers as doubles must not change it. Instants are ISO 8601 in UTC
with a Z; shares are 0 to 1.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from costplan.planner.plan_schema_deadline import DeadlineDocument
from costplan.planner.plan_schema_fields import (
    Count,
    Document,
    Hazard,
    OfferDocument,
    Share,
    Usd,
)
from costplan.planner.workload_schema import WorkloadDocument

SCHEMA_VERSION = 1


def _docstring(text: str) -> str:
    return " ".join(text.split())


class LeftOutDocument(Document):
    """Offers that a rule of the workload left out."""

    reason: str
    offers: Count


class PricesDocument(Document):
    """Where the prices come from and how old they are."""

    source: Annotated[str, Field(description="The price list's name")]
    digest: Annotated[str, Field(description="SHA-256 of the price list")]
    sources: Annotated[list[str], Field(description="Who the price list says it has them from")]
    oldest_observed_at: datetime
    newest_observed_at: datetime
    offers_total: Annotated[Count, Field(description="Offers in the price list")]
    offers_considered: Annotated[Count, Field(description="Offers that the rules let through")]
    left_out: list[LeftOutDocument]


class PackingDocument(Document):
    """Nodes that each run the same workers."""

    nodes: Annotated[int, Field(ge=1)]
    workers: Annotated[dict[str, int], Field(description="Workers of each shape on one node")]


class PoolDocument(OfferDocument):
    """Machines of one offer: how many, at what each, and the workers they run."""

    nodes: Annotated[int, Field(ge=1)]
    usd_per_hour_each: Usd
    usd_per_hour: Annotated[Usd, Field(description="All nodes of the pool, US dollars an hour")]
    packings: list[PackingDocument]
    vcpu_each: float
    memory_bytes_each: int
    gpus_each: Count
    gpu_kind: str | None
    hazard_per_hour: Hazard
    hazard_is_assumed: Annotated[bool, Field(description="A prior stands in for the hazard")]
    price_source: str
    price_observed_at: datetime
    price_is_estimate: Annotated[bool, Field(description="Derived, not read from a price list")]


class BaselineDocument(Document):
    """What else could be bought for the same workers."""

    name: str
    usd_per_hour: Annotated[Usd | None, Field(description="null: it cannot be bought")]
    detail: Annotated[str, Field(description="How it was priced")]


class BindingDocument(Document):
    """A limit that binds."""

    limit: str
    shadow_usd_per_hour: Annotated[Usd, Field(description="What easing it by one unit would save")]
    unit: Annotated[str, Field(description="vCPU, node, USD/h or percentage point")]


class RunnerUpDocument(Document):
    """The best plan that was not taken."""

    description: str
    expected_usd_per_hour: Usd
    is_bound: Annotated[bool, Field(description="The figure is a lower bound, not a plan's cost")]
    reason: str


class ElsewhereDocument(Document):
    """What reading the data costs once from a place, or from the cheapest and dearest of some."""

    place: str
    least_usd: Usd
    most_usd: Usd


class PlaceRateDocument(Document):
    """A rate that the figures rest on, with the page that lists it, or `place_rates`."""

    provider: str
    charge: str
    usd: Usd
    unit: str
    source: str


class PlaceDocument(Document):
    """What the plan costs beside its machines. Disks, addresses and traffic are in `usd_per_hour`;
    reading is paid once, and `read_usd_per_hour` of it is in `expected_usd_per_hour`."""

    disks_usd_per_hour: Usd
    addresses_usd_per_hour: Usd
    traffic_usd_per_hour: Usd
    read_usd: Annotated[Usd, Field(description="Paid once")]
    read_usd_per_hour: Usd
    elsewhere: list[ElsewhereDocument]
    rates: list[PlaceRateDocument]
    rates_compiled_on: Annotated[date, Field(description="Day of the list of rates")]


class PaidNodesDocument(OfferDocument):
    """Nodes of an offer that the same commitments pay for, none of them where there are none."""

    nodes: Annotated[int, Field(ge=1)]
    commitments: list[str]
    is_whole: Annotated[bool, Field(description="Nothing of the machine is left to be paid")]
    usd_per_hour_each: Annotated[Usd, Field(description="What is left to be paid of the machine")]


class CommitmentUseDocument(Document):
    """What a plan uses of a commitment in an hour, and what stays idle, in its own unit."""

    id: str
    kind: str
    unit: str
    used: Annotated[str, Field(description="Decimal text")]
    idle: Annotated[str, Field(description="Decimal text")]
    used_usd_per_hour: Annotated[Usd | None, Field(description="null: its price is not known")]
    idle_usd_per_hour: Annotated[Usd | None, Field(description="null: its price is not known")]


class CommitmentsDocument(Document):
    """What commitments pay of the plan. They are paid in any case, so `usd_per_hour` of the plan is
    without it; prices of the fleet's pools are those without commitments."""

    saved_usd_per_hour: Annotated[Usd, Field(description="What the machines would cost more")]
    nodes: list[PaidNodesDocument]
    uses: list[CommitmentUseDocument]


class RiskDocument(Document):
    """What the spot market may do to the plan; low and high are 10 and 90 %."""

    spot_share: Annotated[Share, Field(description="Spot vCPU of all vCPU")]
    largest_pool: OfferDocument | None
    largest_pool_share: Annotated[Share, Field(description="Its vCPU of all vCPU")]
    interruptions_per_day: float
    interruptions_per_day_low: float
    interruptions_per_day_high: float
    expected_usd_per_hour_low: Usd
    expected_usd_per_hour_high: Usd


class GapDocument(Document):
    """Something not known, and what was assumed instead."""

    kind: str
    subject: str
    assumed: str
    since: datetime | None


class ChangeDocument(OfferDocument):
    """Nodes of one offer against what runs now."""

    nodes_now: Count
    nodes_planned: Count
    usd_per_hour_each: Annotated[Usd | None, Field(description="null: not in the price list")]


class DiffDocument(Document):
    """The plan against the fleet that runs now."""

    changes: Annotated[list[ChangeDocument], Field(description="Pools that stay included")]
    usd_per_hour_now: Annotated[Usd | None, Field(description="null: not all of it is priced")]
    unpriced: Annotated[list[OfferDocument], Field(description="Running, not in the price list")]


class PlanDocument(Document):
    """A fleet for a workload, and how good it is."""

    schema_version: Literal[1]
    status: Literal["ok"]
    plan_id: str
    created_at: datetime
    workload: WorkloadDocument
    site: Annotated[str, Field(description="The region or zone that all machines share")]
    prices: PricesDocument
    fleet: list[PoolDocument]
    usd_per_hour: Annotated[Usd, Field(description="What is billed, US dollars an hour")]
    expected_usd_per_hour: Annotated[
        Usd, Field(description="Billed, and the work done again after interruptions")
    ]
    total_usd: Annotated[
        Usd | None, Field(description="Expected US dollars over the duration; null: none given")
    ]
    lower_bound_usd_per_hour: Annotated[
        Usd, Field(description="No fleet is expected to cost less: proven")
    ]
    gap: Annotated[
        float | None,
        Field(description="(expected - bound) / bound; null: no bound above zero"),
    ]
    termination: Annotated[
        Literal["optimal", "gap", "steps", "fallback"],
        Field(
            description="optimal: proven; gap: as close as asked for; steps: the search ended "
            "first; fallback: packed greedily"
        ),
    ]
    baselines: list[BaselineDocument]
    binding: list[BindingDocument]
    runner_up: RunnerUpDocument | None
    risk: RiskDocument
    not_priced: Annotated[list[str], Field(description="What the figures leave out")]
    gaps: list[GapDocument]
    diff: Annotated[DiffDocument | None, Field(description="null: no fleet was given")]
    deadline: Annotated[DeadlineDocument | None, Field(description="null: none was given")] = None
    place: Annotated[
        PlaceDocument | None, Field(description="null: nothing beside machines was to be priced")
    ] = None
    commitments: Annotated[
        CommitmentsDocument | None, Field(description="Absent where nothing is held")
    ] = None


class ConflictDocument(Document):
    """One thing that stands in the way, and the smallest change that helps."""

    limit: str
    problem: str
    remedy: str


class InfeasibleDocument(Document):
    """Why no fleet does."""

    schema_version: Literal[1]
    status: Literal["infeasible"]
    created_at: datetime
    workload: WorkloadDocument
    prices: PricesDocument
    conflicts: list[ConflictDocument]
    gaps: list[GapDocument]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an answer: a plan, or the reasons why there is none."""
    answer: TypeAdapter[PlanDocument | InfeasibleDocument] = TypeAdapter(
        Annotated[PlanDocument | InfeasibleDocument, Field(discriminator="status")]
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"costplan recommend, version {SCHEMA_VERSION}",
        "description": _docstring(__doc__ or ""),
        **answer.json_schema(mode="serialization"),
    }
