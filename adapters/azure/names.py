"""What a machine's name says, and what its tags say.

    c3fa2c10123456789abcdef0123456789abcdef
    │      └ token of the launch
    └ c and six digits of the cluster's digest

One token is one name, and a resource group has a name once: so one token is one machine, whatever
offer it was bought as. Names are small letters, since Azure does not tell them from capitals.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from costplan.adapters.azure.settings import PROVIDER, AzureSettings
from costplan.adapters.local.records import request_text
from costplan.planner.nodes import LaunchRequest
from costplan.planner.types import Market, OfferKey

CLUSTER_TAG, NODE_TAG = "costplan-cluster", "costplan-node"
TOKEN_TAG = "costplan-token"  # noqa: S105 - a name
MARKET_TAG = "costplan-market"
REQUEST_TAG = "costplan-request"
"""Holds a digest of the whole request, so that a token is known to be for another one."""
LONGEST_TAG = 256

SOLD = (Market.ON_DEMAND, Market.SPOT)
_TOKEN = re.compile(r"(?=.{1,32}$)[a-z0-9]+(-[a-z0-9]+)*")
_NAME = re.compile(r"(c[0-9a-f]{6})((?=.{1,32}$)[a-z0-9]+(?:-[a-z0-9]+)*)")
_NOT_IN_A_TAG = re.compile(r"[<>%&\\?/\x00-\x1f]")
_SIZE = re.compile(r"Standard_[A-Z]+\d+(?:-\d+)?([a-z]*)(?:_[A-Za-z0-9]+)*")


def cluster_mark(cluster: str) -> str:
    """How the names of a cluster's machines begin."""
    return "c" + hashlib.sha256(cluster.encode()).hexdigest()[:6]


def is_token(text: str) -> bool:
    """True where a machine's name has room for a token."""
    return _TOKEN.fullmatch(text) is not None


def name_for(cluster: str, token: str) -> str:
    """The name of the machine that a token leads to."""
    return f"{cluster_mark(cluster)}{token}"


def token_of(name: str, mark: str) -> str | None:
    """The token in a name, None for a name that is none of this cluster's."""
    found = _NAME.fullmatch(name.lower())
    return found[2] if found is not None and found[1] == mark else None


def name_of_id(resource_id: str) -> str:
    """A machine's name by the id of its resource, whose capitals vary."""
    return resource_id.rpartition("/")[2].lower()


def request_digest(request: LaunchRequest) -> str:
    """A digest of the whole request: equal requests have equal ones."""
    return hashlib.sha256(request_text(request).encode()).hexdigest()[:32]


def tags_for(settings: AzureSettings, request: LaunchRequest, key: OfferKey) -> dict[str, str]:
    """The tags of a machine and of what belongs to it; ours win over the user's, whose names lose
    what Azure does not take."""
    free = {**settings.tags, **request.tags}
    return {
        _NOT_IN_A_TAG.sub("_", name): value[:LONGEST_TAG] for name, value in sorted(free.items())
    } | {
        CLUSTER_TAG: request.cluster,
        NODE_TAG: request.node_id,
        TOKEN_TAG: request.token,
        MARKET_TAG: str(key.market),
        REQUEST_TAG: request_digest(request),
    }


def is_ours(machine: Mapping[str, Any], cluster: str) -> bool:
    """True where a machine carries the cluster's tag."""
    return (machine.get("tags") or {}).get(CLUSTER_TAG) == cluster


def is_size(text: str) -> bool:
    """True where a text has the form of a size's name."""
    return _SIZE.fullmatch(text) is not None


def architecture(size: str) -> str:
    """'arm64' or 'x86_64', by the size's name: a 'p' among the letters after the number.

    https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
    """
    found = _SIZE.fullmatch(size)
    return "arm64" if found is not None and "p" in found[1] else "x86_64"


def key_of(machine: Mapping[str, Any]) -> OfferKey:
    """What a machine was bought as."""
    properties, location = machine["properties"], machine["location"]
    zones = machine.get("zones") or []
    return OfferKey(
        provider=PROVIDER,
        region=location,
        zone=f"{location}-{zones[0]}" if zones else "",
        instance_type=properties["hardwareProfile"]["vmSize"],
        market=Market.SPOT if properties.get("priority") == "Spot" else Market.ON_DEMAND,
    )
