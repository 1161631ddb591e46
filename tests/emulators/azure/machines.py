"""Virtual machines of a resource group, and operations on them, as functions of time."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SIZES = {
    "Standard_D2s_v5": (2, 8.0),
    "Standard_D4s_v5": (4, 16.0),
    "Standard_E4s_v5": (4, 32.0),
    "Standard_NC4as_T4_v3": (4, 28.0),
}
"""Size -> vCPU and GiB, as Azure documents them."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """A virtual machine: its resource, and when it goes from one state into the next."""

    resource: dict[str, Any]
    runs_at: datetime
    error: tuple[str, str] | None = None
    gone_at: datetime | None = None

    @property
    def pool(self) -> tuple[str, str, str]:
        """Zone, size and priority."""
        properties = self.resource["properties"]
        zone = (self.resource.get("zones") or [""])[0]
        return zone, properties["hardwareProfile"]["vmSize"], properties.get("priority", "Regular")


@dataclass(slots=True, kw_only=True)
class Operation:
    """Something under way until `ends`."""

    started: datetime
    ends: datetime
    error: tuple[str, str] | None = None


@dataclass(slots=True, kw_only=True)
class Delays:
    """Seconds until a machine runs, and until it is deleted."""

    boot: float = 0.03
    delete: float = 0.03


@dataclass(slots=True)
class Group:
    """One resource group. `room` is how many machines of (zone, size, priority) fit."""

    subscription: str
    name: str
    location: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    machines: dict[str, Machine] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    delays: Delays = field(default_factory=Delays)
    room: dict[tuple[str, str, str], int] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)
    """Usage name ('cores', 'lowPriorityCores') -> limit."""

    def advance(self) -> None:
        """Lets happen what is due by now."""
        now = self.clock()
        for name, machine in list(self.machines.items()):
            if machine.gone_at is not None and machine.gone_at <= now:
                del self.machines[name]
            elif machine.gone_at is None and machine.runs_at <= now:
                state = "Failed" if machine.error else "Succeeded"
                machine.resource["properties"]["provisioningState"] = state

    def put(self, name: str, body: dict[str, Any]) -> tuple[Machine, Operation]:
        """A new machine; one that is not to be had fails in the operation and stays, failed."""
        now = self.clock()
        resource = copy.deepcopy(body)
        machine = Machine(resource=resource, runs_at=now + timedelta(seconds=self.delays.boot))
        machine.error = self._refusal(machine.pool)
        resource |= {
            "id": f"{self.path}/virtualMachines/{name}",
            "name": name,
            "type": "Microsoft.Compute/virtualMachines",
            "etag": '"1"',
        }
        resource["properties"] |= {
            "provisioningState": "Creating",
            "vmId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}{now}")),
            "timeCreated": now.isoformat(),
        }
        resource["properties"].pop("userData", None)
        self.machines[name] = machine
        return machine, self.operation(machine.runs_at, machine.error)

    def delete(self, machine: Machine) -> Operation:
        """A machine that goes, with what it was told to take along."""
        if machine.gone_at is None:
            machine.gone_at = self.clock() + timedelta(seconds=self.delays.delete)
            machine.resource["properties"]["provisioningState"] = "Deleting"
        return self.operation(machine.gone_at)

    def evict(self, name: str, notice_seconds: float) -> None:
        """Azure takes a spot machine; it is deleted after the notice."""
        self.machines[name].gone_at = self.clock() + timedelta(seconds=notice_seconds)

    def operation(self, ends: datetime, error: tuple[str, str] | None = None) -> Operation:
        """A new operation, found under its number."""
        made = Operation(started=self.clock(), ends=ends, error=error)
        self.operations[str(uuid.UUID(int=len(self.operations) + 1))] = made
        return made

    @property
    def path(self) -> str:
        """Where its machines are."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.name}"
            "/providers/Microsoft.Compute"
        )

    def used(self) -> dict[str, int]:
        """vCPU in use by quota."""
        found = {"cores": 0, "lowPriorityCores": 0}
        for machine in self.machines.values():
            if machine.error is None:
                _, size, priority = machine.pool
                name = "lowPriorityCores" if priority == "Spot" else "cores"
                found[name] += SIZES[size][0]
        return found

    def over_quota(self, body: dict[str, Any]) -> str | None:
        """The quota that a machine would go beyond: Azure says so before it begins."""
        properties = body["properties"]
        size = properties["hardwareProfile"]["vmSize"]
        name = "lowPriorityCores" if properties.get("priority") == "Spot" else "cores"
        limit = self.quotas.get(name)
        if limit is not None and self.used()[name] + SIZES[size][0] > limit:
            return name
        return None

    def _refusal(self, pool: tuple[str, str, str]) -> tuple[str, str] | None:
        room = self.room.get(pool)
        there = sum(one.pool == pool and one.error is None for one in self.machines.values())
        if room is None or there < room:
            return None
        zone, size, _ = pool
        if zone:
            return "ZonalAllocationFailed", f"Allocation failed for {size} in zone {zone}"
        return "SkuNotAvailable", f"The requested size {size} is currently not available"
