"""What can be bought in the zones: machine types on demand and spot, and N1 machines with GPUs."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.errors import NAME, calling
from costplan.adapters.gcp.gpus import ATTACHMENTS, KINDS, architecture, attached
from costplan.adapters.gcp.names import is_sellable
from costplan.adapters.gcp.operations import pages
from costplan.adapters.gcp.quotas import headroom, region_quotas
from costplan.adapters.gcp.settings import GcpSettings, region_of
from costplan.planner.types import Billing, Market, Offer, OfferKey, Resources
from costplan.planner.units import MIB

BILLING = Billing(minimum_seconds=60, step_seconds=1)
"""https://cloud.google.com/compute/vm-instance-pricing: by the second, a minute at least."""

SHARED_VCPU_MILLI = {
    "e2-micro": 250, "e2-small": 500, "e2-medium": 1000, "f1-micro": 200, "g1-small": 500,
}  # fmt: skip
"""What a shared-core machine may use all the time, and is billed for; it shows two vCPU."""

_ARCHS = {"X86_64": "x86_64", "ARM64": "arm64", "": "x86_64", "ARCHITECTURE_UNSPECIFIED": "x86_64"}
_LARGEST_PAGE = 500


def offers(clients: Clients, settings: GcpSettings) -> tuple[Offer, ...]:
    """Every offer of the zones, by key; none of an architecture without an image. Types that are
    being given up, and those of zones that are down, are marked as not available; what the quotas
    leave is their headroom."""
    up = _zones_up(clients, settings)
    quotas = {
        region: region_quotas(clients, settings.project, region) for region in settings.regions
    }
    found = []
    for zone in sorted(settings.zones):
        for offer in _of_zone(clients, settings, zone):
            known = headroom(offer, quotas[region_of(zone)])
            available = offer.available and zone in up
            found.append(replace(offer, headroom=known, available=available))
    return tuple(sorted(found, key=lambda offer: offer.key))


def _zones_up(clients: Clients, settings: GcpSettings) -> frozenset[str]:
    asked = clients.compute.ListZonesRequest(project=settings.project, max_results=_LARGEST_PAGE)
    return frozenset(
        one.name
        for page in pages(clients, clients.zones.list, asked, "offers")
        for one in page.items
        if one.status == "UP"
    )


def _of_zone(clients: Clients, settings: GcpSettings, zone: str) -> Iterator[Offer]:
    asked = clients.compute.ListMachineTypesRequest(
        project=settings.project, zone=zone, max_results=_LARGEST_PAGE
    )
    types = [
        one
        for page in pages(clients, clients.machine_types.list, asked, "offers")
        for one in page.items
    ]
    gpus = _attachable(clients, settings, zone)
    for one in types:
        size, arch = _resources(one), _ARCHS.get(one.architecture, one.architecture.lower())
        if size is None or arch not in settings.images or arch != architecture(one.name):
            continue
        for name, resources in [(one.name, size), *_with_gpus(one.name, size, gpus)]:
            if not _is_wanted(settings, name):
                continue
            for market in (Market.ON_DEMAND, Market.SPOT):
                if is_sellable(name, market):
                    yield Offer(
                        key=OfferKey(provider=NAME, region=region_of(zone), zone=zone,
                                     instance_type=name, market=market),
                        resources=resources,
                        arch=arch,
                        available=not one.deprecated.state,
                        billing=BILLING,
                    )  # fmt: skip


def _attachable(clients: Clients, settings: GcpSettings, zone: str) -> Mapping[str, int]:
    """GPUs that can be attached in a zone, and the most on one machine. Nothing is asked where no
    N1 with GPUs is wanted."""
    some = [attached("n1-standard-4", kind, one.gpus) for kind in ATTACHMENTS
            for one in ATTACHMENTS[kind]]  # fmt: skip
    if settings.machine_types and not any(
        pattern.startswith("n1-") or _is_wanted(settings, name)
        for pattern in settings.machine_types
        for name in some
    ):
        return {}
    asked = clients.compute.ListAcceleratorTypesRequest(
        project=settings.project, zone=zone, max_results=_LARGEST_PAGE
    )
    with calling("offers", zone):
        listed = list(pages(clients, clients.accelerator_types.list, asked, "offers"))
    return {
        one.name: one.maximum_cards_per_instance
        for page in listed
        for one in page.items
        if one.name in ATTACHMENTS
    }


def _with_gpus(
    name: str, size: Resources, gpus: Mapping[str, int]
) -> Iterator[tuple[str, Resources]]:
    if not name.startswith("n1-"):
        return
    for accelerator, most in sorted(gpus.items()):
        for one in ATTACHMENTS[accelerator]:
            if one.gpus <= most and size.vcpu_milli <= one.most_vcpus * 1000:
                kind = KINDS[accelerator]
                yield (
                    attached(name, accelerator, one.gpus),
                    replace(size, gpus=one.gpus, gpu_kind=kind),
                )


def _resources(machine_type: Any) -> Resources | None:
    """The size of a machine type, None for one that cannot be planned with: metal is sold for
    other ends, and an accelerator without a name here is nothing that a workload asks for."""
    kinds = {one.guest_accelerator_type for one in machine_type.accelerators}
    if machine_type.name.endswith("-metal") or not kinds <= set(KINDS):
        return None
    count = sum(one.guest_accelerator_count for one in machine_type.accelerators)
    return Resources(
        vcpu_milli=SHARED_VCPU_MILLI.get(machine_type.name, machine_type.guest_cpus * 1000),
        memory_bytes=machine_type.memory_mb * MIB,
        gpus=count,
        gpu_kind=KINDS[min(kinds)] if kinds else None,
    )


def _is_wanted(settings: GcpSettings, name: str) -> bool:
    patterns = settings.machine_types
    return not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
