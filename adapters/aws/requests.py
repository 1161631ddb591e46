"""From a launch request to the parameters of RunInstances and of a launch template.

The same request gives the same parameters, letter for letter: EC2 refuses a client token that
comes again with others.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from costplan.adapters.aws.machines import (
    CLUSTER_TAG,
    MARKET_TAG,
    NODE_TAG,
    REQUEST_TAG,
    TOKEN_TAG,
)
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import InputError, RequestRejected
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey

Startup = Callable[[LaunchRequest, OfferKey], str]
"""Renders the user data of a machine that is launched for a request as an offer."""

MOST_USER_DATA_BYTES = 16_384
"""EC2's limit, before base64."""

_GRAVITON = re.compile(r"a1|[a-z]+\d+[a-z]*g[a-z]*|p\d+e-gb\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Offers that one call can ask for: of one market, and started by the same script."""

    number: int
    keys: tuple[OfferKey, ...]
    user_data: str

    @property
    def market(self) -> Market:
        """The market of all of them."""
        return self.keys[0].market


def groups_of(settings: AwsSettings, request: LaunchRequest, startup: Startup) -> list[Group]:
    """The offers of a request in order, cut where one call cannot ask for the next one too.

    Raises RequestRejected where an offer cannot be launched here, whatever the market says.
    """
    for key in request.keys:
        _check(settings, request, key)
    try:
        started = [(key, startup(request, key)) for key in request.keys]
    except InputError as error:
        raise _rejected(request, str(error)) from error
    for key, text in started:
        if len(text.encode()) > MOST_USER_DATA_BYTES:
            raise _rejected(request, f"the start script of {key} is above 16 KiB")
    runs = groupby(started, lambda one: (one[0].market, architecture(one[0].instance_type), one[1]))
    return [
        Group(number=number, keys=tuple(key for key, _ in run), user_data=text)
        for number, ((_, _, text), run) in enumerate(runs)
    ]


def _check(settings: AwsSettings, request: LaunchRequest, key: OfferKey) -> None:
    if (key.provider, key.region) != (PROVIDER, settings.region):
        raise _rejected(request, f"{key} is not sold by {PROVIDER} in {settings.region}")
    if key.zone not in settings.zones:
        raise _rejected(request, f"the zone of {key} is not one of {', '.join(settings.zones)}")
    if key.market not in (Market.ON_DEMAND, Market.SPOT):
        raise _rejected(request, f"{key}: a commitment is bought, not launched")
    if not (request.image_ref or architecture(key.instance_type) in settings.images):
        raise _rejected(request, f"there is no image for the architecture of {key}")


def _rejected(request: LaunchRequest, problem: str) -> RequestRejected:
    return RequestRejected(PROVIDER, "launch", request.node_id, problem)


def architecture(instance_type: str) -> str:
    """'arm64' or 'x86_64', by the type's name: a 'g' after the generation is a Graviton, and
    GB is a Grace. Held against DescribeInstanceTypes in tests."""
    family = instance_type.partition(".")[0]
    return "arm64" if _GRAVITON.fullmatch(family) else "x86_64"


def client_token(settings: AwsSettings, request: LaunchRequest, group: Group) -> str:
    """What makes a call one call: 64 characters at most, of the request's token and the group."""
    text = "\n".join((settings.cluster, request.token, str(group.number)))
    return f"costplan-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def request_digest(request: LaunchRequest) -> str:
    """A digest of the whole request: equal requests have equal ones."""
    value = {
        "cluster": request.cluster,
        "token": request.token,
        "node_id": request.node_id,
        "keys": [str(key) for key in request.keys],
        "workers": [
            [w.name, w.shape, w.threads, w.memory_bytes, w.gpus, sorted(w.resources.items())]
            for w in request.workers
        ],
        "image_ref": request.image_ref,
        "user_data_ref": request.user_data_ref,
        "tags": sorted(request.tags.items()),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def tags_for(request: LaunchRequest, market: Market) -> list[dict[str, str]]:
    """The tags of a request's instance and volume; ours win over the user's."""
    tags = {
        "Name": request.node_id,
        **request.tags,
        CLUSTER_TAG: request.cluster,
        NODE_TAG: request.node_id,
        TOKEN_TAG: request.token,
        MARKET_TAG: str(market),
        REQUEST_TAG: request_digest(request),
    }
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]


def machine_data(settings: AwsSettings, request: LaunchRequest, group: Group) -> dict[str, Any]:
    """What RunInstances and a launch template have in common."""
    first = group.keys[0]
    image = request.image_ref or settings.images[architecture(first.instance_type)]
    data: dict[str, Any] = {
        "ImageId": image,
        "UserData": base64.b64encode(group.user_data.encode()).decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [
            {
                "DeviceName": settings.root_device,
                "Ebs": {
                    "VolumeSize": settings.root_disk_gib,
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
        ],
    }
    if settings.security_groups:
        data["SecurityGroupIds"] = list(settings.security_groups)
    if settings.instance_profile:
        kind = "Arn" if settings.instance_profile.startswith("arn:") else "Name"
        data["IamInstanceProfile"] = {kind: settings.instance_profile}
    return data


def place_of(settings: AwsSettings, key: OfferKey) -> dict[str, str]:
    """Where an offer's machine goes: the zone's subnet, or the zone where it has none here."""
    subnet = settings.subnets.get(key.zone)
    return {"SubnetId": subnet} if subnet else {"AvailabilityZone": key.zone}


def run_parameters(settings: AwsSettings, request: LaunchRequest, group: Group) -> dict[str, Any]:
    """The parameters of RunInstances for a group of one offer."""
    (key,) = group.keys
    tags = tags_for(request, key.market)
    data = machine_data(settings, request, group)
    # RunInstances takes the script as it is; the SDK encodes it.
    data["UserData"] = group.user_data
    place = place_of(settings, key)
    if "AvailabilityZone" in place:
        place_parameters: dict[str, Any] = {"Placement": place}
    else:
        place_parameters = {**place}
    if key.market is Market.SPOT:
        place_parameters["InstanceMarketOptions"] = {
            "MarketType": "spot",
            "SpotOptions": {
                "SpotInstanceType": "one-time",
                "InstanceInterruptionBehavior": "terminate",
            },
        }
    return {
        **data,
        **place_parameters,
        "ClientToken": client_token(settings, request, group),
        "InstanceType": key.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "TagSpecifications": tag_specifications(tags, "instance", "volume"),
    }


def tag_specifications(tags: Sequence[dict[str, str]], *kinds: str) -> list[dict[str, Any]]:
    """The same tags for these kinds of things."""
    return [{"ResourceType": kind, "Tags": list(tags)} for kind in kinds]
