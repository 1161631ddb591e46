"""Virtual machines of a resource group, and operations on them, as functions of time."""

from __future__ import annotations

import copy
import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple


class Size(NamedTuple):
    """What Azure documents of a size."""

    vcpus: int
    gib: float
    family: str
    gpus: str = "0"
    arch: str = "x64"


SIZES = {
    "Standard_D2s_v5": Size(2, 8.0, "standardDSv5Family"),
    "Standard_D4s_v5": Size(4, 16.0, "standardDSv5Family"),
    "Standard_D8s_v5": Size(8, 32.0, "standardDSv5Family"),
    "Standard_E4s_v5": Size(4, 32.0, "standardESv5Family"),
    "Standard_F4s_v2": Size(4, 8.0, "standardFSv2Family"),
    "Standard_D4ps_v5": Size(4, 16.0, "standardDPSv5Family", arch="Arm64"),
    "Standard_NC4as_T4_v3": Size(4, 28.0, "Standard NCASv3_T4 Family", "1"),
    "Standard_NV6ads_A10_v5": Size(6, 55.0, "StandardNVADSA10v5Family", "0.1667"),
}


@dataclass(slots=True, kw_only=True)
class Machine:
    """A virtual machine: its resource, and when it goes from one state into the next."""

    resource: dict[str, Any]
    runs_at: datetime
    error: tuple[str, str] | None = None
    gone_at: datetime | None = None
    power: str = "running"
    parts: frozenset[str] = frozenset()
    script: str = ""
    """Its custom data, which Azure shows to nobody."""

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
    """Seconds until a machine runs, until it is refused, until it is deleted, and until what was
    done is in the log."""

    boot: float = 0.03
    refusal: float = 0.03
    delete: float = 0.03
    log: float = 0.0


@dataclass(slots=True)
class Group:
    """One resource group. `room` is how many machines of (zone, size, priority) fit; those of
    `barred` are refused before anything is made."""

    subscription: str
    name: str
    location: str
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    machines: dict[str, Machine] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    delays: Delays = field(default_factory=Delays)
    room: dict[tuple[str, str, str], int] = field(default_factory=dict)
    barred: set[tuple[str, str, str]] = field(default_factory=set)
    quotas: dict[str, int] = field(default_factory=dict)
    """Usage name ('cores', 'lowPriorityCores', a family, 'virtualMachines') -> limit."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What the Activity Log has, oldest first."""
    preempted: dict[str, datetime] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    """Disks and interfaces that are there."""
    gone: list[Machine] = field(default_factory=list)
    """Machines that ran and are deleted."""

    def advance(self) -> None:
        """Lets happen what is due by now."""
        now = self.clock()
        for name, machine in list(self.machines.items()):
            properties = machine.resource["properties"]
            if machine.gone_at is not None and machine.gone_at <= now:
                if properties["provisioningState"] == "Deleting":
                    self.log(name, "delete", "Succeeded", machine.gone_at)
                self.parts -= machine.parts
                self.gone += [] if machine.error else [machine]
                del self.machines[name]
            elif machine.runs_at <= now and properties["provisioningState"] == "Creating":
                properties["provisioningState"] = "Failed" if machine.error else "Succeeded"
                self.log(name, "write", properties["provisioningState"], machine.runs_at)

    def log(
        self, name: str, action: str, status: str, at: datetime, body: dict[str, Any] | None = None
    ) -> None:
        """Puts a line into the Activity Log, whose ids are not always in the same letters."""
        resource = f"{self.path}/virtualMachines/{name}"
        begun = sum(
            one["resourceId"].lower() == resource.lower()
            and one["status"]["value"] in ("Accepted", "Started")
            and one["operationName"]["value"].endswith(f"/{action}")
            for one in self.events
        )
        number = begun + (status in ("Accepted", "Started"))
        operation = uuid.uuid5(uuid.NAMESPACE_URL, f"{resource}/{action}/{number}")
        self.events.append(
            {
                "eventTimestamp": at.isoformat().replace("+00:00", "Z"),
                "operationName": {"value": f"Microsoft.Compute/virtualMachines/{action}"},
                "operationId": str(operation),
                "resourceGroupName": self.name,
                "resourceId": resource.upper() if action == "delete" else resource,
                "status": {"value": status},
                "properties": {"responseBody": json.dumps(body)} if body is not None else {},
            }
        )

    def put(self, name: str, body: dict[str, Any]) -> tuple[Machine, Operation]:
        """A new machine; one that is not to be had fails in the operation and stays, failed."""
        now = self.clock()
        resource = copy.deepcopy(body)
        machine = Machine(resource=resource, runs_at=now, parts=_parts(name, body))
        machine.error = self._refusal(machine.pool)
        delay = self.delays.refusal if machine.error else self.delays.boot
        machine.runs_at += timedelta(seconds=delay)
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
        machine.script = resource["properties"].get("osProfile", {}).pop("customData", "")
        self.machines[name] = machine
        self.parts |= machine.parts
        self.log(name, "write", "Accepted", now, resource)
        return machine, self.operation(machine.runs_at, machine.error)

    def delete(self, machine: Machine) -> Operation:
        """A machine that goes, with what it was told to take along."""
        now, properties = self.clock(), machine.resource["properties"]
        if machine.gone_at is None or properties["provisioningState"] != "Deleting":
            ends = now + timedelta(seconds=self.delays.delete)
            machine.gone_at = min(ends, machine.gone_at or ends)
            self.log(machine.resource["name"], "delete", "Accepted", now)
        properties["provisioningState"] = "Deleting"
        return self.operation(machine.gone_at)

    def evict(self, name: str, notice_seconds: float) -> None:
        """Azure takes a spot machine; it is deleted after the notice, and no log says so."""
        now = self.clock()
        self.preempted[name] = now
        self.machines[name].gone_at = now + timedelta(seconds=notice_seconds)

    def evict_now(self, name: str) -> None:
        """A machine that is to go has said that it waits for nothing more."""
        self.machines[name].gone_at = self.clock()

    def switch_off(self, name: str) -> None:
        """A machine shuts itself down; it keeps its place, and is paid for."""
        self.machines[name].power = "stopped"

    def give_back(self, name: str) -> None:
        """Somebody stops a machine and gives its place back."""
        self.machines[name].power = "deallocated"
        for status in ("Started", "Succeeded"):
            self.log(name, "deallocate/action", status, self.clock())

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

    def used(self) -> Counter[str]:
        """What is in use by quota."""
        found: Counter[str] = Counter()
        for machine in self.machines.values():
            if machine.error is None:
                found.update(_counted(machine.resource))
        return found

    def over_quota(self, body: dict[str, Any]) -> str | None:
        """The quota that a machine would go beyond: Azure says so before it begins."""
        used = self.used()
        for name, amount in sorted(_counted(body).items()):
            if used[name] + amount > self.quotas.get(name, 10**9):
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


def _counted(body: dict[str, Any]) -> Counter[str]:
    """How much of which quota a machine takes."""
    size = SIZES[body["properties"]["hardwareProfile"]["vmSize"]]
    is_spot = body["properties"].get("priority") == "Spot"
    names = ["lowPriorityCores"] if is_spot else ["cores", size.family]
    return Counter(dict.fromkeys(names, size.vcpus) | {"virtualMachines": 1})


def _parts(name: str, body: dict[str, Any]) -> frozenset[str]:
    """Disks and interfaces that go with a machine: those that it was told to delete."""
    properties = body["properties"]
    found = {f"{name}/disk": properties["storageProfile"]["osDisk"].get("deleteOption")}
    for one in properties["networkProfile"]["networkInterfaceConfigurations"]:
        found[f"{name}/{one['name']}"] = one["properties"].get("deleteOption")
    return frozenset(part for part, option in found.items() if option == "Delete")
