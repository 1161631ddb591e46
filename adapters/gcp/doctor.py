"""What a run on Google Cloud needs, looked at without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from costplan.adapters.gcp.clients import Clients, sdk
from costplan.adapters.gcp.errors import calling
from costplan.adapters.gcp.machines import is_stopped, listed
from costplan.adapters.gcp.provider import GcpProvider
from costplan.adapters.gcp.quotas import metrics_of, region_quotas
from costplan.adapters.gcp.settings import GcpSettings
from costplan.planner.doctor import (
    Allowance,
    Check,
    Finding,
    Wanted,
    clock_finding,
    not_checked,
    ok,
    permission_findings,
    quota_findings,
    warning,
)
from costplan.planner.errors import CredentialsRejected
from costplan.planner.nodes import MachineState
from costplan.planner.types import Offer
from costplan.planner.wording import counted

PERMISSIONS = (
    "compute.acceleratorTypes.list",
    "compute.advice.capacity",
    "compute.advice.capacityHistory",
    "compute.disks.create",
    "compute.globalOperations.list",
    "compute.images.useReadOnly",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.list",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.instances.setTags",
    "compute.machineTypes.list",
    "compute.regions.get",
    "compute.subnetworks.use",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",
    "compute.zones.list",
)
"""Those of the role in docs/clouds/gcp.md."""

_EXTERNAL_IP = "compute.subnetworks.useExternalIp"
_DISPENSABLE = ("compute.advice.capacity", "compute.advice.capacityHistory")
_RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com"
_WHOLE_SECOND = 1.0
"""A Date header has no fractions."""


def checks(  # noqa: PLR0913, PLR0917 - one parameter a thing that is looked at
    clients: Clients,
    settings: GcpSettings,
    provider: GcpProvider,
    cluster: str,
    sold: Callable[[], Sequence[Offer]],
    wanted: Sequence[Wanted],
    clock: Callable[[], datetime],
) -> tuple[Check, ...]:
    """All that can be asked of Google; `sold` are the offers that may be bought."""
    return (
        Check("credentials", lambda: access_findings(clients, settings, clock)),
        Check(
            "quotas",
            lambda: quota_findings(allowances(clients, settings, provider, sold()), wanted),
        ),
        Check("leftovers", lambda: stopped_findings(clients, settings.project, cluster)),
    )


def access_findings(
    clients: Clients, settings: GcpSettings, clock: Callable[[], datetime]
) -> Iterator[Finding]:
    """Who we are there, what we may do in the project, and how far our clock is from Google's."""
    asked = [*PERMISSIONS, *([_EXTERNAL_IP] if settings.external_ip else [])]
    yield ok("credentials", f"project {settings.project}, as {clients.identity}")
    began = clock()
    try:
        granted, dated = _granted(clients, settings.project, asked)
    except CredentialsRejected as error:
        if "cloudresourcemanager" not in str(error):
            raise
        text = "which permissions there are: the Cloud Resource Manager API is not enabled"
        way_out = "gcloud services enable cloudresourcemanager.googleapis.com"
        yield not_checked("permissions", text, way_out)
        return
    ended = clock()
    unclear = ["those of the image's project, of a shared subnet and of the service account"]
    yield from permission_findings(
        "role",
        granted,
        [one for one in asked if one not in granted],
        unclear,
        dispensable=_DISPENSABLE,
    )
    if dated:
        half = (ended - began) / 2
        skew = (began + half - parsedate_to_datetime(dated)).total_seconds()
        yield clock_finding("Google", skew, half.total_seconds() + _WHOLE_SECOND)


def _granted(clients: Clients, project: str, asked: Sequence[str]) -> tuple[list[str], str]:
    """Which of these permissions we have in the project, and when the answer was written. There
    is no client for this among those that launch, and one call is not worth another package."""
    session = sdk("google.auth.transport.requests").AuthorizedSession(clients.credentials)
    address = f"{clients.endpoint or _RESOURCE_MANAGER}/v1/projects/{project}:testIamPermissions"
    with calling("doctor", project):
        answer: Any = session.post(
            address, json={"permissions": list(asked)}, timeout=clients.timeout_seconds
        )
        if answer.status_code != 200:
            raise sdk("google.api_core.exceptions").from_http_response(answer)
        found = answer.json().get("permissions", ())
    return [one for one in asked if one in found], answer.headers.get("Date", "")


def allowances(
    clients: Clients, settings: GcpSettings, provider: GcpProvider, offers: Sequence[Offer]
) -> list[Allowance]:
    """The regions' quotas of vCPU and GPUs that any of the offers counts against."""
    sizes = {offer.key: offer for offer in offers}
    alive = [one.key for one in provider.nodes() if one.state is not MachineState.ENDED]
    ours = [sizes[key] for key in alive if key in sizes]
    found = {}
    for region in settings.regions:
        quotas = region_quotas(clients, settings.project, region)
        taken: dict[str, float] = {}
        for offer in ours:
            if offer.key.region == region:
                for quota, amount in metrics_of(offer, quotas):
                    taken[quota.metric] = taken.get(quota.metric, 0.0) + amount
        counted_against = {
            quota.metric: quota
            for offer in offers
            if offer.key.region == region
            for quota, _ in metrics_of(offer, quotas)
        }
        for metric, quota in counted_against.items():
            if metric.endswith(("CPUS", "GPUS")):
                found[region, metric] = Allowance(
                    name=f"{metric} in {region}",
                    unit="vCPU" if metric.endswith("CPUS") else "GPU",
                    limit=quota.limit,
                    used=quota.usage,
                    ours=taken.get(metric, 0.0),
                )
    return list(found.values())


def stopped_findings(clients: Clients, project: str, cluster: str) -> Iterator[Finding]:
    """Machines that ended by themselves and whose disks are paid for."""
    there = listed(clients, project, cluster)
    stopped = sorted(place.provider_id for place, one in there.items() if is_stopped(one))
    if stopped:
        text = f"{counted(len(stopped), 'stopped machine')} whose disk is paid for: "
        names = ", ".join(stopped[:5])
        yield warning("leftovers", text + names, "`costplan run` deletes them")
    else:
        yield ok("leftovers", "no stopped machine of the cluster")
