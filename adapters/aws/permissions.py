"""What this account's credentials may do: reads are done, changes are asked for with DryRun, which
EC2 answers with whether it would have done them, and does not do them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import RejectedByCode, mapped
from costplan.adapters.aws.fleet import fleet_parameters
from costplan.adapters.aws.machines import LIVING, listed, of_cluster
from costplan.adapters.aws.quotas import QUOTAS
from costplan.adapters.aws.requests import groups_of, machine_data, run_parameters
from costplan.adapters.aws.settings import AwsSettings
from costplan.planner.doctor import Finding, permission_findings, problem
from costplan.planner.errors import CredentialsRejected, ProviderError, Unreachable
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Offer, OfferKey

AREA = "permissions"
_NAME = "costplan-doctor"
_WOULD_HAVE = "DryRunOperation"
_DISPENSABLE = ("GetSpotPlacementScores", "DescribeSavingsPlansOfferingRates", "GetServiceQuota")
"""Without these a daemon knows less and works."""


def read_findings(clients: Clients, settings: AwsSettings) -> list[Finding]:
    """Which reads are let through, each done once and for little."""
    allowed, refused, unclear, silent = [], [], [], []
    for name, read in _reads(clients, settings).items():
        try:
            with mapped("doctor", name):
                read()
        except CredentialsRejected:
            refused.append(name)
        except Unreachable:
            silent.append(name)
        except ProviderError as error:
            unclear.append(f"{name}: {error}")
        else:
            allowed.append(name)
    if silent:
        unclear.append(f"{', '.join(silent)} (no answer)")
    return permission_findings("reads", allowed, refused, unclear, dispensable=_DISPENSABLE)


def _reads(clients: Clients, settings: AwsSettings) -> Mapping[str, Callable[[], Any]]:
    ec2 = clients.reading("ec2")
    region = settings.region
    return {
        "DescribeAvailabilityZones": ec2.describe_availability_zones,
        "DescribeInstanceTypeOfferings": lambda: ec2.describe_instance_type_offerings(
            LocationType="availability-zone", MaxResults=5
        ),
        "DescribeInstanceTypes": lambda: ec2.describe_instance_types(MaxResults=5),
        "DescribeInstances": lambda: ec2.describe_instances(MaxResults=5),
        "DescribeSpotPriceHistory": lambda: ec2.describe_spot_price_history(MaxResults=1),
        "GetSpotPlacementScores": lambda: ec2.get_spot_placement_scores(
            InstanceTypes=["m5.large", "m5a.large", "m6i.large"],
            TargetCapacity=1,
            TargetCapacityUnitType="units",
            SingleAvailabilityZone=True,
            RegionNames=[region],
            MaxResults=10,
        ),
        "GetProducts": lambda: clients.reading("pricing").get_products(
            ServiceCode="AmazonEC2",
            Filters=[{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
            MaxResults=1,
        ),
        "DescribeSavingsPlansOfferingRates": lambda: clients.reading(
            "savingsplans"
        ).describe_savings_plans_offering_rates(
            filters=[{"name": "region", "values": [region]}], maxResults=1
        ),
        "GetServiceQuota": lambda: clients.reading("service-quotas").get_service_quota(
            ServiceCode="ec2", QuotaCode=QUOTAS[0].code
        ),
    }


def change_findings(
    clients: Clients, settings: AwsSettings, offers: Sequence[Offer]
) -> Iterator[Finding]:
    """Which changes would be let through. A launch is asked for as it would be, so that a wrong
    image, subnet, security group or instance profile shows too."""
    allowed, refused, unclear = [], [], []
    for name, change, parameters in _changes(clients, settings, offers):
        try:
            with mapped("doctor", name):
                change(**parameters, DryRun=True)
        except CredentialsRejected:
            refused.append(name)
        except RejectedByCode as error:
            if error.code == _WOULD_HAVE:
                allowed.append(name)
            elif name == "RunInstances":
                text = f"a launch as configured would be refused: {error}"
                yield problem(AREA, text, "correct `provider` in the configuration")
            else:
                unclear.append(f"{name} ({error.code})")
        except ProviderError as error:
            unclear.append(f"{name} ({error})")
    if not _ours(clients, settings):
        unclear.append("TerminateInstances (there is no machine of ours to ask about)")
    unclear.append("DeleteLaunchTemplate (there is nothing to ask about)")
    if settings.queue_url:
        unclear.append("ReceiveMessage, DeleteMessage (nothing but receiving would tell)")
    yield from permission_findings("changes", allowed, refused, unclear)


def _changes(
    clients: Clients, settings: AwsSettings, offers: Sequence[Offer]
) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    ec2 = clients.changing("ec2")
    keys = [offer.key for offer in offers if offer.available]
    if keys:
        request, group = _launch(settings, keys[0])
        run = run_parameters(settings, request, group)
        yield "RunInstances", ec2.run_instances, run
        template = {
            "LaunchTemplateName": _NAME,
            "LaunchTemplateData": machine_data(settings, request, group),
        }
        yield "CreateLaunchTemplate", ec2.create_launch_template, template
        fleet = fleet_parameters(settings, request, group, _NAME)
        yield "CreateFleet", ec2.create_fleet, fleet
    ours = _ours(clients, settings)
    if ours:
        yield "TerminateInstances", ec2.terminate_instances, {"InstanceIds": ours[:1]}
        tag = {"Resources": ours[:1], "Tags": [{"Key": _NAME, "Value": ""}]}
        yield "CreateTags", ec2.create_tags, tag


def _launch(settings: AwsSettings, key: OfferKey) -> tuple[LaunchRequest, Any]:
    request = LaunchRequest(
        token=_NAME, node_id=_NAME, cluster=settings.cluster, keys=(key,), workers=(), tags={}
    )
    (group,) = groups_of(settings, request, lambda *_: "#!/bin/sh\n")
    return request, group


def _ours(clients: Clients, settings: AwsSettings) -> list[str]:
    filters = of_cluster(settings, ("instance-state-name", LIVING))
    with mapped("doctor", "DescribeInstances"):
        return sorted(one["InstanceId"] for one in listed(clients.reading("ec2"), filters))
