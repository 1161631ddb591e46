"""What is asked of a deadline, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is known of a job.

    Its fleet works for `work_seconds` and has `deadline_seconds` to do it in; a fleet takes
    `changeover_seconds` to be there, and the work of `lost_work_seconds` goes when spot is lost,
    `hazard_per_hour` times an hour. Dollars an hour are of the two fleets that do the job.
    """

    work_seconds: int
    deadline_seconds: int
    changeover_seconds: int
    lost_work_seconds: int
    spot_usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal
    hazard_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineAdvice:
    """How to keep a deadline at the least expected cost, in dollars for the whole job.

    `begin` is what to begin on: 'spot' or 'on-demand'. On-demand machines are bought at the latest
    when no more time is left than the work left and a changeover take (and, from spot, the work
    that may be lost): `latest_seconds` may pass without work. `on_demand_chance` is how likely
    that is, and `on_demand_share` the share of the paid hours. `median_usd` and `high_usd` are
    what half and 99 of 100 simulated runs cost at most. `looser` are (deadline, dollars) with more
    time.
    """

    terms: Terms
    step_seconds: int
    begin: str
    latest_seconds: int
    expected_usd: Decimal
    median_usd: Decimal
    high_usd: Decimal
    on_demand_usd: Decimal
    on_demand_chance: float
    on_demand_share: float
    looser: tuple[tuple[int, Decimal], ...]
    away_hours: float
    source: str
