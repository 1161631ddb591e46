"""What `recommend` answers: a plan with its proof, or the reasons why there is none.

Both are plain values; how they are built is in `recommend.py`, how they look in `cli/`.
Money is Decimal US dollars an hour unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costplan.planner.deadline.types import DeadlineAdvice
from costplan.planner.place_rates import PlaceRate
from costplan.planner.types import Gap, OfferKey, PoolPlan
from costplan.planner.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesUsed:
    """Where the prices of a plan come from and how old they are.

    `offers_considered` of `offers_total` rows passed the workload's rules; `estimated` of the
    fleet's pools have a price that its source derived instead of reading it.
    """

    name: str
    digest: str
    sources: tuple[str, ...]
    oldest_observed_at: datetime
    newest_observed_at: datetime
    offers_total: int
    offers_considered: int
    left_out: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPool:
    """A pool of the plan with what is known of its price and its hazard."""

    pool: PoolPlan
    hazard_per_hour: float
    hazard_assumed: bool
    price_source: str
    price_observed_at: datetime
    price_is_estimate: bool
    vcpu_each: float
    memory_bytes_each: int
    gpus_each: int
    gpu_kind: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What else a user might buy for the same workers; None where it cannot be bought.

    `detail` says in words how it was priced, so that nobody need guess.
    """

    name: str
    usd_per_hour: Decimal | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A limit that binds, and what one more unit of it would save an hour."""

    limit: str
    shadow_usd_per_hour: Decimal
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerUp:
    """The best plan that was not taken: what it is, what it costs, and why it lost.

    `is_bound` is true where the figure is a proven lower bound and not a plan's cost.
    """

    description: str
    expected_usd_per_hour: Decimal
    is_bound: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What the spot market may do to the plan. Bands are 10 to 90 %; shares are 0 to 1."""

    spot_share: float
    largest_pool: OfferKey | None
    largest_pool_share: float
    interruptions_per_day: float
    interruptions_per_day_low: float
    interruptions_per_day_high: float
    expected_usd_per_hour_low: Decimal
    expected_usd_per_hour_high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What reading the data costs once from a place, or from the cheapest and dearest of some."""

    place: str
    least_usd: Decimal
    most_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacePlan:
    """What a plan costs beside its machines, and the rates that were used.

    Disks, addresses and traffic are in what is billed an hour. Reading the data is paid once,
    `read_usd`; `read_usd_per_hour` of it are in what is expected. `elsewhere` is what reading
    would cost from the places that may be used.
    """

    disks_usd_per_hour: Decimal
    addresses_usd_per_hour: Decimal
    traffic_usd_per_hour: Decimal
    read_usd: Decimal
    read_usd_per_hour: Decimal
    elsewhere: tuple[Elsewhere, ...]
    rates: tuple[PlaceRate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidNodes:
    """Nodes of an offer that the same commitments pay for, in full or in part, none where nobody
    does; `usd_per_hour_each` is what is left to be paid of one machine."""

    key: OfferKey
    nodes: int
    commitments: tuple[str, ...]
    is_whole: bool
    usd_per_hour_each: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentUsed:
    """What a plan uses of a commitment in an hour, in its own unit, and what stays idle.

    Dollars are those that are paid for it in any case, None where its price is not known.
    """

    commitment_id: str
    kind: str
    unit: str
    used: Decimal
    idle: Decimal
    used_usd_per_hour: Decimal | None
    idle_usd_per_hour: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlan:
    """What commitments pay of a plan: they are paid in any case, so that it counts as nothing.

    `saved_usd_per_hour` is what the machines would cost more without them, and `nodes` are all of
    the plan's by what pays for them.
    """

    saved_usd_per_hour: Decimal
    nodes: tuple[PaidNodes, ...]
    uses: tuple[CommitmentUsed, ...]

    def of(self, key: OfferKey) -> tuple[PaidNodes, ...]:
        """The nodes of an offer."""
        return tuple(each for each in self.nodes if each.key == key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Nodes of one offer that run now; a fleet names each offer once."""

    key: OfferKey
    nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Nodes of one offer against what runs now; prices are None where the list has none."""

    key: OfferKey
    nodes_now: int
    nodes_planned: int
    usd_per_hour_each: Decimal | None
    price_is_estimate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """The plan against the fleet that runs now, and what that fleet costs an hour."""

    changes: tuple[Change, ...]
    usd_per_hour_now: Decimal | None
    unpriced: tuple[OfferKey, ...]

    @property
    def is_empty(self) -> bool:
        """True where the plan is what runs now."""
        return all(change.nodes_now == change.nodes_planned for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """A fleet for a workload, and how good it is.

    `usd_per_hour` is what is billed; `expected_usd_per_hour` adds the work done again after
    interruptions, and an hour's part of reading the data. No fleet costs less than
    `lower_bound_usd_per_hour` in expectation, and `gap` is (expected - bound) / bound.
    `termination` is 'optimal' (proven), 'gap' (as close as asked for), 'steps' (the search ended
    first) or 'fallback' (packed greedily).
    """

    plan_id: str
    created_at: datetime
    workload: Workload
    site: str
    prices: PricesUsed
    pools: tuple[PricedPool, ...]
    usd_per_hour: Decimal
    expected_usd_per_hour: Decimal
    lower_bound_usd_per_hour: Decimal
    gap: float
    termination: str
    total_usd: Decimal | None
    baselines: tuple[Baseline, ...]
    binding: tuple[Binding, ...]
    runner_up: RunnerUp | None
    risk: Risk
    not_priced: tuple[str, ...]
    gaps: tuple[Gap, ...]
    diff: Diff | None = None
    deadline: DeadlineAdvice | None = None
    place: PlacePlan | None = None
    held: HeldPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One thing that stands in the way, in words with numbers, and the change that helps."""

    limit: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """Why no fleet does: what conflicts, and the smallest change of each limit that helps."""

    created_at: datetime
    workload: Workload
    prices: PricesUsed
    conflicts: tuple[Conflict, ...]
    gaps: tuple[Gap, ...]
