"""What a person wants of the autoscaler, as frozen values: the core's side of `costplan.yaml`.

`config` modules parse the file; nothing here knows of YAML, and nobody reads it again later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.calendar import ScheduledJob
from costplan.planner.finance.lines import Owner
from costplan.planner.finance.sharing import Sharing
from costplan.planner.held.values import NOTHING_HELD, Held
from costplan.planner.types import Resources
from costplan.planner.workload import (
    Extras,
    Interruption,
    Limits,
    Machines,
    MarketRules,
    Overhead,
    Where,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerKind:
    """A kind of Dask worker that may run here: what one needs of a machine, and what it offers.

    `threads` defaults to its vCPU. `resources` are Dask's own names with amounts (a 'GPU' is
    there without saying where it has GPUs). `minimum` workers are always kept.
    """

    name: str
    need: Resources
    threads: int
    resources: Mapping[str, float]
    minimum: int = 0
    maximum: int | None = None
    gpu_kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How much to buy for the work there is, and how long to keep what has none.

    Work is to be done within `target_seconds` of when it comes, boot time counted; an idle
    worker is kept about as long as a boot takes or, where bursts were seen, as long as pays,
    at most `idle_seconds`. `client_gone_seconds` after the last client left nothing idle is
    kept. Tasks of unknown duration are taken for `unknown_task_seconds` each.

    Until a `deadline` work may take most of the time that is left, where that is more.

    Where demand is foretold, `ahead_seconds` of it are looked at (0: none), and a worker that is
    not there for it costs `ahead_shortage` times the cheapest that could be.
    """

    target_seconds: int = 300
    idle_seconds: int = 600
    client_gone_seconds: int = 30
    drain_wait_seconds: int = 600
    boot_seconds: int = 120
    boot_timeout_seconds: int = 900
    unknown_task_seconds: float = 0.5
    horizon_seconds: int = 1800
    replace_saving_share: float = 0.1
    ahead_seconds: int = 14_400
    ahead_shortage: float = 2.0
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often the world is looked at and how often a plan is made, without an event."""

    observe_seconds: float = 1.0
    plan_seconds: float = 60.0
    load_stale_seconds: float = 30.0
    machines_stale_seconds: float = 120.0
    prices_stale_seconds: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Dollars that may be spent: a rate, and an amount a UTC day and month. None is no limit.

    `drain`: whether nodes that a limit does not pay for any more are emptied and ended.
    """

    usd_per_hour: Decimal | None = None
    usd_per_day: Decimal | None = None
    usd_per_month: Decimal | None = None
    drain: bool = True

    @property
    def is_limited(self) -> bool:
        """True where there is a limit."""
        return (self.usd_per_hour, self.usd_per_day, self.usd_per_month) != (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Daily UTC minutes [start, end) in which nothing voluntary is changed."""

    start_minute: int
    end_minute: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """How much may change at once.

    At most `max_drain_share` of the ready nodes, and `max_zone_drain_share` of those of a zone
    (and at least one of each), drain at a time by choice, at most `max_launches` machines are
    asked for in one tick, a node lives for at least `min_node_seconds` before it is given up by
    choice, and an offer that was refused is not asked for again for `refused_seconds`.

    At most `max_zone_spot_share` of the fleet's vCPU are spot machines of one zone, and
    `max_family_spot_share` of one family of types.

    Nothing is launched at a price that is `price_factor` times above or below what its like
    costs, nor from a source that none of `price_sources` (patterns; none: all) matches.
    """

    max_drain_share: float = 0.5
    max_zone_drain_share: float = 1.0
    max_zone_spot_share: float = 1.0
    max_family_spot_share: float = 1.0
    max_launches: int = 500
    min_node_seconds: int = 60
    refused_seconds: int = 300
    price_factor: float = 10.0
    price_sources: tuple[str, ...] = ()
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasting:
    """Whether a tick is told of demand to come, and whether scikit-learn helps to foretell it."""

    use: bool = True
    boosting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRules:
    """Whether the speeds of machine types are learnt from the workload's tasks, and speeds that
    are known: multiples by pattern of a type's name, which are believed whatever is measured.
    `prior` are those that hold until something is, and that it starts from."""

    learn: bool = True
    factors: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(dict[str, float]())
    )
    prior: Mapping[str, float] = field(default_factory=lambda: MappingProxyType(dict[str, float]()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole of it. `cluster` tags every machine; worker kinds are in order of preference.

    Of the rules, shares and quotas are those of `recommend`. `account` is who pays for machines
    ('' where nobody said), `owner` for whom the workload runs, and `sharing` who bears what no
    work can be named for. `held` are commitments that the machines may use.
    """

    cluster: str
    workload: str
    kinds: tuple[WorkerKind, ...]
    where: Where = Where()
    machines: Machines = Machines()
    market: MarketRules = MarketRules()
    interruption: Interruption = Interruption()
    overhead: Overhead = Overhead()
    limits: Limits = Limits()
    extras: Extras = Extras()
    scaling: Scaling = Scaling()
    cadence: Cadence = Cadence()
    budget: Budget = Budget()
    safety: Safety = Safety()
    forecast: Forecasting = Forecasting()
    speed: SpeedRules = SpeedRules()
    calendar: tuple[ScheduledJob, ...] = ()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType(dict[str, str]()))
    image_ref: str = ""
    user_data_ref: str = ""
    account: str = ""
    owner: Owner = Owner()
    sharing: Sharing = Sharing()
    held: Held = NOTHING_HELD
