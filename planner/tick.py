"""The values of one tick: what was read, what is known, what is to be done, what became of it.

    Readings + State -> Snapshot -> MovePlan -> guarded MovePlan -> State' + Actions -> Outcomes

All of them are frozen, and all of them serialise (`codec.py`), so that a stored tick replays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.learnt import Learnt
from costplan.planner.ledger import Meter
from costplan.planner.load import Load
from costplan.planner.nodes import (
    Cause,
    LaunchRequest,
    Node,
    Notice,
    ProviderNode,
    Retired,
)
from costplan.planner.outlook import Ahead, Outlook
from costplan.planner.plan import CommitmentUsed
from costplan.planner.speed import TypeSpeed
from costplan.planner.types import (
    Gap,
    Mode,
    Offer,
    OfferKey,
    PoolPlan,
    Quote,
    Verdict,
    require_utc,
)
from costplan.planner.workload import Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequest:
    """An operator's word that a node must go; `discard` allows results to be lost with it."""

    node_id: str
    requested_at: datetime
    discard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPlan:
    """A reviewed plan of `recommend` that an operator wants executed, once.

    The fleet is to become `pools`: what is missing is launched, what is not in it is drained.
    Until `hold_until` nothing else is changed by choice; without it the autoscaler goes on from
    there. `plan_id` is the document's, and one id is executed once.
    """

    plan_id: str
    pools: tuple[PoolPlan, ...]
    requested_at: datetime
    hold_until: datetime | None = None

    def __post_init__(self) -> None:
        require_utc(self.requested_at, "requested_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the operator has said: durable, set by the command line, read by every tick.

    While `paused_until` is ahead nothing is decided (notices are still drained and the ledger
    goes on); `datetime.max` in UTC is until resumed. `down` ends the whole fleet. `applied` is a
    plan that was handed over and is not yet executed, or still held.
    """

    paused_until: datetime | None = None
    drains: tuple[DrainRequest, ...] = ()
    down: bool = False
    down_discard: bool = False
    applied_plan: str | None = None
    applied: AppliedPlan | None = None


class Outcome(StrEnum):
    """What became of an action; the error tree of `errors.py` maps onto the refusals."""

    DONE = "done"
    NO_CAPACITY = "no capacity"
    QUOTA = "quota"
    REJECTED = "rejected"
    CREDENTIALS = "credentials"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    UNKNOWN = "outcome unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Ask the provider for a machine; sent again letter for letter until the answer is known."""

    node_id: str
    request: LaunchRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """These workers take no new tasks, and what they alone hold is copied."""

    node_ids: tuple[str, ...]
    workers: tuple[str, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncordon:
    """A drain was called off: the workers take tasks again."""

    node_ids: tuple[str, ...]
    workers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """These workers leave once what they alone hold is elsewhere; safe to say again.

    A forced one is not refused for the collective or shuffle that a worker belongs to: its
    machine goes anyway.
    """

    node_ids: tuple[str, ...]
    workers: tuple[str, ...]
    token: str
    is_forced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """End the machine; unknown ids count as ended."""

    node_id: str
    provider_id: str


Action = Launch | Cordon | Uncordon | Retire | Terminate


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOutcome:
    """What became of one action, at `at`. `machine` answers a launch, `retired` a Retire.

    `retry_after_seconds` is what the other side asked for; `detail` is for people.
    """

    action: Action
    outcome: Outcome
    at: datetime
    detail: str = ""
    machine: ProviderNode | None = None
    retired: Retired | None = None
    retry_after_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The world as it was read for one tick. What could not be read is None, and a gap says why.

    `offers` and `quotes` are what can be bought and for how much, and `market_digest` names them
    where who read them knows it; `outcomes` are of the actions that ended since the last tick.
    `machines_at` is when listing the machines began: one that was launched later need not be there.
    `outlook` is the demand to come, None where nothing foretells it. `quotas` are what the account
    may have, besides those of the settings. `leases` are what this cluster may use of commitments
    that it shares, by their ids and in their own units; None: nothing says that others use them.
    """

    at: datetime
    load: Load | None
    machines: tuple[ProviderNode, ...] | None
    notices: tuple[Notice, ...] | None
    offers: tuple[Offer, ...]
    quotes: tuple[Quote, ...]
    outcomes: tuple[ActionOutcome, ...] = ()
    gaps: tuple[Gap, ...] = ()
    market_digest: str = ""
    machines_at: datetime | None = None
    outlook: Outlook | None = None
    quotas: tuple[Quota, ...] = ()
    leases: Mapping[str, Fraction] | None = None

    def __post_init__(self) -> None:
        require_utc(self.at, "at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent view: complete, or it says what is missing.

    `digest` is over everything else. `mode` is what may still be done with it. `spent_today_usd`
    and `spent_month_usd` are for the UTC day and month of `at`: the ledger and what runs since,
    less what commitments paid. `paid_usd` is what they pay an hour of each node now.
    """

    at: datetime
    nodes: tuple[Node, ...]
    load: Load | None
    offers: tuple[Offer, ...]
    quotes: tuple[Quote, ...]
    notices: tuple[Notice, ...]
    gaps: tuple[Gap, ...]
    mode: Mode
    spent_usd: Decimal
    digest: str
    spent_today_usd: Decimal = Decimal(0)
    spent_month_usd: Decimal = Decimal(0)
    outlook: Outlook | None = None
    paid_usd: Mapping[str, Decimal] = field(
        default_factory=lambda: MappingProxyType(dict[str, Decimal]())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A proposed machine: offers that will do, dearest priced, and the workers on it by shape.

    `replaces` names the nodes whose drain for a better price it goes with: neither is done
    without the other. `is_ahead` is true of one that only demand to come asks for.
    `risk_usd_per_hour` is what interruptions are expected to cost besides, less what it is worth
    that its machine is faster than one of speed 1 (so below zero where that is more).
    """

    keys: tuple[OfferKey, ...]
    workers: Mapping[str, int]
    usd_per_hour: Decimal
    reason: str
    replaces: tuple[str, ...] = ()
    is_ahead: bool = field(default=False, repr=False)
    risk_usd_per_hour: Decimal = field(default=Decimal(0), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainNode:
    """A proposed end of a node: why, what it saves an hour (its price, and the interruptions that
    are expected of it), and what the drain itself costs."""

    node_id: str
    cause: Cause
    saving_usd_per_hour: Decimal
    drain_usd: Decimal
    drain_seconds: float
    reason: str
    risk_usd_per_hour: Decimal = field(default=Decimal(0), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepNode:
    """A proposed end that was thought of and not made: the node stays, and why."""

    node_id: str
    reason: str


Move = NewNode | DrainNode


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDemand:
    """How many workers of a shape the work asks for, and in words why.

    `work_seconds` of task-time are left (known or guessed), `width` tasks could run at once, and
    `useful` workers of those allowed would have something to run.
    """

    shape: str
    wanted: int
    present: int
    coming: int
    work_seconds: float
    width: int
    reason: str
    useful: int = 0

    @property
    def is_surplus(self) -> bool:
        """True where more are ready than the work asks for, and some of them have none.

        A worker that is busy to the end costs the same as another that would take its place
        longer, so letting it go saves nothing.
        """
        return self.present > max(self.wanted, self.useful)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Tasks that wait and for which nothing is bought: how many, what they need, and why."""

    prefix: str
    tasks: int
    need: Mapping[str, float]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPlan:
    """The best plan that was not taken: what it costs over the horizon, and why it lost."""

    description: str
    expected_usd: Decimal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUse:
    """What commitments pay of the fleet an hour, what is used of each, and why some of it is not
    counted on. `is_shared` says that a ledger keeps clusters from counting on the same; `wants` is
    how much of each the last plan could use, in its own unit."""

    pays_usd_per_hour: Decimal
    uses: tuple[CommitmentUsed, ...]
    is_shared: bool
    gaps: tuple[Gap, ...] = ()
    wants: Mapping[str, Fraction] = field(
        default_factory=lambda: MappingProxyType(dict[str, Fraction]())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePlan:
    """What to change now, and what it is worth over `horizon_seconds`.

    `expected_usd` and `do_nothing_usd` are over the horizon (machines, boot, drain, shortage);
    no fleet for this demand costs less than `lower_bound_usd`, which knows no switching cost.
    The same snapshot and rules give the same plan, with the same `plan_id`. `ahead` is None
    where nothing foretold demand. Where `speeds` of machine types are known, dollars over the
    horizon are for the work that machines of speed 1 would do.
    """

    plan_id: str
    snapshot_digest: str
    created_at: datetime
    horizon_seconds: int
    demand: tuple[ClassDemand, ...]
    moves: tuple[Move, ...]
    kept: tuple[KeepNode, ...]
    waiting: tuple[Waiting, ...]
    verdicts: tuple[Verdict, ...]
    usd_per_hour_before: Decimal
    usd_per_hour_after: Decimal
    expected_usd: Decimal
    do_nothing_usd: Decimal
    lower_bound_usd: Decimal
    termination: str
    runner_up: RejectedPlan | None = None
    ahead: Ahead | None = None
    speeds: tuple[TypeSpeed, ...] = ()
    held: HeldUse | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that must survive the daemon: nodes by id, meters by node, what was learnt.

    `load` is the last load that could be read, `plan` the last plan. `launches` counts all
    nodes ever intended; node ids come from it. `spent_usd` is the sum of the ledger,
    `spent_by_day` the part of each UTC day ('2024-05-17') that is `recent`. `at` is
    when the last tick was, `plan_key` what its plan rested on. `paid_by_day` is what commitments
    paid of the ledger's dollars, and `paid_usd_per_hour` what they pay since the last tick, of
    which `held` has the rest.
    """

    nodes: Mapping[str, Node] = field(default_factory=lambda: MappingProxyType(dict[str, Node]()))
    meters: Mapping[str, Meter] = field(
        default_factory=lambda: MappingProxyType(dict[str, Meter]())
    )
    control: Control = Control()
    learnt: Learnt = Learnt()
    load: Load | None = None
    plan: MovePlan | None = None
    launches: int = 0
    spent_usd: Decimal = Decimal(0)
    at: datetime | None = None
    plan_key: str = ""
    spent_by_day: Mapping[str, Decimal] = field(
        default_factory=lambda: MappingProxyType(dict[str, Decimal]())
    )
    paid_by_day: Mapping[str, Decimal] = field(
        default_factory=lambda: MappingProxyType(dict[str, Decimal]())
    )
    paid_usd_per_hour: Decimal = Decimal(0)
    held: HeldUse | None = None
