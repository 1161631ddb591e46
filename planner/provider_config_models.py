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
    MemoryBytes,
    Text,
    plain_text,
    refusal,
    shown,
)
from costplan.planner.config_models import Section
from costplan.planner.daemon_config_fields import FilePath
from costplan.planner.references import split_reference
from costplan.planner.units import GIB

ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
"""Where AWS publishes the Spot Instance Advisor's bands, without authentication."""

_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*")
_ARCHITECTURES = ("x86_64", "arm64")
_MOST_SHELL_BYTES = 4096
"""Of a script of 16 KiB at most, 7 KiB are costplan's own."""


def _images(value: object) -> object:
    """One image is the one of x86_64."""
    if not isinstance(value, dict):
        return {_ARCHITECTURES[0]: plain_text(value)}
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


AwsReference = Annotated[str, BeforeValidator(_reference("aws"))]
Container = Annotated[str, BeforeValidator(_container)]
ShellText = Annotated[str, BeforeValidator(_shell_text)]
Images = Annotated[dict[str, Text], BeforeValidator(_images), Filled]
Url = Annotated[str, BeforeValidator(_url)]


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
    region: Text
    zones: Annotated[tuple[Text, ...], Filled]
    image: Images
    instance_types: tuple[Text, ...] = ()
    subnets: Annotated[dict[str, Text], Field(default_factory=dict)]
    security_groups: tuple[Text, ...] = ()
    instance_profile: Text | None = None
    root_device: Text = "/dev/xvda"
    root_disk: MemoryBytes = 50 * GIB
    queue: Url | None = None
    profile: Text | None = None
    advisor: Url = ADVISOR_URL
    endpoint: Url | None = None
    tls: AwsTlsSection | None = None


ProviderSection = Annotated[LocalSection | AwsSection, Field(discriminator="kind")]
