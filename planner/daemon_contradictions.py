"""What the keys of the autoscaler's file say against each other."""

from __future__ import annotations

from collections.abc import Iterator

from costplan.planner.azure_config import azure_contradictions
from costplan.planner.config_fields import shown, suggestion
from costplan.planner.config_models import market_contradictions, place_contradictions
from costplan.planner.daemon_config_models import (
    CadenceSection,
    DaemonSection,
    ScalingSection,
    SpendingSection,
)
from costplan.planner.delivery_config import delivery_contradictions
from costplan.planner.owner_config import sharing_contradictions
from costplan.planner.provider_config_models import (
    AwsSection,
    AzureSection,
    GcpSection,
    LocalSection,
)
from costplan.planner.units import usd_text

_GPU = "GPU"

_Found = Iterator[tuple[str, str, str]]


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
