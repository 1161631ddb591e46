"""EC2 instances as machines of the port, and the tags by which ours are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market, OfferKey

CLUSTER_TAG = "costplan:cluster"
NODE_TAG = "costplan:node"
TOKEN_TAG = "costplan:token"  # noqa: S105 - a name
MARKET_TAG = "costplan:market"
REQUEST_TAG = "costplan:request"
"""Holds a digest of the whole request, so that a token is known to be for another one."""

PAGE = 1000
"""The most that DescribeInstances lists in one answer."""

STATES = {
    "pending": MachineState.PENDING,
    "running": MachineState.RUNNING,
    "shutting-down": MachineState.STOPPING,
    "stopping": MachineState.STOPPING,
    "stopped": MachineState.STOPPING,
    "terminated": MachineState.ENDED,
}
LIVING = tuple(name for name, state in STATES.items() if state is not MachineState.ENDED)

_INSTANCE_ID = re.compile(r"i-[0-9a-f]{8,17}")
_TRANSITION = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")
_CAUSES = {
    "Client.UserInitiatedShutdown": "terminated",
    "Server.SpotInstanceShutdown": "reclaimed",
    "Server.SpotInstanceTermination": "reclaimed",
}
"""Any other reason, such as Server.InternalError or an instance that shut itself down, is a
machine that failed."""


def is_instance_id(text: str) -> bool:
    """True where a text has the form of an instance's id."""
    return _INSTANCE_ID.fullmatch(text) is not None


def of_cluster(settings: AwsSettings, *more: tuple[str, Iterable[str]]) -> list[dict[str, Any]]:
    """The filters that find this cluster's instances, and more of them."""
    filters = ((f"tag:{CLUSTER_TAG}", (settings.cluster,)), *more)
    return [{"Name": name, "Values": list(values)} for name, values in filters]


def listed(client: Any, filters: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every instance that the filters find, over all pages."""
    pages = client.get_paginator("describe_instances").paginate(
        Filters=filters, PaginationConfig={"PageSize": PAGE}
    )
    for page in pages:
        for reservation in page["Reservations"]:
            yield from reservation["Instances"]


def tags_of(instance: Mapping[str, Any]) -> dict[str, str]:
    """An instance's tags by name."""
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", ())}


def node_of(instance: Mapping[str, Any], region: str, seen_ended: datetime) -> ProviderNode:
    """An instance as a machine. `seen_ended` is when it was first seen to have ended, which
    stands in where EC2 does not say when it did."""
    tags, state = tags_of(instance), STATES[instance["State"]["Name"]]
    launched_at = instance["LaunchTime"].astimezone(UTC)
    ended_at = cause = None
    if state is MachineState.ENDED:
        ended_at = max(_transition(instance) or seen_ended, launched_at)
        cause = _CAUSES.get(instance.get("StateReason", {}).get("Code", ""), "failed")
    return ProviderNode(
        provider_id=instance["InstanceId"],
        key=OfferKey(
            provider=PROVIDER,
            region=region,
            zone=instance["Placement"]["AvailabilityZone"],
            instance_type=instance["InstanceType"],
            market=_market(instance),
        ),
        state=state,
        launched_at=launched_at,
        node_id=tags.get(NODE_TAG),
        token=tags.get(TOKEN_TAG),
        private_address=instance.get("PrivateIpAddress") or None,
        ended_at=ended_at,
        end_cause=cause,
    )


def _market(instance: Mapping[str, Any]) -> Market:
    return Market.SPOT if instance.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND


def _transition(instance: Mapping[str, Any]) -> datetime | None:
    """When an instance was told to end: 'User initiated (2026-11-29 10:15:00 GMT)'. EC2 bills
    until then."""
    found = _TRANSITION.search(instance.get("StateTransitionReason", ""))
    if found is None:
        return None
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
