"""What can be bought in the zones: sizes of virtual machines, on demand and spot."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.names import architecture, is_size
from costplan.adapters.azure.quotas import headroom, usages
from costplan.adapters.azure.settings import PROVIDER, AzureSettings, zone_number
from costplan.adapters.feeds.machine_sizes import azure_size
from costplan.planner.types import Billing, Market, Offer, OfferKey, Resources
from costplan.planner.units import GIB

BILLING = Billing(minimum_seconds=60, step_seconds=60)
"""https://azure.microsoft.com/pricing/details/virtual-machines/linux/: by the minute. Whether the
first one counts when it is not full is not said, so it does."""

_ACCELERATOR = re.compile(r"_(T4|A10|A100|H100|H200|L4|MI300X)_v\d+")
_KINDS = {"A100": "A100-80GB"}
"""The kind of a size's GPUs where its name has it, as other price lists call it; Azure's sizes
with A100 in their name have those of 80 GB."""
_ARCHITECTURES = {"x64": "x86_64", "Arm64": "arm64"}


def offers(clients: Clients, settings: AzureSettings) -> tuple[Offer, ...]:
    """Every offer of the zones, by key. What the subscription may not have is marked as not
    available; what the quotas leave is its headroom. Sizes whose GPUs have no name here, and those
    of an architecture without an image, are not offered."""
    quotas = usages(clients, settings)
    found = []
    for size in _sizes(clients, settings):
        family = str(size.get("family") or "")
        for offer in _of_size(size, settings):
            found.append(replace(offer, headroom=headroom(offer, family, quotas)))
    return tuple(sorted(found, key=lambda offer: offer.key))


def families(clients: Clients, settings: AzureSettings) -> dict[str, str]:
    """The quota's family of every size that is looked at."""
    return {one["name"]: str(one.get("family") or "") for one in _sizes(clients, settings)}


def _sizes(clients: Clients, settings: AzureSettings) -> Iterator[Mapping[str, Any]]:
    with calling("offers", settings.location):
        listed = clients.compute.resource_skus.list(filter=f"location eq '{settings.location}'")
        for one in listed:
            if one["resourceType"] == "virtualMachines" and _is_wanted(settings, one["name"]):
                yield one


def _is_wanted(settings: AzureSettings, name: str) -> bool:
    patterns = settings.sizes
    return is_size(name) and (
        not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    )


def _of_size(size: Mapping[str, Any], settings: AzureSettings) -> Iterator[Offer]:
    capabilities = {one["name"]: one["value"] for one in size.get("capabilities") or ()}
    resources = _resources(size["name"], capabilities)
    arch = _ARCHITECTURES.get(capabilities.get("CpuArchitectureType", "x64"), "")
    is_named_so = arch == architecture(size["name"])
    if resources is None or arch not in settings.images or not is_named_so:
        return
    sold = _zones_with(size, settings.location)
    barred = _barred(size, sold)
    markets = [Market.ON_DEMAND]
    if capabilities.get("LowPriorityCapable") == "True":
        markets.append(Market.SPOT)
    for zone in settings.zones:
        number = zone_number(zone)
        if number not in sold:
            continue
        for market in markets:
            yield Offer(
                key=OfferKey(provider=PROVIDER, region=settings.location, zone=zone,
                             instance_type=size["name"], market=market),
                resources=resources,
                arch=arch,
                available=number not in barred,
                billing=BILLING,
            )  # fmt: skip


def _zones_with(size: Mapping[str, Any], location: str) -> frozenset[str]:
    return frozenset(
        zone
        for one in size.get("locationInfo") or ()
        if one["location"].lower() == location
        for zone in one.get("zones") or ()
    )


def _barred(size: Mapping[str, Any], sold: frozenset[str]) -> frozenset[str]:
    """Zones in which the subscription may not have a size: all of them where it is barred from
    the location."""
    found: set[str] = set()
    for one in size.get("restrictions") or ():
        if one["type"] == "Location":
            return sold
        found |= set((one.get("restrictionInfo") or {}).get("zones") or ())
    return frozenset(found)


def _resources(name: str, capabilities: Mapping[str, str]) -> Resources | None:
    """A size's vCPU, memory and GPUs, None where one of them cannot be planned with: parts of a
    GPU, or GPUs that no workload can ask for by name."""
    gpus = float(capabilities.get("GPUs") or 0)
    kind = _gpu_kind(name) if gpus else None
    if not gpus.is_integer() or (gpus and kind is None):
        return None
    vcpus = capabilities.get("vCPUsAvailable") or capabilities["vCPUs"]
    return Resources(
        vcpu_milli=int(float(vcpus) * 1000),
        memory_bytes=int(float(capabilities["MemoryGB"]) * GIB),
        gpus=int(gpus),
        gpu_kind=kind,
    )


def _gpu_kind(name: str) -> str | None:
    known = azure_size(name.removeprefix("Standard_").lower().replace("_", ""))
    if known is not None:
        return known[1].gpu_kind
    found = _ACCELERATOR.search(name)
    return None if found is None else _KINDS.get(found[1], found[1])
