"""Who runs the machines, as frozen values: one class a provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from costplan.planner.azure_config import AzureChoice, azure_choice
from costplan.planner.provider_config_models import (
    AwsSection,
    AzureSection,
    CloudSection,
    GcpSection,
    LocalSection,
)
from costplan.planner.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTls:
    """Files that workers show to the scheduler, and trust, or references to them."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChoice:
    """Machines of this computer: what the market is like there, and where it keeps its own."""

    kind: str
    scenario: str
    state_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChoice:
    """How a machine of a cloud becomes a worker. Empty texts are not given; `tls` are references
    that its machines can read."""

    python: str
    conda: str
    container: str
    before: str
    death_timeout_seconds: int
    tls: WorkerTls | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsChoice:
    """EC2 instances: where, of which images by architecture, in which network.

    Empty texts are what AWS has by default.
    """

    region: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    instance_types: tuple[str, ...]
    subnets: Mapping[str, str]
    security_groups: tuple[str, ...]
    instance_profile: str
    root_device: str
    root_disk_gib: int
    queue_url: str
    profile: str
    advisor_url: str
    endpoint_url: str
    start: StartChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpChoice:
    """Machines of Compute Engine: in which project and zones, of which images by architecture, in
    which network.

    `subnets` are by region; a network or subnet is a name in the project, or a path. Empty texts
    are what Google has by default.
    """

    project: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    machine_types: tuple[str, ...]
    network: str
    subnets: Mapping[str, str]
    network_tags: tuple[str, ...]
    external_ip: bool
    service_account: str
    root_disk_gib: int
    disk_type: str
    endpoint_url: str
    start: StartChoice


Choice = ProviderChoice | AwsChoice | GcpChoice | AzureChoice


def absolute(base: str, path: str) -> str:
    """A path of the file, from the folder that the file lies in where it is a relative one."""
    return path if path.startswith("/") else f"{base.rstrip('/')}/{path.removeprefix('./')}"


def provider_of(section: LocalSection | CloudSection, base: str) -> Choice:
    """What a section describes; relative paths start at the folder `base`."""
    match section:
        case LocalSection():
            return ProviderChoice(
                kind=section.kind,
                scenario=absolute(base, section.scenario),
                state_dir=absolute(base, section.state_dir),
            )
        case AwsSection():
            return AwsChoice(
                region=section.region,
                zones=section.zones,
                images=MappingProxyType(dict(section.image)),
                instance_types=section.instance_types or ("*",),
                subnets=MappingProxyType(dict(section.subnets)),
                security_groups=section.security_groups,
                instance_profile=section.instance_profile or "",
                root_device=section.root_device,
                root_disk_gib=-(-section.root_disk // GIB),
                queue_url=section.queue or "",
                profile=section.profile or "",
                advisor_url=section.advisor,
                endpoint_url=section.endpoint or "",
                start=_start(section),
            )
        case GcpSection():
            return _gcp(section)
        case AzureSection():
            return azure_choice(section, _start(section))


def _gcp(section: GcpSection) -> GcpChoice:
    return GcpChoice(
        project=section.project,
        zones=section.zones,
        images=MappingProxyType(dict(section.image)),
        machine_types=section.machine_types,
        network=section.network,
        subnets=MappingProxyType(dict(section.subnets)),
        network_tags=section.network_tags,
        external_ip=section.external_ip,
        service_account=section.service_account or "",
        root_disk_gib=-(-section.root_disk // GIB),
        disk_type=section.disk_type,
        endpoint_url=section.endpoint or "",
        start=_start(section),
    )


def _start(section: CloudSection) -> StartChoice:
    tls = section.tls
    return StartChoice(
        python=section.python,
        conda=section.conda or "",
        container=section.container or "",
        before=section.before or "",
        death_timeout_seconds=section.death_timeout,
        tls=None if tls is None else WorkerTls(ca=tls.ca, cert=tls.cert, key=tls.key),
    )
