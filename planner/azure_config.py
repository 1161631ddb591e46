"""Azure virtual machines as a configuration names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

from costplan.planner.config_fields import shown
from costplan.planner.provider_config_models import AzureSection
from costplan.planner.units import GIB, usd_from_pico

if TYPE_CHECKING:
    from costplan.planner.provider_config import StartChoice

AZURE_EXAMPLES = {
    "provider.azure.subscription": "subscription: 00000000-0000-0000-0000-000000000001",
    "provider.azure.resource_group": "resource_group: dask",
    "provider.azure.region": "region: eastus",
    "provider.azure.zones": "zones: [eastus-1, eastus-2]",
    "provider.azure.image": "image: our-publisher:our-offer:our-sku:latest",
    "provider.azure.subnet": "subnet: /subscriptions/S/resourceGroups/G/providers/"
    "Microsoft.Network/virtualNetworks/N/subnets/dask",
    "provider.azure.ssh_key": "ssh_key: ssh-ed25519 AAAA…",
    "provider.azure.tls.ca": "ca: azure-secret:our-vault/dask-ca",
    "provider.azure.tls.cert": "cert: azure-secret:our-vault/dask-cert",
    "provider.azure.tls.key": "key: azure-secret:our-vault/dask-key",
}
"""How keys of the section are written, by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureChoice:
    """Virtual machines of one resource group: where, of which images by architecture, in which
    network. Empty texts are what Azure has by default."""

    subscription: str
    resource_group: str
    region: str
    zones: tuple[str, ...]
    images: Mapping[str, str]
    sizes: tuple[str, ...]
    subnet: str
    security_group: str
    identity: str
    public_ip: bool
    ssh_key: str
    admin_user: str
    root_disk_gib: int
    disk_sku: str
    scale_set: str
    spot_usd_per_hour: Decimal | None
    price_list_url: str
    endpoint_url: str
    start: StartChoice


def azure_choice(section: AzureSection, start: StartChoice) -> AzureChoice:
    """What a section means."""
    most = section.spot_usd_per_hour
    return AzureChoice(
        subscription=section.subscription,
        resource_group=section.resource_group,
        region=section.region,
        zones=section.zones,
        images=MappingProxyType(dict(section.image)),
        sizes=section.sizes,
        subnet=section.subnet,
        security_group=section.security_group or "",
        identity=section.identity or "",
        public_ip=section.public_ip,
        ssh_key=section.ssh_key,
        admin_user=section.admin_user,
        root_disk_gib=-(-section.root_disk // GIB),
        disk_sku=section.disk_sku,
        scale_set=section.scale_set or "",
        spot_usd_per_hour=None if most is None else usd_from_pico(most),
        price_list_url=section.price_list,
        endpoint_url=section.endpoint or "",
        start=start,
    )


def azure_contradictions(section: AzureSection) -> Iterator[tuple[str, str, str]]:
    """What its keys say against each other: path, problem and the way out."""
    for place, zone in enumerate(section.zones):
        if zone.rpartition("-")[0] != section.region:
            problem = f"{shown(zone)} is not in provider.region ({section.region})"
            yield f"provider.zones[{place}]", problem, f"write it like {section.region}-1"
