"""The sections of the autoscaler's file as pydantic models, and the rules between their keys.

A key's default is the one of `settings.py`. `docs/autoscaler-config.md` documents every key; a
test holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from costplan.planner.azure_config import azure_contradictions
from costplan.planner.calendar import DAYS
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
    shown,
    suggestion,
)
from costplan.planner.config_models import (
    GpuSection,
    InterruptionSection,
    LimitsSection,
    MachinesSection,
    MarketSection,
    OverheadSection,
    PlaceSection,
    Section,
    WhereSection,
    gpu_mapping,
    market_contradictions,
    place_contradictions,
)
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
from costplan.planner.delivery_config import AlertsSection, delivery_contradictions
from costplan.planner.owner_config import OwnerSection, sharing_contradictions
from costplan.planner.provider_config_models import (
    AwsSection,
    AzureSection,
    GcpSection,
    LocalSection,
    ProviderSection,
)
from costplan.planner.report_config import ReportsSection
from costplan.planner.settings import Budget, Cadence, Forecasting, Safety, Scaling
from costplan.planner.units import usd_text

_SCALING, _CADENCE, _SAFETY, _FORECAST = Scaling(), Cadence(), Safety(), Forecasting()
_BUDGET = Budget()
_GPU = "GPU"

_Found = Iterator[tuple[str, str, str]]


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


class DaemonSection(Section):
    """The whole file."""

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


def daemon_contradictions(file: DaemonSection) -> _Found:
    """Path, problem and way out of what each key allows and all keys together do not."""
    yield from _scheduler_contradictions(file)
    yield from _provider_contradictions(file)
    yield from _start_contradictions(file)
    yield from _kind_contradictions(file)
    yield from _time_contradictions(file.scaling, file.cadence)
    yield from _budget_contradictions(file.budget)
    yield from _calendar_contradictions(file)
    yield from sharing_contradictions(file.reports.sharing)
    yield from delivery_contradictions(file.reports.schedule, file.alerts)
    yield from market_contradictions(file.market)
    yield from place_contradictions(file.where, file.limits)


def _scheduler_contradictions(file: DaemonSection) -> _Found:
    scheduler = file.scheduler
    is_tls, is_here = scheduler.address.startswith("tls://"), file.provider.kind == "local"
    if is_tls and is_here and scheduler.worker_tls is None:
        problem = f"{shown(scheduler.address)}, but there is no scheduler.worker_tls"
        yield "scheduler.address", problem, "add worker_tls: {ca: FILE, cert: FILE, key: FILE}"
    if not is_tls and is_here and scheduler.worker_tls is not None:
        problem = f"is given, but scheduler.address is {shown(scheduler.address)}"
        yield "scheduler.worker_tls", problem, "write tls:// in the address or drop it here"
    if scheduler.ca_file is not None and scheduler.endpoint.startswith("http://"):
        problem = f"is given, but scheduler.endpoint is {shown(scheduler.endpoint)}"
        yield "scheduler.ca_file", problem, "write https:// in the endpoint or drop it here"


def _provider_contradictions(file: DaemonSection) -> _Found:
    if file.prices.file is not None and file.provider.kind != "local":
        problem = f"is given, but prices of {file.provider.kind} are read from the cloud itself"
        yield "prices.file", problem, "drop it here, or give it to `recommend --prices`"
    match file.provider:
        case AwsSection():
            yield from _aws_contradictions(file.provider)
        case GcpSection():
            yield from _gcp_contradictions(file.provider)
        case AzureSection():
            yield from azure_contradictions(file.provider)


def _aws_contradictions(provider: AwsSection) -> _Found:
    for zone in provider.subnets:
        if zone not in provider.zones:
            problem = f"provider.zones lists only {', '.join(provider.zones)}"
            yield f"provider.subnets.{zone}", problem, "add the zone or drop its subnet"
    for place, zone in enumerate(provider.zones):
        if not zone.startswith(provider.region):
            problem = f"{shown(zone)} is not in provider.region ({provider.region})"
            yield f"provider.zones[{place}]", problem, "one daemon works in one region"


def _gcp_contradictions(provider: GcpSection) -> _Found:
    regions = {zone.rpartition("-")[0] for zone in provider.zones}
    for region in provider.subnets:
        if region not in regions:
            problem = f"provider.zones are of {', '.join(sorted(regions))}"
            yield f"provider.subnets.{region}", problem, "add a zone of it or drop its subnet"


def _start_contradictions(file: DaemonSection) -> _Found:
    """What is said twice or not at all of how machines of a cloud join the scheduler."""
    provider, address = file.provider, file.scheduler.address
    if isinstance(provider, LocalSection):
        return
    if file.scheduler.worker_tls is not None:
        problem = f"names files of this computer, which machines of {provider.kind} do not have"
        yield "scheduler.worker_tls", problem, "name what they can read in provider.tls"
    if address.startswith("tls://") and provider.tls is None:
        problem = f"{shown(address)}, but there is no provider.tls"
        way_out = "add tls: {ca: REFERENCE, cert: REFERENCE, key: REFERENCE} to provider"
        yield "scheduler.address", problem, way_out
    if provider.tls is not None and not address.startswith("tls://"):
        problem = f"is given, but scheduler.address is {shown(address)}"
        yield "provider.tls", problem, "write tls:// in the address or drop it here"
    given = [key for key in ("container", "conda", "python") if key in provider.model_fields_set]
    for key in given[1:]:
        yield f"provider.{key}", f"is given, and provider.{given[0]} too", "keep one of them"


def _kind_contradictions(file: DaemonSection) -> _Found:
    first_use: dict[str, int] = {}
    for place, kind in enumerate(file.workers):
        path = f"workers[{place}]"
        if kind.name in first_use:
            earlier = f"workers[{first_use[kind.name]}]"
            yield f"{path}.name", f"{shown(kind.name)} is also {earlier}", "give it its own name"
        first_use.setdefault(kind.name, place)
        if kind.maximum is not None and kind.minimum > kind.maximum:
            problem = f"{kind.minimum} is above maximum ({kind.maximum})"
            yield f"{path}.minimum", problem, "lower it or raise maximum"
        if file.machines.max_vcpu is not None and kind.vcpu > file.machines.max_vcpu:
            most = f"machines.max_vcpu ({file.machines.max_vcpu / 1000:g})"
            problem = f"{kind.vcpu / 1000:g} is above {most}"
            yield f"{path}.vcpu", problem, "no machine could hold it; raise max_vcpu"
        if _GPU in kind.resources and kind.gpu is None:
            problem = f"is {kind.resources[_GPU]:g}, but the worker has no gpu"
            yield f"{path}.resources.{_GPU}", problem, "add gpu: 1 or drop it here"


def _time_contradictions(scaling: ScalingSection, cadence: CadenceSection) -> _Found:
    if scaling.boot_timeout <= scaling.boot:
        problem = f"{scaling.boot_timeout} s is not above scaling.boot ({scaling.boot} s)"
        yield "scaling.boot_timeout", problem, "every boot would be given up; raise it"
    observe = f"cadence.observe ({cadence.observe:g} s)"
    if cadence.plan < cadence.observe:
        problem = f"{cadence.plan:g} s is below {observe}"
        yield "cadence.plan", problem, "a plan rests on what was observed; raise it"
    for key in ("load_stale", "machines_stale"):
        seconds = getattr(cadence, key)
        if seconds <= cadence.observe:
            problem = f"{seconds:g} s is not above {observe}"
            yield f"cadence.{key}", problem, "all that is read would be too old; raise it"


def _budget_contradictions(budget: SpendingSection) -> _Found:
    day, month = budget.usd_per_day, budget.usd_per_month
    if day is not None and month is not None and day > month:
        problem = f"${usd_text(day)} is above budget.usd_per_month (${usd_text(month)})"
        yield "budget.usd_per_day", problem, "lower it, or raise the month's"


def _calendar_contradictions(file: DaemonSection) -> _Found:
    kinds = {kind.name: kind for kind in file.workers}
    first_use: dict[str, int] = {}
    for place, job in enumerate(file.calendar):
        path = f"calendar[{place}]"
        if job.name in first_use:
            earlier = f"calendar[{first_use[job.name]}]"
            yield f"{path}.name", f"{shown(job.name)} is also {earlier}", "give it its own name"
        first_use.setdefault(job.name, place)
        if len(set(job.days)) < len(job.days):
            yield f"{path}.days", f"{', '.join(job.days)}: a day twice", "name each day once"
        kind = kinds.get(job.kind)
        if kind is None:
            problem = f"{shown(job.kind)} is no kind of worker here"
            way_out = suggestion(job.kind, kinds) or f"name one of {', '.join(kinds)}"
            yield f"{path}.kind", problem, way_out
        elif kind.maximum is not None and job.workers > kind.maximum:
            problem = f"{job.workers} is above the maximum of {kind.name} ({kind.maximum})"
            yield f"{path}.workers", problem, "lower it or raise maximum"
