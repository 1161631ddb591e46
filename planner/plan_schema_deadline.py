"""The published form of what is advised on a deadline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from costplan.planner.plan_schema_fields import Count, Document, OfferDocument, Share, Usd


class LooserDocument(Document):
    """What the job is expected to cost with another deadline."""

    deadline_seconds: Count
    expected_usd: Usd


class RulesDocument(Document):
    """When to go on demand at the latest, by the time that is left beyond what the work left takes.

    And how much of the time to the deadline may pass without work before that.
    """

    wait_spare_seconds: Annotated[Count, Field(description="Waiting: go when no more is left")]
    wait_slack_seconds: Annotated[Count, Field(description="May pass without work by that rule")]
    spot_spare_seconds: Annotated[Count, Field(description="On spot: go when no more is left")]
    spot_slack_seconds: Annotated[Count, Field(description="May pass without work by that rule")]
    at_risk_seconds: Annotated[
        Count,
        Field(
            description="What a loss can take, in spot_spare_seconds; while less work is done, so "
            "much less has to be left"
        ),
    ]


class BesideDocument(Document):
    """What the job costs by another policy, in the mean of simulated runs."""

    policy: Annotated[str, Field(description="uniform-progress or greedy")]
    expected_usd: Usd


class OnDemandDocument(OfferDocument):
    """Machines of the fleet that is bought on demand."""

    nodes: Annotated[int, Field(ge=1)]


class DeadlineDocument(Document):
    """How long the job may stay on spot, and what its deadline costs: US dollars for all of it."""

    deadline_seconds: Count
    work_seconds: Count
    changeover_seconds: Annotated[Count, Field(description="Time until a fleet works")]
    lost_work_seconds: Annotated[Count, Field(description="Work that goes when spot is lost")]
    begin: Annotated[
        Literal["spot", "on-demand", "wait"],
        Field(description="What the job is to begin on; wait: on nothing yet"),
    ]
    steady_hours: Annotated[
        float | None,
        Field(
            description="How long there has to have been spot capacity for the job to begin on it; "
            "null: it is never worth it",
            ge=0,
        ),
    ]
    rules: RulesDocument
    expected_usd: Usd
    median_usd: Annotated[Usd, Field(description="Half of the simulated runs cost at most this")]
    high_usd: Annotated[Usd, Field(description="99 of 100 simulated runs cost at most this")]
    on_demand_usd: Annotated[Usd, Field(description="The whole job without spot")]
    on_demand_usd_per_hour: Annotated[Usd, Field(description="The fleet without spot")]
    on_demand_fleet: Annotated[
        list[OnDemandDocument], Field(description="What to buy when going on demand")
    ]
    on_demand_chance: Annotated[Share, Field(description="Of runs that go on demand")]
    on_demand_share: Annotated[Share, Field(description="Of the hours that runs pay for")]
    hazard_per_hour: Annotated[float, Field(description="Losses of spot an hour", ge=0)]
    zones: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Where the spot fleet may be; empty: prices are by region, taken as one",
        ),
    ]
    away_hours: Annotated[
        float, Field(description="Mean time until spot is back in a zone that lost it", ge=0)
    ]
    source: Annotated[str, Field(description="Where the times by age come from")]
    beside: Annotated[
        list[BesideDocument], Field(description="What other policies cost under the same net")
    ]
    looser: list[LooserDocument]
