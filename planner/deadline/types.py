"""What is asked of a deadline, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from costplan.planner.types import OfferKey


class Begin(StrEnum):
    """What a job is to begin on."""

    SPOT = "spot"
    ON_DEMAND = "on-demand"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is known of a job.

    Its fleet works for `work_seconds` and has `deadline_seconds` to do it in; a fleet takes
    `changeover_seconds` to be there, and the work of `lost_work_seconds` goes when spot is lost,
    `hazard_per_hour` times an hour. Dollars an hour are of the two fleets that do the job. The spot
    fleet can be in any one of `zones`; none are named where prices are by region, and it is one.
    """

    work_seconds: int
    deadline_seconds: int
    changeover_seconds: int
    lost_work_seconds: int
    spot_usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal
    hazard_per_hour: float
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When on-demand machines are bought at the latest, so that the deadline is sure.

    While waiting: when `wait_spare_seconds` more are left than the work left takes. On spot: when
    `spot_spare_seconds` more are left; or, where less work is done than `at_risk_seconds` (all
    that a loss can take), when what is done and `wait_spare_seconds` more are left. Of the time to
    the deadline, `wait_slack_seconds` and `spot_slack_seconds` may pass without work before that.
    """

    wait_spare_seconds: int
    wait_slack_seconds: int
    spot_spare_seconds: int
    spot_slack_seconds: int
    at_risk_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineAdvice:
    """How to keep a deadline at the least expected cost, in dollars for the whole job.

    `begin` is what to begin on, found without knowing how long there has been spot capacity;
    `steady_hours` is for how long there has to have been some for spot to be worth it at first,
    None where none is, and `has_time_for_spot` whether spot would leave the deadline sure.
    `on_demand_chance` is how likely it is that on-demand machines are bought, and `on_demand_share`
    the share of the paid hours. `median_usd` and `high_usd` are what half and 99 of 100 simulated
    runs cost at most, and `beside` what they cost in the mean by other policies, by name, under
    the same safety net. `looser` are (deadline, dollars) with more time. `away_hours` is the mean
    time until spot is back in a zone. `fleet` are (offer, nodes) of what is bought on demand.
    """

    terms: Terms
    begin: Begin
    steady_hours: float | None
    has_time_for_spot: bool
    rules: Rules
    expected_usd: Decimal
    median_usd: Decimal
    high_usd: Decimal
    on_demand_usd: Decimal
    on_demand_chance: float
    on_demand_share: float
    beside: tuple[tuple[str, Decimal], ...]
    looser: tuple[tuple[int, Decimal], ...]
    away_hours: float
    source: str
    fleet: tuple[tuple[OfferKey, int], ...] = ()
