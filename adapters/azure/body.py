"""The machine that a launch asks for, in the words of Azure's API."""

from __future__ import annotations

import base64
from typing import Any

from costplan.adapters.azure.names import architecture, name_for, tags_for
from costplan.adapters.azure.settings import AzureSettings, zone_number
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey

_NETWORK_API = "2022-11-01"
"""The version of Microsoft.Network by which a machine's interface is made along with it."""
_AT_ANY_PRICE = -1.0
"""A spot machine costs at most what it costs on demand, and is not given up for its price."""


def machine_body(
    settings: AzureSettings, request: LaunchRequest, key: OfferKey, startup: str
) -> dict[str, Any]:
    """The machine, with a disk and an interface that are made and deleted together with it: the
    same request and offer give the same one, letter for letter."""
    name = name_for(request.cluster, request.token)
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": key.instance_type},
        "storageProfile": {
            "imageReference": image_of(settings, request, key),
            "osDisk": {
                "createOption": "FromImage",
                "deleteOption": "Delete",
                "diskSizeGB": settings.disk_gib,
                "managedDisk": {"storageAccountType": settings.disk_type},
            },
        },
        "osProfile": _operating_system(settings, name, startup),
        "networkProfile": {
            "networkApiVersion": _NETWORK_API,
            "networkInterfaceConfigurations": [_interface(settings, name)],
        },
    }
    if key.market is Market.SPOT:
        most = settings.spot_max_usd_per_hour
        properties |= {
            "priority": "Spot",
            "evictionPolicy": "Delete",
            "billingProfile": {"maxPrice": _AT_ANY_PRICE if most is None else float(most)},
        }
    if settings.scale_set:
        kind = "providers/Microsoft.Compute/virtualMachineScaleSets"
        properties["virtualMachineScaleSet"] = {
            "id": f"{settings.group_id}/{kind}/{settings.scale_set}"
        }
    body: dict[str, Any] = {
        "location": settings.location,
        "zones": [zone_number(key.zone)],
        "tags": tags_for(settings, request, key),
        "properties": properties,
    }
    if settings.identity:
        body["identity"] = {
            "type": "UserAssigned",
            "userAssignedIdentities": {settings.identity: {}},
        }
    return body


def image_of(settings: AzureSettings, request: LaunchRequest, key: OfferKey) -> dict[str, str]:
    """The image of an offer's architecture, or the request's own, as Azure refers to it."""
    image = request.image_ref or settings.images[architecture(key.instance_type)]
    if not image.startswith("/"):
        publisher, offer, sku, version = image.split(":")
        return {"publisher": publisher, "offer": offer, "sku": sku, "version": version}
    for start, member in (
        ("/communitygalleries/", "communityGalleryImageId"),
        ("/sharedgalleries/", "sharedGalleryImageId"),
    ):
        if image.lower().startswith(start):
            return {member: image}
    return {"id": image}


def _operating_system(settings: AzureSettings, name: str, startup: str) -> dict[str, Any]:
    """cloud-init runs the script as root at the first boot. Nobody needs to log in, but Azure
    makes no Linux machine without a key or a password."""
    user = settings.admin_user
    key = {"path": f"/home/{user}/.ssh/authorized_keys", "keyData": settings.ssh_key}
    return {
        "computerName": name,
        "adminUsername": user,
        "customData": base64.b64encode(startup.encode()).decode(),
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {"publicKeys": [key]},
        },
    }


def _interface(settings: AzureSettings, name: str) -> dict[str, Any]:
    address: dict[str, Any] = {"primary": True, "subnet": {"id": settings.subnet}}
    if settings.public_ip:
        address["publicIPAddressConfiguration"] = {
            "name": name,
            "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {"deleteOption": "Delete"},
        }
    properties: dict[str, Any] = {
        "primary": True,
        "deleteOption": "Delete",
        "ipConfigurations": [{"name": name, "properties": address}],
    }
    if settings.security_group:
        properties["networkSecurityGroup"] = {"id": settings.security_group}
    return {"name": name, "properties": properties}
