"""The sections of the autoscaler's file that say who runs the machines, one a provider.

Which of them a file means, its `kind` says.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from costplan.planner.config_fields import Filled, MemoryBytes, Text, plain_text, refusal, shown
from costplan.planner.config_models import Section
from costplan.planner.daemon_config_fields import FilePath
from costplan.planner.units import GIB

ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
"""Where AWS publishes the Spot Instance Advisor's bands, without authentication."""

_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_ARCHITECTURES = ("x86_64", "arm64")


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


Images = Annotated[dict[str, Text], BeforeValidator(_images), Filled]
Url = Annotated[str, BeforeValidator(_url)]


class LocalSection(Section):
    """Machines that are processes of this computer."""

    kind: Literal["local"]
    scenario: FilePath
    state_dir: FilePath


class AwsSection(Section):
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


ProviderSection = Annotated[LocalSection | AwsSection, Field(discriminator="kind")]
