"""What the AWS adapter is told: where, with what image, in which network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costplan.planner.provider_config_models import ADVISOR_URL

PROVIDER = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """One cluster's machines in one region.

    `images` is an AMI for each architecture ('x86_64', 'arm64') that may be bought.
    `instance_types` are shell-style patterns. `subnets` is a subnet for each zone; a zone without
    one uses the default subnet. `queue_url` is the SQS queue that EventBridge fills, '' for none.
    `notice_seconds` is how long before its end a spot machine is warned; AWS documents two
    minutes, and the event itself does not say. `endpoint_url` replaces every service's address.
    An answer is waited for `read_seconds`, and `look_seconds`, twice at most, where nothing is
    changed.
    """

    cluster: str
    region: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    instance_types: tuple[str, ...] = ("*",)
    subnets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    security_groups: tuple[str, ...] = ()
    instance_profile: str = ""
    root_device: str = "/dev/xvda"
    root_disk_gib: int = 50
    queue_url: str = ""
    notice_seconds: int = 120
    profile: str = ""
    endpoint_url: str = ""
    advisor_url: str = ADVISOR_URL
    connect_seconds: float = 5.0
    look_seconds: float = 10.0
    read_seconds: float = 30.0
