"""Machines as the port has them, put together from instances and from operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from costplan.adapters.gcp.clients import Clients
from costplan.adapters.gcp.names import (
    CLUSTER_LABEL,
    NODE_LABEL,
    Place,
    cluster_mark,
    label_text,
    label_value,
    place_of,
)
from costplan.adapters.gcp.operations import (
    ENDS,
    PREEMPTED,
    Operation,
    pages,
    refuse_parts,
)
from costplan.adapters.instants import utc_of
from costplan.planner.nodes import MachineState, ProviderNode

_STATES = {
    "PENDING": MachineState.PENDING,
    "PROVISIONING": MachineState.PENDING,
    "STAGING": MachineState.PENDING,
    "RUNNING": MachineState.RUNNING,
    "REPAIRING": MachineState.RUNNING,
    "PENDING_STOP": MachineState.STOPPING,
    "STOPPING": MachineState.STOPPING,
    "SUSPENDING": MachineState.STOPPING,
    "DEPROVISIONING": MachineState.STOPPING,
    "SUSPENDED": MachineState.ENDED,
    "STOPPED": MachineState.ENDED,
    "TERMINATED": MachineState.ENDED,
}
"""https://cloud.google.com/compute/docs/instances/instance-lifecycle; what is not here runs."""
LISTED_WITHIN = timedelta(seconds=60)
"""A machine that was just made may be missing from a list for a moment."""
_LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How operations are read: the time is `now`, a spot machine has `stop_seconds` to go, and a
    launch that failed within `settle_seconds` was refused and never was a machine."""

    now: datetime
    stop_seconds: float
    settle_seconds: float


def listed(clients: Clients, project: str, cluster: str) -> dict[Place, Any]:
    """The instances of a cluster, all of them; raises Unreachable where some may be missing."""
    request = clients.compute.AggregatedListInstancesRequest(
        project=project,
        filter=f'labels.{CLUSTER_LABEL} = "{label_value(cluster)}"',
        max_results=_LARGEST_PAGE,
    )
    mark, found = cluster_mark(cluster), {}
    for page in pages(clients, clients.instances.aggregated_list, request, "nodes"):
        refuse_parts("", page.warning, page.unreachables)
        for scope, part in page.items.items():
            refuse_parts(scope, part.warning)
            for instance in part.instances:
                place = place_of(instance.zone.rpartition("/")[2], instance.name, mark)
                if place is not None:
                    found[place] = instance
    return found


def is_ours(instance: Any, cluster: str) -> bool:
    """True where an instance carries the cluster's label."""
    return bool(instance.labels.get(CLUSTER_LABEL) == label_value(cluster))


def is_stopped(instance: Any) -> bool:
    """True where a machine has ended and its instance is still there."""
    return _STATES.get(instance.status) is MachineState.ENDED


def machine_of(
    place: Place, instance: Any, done: Iterable[Operation], reading: Reading
) -> ProviderNode:
    """An instance that is there, with what is known to have been done to it."""
    state = _STATES.get(instance.status, MachineState.RUNNING)
    ends = [one for one in done if one.kind in ENDS and one.failure is None]
    if ends and state in (MachineState.PENDING, MachineState.RUNNING):
        state = MachineState.STOPPING
    launched, ended, cause = utc_of(instance.creation_timestamp), None, None
    if state is MachineState.ENDED:
        ended, cause = _end(ends, launched, reading)
        if instance.last_stop_timestamp:
            ended = utc_of(instance.last_stop_timestamp)
    networks = instance.network_interfaces
    return ProviderNode(
        provider_id=place.provider_id,
        key=place.key,
        state=state,
        launched_at=launched,
        node_id=label_text(instance.labels.get(NODE_LABEL, "")) or None,
        token=place.token,
        private_address=(networks[0].network_i_p or None) if networks else None,
        ended_at=ended,
        end_cause=cause,
        remains=state is MachineState.ENDED,
    )


def machine_of_operations(done: Iterable[Operation], reading: Reading) -> ProviderNode | None:
    """A machine that no list has, from what was done to it; None where there never was one.

    Where its insertion was too long ago to be among them, it began when its end was begun: the
    planner knows better then. Its node is known by its token.
    """
    ordered = sorted(done, key=lambda one: one.order)
    inserts = [one for one in ordered if one.kind == "insert"]
    ends = [one for one in ordered if one.kind in ENDS and one.failure is None]
    insert = inserts[-1] if inserts else None
    if ends:
        begun = insert.inserted_at if insert is not None else ends[0].inserted_at
        if ends[-1].ended_at is None:
            return _bare(ends[0].place, MachineState.STOPPING, begun)
        ended, cause = _end(ends, begun, reading)
        return _bare(ends[0].place, MachineState.ENDED, begun, ended, cause)
    if insert is None or was_refused(insert, reading.settle_seconds):
        return None
    if insert.failure is not None:
        ended = insert.ended_at or insert.inserted_at
        return _bare(insert.place, MachineState.ENDED, insert.inserted_at, ended, "failed")
    if insert.ended_at is None or reading.now - insert.inserted_at < LISTED_WITHIN:
        return _bare(insert.place, MachineState.PENDING, insert.inserted_at)
    return None


def was_refused(insert: Operation, settle_seconds: float) -> bool:
    """True where an insertion failed while its launch was still waiting to see that: the launch
    said so then, and no machine came of it. What fails later was a machine that ended."""
    if insert.failure is None or insert.ended_at is None:
        return False
    return insert.ended_at - insert.inserted_at <= timedelta(seconds=settle_seconds)


def all_machines(
    instances: Mapping[Place, Any], done: Iterable[Operation], reading: Reading
) -> tuple[ProviderNode, ...]:
    """Every machine there is or was lately, by id. The instances were listed first: what was
    launched or ended in between is then in one of the two at least."""
    by_place: dict[Place, list[Operation]] = defaultdict(list)
    for one in done:
        by_place[one.place].append(one)
    found = []
    for place in sorted({*instances, *by_place}, key=lambda one: one.provider_id):
        if place in instances:
            found.append(machine_of(place, instances[place], by_place[place], reading))
        elif (gone := machine_of_operations(by_place[place], reading)) is not None:
            found.append(gone)
    return tuple(found)


def _end(ends: list[Operation], begun: datetime, reading: Reading) -> tuple[datetime, str]:
    """When and why a machine ended.

    The first end that was begun is the cause, and what was done to a stopped machine after it
    changes nothing. A preemption is said at its beginning, and the machine is gone `stop_seconds`
    later at the latest, or when it was deleted meanwhile.
    """
    if not ends:
        return max(begun, reading.now), "failed"
    first = min(ends, key=lambda one: one.order)
    deleted = [one.ended_at for one in ends if one.kind == "delete" and one.ended_at is not None]
    if first.kind == PREEMPTED:
        latest = min(first.inserted_at + timedelta(seconds=reading.stop_seconds), reading.now)
        return max(begun, min([latest, *deleted])), "reclaimed"
    if first.kind == "delete":
        return max(begun, deleted[0] if deleted else first.inserted_at), "terminated"
    return max(begun, min([first.ended_at or first.inserted_at, *deleted])), "failed"


def _bare(
    place: Place,
    state: MachineState,
    launched_at: datetime,
    ended_at: datetime | None = None,
    cause: str | None = None,
) -> ProviderNode:
    return ProviderNode(
        provider_id=place.provider_id,
        key=place.key,
        state=state,
        launched_at=launched_at,
        token=place.token,
        ended_at=ended_at,
        end_cause=cause,
    )
