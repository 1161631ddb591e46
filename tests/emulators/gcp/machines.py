"""The machines and operations of a project, as functions of time: nothing runs by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.emulators.gcp.stock import MACHINE_TYPES, ZONES, region_of

BASE = "https://www.googleapis.com/compute/v1"
_PACIFIC = timedelta(hours=-8)


@dataclass(slots=True, kw_only=True)
class Machine:
    """An instance: its resource, and when it goes from one state into the next."""

    resource: dict[str, Any]
    zone: str
    created: datetime
    placed_at: datetime
    runs_at: datetime
    insert: Operation
    error: tuple[str, str] | None = None
    stops_at: datetime | None = None
    gone_at: datetime | None = None
    stays_stopped: bool = False
    is_preempted: bool = False
    off_at: datetime | None = None
    """When it stopped to run: nothing is paid for it from then on but its disk."""

    @property
    def machine_type(self) -> str:
        """Its name without the path."""
        return str(self.resource["machineType"]).rpartition("/")[2]

    @property
    def is_spot(self) -> bool:
        """True where it may be preempted."""
        return self.resource.get("scheduling", {}).get("provisioningModel") == "SPOT"


@dataclass(slots=True, kw_only=True)
class Operation:
    """What is or was done, from `inserted` to `ends`."""

    name: str
    number: int
    kind: str
    scope: str
    target: str
    target_id: str
    inserted: datetime
    ends: datetime
    request_id: str = ""
    request: Any = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    user: str = "daemon@example.iam.gserviceaccount.com"


def stamp(at: datetime) -> str:
    """An instant as Compute Engine writes it: in Pacific time, to the millisecond."""
    local = at.astimezone(UTC) + _PACIFIC
    return local.strftime("%Y-%m-%dT%H:%M:%S.") + f"{local.microsecond // 1000:03d}-08:00"


@dataclass(slots=True, kw_only=True)
class Delays:
    """Seconds: until resources are found or refused, until it runs, until a delete is done."""

    placing: float = 0.01
    boot: float = 0.03
    delete: float = 0.03


class Project:
    """All there is in a project. `room` is how many machines of (zone, type, market) fit."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self.name, self._clock = name, clock
        self.machines: dict[tuple[str, str], Machine] = {}
        self.gone: list[Machine] = []
        """Those that ran and are deleted."""
        self.operations: dict[str, Operation] = {}
        self.delays = Delays()
        self.room: dict[tuple[str, str, str], int] = {}
        self.quotas: dict[tuple[str, str], float] = {}
        self.skew = timedelta(0)
        self.down: set[str] = set()
        self.hides_new = False
        """List calls leave out machines that are not running yet, as eventual lists may."""
        self.failing: list[str] = []
        """Codes that the next insertions fail with, the first one first."""
        self._number = 7_000_000_000_000_000_000

    def now(self) -> datetime:
        """The cloud's clock, to the millisecond that it writes."""
        at = self._clock() + self.skew
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def link(self, path: str) -> str:
        """The full URL of something in this project."""
        return f"{BASE}/projects/{self.name}/{path}"

    def advance(self) -> None:
        """Lets happen what is due by now."""
        now = self.now()
        for place, machine in list(self.machines.items()):
            if machine.error is not None and machine.placed_at <= now:
                del self.machines[place]
            elif machine.gone_at is not None and machine.gone_at <= now:
                machine.off_at = machine.off_at or machine.gone_at
                if machine.stays_stopped:
                    machine.resource["status"] = "TERMINATED"
                    machine.resource["lastStopTimestamp"] = stamp(machine.gone_at)
                else:
                    del self.machines[place]
                    self.gone.append(machine)
            elif machine.stops_at is not None and machine.stops_at <= now:
                machine.resource["status"] = "STOPPING"
            elif machine.runs_at <= now:
                machine.resource["status"] = "RUNNING"
                machine.resource["lastStartTimestamp"] = stamp(machine.created)
            elif machine.placed_at <= now:
                machine.resource["status"] = "STAGING"

    def insert(self, zone: str, body: dict[str, Any], request_id: str) -> Operation:
        """An instance that comes to be, or is refused in its operation."""
        now, name = self.now(), body["name"]
        place = f"zones/{zone}/instances/{name}"
        number = self._next()
        machine_type = body["machineType"].rpartition("/")[2]
        spot = body.get("scheduling", {}).get("provisioningModel") == "SPOT"
        error = self._refusal(zone, machine_type, spot)
        placed = now + timedelta(seconds=self.delays.placing)
        runs = placed if error else placed + timedelta(seconds=self.delays.boot)
        operation = self.operation("insert", zone, place, number, runs, request_id, body)
        if error is not None:
            operation.errors.append(self._error(zone, *error))
        resource = {
            **body,
            "kind": "compute#instance",
            "id": number,
            "zone": self.link(f"zones/{zone}"),
            "machineType": self.link(f"zones/{zone}/machineTypes/{machine_type}"),
            "selfLink": self.link(place),
            "creationTimestamp": stamp(now),
            "status": "PROVISIONING",
            "labelFingerprint": "AAAAAAAAAAA=",
            "networkInterfaces": [
                {**one, "name": f"nic{n}", "networkIP": f"10.0.{len(self.machines) // 250}."
                 f"{len(self.machines) % 250 + 2}"}
                for n, one in enumerate(body.get("networkInterfaces", []))
            ],
        }  # fmt: skip
        self.machines[zone, name] = Machine(
            resource=resource,
            zone=zone,
            created=now,
            placed_at=placed,
            runs_at=runs,
            insert=operation,
            error=error,
        )
        return operation

    def delete(self, machine: Machine, request_id: str) -> Operation:
        """An instance that goes; one that goes already is not stopped a second time."""
        now = self.now()
        ends = now + timedelta(seconds=self.delays.delete)
        if machine.gone_at is None or machine.stays_stopped or machine.gone_at > ends:
            machine.stops_at, machine.gone_at, machine.stays_stopped = now, ends, False
            machine.resource["status"] = "STOPPING"
        name, number = machine.resource["name"], machine.resource["id"]
        path = f"zones/{machine.zone}/instances/{name}"
        return self.operation("delete", machine.zone, path, number, machine.gone_at, request_id)

    def preempt(self, zone: str, name: str, notice_seconds: float) -> None:
        """The cloud takes a machine after a notice, as its termination action says."""
        machine, now = self.machines[zone, name], self.now()
        machine.stops_at, machine.gone_at = now, now + timedelta(seconds=notice_seconds)
        action = machine.resource["scheduling"].get("instanceTerminationAction", "STOP")
        machine.stays_stopped, machine.is_preempted = action != "DELETE", True
        self._by_the_cloud("compute.instances.preempted", machine, now)
        self.advance()

    def shut_down(self, zone: str, name: str) -> None:
        """A machine's own system ends it; the instance stays, stopped. One that is being preempted
        or deleted is only done with it sooner."""
        machine, now = self.machines[zone, name], self.now()
        if machine.gone_at is not None:
            machine.gone_at = min(machine.gone_at, now)
            self.advance()
            return
        machine.stops_at = machine.gone_at = now
        machine.stays_stopped = True
        self._by_the_cloud("compute.instances.guestTerminate", machine, now)
        self.advance()

    def operation(  # noqa: PLR0917
        self,
        kind: str,
        zone: str,
        path: str,
        target_id: str,
        ends: datetime,
        request_id: str = "",
        request: Any = None,
    ) -> Operation:
        """A new operation on something of a zone."""
        number = int(self._next())
        found = Operation(
            name=f"operation-{number}",
            number=number,
            kind=kind,
            scope=f"zones/{zone}",
            target=self.link(path),
            target_id=target_id,
            inserted=self.now(),
            ends=ends,
            request_id=request_id,
            request=request,
        )
        self.operations[found.name] = found
        return found

    def shown(self, operation: Operation) -> dict[str, Any]:
        """An operation as the API writes it now."""
        is_done = operation.ends <= self.now()
        scope, place = operation.scope.split("/")
        body: dict[str, Any] = {
            "kind": "compute#operation",
            "id": str(operation.number),
            "name": operation.name,
            "operationType": operation.kind,
            "targetLink": operation.target,
            "targetId": operation.target_id,
            "user": operation.user,
            "insertTime": stamp(operation.inserted),
            "startTime": stamp(operation.inserted),
            "status": "DONE" if is_done else "RUNNING",
            "progress": 100 if is_done else 0,
            scope.removesuffix("s"): self.link(f"{scope}/{place}"),
            "selfLink": self.link(f"{operation.scope}/operations/{operation.name}"),
        }
        if operation.request_id:
            body["clientOperationId"] = operation.request_id
        if is_done:
            body["endTime"] = stamp(operation.ends)
            if operation.errors:
                body |= {"error": {"errors": operation.errors}, "httpErrorStatusCode": 503,
                         "httpErrorMessage": "SERVICE UNAVAILABLE"}  # fmt: skip
        return body

    def usage(self, region: str) -> Counter[str]:
        """What each quota of a region counts now, of the metrics that the rig knows."""
        used: Counter[str] = Counter()
        spot_limit = self.quotas.get((region, "PREEMPTIBLE_CPUS"))
        for machine in self.machines.values():
            if region_of(machine.zone) != region or machine.resource["status"] == "TERMINATED":
                continue
            for metric, amount in _taken(machine.machine_type, machine.is_spot, spot_limit):
                used[metric] += amount
        return used

    def _by_the_cloud(self, kind: str, machine: Machine, now: datetime) -> None:
        path = f"zones/{machine.zone}/instances/{machine.resource['name']}"
        made = self.operation(kind, machine.zone, path, machine.resource["id"], now)
        made.user = "system"

    def _refusal(self, zone: str, machine_type: str, spot: bool) -> tuple[str, str] | None:
        """Code and subject of why there is no machine, None where there is one."""
        if self.failing:
            return self.failing.pop(0), machine_type
        region = region_of(zone)
        if any(place == region for place, _ in self.quotas):
            used = self.usage(region)
            spot_limit = self.quotas.get((region, "PREEMPTIBLE_CPUS"))
            for metric, amount in _taken(machine_type, spot, spot_limit):
                limit = self.quotas.get((region, metric))
                if limit is not None and used[metric] + amount > limit:
                    return "QUOTA_EXCEEDED", metric
        room = self.room.get((zone, machine_type, "SPOT" if spot else "STANDARD"))
        if room is not None:
            there = sum(
                (one.zone, one.machine_type, one.is_spot) == (zone, machine_type, spot)
                for one in self.machines.values()
            )
            if there >= room:
                return "ZONE_RESOURCE_POOL_EXHAUSTED", machine_type
        return None

    def _error(self, zone: str, code: str, subject: str) -> dict[str, Any]:
        if code == "QUOTA_EXCEEDED":
            region = region_of(zone)
            limit = self.quotas[region, subject]
            quota = {"metricName": f"compute.googleapis.com/{subject.lower()}",
                     "limitName": f"{subject}-per-project-region", "limit": limit,
                     "dimensions": {"region": region}}  # fmt: skip
            return {
                "code": code,
                "message": f"Quota '{subject}' exceeded.  Limit: {limit} in region {region}.",
                "errorDetails": [{"quotaInfo": quota}],
            }
        where = self.link(f"zones/{zone}")
        if code != "ZONE_RESOURCE_POOL_EXHAUSTED":
            return {"code": code, "message": f"{code} of {subject}"}
        return {
            "code": code,
            "message": f"The zone '{where}' does not have enough resources available to fulfill "
            "the request.  Try a different zone, or try again later.",
        }

    def _next(self) -> str:
        self._number += 1
        return str(self._number)


def _taken(machine_type: str, spot: bool, spot_limit: float | None) -> Iterator[tuple[str, float]]:
    """The quotas that a machine counts against; without one of their own spot machines count
    against that of the others."""
    sold = MACHINE_TYPES[machine_type]
    if spot and spot_limit != 0:
        yield "PREEMPTIBLE_CPUS", sold.vcpus
    else:
        yield sold.metric, sold.vcpus
    yield "INSTANCES", 1


def known_zones() -> tuple[str, ...]:
    """Every zone of the rig, in the order of their names."""
    return tuple(sorted(ZONES))
