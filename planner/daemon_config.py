"""The autoscaler's file (`costplan.yaml`) as frozen values, or every problem of it in one error.

Text comes in and values go out; who reads the file names it, and the folder that it lies in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain
from types import MappingProxyType

from pydantic import ValidationError

from costplan.planner.azure_config import AZURE_EXAMPLES
from costplan.planner.calendar import DAYS, ScheduledJob
from costplan.planner.commitments.values import Owner
from costplan.planner.config_fields import shown
from costplan.planner.config_models import sections
from costplan.planner.config_problems import Grammar, problem, raise_all
from costplan.planner.config_values import (
    extras_of,
    interruption_of,
    limits_of,
    machines_of,
    market_of,
    overhead_of,
    where_of,
)
from costplan.planner.config_yaml import mapping_from_yaml
from costplan.planner.daemon_config_models import (
    DaemonSection,
    JobSection,
    KindSection,
    SafetySection,
    SchedulerSection,
    SpendingSection,
)
from costplan.planner.daemon_contradictions import daemon_contradictions
from costplan.planner.delivery_config import EXAMPLES as DELIVERY_EXAMPLES
from costplan.planner.delivery_config import alerts_of
from costplan.planner.errors import InputError
from costplan.planner.finance.delivery import Alerts
from costplan.planner.finance.report_settings import ReportSettings
from costplan.planner.held.config import BY_KIND, held_contradictions, held_of
from costplan.planner.held.config import EXAMPLES as HELD_EXAMPLES
from costplan.planner.held.values import Held
from costplan.planner.owner_config import EXAMPLES as OWNER_EXAMPLES
from costplan.planner.owner_config import owner_of, sharing_of
from costplan.planner.provider_config import Choice, WorkerTls, absolute, provider_of
from costplan.planner.provider_config_models import AzureSection, GcpSection, ProviderSection
from costplan.planner.report_config import reports_of
from costplan.planner.settings import (
    Budget,
    Cadence,
    Forecasting,
    Freeze,
    Safety,
    Scaling,
    Settings,
    SpeedRules,
    WorkerKind,
)
from costplan.planner.types import Resources
from costplan.planner.units import usd_text

GUIDE = "docs/autoscaler-config.md"

_GPU = "GPU"
_GRAMMAR = Grammar(
    sections=sections(DaemonSection),
    examples={
        **HELD_EXAMPLES,
        "cluster": "cluster: fraud",
        "workload": "workload: fraud-training",
        "scheduler": "scheduler: {endpoint: http://127.0.0.1:8787, token_file: token, "
        "address: tcp://127.0.0.1:8786}",
        "scheduler.endpoint": "endpoint: http://127.0.0.1:8787",
        "scheduler.token_file": "token_file: token",
        "scheduler.address": "address: tcp://127.0.0.1:8786",
        "scheduler.worker_tls.ca": "ca: ca.pem",
        "scheduler.worker_tls.cert": "cert: worker.pem",
        "scheduler.worker_tls.key": "key: worker-key.pem",
        "provider": "provider: {kind: local, scenario: scenario.yaml, state_dir: machines}",
        "provider.kind": "kind: local",
        "provider.local.scenario": "scenario: scenario.yaml",
        "provider.local.state_dir": "state_dir: machines",
        "provider.aws.region": "region: us-east-1",
        "provider.aws.zones": "zones: [us-east-1a, us-east-1b]",
        "provider.aws.image": "image: ami-0123456789abcdef0",
        "provider.aws.subnets": "{us-east-1a: subnet-0123456789abcdef0}",
        "provider.aws.tls.ca": "ca: aws-secret:dask/ca",
        "provider.aws.tls.cert": "cert: aws-secret:dask/cert",
        "provider.aws.tls.key": "key: aws-secret:dask/key",
        "provider.gcp.project": "project: our-project-1",
        "provider.gcp.zones": "zones: [us-central1-a, us-central1-b]",
        "provider.gcp.image": "image: projects/our-project-1/global/images/family/dask",
        "provider.gcp.subnets": "{us-central1: dask}",
        "provider.gcp.tls.ca": "ca: gcp-secret:dask-ca",
        "provider.gcp.tls.cert": "cert: gcp-secret:dask-cert",
        "provider.gcp.tls.key": "key: gcp-secret:dask-key",
        **AZURE_EXAMPLES,
        **OWNER_EXAMPLES,
        **DELIVERY_EXAMPLES,
        "store": "store: {path: costplan.db}",
        "store.path": "path: costplan.db",
        "place_rates.provider": "provider: aws",
        "workers": "workers: [{name: features, vcpu: 4, memory: 16 GiB}]",
        "workers.name": "name: features",
        "workers.vcpu": "vcpu: 4",
        "workers.memory": "memory: 16 GiB",
        "workers.gpu.count": "count: 1",
        "workers.resources": "{LICENCE: 1}",
        "safety.freezes.from": 'from: "22:00"',
        "safety.freezes.to": 'to: "06:00"',
        "speed.factors": '{"c7i.*": 1.4}',
        "speed.prior": '{"m7i.*": 1.15}',
        "calendar.name": "name: nightly",
        "calendar.kind": "kind: features",
        "calendar.workers": "workers: 20",
        "calendar.at": 'at: "02:00"',
        "calendar.duration": "duration: 3h",
        "reports.gl_accounts.account": 'account: "6100"',
        "reports.before.instance_type": "instance_type: m5.4xlarge",
        "reports.before.count": "count: 20",
        "tags": "{team: fraud}",
    },
    by_kind={"provider": "a provider that machines can be started on", **BY_KIND},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerAccess:
    """Where the scheduler is asked over HTTP and with which token, and where workers join it."""

    endpoint: str
    token_file: str
    address: str
    ca_file: str | None = None
    worker_tls: WorkerTls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where health and metrics are served. Port 0 is any that is free."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStyle:
    """How log lines look ('console' or 'json'), and from which level on they are written."""

    format: str
    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """The whole file: the core's settings, and what only the shell needs.

    Paths are as the file means them: relative ones start at the file's folder. `prices_file` is
    None for the bundled prices.
    """

    settings: Settings
    scheduler: SchedulerAccess
    provider: Choice
    store_path: str
    prices_file: str | None
    http: Listen
    log: LogStyle
    reports: ReportSettings = ReportSettings()
    alerts: Alerts = Alerts()


def parse_daemon_config(text: str, name: str, base: str) -> DaemonConfig:
    """What the YAML text of a file describes; `name` is the file's and `base` its folder's,
    from the root on.

    Raises InputError that lists every problem found, one a line. Rules between keys are looked
    at once each key is valid by itself.
    """
    return daemon_config_from_mapping(mapping_from_yaml(text, name, GUIDE), name, base)


def daemon_config_from_mapping(data: object, name: str, base: str) -> DaemonConfig:
    """What a parsed file describes; raises InputError as `parse_daemon_config` does."""
    if not isinstance(data, Mapping):
        raise InputError(name, f"the file holds {shown(data)}, not keys and values", f"see {GUIDE}")
    try:
        file = DaemonSection.model_validate(dict(data))
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        raise_all(name, [problem(_GRAMMAR, name, details) for details in wrong])
    found = chain(daemon_contradictions(file), held_contradictions(file))
    against = [InputError(f"{name}: {path}", *rest) for path, *rest in found]
    if against:
        raise_all(name, against)
    host, _, port = file.http.listen.rpartition(":")
    prices = file.prices.file
    return DaemonConfig(
        settings=_settings(file, base),
        scheduler=_scheduler(file.scheduler, base),
        provider=provider_of(file.provider, base),
        store_path=absolute(base, file.store.path),
        prices_file=None if prices is None else absolute(base, prices),
        http=Listen(host=host.strip("[]"), port=int(port)),
        log=LogStyle(format=file.log.format, level=file.log.level),
        reports=reports_of(file.reports, base),
        alerts=alerts_of(file.alerts, base),
    )


def _scheduler(section: SchedulerSection, base: str) -> SchedulerAccess:
    tls = section.worker_tls
    return SchedulerAccess(
        endpoint=section.endpoint,
        token_file=absolute(base, section.token_file),
        address=section.address,
        ca_file=None if section.ca_file is None else absolute(base, section.ca_file),
        worker_tls=None
        if tls is None
        else WorkerTls(
            ca=absolute(base, tls.ca), cert=absolute(base, tls.cert), key=absolute(base, tls.key)
        ),
    )


def _settings(file: DaemonSection, base: str) -> Settings:
    scaling, cadence = file.scaling, file.cadence
    return Settings(
        cluster=file.cluster,
        workload=file.workload,
        kinds=tuple(_kind(kind) for kind in file.workers),
        where=where_of(file.where),
        machines=machines_of(file.machines),
        market=market_of(file.market),
        interruption=interruption_of(file.interruption),
        overhead=overhead_of(file.overhead),
        limits=limits_of(file.limits),
        extras=extras_of(file.provider, file.place_rates),
        scaling=Scaling(
            target_seconds=scaling.target,
            idle_seconds=scaling.idle,
            client_gone_seconds=scaling.client_gone,
            drain_wait_seconds=scaling.drain_wait,
            boot_seconds=scaling.boot,
            boot_timeout_seconds=scaling.boot_timeout,
            unknown_task_seconds=scaling.unknown_task,
            horizon_seconds=scaling.horizon,
            replace_saving_share=scaling.replace_saving_share,
            ahead_seconds=scaling.ahead,
            ahead_shortage=scaling.ahead_shortage,
            deadline=scaling.deadline,
        ),
        cadence=Cadence(
            observe_seconds=cadence.observe,
            plan_seconds=cadence.plan,
            load_stale_seconds=cadence.load_stale,
            machines_stale_seconds=cadence.machines_stale,
            prices_stale_seconds=float(cadence.prices_stale),
        ),
        budget=_budget(file.budget),
        safety=_safety(file.safety),
        forecast=Forecasting(use=file.forecast.use, boosting=file.forecast.boosting),
        speed=SpeedRules(
            learn=file.speed.learn,
            factors=MappingProxyType(dict(file.speed.factors)),
            prior=MappingProxyType(dict(file.speed.prior)),
        ),
        calendar=tuple(_job(job) for job in file.calendar),
        tags=MappingProxyType(dict(file.tags)),
        account=file.owner.account or _account(file.provider),
        owner=owner_of(file.owner),
        sharing=sharing_of(file.reports.sharing),
        held=_held(file, base),
    )


def _held(file: DaemonSection, base: str) -> Held:
    """What is held, with whole paths; machines are of the account that they are started in."""
    held, provider = held_of(file), file.provider
    owner = held.owner
    if file.commitments_owner is None:
        match provider:
            case GcpSection():
                owner = Owner(account=provider.project)
            case AzureSection():
                owner = Owner(account=provider.subscription, resource_group=provider.resource_group)
    return replace(
        held,
        owner=owner,
        file=absolute(base, held.file) if held.file else "",
        ledger=absolute(base, held.ledger) if held.ledger else "",
    )


def _account(provider: ProviderSection) -> str:
    """Who pays, as far as the provider's section says it."""
    match provider:
        case GcpSection():
            return provider.project
        case AzureSection():
            return provider.subscription
    return ""


def _kind(kind: KindSection) -> WorkerKind:
    """A kind with the threads of its vCPU (at least one), and a 'GPU' resource for its GPUs."""
    gpu = kind.gpu
    implied = {_GPU: float(gpu.count)} if gpu else {}
    return WorkerKind(
        name=kind.name,
        need=Resources(
            vcpu_milli=kind.vcpu,
            memory_bytes=kind.memory,
            gpus=gpu.count if gpu else 0,
        ),
        threads=kind.threads or max(1, kind.vcpu // 1000),
        resources=MappingProxyType({**implied, **kind.resources}),
        minimum=kind.minimum,
        maximum=kind.maximum,
        gpu_kinds=gpu.kinds if gpu else (),
    )


def _budget(budget: SpendingSection) -> Budget:
    return Budget(
        usd_per_hour=_usd(budget.usd_per_hour),
        usd_per_day=_usd(budget.usd_per_day),
        usd_per_month=_usd(budget.usd_per_month),
        drain=budget.drain,
    )


def _job(job: JobSection) -> ScheduledJob:
    return ScheduledJob(
        name=job.name,
        kind=job.kind,
        workers=job.workers,
        start_minute=job.at,
        duration_seconds=job.duration,
        days=tuple(sorted(DAYS.index(day) for day in job.days)),
    )


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else Decimal(usd_text(pico))


def _safety(safety: SafetySection) -> Safety:
    return Safety(
        max_drain_share=safety.max_drain_share,
        max_launches=safety.max_launches,
        min_node_seconds=safety.min_node_age,
        max_zone_drain_share=safety.max_zone_drain_share,
        max_zone_spot_share=safety.max_zone_spot_share,
        max_family_spot_share=safety.max_family_spot_share,
        refused_seconds=safety.refused_for,
        price_factor=safety.price_factor,
        price_sources=safety.price_sources,
        freezes=tuple(
            Freeze(start_minute=each.start, end_minute=each.end, reason=each.reason)
            for each in safety.freezes
        ),
    )
