"""What the adapter for Google Cloud is told: where machines are made, and how they are set up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costplan.planner.errors import InputError

_ZONE = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class GcpSettings:
    """One project and the zones of it that may be used.

    `images` are what machines of an architecture boot where a request names nothing:
    'projects/P/global/images/I' or '.../images/family/F'. `subnets` are by region, a subnet's name
    in the project or the full path of a shared one; in a region without one `network` is used, a
    name or a path too. Without `service_account` a machine has no identity in the cloud.
    `machine_types` are shell-style patterns, none of them means all.

    `settle_seconds` is how long a launch waits to see it refused: a refusal that comes later is
    a machine that ended as failed. `preemption_notice_seconds` is asked for in addition to the
    `stop_seconds` that a spot machine has from the word to its end, which Google gives as 30
    (Scheduling.skipGuestOsShutdown, discovery document of compute v1, 2026-11-06).
    """

    project: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    network: str = "default"
    subnets: Mapping[str, str] = field(default_factory=_nothing)
    service_account: str = ""
    scopes: tuple[str, ...] = ("https://www.googleapis.com/auth/cloud-platform",)
    disk_gib: int = 30
    disk_type: str = "pd-balanced"
    external_ip: bool = False
    network_tags: tuple[str, ...] = ()
    machine_types: tuple[str, ...] = ()
    settle_seconds: float = 10.0
    timeout_seconds: float = 20.0
    stop_seconds: float = 30.0
    preemption_notice_seconds: int = 0

    def __post_init__(self) -> None:
        if not self.project:
            raise InputError("gcp.project", "is empty", "name the project that is billed")
        if not self.zones:
            raise InputError("gcp.zones", "names no zone", "write one, such as us-central1-a")
        for zone in self.zones:
            if _ZONE.fullmatch(zone) is None:
                raise InputError("gcp.zones", f"{zone!r} is no zone", "write it as us-central1-a")

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of the zones, sorted."""
        return tuple(sorted({region_of(zone) for zone in self.zones}))


def region_of(zone: str) -> str:
    """The region that a zone is in: us-central1 of us-central1-a."""
    return zone.rpartition("-")[0]
