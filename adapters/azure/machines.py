"""Machines as the port has them, put together from the list of machines and from the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.errors import calling
from costplan.adapters.azure.names import NODE_TAG, is_ours, key_of, token_of
from costplan.adapters.azure.past import DEALLOCATE, DELETE, Change, Past
from costplan.adapters.azure.settings import AzureSettings
from costplan.adapters.instants import utc_of
from costplan.planner.nodes import MachineState, ProviderNode

CREATING, DELETING, FAILED = "Creating", "Deleting", "Failed"
STOPPED = frozenset({"stopped", "stopping"})
"""Switched off, and paid for like one that runs until it is deleted: it has not ended."""
DEALLOCATED = frozenset({"deallocated", "deallocating"})
"""Switched off and given back: only its disk is paid for."""
NOTHING = Past(changes={}, preempted={}, power={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the past is read: the time is `now`, and a spot machine has `notice_seconds` to go."""

    now: datetime
    notice_seconds: float


def listed(clients: Clients, settings: AzureSettings, cluster: str, mark: str) -> dict[str, Any]:
    """The machines of a cluster by name, all of them or it raises."""
    found = {}
    with calling("nodes", settings.resource_group):
        for machine in clients.compute.virtual_machines.list(settings.resource_group):
            if is_ours(machine, cluster) and token_of(machine["name"], mark) is not None:
                found[machine["name"].lower()] = machine
    return found


def power_of(machine: Mapping[str, Any]) -> str:
    """The power state in a machine's own view, '' where it has none yet."""
    codes = [str(one.get("code", "")) for one in _statuses(machine)]
    return next((c.partition("/")[2] for c in codes if c.startswith("PowerState/")), "")


def failure_of(machine: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message of why a machine's creation failed, as its view has it:
    'ProvisioningState/failed/AllocationFailed'."""
    for one in _statuses(machine):
        kind, _, code = str(one.get("code", "")).partition("/failed/")
        if kind == "ProvisioningState" and code:
            return code, str(one.get("message") or "")
    return "ProvisioningFailed", "Azure does not say why"


def is_failed(machine: Mapping[str, Any], power: str) -> bool:
    """True for a machine whose creation failed and that was given no place to run in."""
    return state_of(machine) == FAILED and not power


def state_of(machine: Mapping[str, Any]) -> str:
    """A machine's provisioning state."""
    return str(machine["properties"].get("provisioningState", ""))


def machine_of(name: str, machine: Mapping[str, Any], past: Past, reading: Reading) -> ProviderNode:
    """A machine that is there, with what else is known of it."""
    launched, power = _launched_at(machine), past.power.get(name, "")
    if state_of(machine) == DELETING:
        return _node(name, machine, MachineState.STOPPING)
    if is_failed(machine, power):
        # It was never given a place, so it was never paid for.
        return _node(name, machine, MachineState.ENDED, (launched, "failed"), remains=True)
    if power in DEALLOCATED:
        end = _end(_ends(name, launched, past), _taken(name, launched, past), reading)
        return _node(name, machine, MachineState.ENDED, end, remains=True)
    if power in STOPPED:
        return _node(name, machine, MachineState.STOPPING, remains=True)
    is_creating = state_of(machine) == CREATING
    return _node(name, machine, MachineState.PENDING if is_creating else MachineState.RUNNING)


def machine_gone(
    name: str, machine: Mapping[str, Any], past: Past, reading: Reading
) -> ProviderNode | None:
    """A machine that is in no list, by what it was and what was done to it; None where nothing is
    known to have ended it."""
    launched = _launched_at(machine)
    ends, taken = _ends(name, launched, past), _taken(name, launched, past)
    if not ends and taken is None:
        return None
    if taken is None and all(one.ended_at is None for one in ends):
        return _node(name, machine, MachineState.STOPPING)
    return _node(name, machine, MachineState.ENDED, _end(ends, taken, reading))


def _ends(name: str, launched: datetime, past: Past) -> list[Change]:
    """What has ended a machine, or will, oldest first."""
    return [
        one
        for one in past.changes.get(name, ())
        if one.kind in (DELETE, DEALLOCATE)
        and one.succeeded is not False
        and one.started_at >= launched
    ]


def _taken(name: str, launched: datetime, past: Past) -> datetime | None:
    """When a machine was preempted, None where it was not."""
    at = past.preempted.get(name)
    return at if at is not None and at >= launched else None


def _end(ends: Sequence[Change], taken: datetime | None, reading: Reading) -> tuple[datetime, str]:
    """When and why a machine ended. What was begun first is the cause, and what was done to it
    after that changes nothing. A preempted machine is gone `notice_seconds` after the word at the
    latest, or when it was deleted meanwhile."""
    over = [one.ended_at for one in ends if one.ended_at is not None]
    if taken is not None and not (ends and ends[0].started_at < taken):
        latest = min(taken + timedelta(seconds=reading.notice_seconds), reading.now)
        return min([latest, *over]), "reclaimed"
    is_asked_for = bool(ends) and ends[0].kind == DELETE
    return over[0] if over else reading.now, "terminated" if is_asked_for else "failed"


def _node(
    name: str,
    machine: Mapping[str, Any],
    state: MachineState,
    end: tuple[datetime, str] | None = None,
    *,
    remains: bool = False,
) -> ProviderNode:
    launched = _launched_at(machine)
    return ProviderNode(
        provider_id=name,
        key=key_of(machine),
        state=state,
        launched_at=launched,
        node_id=(machine.get("tags") or {}).get(NODE_TAG),
        token=token_of(name, name[:7]),
        ended_at=None if end is None else max(launched, end[0]),
        end_cause=None if end is None else end[1],
        remains=remains,
    )


def _launched_at(machine: Mapping[str, Any]) -> datetime:
    return utc_of(str(machine["properties"]["timeCreated"]))


def _statuses(machine: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    view = machine["properties"].get("instanceView") or {}
    return view.get("statuses") or ()
