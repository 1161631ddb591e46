"""What EC2 sells in the configured zones: every type that the patterns name, by zone and market.

EC2 does not say how much of it there is; that shows when it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.adapters.feeds.snapshot_aws import machine_size
from costplan.planner.types import Market, Offer, OfferKey, Resources

_MARKETS = {"on-demand": Market.ON_DEMAND, "spot": Market.SPOT}
_PAGE = 100


def offers(clients: Clients, settings: AwsSettings) -> tuple[Offer, ...]:
    """Every offer, by zone, type and market. Types that cannot be planned with (bare metal,
    Macs, parts of a GPU) and those of an architecture without an image are not sold here."""
    with mapped("offers", settings.region):
        zones = _zones_of_types(clients, settings)
        found = [
            offer
            for description in _types(clients, settings)
            for offer in _of_type(description, zones, settings)
        ]
    return tuple(sorted(found, key=lambda offer: offer.key))


def _patterns(settings: AwsSettings) -> list[dict[str, Any]]:
    if settings.instance_types == ("*",):
        return []
    return [{"Name": "instance-type", "Values": list(settings.instance_types)}]


def _zones_of_types(clients: Clients, settings: AwsSettings) -> Mapping[str, list[str]]:
    zones: dict[str, list[str]] = defaultdict(list)
    pages = (
        clients.reading("ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(
            LocationType="availability-zone",
            Filters=[{"Name": "location", "Values": list(settings.zones)}, *_patterns(settings)],
            PaginationConfig={"PageSize": 1000},
        )
    )
    for page in pages:
        for one in page["InstanceTypeOfferings"]:
            zones[one["InstanceType"]].append(one["Location"])
    return zones


def _types(clients: Clients, settings: AwsSettings) -> Iterator[Mapping[str, Any]]:
    pages = (
        clients.reading("ec2")
        .get_paginator("describe_instance_types")
        .paginate(Filters=_patterns(settings), PaginationConfig={"PageSize": _PAGE})
    )
    for page in pages:
        yield from page["InstanceTypes"]


def _of_type(
    description: Mapping[str, Any], zones: Mapping[str, list[str]], settings: AwsSettings
) -> Iterator[Offer]:
    size = machine_size(description)
    if size is None or size.arch not in settings.images:
        return
    name = description["InstanceType"]
    resources = Resources(
        vcpu_milli=int(size.vcpu * 1000),
        memory_bytes=size.memory_bytes,
        gpus=size.gpus,
        gpu_kind=size.gpu_kind,
    )
    for zone in sorted(zones.get(name, ())):
        for usage in description["SupportedUsageClasses"]:
            market = _MARKETS.get(usage)
            if market is not None:
                key = OfferKey(
                    provider=PROVIDER,
                    region=settings.region,
                    zone=zone,
                    instance_type=name,
                    market=market,
                )
                yield Offer(key=key, resources=resources, arch=size.arch)
