"""The sections of the autoscaler's file that say who runs the machines, one a provider.

Which of them a file means, its `kind` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from costplan.planner.config_fields import (
    DurationSeconds,
    Filled,
    Flag,
    MemoryBytes,
    PicoPerHour,
    Text,
    plain_text,
    refusal,
    shown,
)
from costplan.planner.config_section import Section
from costplan.planner.daemon_config_fields import FilePath
from costplan.planner.references import split_reference
from costplan.planner.units import GIB

ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
"""Where AWS publishes the Spot Instance Advisor's bands, without authentication."""

AZURE_PRICES_URL = "https://prices.azure.com"
"""Where Azure publishes its retail prices, without authentication."""

_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_ARCHITECTURES = ("x86_64", "arm64")
_AWS_PLACE = re.compile(r"\S+")
_AWS_IMAGE = re.compile(r"ami-[0-9a-z]+")
_AWS_SUBNET = re.compile(r"subnet-[0-9a-z]+")
_AWS_GROUP = re.compile(r"sg-[0-9a-z]+")
_GCP_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_GCP_ZONE = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")
_GCP_IMAGE = re.compile(r"projects/[^/\s]+/global/images/(family/)?[^/\s]+")
_GCP_NETWORK = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?|projects/[^/\s]+/global/networks/[^/\s]+")
_GCP_SUBNET = re.compile(
    r"[a-z]([a-z0-9-]*[a-z0-9])?|projects/[^/\s]+/regions/[^/\s]+/subnetworks/[^/\s]+"
)
_AZURE_SUBSCRIPTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AZURE_GROUP = re.compile(r"[-\w.()]{1,90}")
_AZURE_ZONE = re.compile(r"[a-z0-9]+-[1-9]")
_AZURE_ID = re.compile(r"/subscriptions/[^/\s]+/resourceGroups/[^/\s]+/providers/\S+[^/\s]")
_AZURE_IMAGE = re.compile(r"[^/:\s]+(:[^/:\s]+){3}|/\S+/\S+")
_SSH_KEY = re.compile(r"ssh-(rsa|ed25519) [A-Za-z0-9+/=]+( .*)?")
_MOST_SHELL_BYTES = 4096
"""Of a script of 16 KiB at most, 7 KiB are costplan's own."""


def _images(value: object) -> object:
    """One image is the one of x86_64."""
    if not isinstance(value, dict):
        return {_ARCHITECTURES[0]: plain_text(value)}
    if not value:
        raise refusal("names no image", "write one, or one for each of x86_64 and arm64")
    for name in value:
        if name not in _ARCHITECTURES:
            known = " and ".join(_ARCHITECTURES)
            raise refusal(f"{shown(name)} is not an architecture", f"known are {known}")
    return value


def _url(value: object) -> str:
    text = plain_text(value)
    if _URL.fullmatch(text) is None:
        raise refusal(f"{shown(text)} is not a URL", "write it like https://host/path")
    return text


def _container(value: object) -> str:
    text = plain_text(value)
    if _IMAGE.fullmatch(text) is None:
        raise refusal(f"{shown(text)} is not a container's image", "write it like repository:tag")
    return text


def _shell_text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refusal(f"{shown(value)} is not text of a shell", "write commands after |")
    size = len(value.encode())
    if size > _MOST_SHELL_BYTES:
        problem = f"has {size:,} bytes, and {_MOST_SHELL_BYTES:,} are left in a start script"
        raise refusal(problem, "put what it does into the image")
    return value


def _reference(cloud: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = plain_text(value)
        try:
            split_reference(text, cloud)
        except ValueError as error:
            problem = f"{shown(text)} is no reference that machines of {cloud} can read"
            raise refusal(problem, str(error)) from None
        return text

    return check


def _shaped(pattern: re.Pattern[str], what: str, example: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        text = plain_text(value)
        if pattern.fullmatch(text) is None:
            raise refusal(f"{shown(text)} is not {what}", f"write it like {example}")
        return text

    return check


def _ssh_key(value: object) -> str:
    """A public key. What is none is not shown: it may be the private one."""
    if not isinstance(value, str) or _SSH_KEY.fullmatch(value) is None or not value.isprintable():
        raise refusal("is not a public key", "write it like ssh-ed25519 AAAA…, not the private one")
    return value


AwsRegion = Annotated[str, BeforeValidator(_shaped(_AWS_PLACE, "a region", "us-east-1"))]
AwsZone = Annotated[str, BeforeValidator(_shaped(_AWS_PLACE, "a zone", "us-east-1a"))]
AwsImage = Annotated[str, BeforeValidator(_shaped(_AWS_IMAGE, "an image", "ami-0123456789abcdef0"))]
AwsSubnet = Annotated[
    str, BeforeValidator(_shaped(_AWS_SUBNET, "a subnet", "subnet-0123456789abcdef0"))
]
AwsGroup = Annotated[
    str, BeforeValidator(_shaped(_AWS_GROUP, "a security group", "sg-0123456789abcdef0"))
]
AwsReference = Annotated[str, BeforeValidator(_reference("aws"))]
GcpReference = Annotated[str, BeforeValidator(_reference("gcp"))]
GcpProject = Annotated[
    str, BeforeValidator(_shaped(_GCP_PROJECT, "the id of a project", "our-project-1"))
]
GcpZone = Annotated[str, BeforeValidator(_shaped(_GCP_ZONE, "a zone", "us-central1-a"))]
GcpImage = Annotated[
    str,
    BeforeValidator(
        _shaped(_GCP_IMAGE, "an image", "projects/our-project-1/global/images/family/dask")
    ),
]
GcpNetwork = Annotated[
    str,
    BeforeValidator(
        _shaped(_GCP_NETWORK, "a network", "dask or projects/HOST/global/networks/dask")
    ),
]
GcpSubnet = Annotated[
    str,
    BeforeValidator(
        _shaped(_GCP_SUBNET, "a subnet", "dask or projects/HOST/regions/REGION/subnetworks/dask")
    ),
]
Container = Annotated[str, BeforeValidator(_container)]
ShellText = Annotated[str, BeforeValidator(_shell_text)]
GcpImages = Annotated[dict[str, GcpImage], BeforeValidator(_images)]
AwsImages = Annotated[dict[str, AwsImage], BeforeValidator(_images)]
Url = Annotated[str, BeforeValidator(_url)]

AzureReference = Annotated[str, BeforeValidator(_reference("azure"))]
AzureSubscription = Annotated[
    str,
    BeforeValidator(
        _shaped(_AZURE_SUBSCRIPTION, "a subscription's id", "00000000-0000-0000-0000-000000000001")
    ),
]
AzureGroup = Annotated[
    str, BeforeValidator(_shaped(_AZURE_GROUP, "a resource group's name", "dask"))
]
AzureZone = Annotated[str, BeforeValidator(_shaped(_AZURE_ZONE, "a zone", "eastus-1"))]
AzureId = Annotated[
    str,
    BeforeValidator(
        _shaped(_AZURE_ID, "the id of a resource", "/subscriptions/S/resourceGroups/G/providers/…")
    ),
]
AzureImage = Annotated[
    str,
    BeforeValidator(
        _shaped(_AZURE_IMAGE, "an image", "publisher:offer:sku:version, or the id of one")
    ),
]
AzureImages = Annotated[dict[str, AzureImage], BeforeValidator(_images)]
SshKey = Annotated[str, BeforeValidator(_ssh_key)]


class LocalSection(Section):
    """Machines that are processes of this computer."""

    kind: Literal["local"]
    scenario: FilePath
    state_dir: FilePath


class StartSection(Section):
    """How a machine of a cloud becomes a worker; what its image must have for it."""

    python: Text = "python3"
    conda: Text | None = None
    container: Container | None = None
    before: ShellText | None = None
    death_timeout: DurationSeconds = 120


class AwsTlsSection(Section):
    """Where instances find the files that workers show and trust."""

    ca: AwsReference
    cert: AwsReference
    key: AwsReference


class AwsSection(StartSection):
    """EC2 instances of one region."""

    kind: Literal["aws"]
    region: AwsRegion
    zones: Annotated[tuple[AwsZone, ...], Filled]
    image: AwsImages
    instance_types: tuple[Text, ...] = ()
    subnets: Annotated[dict[str, AwsSubnet], Field(default_factory=dict)]
    security_groups: tuple[AwsGroup, ...] = ()
    instance_profile: Text | None = None
    root_device: Text = "/dev/xvda"
    root_disk: MemoryBytes = 50 * GIB
    public_ip: Flag | None = None
    queue: Url | None = None
    profile: Text | None = None
    advisor: Url = ADVISOR_URL
    endpoint: Url | None = None
    tls: AwsTlsSection | None = None


class GcpTlsSection(Section):
    """Where machines of Compute Engine find the files that workers show and trust."""

    ca: GcpReference
    cert: GcpReference
    key: GcpReference


class GcpSection(StartSection):
    """Machines of Compute Engine in one project."""

    kind: Literal["gcp"]
    project: GcpProject
    zones: Annotated[tuple[GcpZone, ...], Filled]
    image: GcpImages
    machine_types: tuple[Text, ...] = ()
    network: GcpNetwork = "default"
    subnets: Annotated[dict[str, GcpSubnet], Field(default_factory=dict)]
    network_tags: tuple[Text, ...] = ()
    external_ip: Flag = False
    service_account: Text | None = None
    root_disk: MemoryBytes = 50 * GIB
    disk_type: Text = "pd-balanced"
    endpoint: Url | None = None
    tls: GcpTlsSection | None = None


class AzureTlsSection(Section):
    """Where virtual machines of Azure find the files that workers show and trust."""

    ca: AzureReference
    cert: AzureReference
    key: AzureReference


class AzureSection(StartSection):
    """Virtual machines of Azure in one resource group and region."""

    kind: Literal["azure"]
    subscription: AzureSubscription
    resource_group: AzureGroup
    region: Text
    zones: Annotated[tuple[AzureZone, ...], Filled]
    image: AzureImages
    subnet: AzureId
    ssh_key: SshKey
    sizes: tuple[Text, ...] = ()
    security_group: AzureId | None = None
    identity: AzureId | None = None
    public_ip: Flag = False
    admin_user: Text = "costplan"
    root_disk: MemoryBytes = 50 * GIB
    disk_sku: Text = "StandardSSD_LRS"
    scale_set: Text | None = None
    spot_usd_per_hour: PicoPerHour | None = None
    price_list: Url = AZURE_PRICES_URL
    endpoint: Url | None = None
    tls: AzureTlsSection | None = None


CloudSection = AwsSection | GcpSection | AzureSection
ProviderSection = Annotated[LocalSection | CloudSection, Field(discriminator="kind")]
