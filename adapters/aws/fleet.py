"""One machine out of several offers by one call: CreateFleet of type 'instant'.

EC2 tries the offers itself, so the whole choice is one change under one client token, which a
sequence of launches would not be: the first offer may have room again by the time that a request
is sent a second time. A fleet needs a launch template, which is made for the call and deleted
after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import CAPACITY, RejectedByCode, by_code, mapped
from costplan.adapters.aws.machines import CLUSTER_TAG
from costplan.adapters.aws.requests import (
    Group,
    client_token,
    machine_data,
    place_of,
    tag_specifications,
    tags_for,
)
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    ProviderError,
    QuotaExceeded,
    Throttled,
)
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey

_THERE = "InvalidLaunchTemplateName.AlreadyExistsException"


def launch_one(
    clients: Clients, settings: AwsSettings, request: LaunchRequest, group: Group
) -> tuple[str, OfferKey]:
    """The id of the instance that a group's offers led to, and which of them it is.

    Raises CapacityUnavailable where EC2 has none of them. After an unclear answer the template
    stays, for the same call to be sent again.
    """
    name = client_token(settings, request, group)
    _make_template(clients, settings, request, group, name)
    parameters = fleet_parameters(settings, request, group, name)
    try:
        with mapped("launch", request.node_id, request.token):
            answer = clients.changing("ec2").create_fleet(**parameters)
    except OutcomeUnknown:
        raise
    except ProviderError:
        _delete_template(clients, name)
        raise
    _delete_template(clients, name)
    return _launched(answer, group, request)


def _make_template(
    clients: Clients, settings: AwsSettings, request: LaunchRequest, group: Group, name: str
) -> None:
    """Makes the template, unless the same call has made it before."""
    data = machine_data(settings, request, group)
    data["TagSpecifications"] = tag_specifications(tags_for(request, group.market), "volume")
    own = [{"Key": CLUSTER_TAG, "Value": settings.cluster}]
    try:
        # A template costs nothing and starts nothing: its outcome need not be known.
        with mapped("launch", request.node_id):
            clients.changing("ec2").create_launch_template(
                LaunchTemplateName=name,
                LaunchTemplateData=data,
                TagSpecifications=tag_specifications(own, "launch-template"),
            )
    except RejectedByCode as error:
        if error.code != _THERE:
            raise


def _delete_template(clients: Clients, name: str) -> None:
    # One that stays costs nothing but a name, and the machine is there.
    with suppress(ProviderError), mapped("launch", name):
        clients.changing("ec2").delete_launch_template(LaunchTemplateName=name)


def fleet_parameters(
    settings: AwsSettings, request: LaunchRequest, group: Group, template: str
) -> dict[str, Any]:
    """The parameters of CreateFleet for one machine, the offers in order of preference."""
    is_spot = group.market is Market.SPOT
    overrides = [
        {
            "InstanceType": key.instance_type,
            "Priority": float(place),
            **place_of(settings, key),
        }
        for place, key in enumerate(group.keys)
    ]
    strategy = "capacity-optimized-prioritized" if is_spot else "prioritized"
    return {
        "Type": "instant",
        "ClientToken": client_token(settings, request, group),
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateName": template,
                    "Version": "1",
                },
                "Overrides": overrides,
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": 1,
            "DefaultTargetCapacityType": "spot" if is_spot else "on-demand",
        },
        ("SpotOptions" if is_spot else "OnDemandOptions"): {"AllocationStrategy": strategy},
        "TagSpecifications": tag_specifications(
            tags_for(request, group.market), "fleet", "instance"
        ),
    }


def _launched(
    answer: Mapping[str, Any], group: Group, request: LaunchRequest
) -> tuple[str, OfferKey]:
    for found in answer.get("Instances", ()):
        for instance_id in found["InstanceIds"]:
            return instance_id, _key_of(found, group)
    raise refusal(answer.get("Errors", ()), group, request)


def _key_of(found: Mapping[str, Any], group: Group) -> OfferKey:
    """Which offer it is; the zone is not named where a subnet stands for it."""
    overrides = found["LaunchTemplateAndOverrides"]["Overrides"]
    kept = [key for key in group.keys if key.instance_type == found["InstanceType"]]
    zone = overrides.get("AvailabilityZone")
    return next((key for key in kept if key.zone == zone), kept[0])


def refusal(
    errors: Sequence[Mapping[str, Any]], group: Group, request: LaunchRequest
) -> ProviderError:
    """Why there is no machine, when each offer has its own reason.

    All lack capacity: that. Otherwise the first reason that is none, a quota before the rest,
    since it will not go away by itself.
    """
    subject = ", ".join(str(key) for key in group.keys)
    codes = [str(error.get("ErrorCode", "")) for error in errors]
    found = [by_code("launch", request.node_id, code) for code in codes if code not in CAPACITY]
    for kind in (QuotaExceeded, Throttled, ProviderError):
        for error in found:
            if isinstance(error, kind):
                return error
    return CapacityUnavailable(PROVIDER, "launch", subject)
