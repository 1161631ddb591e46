"""A region of EC2 as a source of prices: all of its zones, with no cluster in mind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from costplan.adapters.aws.clients import Clients, import_boto3
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.offers import offers
from costplan.adapters.aws.prices import AwsPrices
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.adapters.feeds.sync import Source
from costplan.planner.config_fields import suggestion
from costplan.planner.errors import InputError
from costplan.planner.types import Offer

ARCHS = ("x86_64", "arm64")


def default_region(profile: str) -> str:
    """The region that environment or profile name, '' where they name none."""
    boto3 = import_boto3()
    with mapped("region", profile or "default"):
        session = boto3.session.Session(profile_name=profile or None)
        return session.region_name or ""


def check_region(region: str, named_by: str = "--region") -> None:
    """Returns where there is such a region; raises InputError otherwise."""
    boto3 = import_boto3()
    with mapped("region", region):
        session = boto3.session.Session()
        partitions = session.get_available_partitions()
        known = {one for name in partitions for one in session.get_available_regions("ec2", name)}
    if region not in known:
        way_out = suggestion(region, sorted(known)) or "a newer boto3 may know it"
        raise InputError(f"{named_by} {region}", "is no region of AWS", way_out)


def source(
    region: str,
    *,
    instance_types: Sequence[str],
    profile: str,
    endpoint_url: str,
    advisor_url: str,
    clock: Callable[[], datetime],
) -> Source:
    """The region's feeds. `endpoint_url` replaces every service's address."""
    check_region(region)
    settings = AwsSettings(
        cluster="",
        region=region,
        zones=(),
        images=dict.fromkeys(ARCHS, ""),
        instance_types=tuple(instance_types) or ("*",),
        profile=profile,
        endpoint_url=endpoint_url,
        advisor_url=advisor_url,
    )
    clients = Clients(settings)

    def everywhere() -> AwsSettings:
        return replace(settings, zones=_zones(clients, region))

    def sold() -> tuple[Offer, ...]:
        return offers(clients, everywhere())

    prices = AwsPrices(settings, clock, clients)
    return Source(
        provider=PROVIDER,
        region=region,
        offers=sold,
        quotes=prices.quotes,
        history=prices.history,
    )


def _zones(clients: Clients, region: str) -> tuple[str, ...]:
    """The zones that this account may use; local ones have other prices and are left out."""
    with mapped("zones", region):
        answer = clients.reading("ec2").describe_availability_zones(
            Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
        )
    return tuple(sorted(one["ZoneName"] for one in answer["AvailabilityZones"]))
