"""What the adapter for Azure is told: where machines are made, and how they are set up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.errors import InputError

PROVIDER = "azure"
PUBLIC_ENDPOINT = "https://management.azure.com"
PRICES_ENDPOINT = "https://prices.azure.com"
"""The Retail Prices API, which anybody may read."""

_ZONE = re.compile(r"([a-z0-9]+)-([1-9])")
_URN = re.compile(r"[^/:\s]+(:[^/:\s]+){3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSettings:
    """One resource group and the zones of one location that may be used.

    Zones are written as 'eastus-1'. `images` has one for each architecture ('x86_64', 'arm64')
    that may be bought: 'publisher:offer:sku:version' or the id of an image. `subnet`,
    `security_group` and `identity` are ids of resources; a machine without `identity` has none
    in the cloud. `sizes` are shell-style patterns, none of them means all. `scale_set` is the
    name of a Flexible scale set of the group that every machine is put into, '' for none.
    `spot_max_usd_per_hour` is when a spot machine is given up; None means at no price.

    A launch looks every `poll_seconds` for `settle_seconds` whether it is refused: a refusal that
    comes later is a machine that ended as failed. What a refusal leaves is deleted, which is
    waited for `cleanup_seconds` at most. `notice_seconds` is what a spot machine has from the
    word to its end; Azure documents 30 at the least. An answer is waited for `read_seconds`, one
    of who gives tokens `token_seconds`.
    """

    subscription: str
    resource_group: str
    location: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    subnet: str
    ssh_key: str
    sizes: tuple[str, ...] = ()
    security_group: str = ""
    identity: str = ""
    admin_user: str = "costplan"
    disk_gib: int = 30
    disk_type: str = "StandardSSD_LRS"
    public_ip: bool = False
    scale_set: str = ""
    spot_max_usd_per_hour: Decimal | None = None
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    endpoint: str = PUBLIC_ENDPOINT
    prices_endpoint: str = PRICES_ENDPOINT
    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    token_seconds: float = 10.0
    settle_seconds: float = 20.0
    poll_seconds: float = 1.0
    cleanup_seconds: float = 60.0
    notice_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not self.zones:
            raise InputError("azure.zones", "names no zone", "write one, such as eastus-1")
        for zone in self.zones:
            found = _ZONE.fullmatch(zone)
            if found is None or found[1] != self.location:
                way_out = f"write it as {self.location}-1"
                raise InputError("azure.zones", f"{zone!r} is no zone of {self.location}", way_out)
        for image in self.images.values():
            if not image.startswith("/") and _URN.fullmatch(image) is None:
                problem = f"{image!r} is neither an id nor publisher:offer:sku:version"
                raise InputError("azure.images", problem, "an id begins with /")

    @property
    def group_id(self) -> str:
        """The id of the resource group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"


def zone_number(zone: str) -> str:
    """What Azure calls a zone within its location: '1' of eastus-1."""
    return zone.rpartition("-")[2]
