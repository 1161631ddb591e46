"""What was done to our machines, and what the cloud says of them apart from its list.

A deleted machine is in no list. The Activity Log keeps for 90 days what was done to it, by whom
ever; it may be minutes late. Resource Graph knows since when a spot machine is preempted, and
whether a machine that is there has been switched off.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.names import name_of_id
from costplan.adapters.azure.settings import AzureSettings
from costplan.adapters.instants import utc_of

ENDED_WITHIN = timedelta(hours=1)
"""Machines that ended longer ago are listed no more."""
LOOKED_UP_WITHIN = timedelta(days=89)
"""So far back one machine is looked for; the log keeps 90 days."""

WRITE, DELETE, DEALLOCATE = "write", "delete", "deallocate"
_KINDS = {
    "microsoft.compute/virtualmachines/write": WRITE,
    "microsoft.compute/virtualmachines/delete": DELETE,
    "microsoft.compute/virtualmachines/deallocate/action": DEALLOCATE,
}
_OVER = {"Succeeded": True, "Failed": False, "Canceled": False}
_CLOCKS_DIFFER = timedelta(minutes=5)
_LOG_VERSION, _GRAPH_VERSION = "2015-04-01", "2022-10-01"
_GRAPH = "/providers/Microsoft.ResourceGraph/resources"
_GRAPH_ROWS = 1000
"""The most that Resource Graph answers at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one machine. `succeeded` and `ended_at` are None while it is under way;
    `machine` is what a creation answered, None where the log does not say."""

    kind: str
    name: str
    started_at: datetime
    ended_at: datetime | None
    succeeded: bool | None
    machine: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Changes by machine, oldest first; since when spot machines are preempted; and the power
    state of those that are there ('running', 'stopped', 'deallocated' ..., '' for none yet)."""

    changes: Mapping[str, Sequence[Change]]
    preempted: Mapping[str, datetime]
    power: Mapping[str, str]


def read_past(clients: Clients, settings: AzureSettings, now: datetime) -> Past:
    """All of it for the resource group, of the last hour as far as it has ended."""
    where = f"resourceGroupName eq '{settings.resource_group}'"
    return Past(
        changes=changes_since(clients, settings, now - ENDED_WITHIN, now, where),
        preempted=preempted(clients, settings),
        power=_power(clients, settings),
    )


def changes_of(
    clients: Clients, settings: AzureSettings, name: str, now: datetime
) -> Sequence[Change]:
    """All that was done to one machine, oldest first."""
    resource = f"{settings.group_id}/providers/Microsoft.Compute/virtualMachines/{name}"
    since, where = now - LOOKED_UP_WITHIN, f"resourceUri eq '{resource}'"
    return changes_since(clients, settings, since, now, where).get(name, ())


def created(changes: Sequence[Change]) -> Mapping[str, Any] | None:
    """The machine that was made last and not refused, None where there was none or the log does
    not say what it was."""
    made = [one for one in changes if one.kind == WRITE]
    if not made or made[-1].succeeded is False or made[-1].machine is None:
        return None
    return made[-1].machine


def was_refused(changes: Sequence[Change]) -> bool:
    """True where the last creation failed."""
    made = [one for one in changes if one.kind == WRITE]
    return bool(made) and made[-1].succeeded is False


def changes_since(
    clients: Clients, settings: AzureSettings, since: datetime, now: datetime, where: str
) -> Mapping[str, Sequence[Change]]:
    """The changes of machines since an instant, by machine, oldest first."""
    path = (
        f"/subscriptions/{settings.subscription}/providers/Microsoft.Insights"
        "/eventtypes/management/values"
    )
    until = now + _CLOCKS_DIFFER
    query = {
        "api-version": _LOG_VERSION,
        "$filter": f"eventTimestamp ge '{_text(since)}' and eventTimestamp le '{_text(until)}'"
        f" and {where}",
        "$select": "eventTimestamp,operationId,operationName,properties,resourceId,status",
    }
    events: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    with calling("nodes", settings.resource_group):
        for page in clients.pages(path, query):
            for event in page["value"]:
                kind = _KINDS.get(event["operationName"]["value"].lower())
                if kind is not None:
                    name = name_of_id(event["resourceId"])
                    events[kind, name, event["operationId"]].append(event)
    found: dict[str, list[Change]] = defaultdict(list)
    for (kind, name, _), group in events.items():
        found[name].append(_change(kind, name, group))
    return {name: sorted(some, key=lambda one: one.started_at) for name, some in found.items()}


def preempted(clients: Clients, settings: AzureSettings) -> Mapping[str, datetime]:
    """Since when spot machines of the group are preempted, as far as Resource Health notes it:
    the annotation VirtualMachinePreempted."""
    query = f"""healthresources
| where type =~ 'microsoft.resourcehealth/resourceannotations'
| where resourceGroup =~ '{settings.resource_group}'
| where tostring(properties.annotationName) =~ 'VirtualMachinePreempted'
| project id = tostring(properties.targetResourceId), at = tostring(properties.occurredTime)
| order by id asc, at asc"""
    rows = graph(clients, settings, query, "notices")
    return {name_of_id(row["id"]): utc_of(row["at"]) for row in rows if row["at"]}


def graph(
    clients: Clients, settings: AzureSettings, query: str, operation: str
) -> Iterator[Mapping[str, Any]]:
    """The rows of a query to Resource Graph, over all pages."""
    options: dict[str, Any] = {"resultFormat": "objectArray", "$top": _GRAPH_ROWS}
    while True:
        body = {"subscriptions": [settings.subscription], "query": query, "options": options}
        with calling(operation, settings.resource_group):
            page = clients.ask(_GRAPH, {"api-version": _GRAPH_VERSION}, body)
        yield from page["data"]
        if not page.get("$skipToken"):
            return
        options = options | {"$skipToken": page["$skipToken"]}


def _power(clients: Clients, settings: AzureSettings) -> Mapping[str, str]:
    query = f"""resources
| where type =~ 'microsoft.compute/virtualmachines'
| where resourceGroup =~ '{settings.resource_group}'
| project id, power = tostring(properties.extended.instanceView.powerState.code)
| order by id asc"""
    rows = graph(clients, settings, query, "nodes")
    return {name_of_id(row["id"]): row["power"].rpartition("/")[2] for row in rows if row["power"]}


def _change(kind: str, name: str, events: Iterable[Mapping[str, Any]]) -> Change:
    ordered = sorted(events, key=lambda event: str(event["eventTimestamp"]))
    ends = [event for event in ordered if event["status"]["value"] in _OVER]
    end = ends[-1] if ends else None
    bodies = [_machine(event) for event in ordered] if kind == WRITE else []
    return Change(
        kind=kind,
        name=name,
        started_at=utc_of(ordered[0]["eventTimestamp"]),
        ended_at=None if end is None else utc_of(end["eventTimestamp"]),
        succeeded=None if end is None else _OVER[end["status"]["value"]],
        machine=next((body for body in bodies if body is not None), None),
    )


def _machine(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The machine in a logged answer, where the log has kept it."""
    try:
        body = json.loads((event.get("properties") or {}).get("responseBody") or "null")
    except ValueError:
        return None
    if not isinstance(body, dict) or "location" not in body:
        return None
    has = body.get("properties") or {}
    return body if "hardwareProfile" in has and "timeCreated" in has else None


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
