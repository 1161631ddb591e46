"""The sections of the autoscaler's file as pydantic models, and the rules between their keys.

A key's default is the one of `settings.py`. `docs/autoscaler-config.md` documents every key; a
test holds it to that.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from costplan.planner.calendar import DAYS
from costplan.planner.commitments.file_fields import Instant
from costplan.planner.commitments.file_models import HeldSection
from costplan.planner.config_fields import (
    DurationSeconds,
    Filled,
    Flag,
    LossSeconds,
    MachineVcpuMilli,
    MemoryBytes,
    Name,
    PicoPerHour,
    Share,
    Text,
    refusal,
)
from costplan.planner.config_models import (
    GpuSection,
    InterruptionSection,
    LimitsSection,
    MachinesSection,
    MarketSection,
    OverheadSection,
    PlaceSection,
    WhereSection,
    gpu_mapping,
)
from costplan.planner.config_section import Section
from costplan.planner.daemon_config_fields import (
    Address,
    Amount,
    DayName,
    EndMinute,
    Endpoint,
    FilePath,
    JobWorkers,
    LeastWorkers,
    Listen,
    LogFormat,
    LogLevel,
    MostLaunches,
    MostWorkers,
    PicoPerDay,
    PicoPerMonth,
    PriceFactor,
    RunSeconds,
    ShortageFactor,
    ShortSeconds,
    StartMinute,
    TagName,
    TaskSeconds,
    ThreadCount,
)
from costplan.planner.delivery_config import AlertsSection
from costplan.planner.owner_config import OwnerSection
from costplan.planner.provider_config_models import (
    ProviderSection,
)
from costplan.planner.report_config import ReportsSection
from costplan.planner.settings import Budget, Cadence, Forecasting, Safety, Scaling
from costplan.planner.speed_config import NO_SPEEDS, SpeedSection

_SCALING, _CADENCE, _SAFETY, _FORECAST = Scaling(), Cadence(), Safety(), Forecasting()
_BUDGET = Budget()


class TlsSection(Section):
    """The files that workers show and trust."""

    ca: FilePath
    cert: FilePath
    key: FilePath


class SchedulerSection(Section):
    """The scheduler: where it is asked, and where workers join it."""

    endpoint: Endpoint
    token_file: FilePath
    ca_file: FilePath | None = None
    address: Address
    worker_tls: TlsSection | None = None


class PricesSection(Section):
    """Where prices come from; nothing means the bundled list."""

    file: FilePath | None = None


class StoreSection(Section):
    """What survives the daemon."""

    path: FilePath


class HttpSection(Section):
    """Health and metrics."""

    listen: Listen = "127.0.0.1:9464"


class LogSection(Section):
    """Log lines."""

    format: LogFormat = "console"
    level: LogLevel = "info"


class KindSection(Section):
    """A kind of worker that may run here."""

    name: Name
    vcpu: MachineVcpuMilli
    memory: MemoryBytes
    threads: ThreadCount | None = None
    gpu: Annotated[GpuSection, BeforeValidator(gpu_mapping)] | None = None
    resources: Annotated[dict[Text, Amount], Field(default_factory=dict)]
    minimum: LeastWorkers = 0
    maximum: MostWorkers | None = None


class ScalingSection(Section):
    """How much to buy for the work there is, and how long to keep what has none."""

    target: DurationSeconds = _SCALING.target_seconds
    idle: LossSeconds = _SCALING.idle_seconds
    client_gone: LossSeconds = _SCALING.client_gone_seconds
    drain_wait: LossSeconds = _SCALING.drain_wait_seconds
    boot: LossSeconds = _SCALING.boot_seconds
    boot_timeout: DurationSeconds = _SCALING.boot_timeout_seconds
    unknown_task: TaskSeconds = _SCALING.unknown_task_seconds
    horizon: DurationSeconds = _SCALING.horizon_seconds
    replace_saving_share: Share = _SCALING.replace_saving_share
    ahead: LossSeconds = _SCALING.ahead_seconds
    ahead_shortage: ShortageFactor = _SCALING.ahead_shortage
    deadline: Instant | None = None


class CadenceSection(Section):
    """How often to look and to plan, and how old what was read may be."""

    observe: ShortSeconds = _CADENCE.observe_seconds
    plan: ShortSeconds = _CADENCE.plan_seconds
    load_stale: ShortSeconds = _CADENCE.load_stale_seconds
    machines_stale: ShortSeconds = _CADENCE.machines_stale_seconds
    prices_stale: DurationSeconds = int(_CADENCE.prices_stale_seconds)


class SpendingSection(Section):
    """Money."""

    usd_per_hour: PicoPerHour | None = None
    usd_per_day: PicoPerDay | None = None
    usd_per_month: PicoPerMonth | None = None
    drain: Flag = _BUDGET.drain


class FreezeSection(Section):
    """A time of day in UTC in which nothing is changed by choice."""

    start: Annotated[StartMinute, Field(alias="from")]
    end: Annotated[EndMinute, Field(alias="to")]
    reason: Text = ""

    @model_validator(mode="after")
    def _some_time(self) -> FreezeSection:
        if self.start == self.end:
            raise refusal("the window is empty", "pause costplan to freeze whole days")
        return self


class SafetySection(Section):
    """How much may change at once."""

    max_drain_share: Share = _SAFETY.max_drain_share
    max_zone_drain_share: Share = _SAFETY.max_zone_drain_share
    max_zone_spot_share: Share = _SAFETY.max_zone_spot_share
    max_family_spot_share: Share = _SAFETY.max_family_spot_share
    max_launches: MostLaunches = _SAFETY.max_launches
    min_node_age: LossSeconds = _SAFETY.min_node_seconds
    refused_for: LossSeconds = _SAFETY.refused_seconds
    price_factor: PriceFactor = _SAFETY.price_factor
    price_sources: tuple[Text, ...] = ()
    freezes: tuple[FreezeSection, ...] = ()


class ForecastSection(Section):
    """Whether plans are told of demand to come, and what foretells it."""

    use: Flag = _FORECAST.use
    boosting: Flag = _FORECAST.boosting


class JobSection(Section):
    """A job that comes by the clock."""

    name: Name
    kind: Name
    workers: JobWorkers
    at: StartMinute
    duration: RunSeconds
    days: Annotated[tuple[DayName, ...], Filled] = DAYS


class _OwnSection(Section):
    """The keys that only this file has."""

    cluster: Name
    workload: Name
    scheduler: SchedulerSection
    provider: ProviderSection
    store: StoreSection
    workers: Annotated[tuple[KindSection, ...], Filled]
    prices: PricesSection = PricesSection()
    http: HttpSection = HttpSection()
    log: LogSection = LogSection()
    scaling: ScalingSection = ScalingSection()
    cadence: CadenceSection = CadenceSection()
    budget: SpendingSection = SpendingSection()
    safety: SafetySection = SafetySection()
    forecast: ForecastSection = ForecastSection()
    speed: SpeedSection = NO_SPEEDS
    calendar: tuple[JobSection, ...] = ()
    where: WhereSection = WhereSection()
    machines: MachinesSection = MachinesSection()
    place_rates: tuple[PlaceSection, ...] = ()
    market: MarketSection = MarketSection()
    interruption: InterruptionSection = InterruptionSection()
    overhead: OverheadSection = OverheadSection()
    limits: LimitsSection = LimitsSection()
    owner: OwnerSection = OwnerSection()
    reports: ReportsSection = ReportsSection()
    alerts: AlertsSection = AlertsSection()
    tags: Annotated[dict[TagName, Text], Field(default_factory=dict)]


class DaemonSection(HeldSection, _OwnSection):
    """The whole file."""
