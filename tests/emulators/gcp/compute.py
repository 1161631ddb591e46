"""The methods of Compute Engine that the rig does, on the machines of a project."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.emulators.gcp.advice import capacity_advice, capacity_history
from tests.emulators.gcp.filters import WrongFilter, parsed
from tests.emulators.gcp.machines import Machine, Operation, Project, known_zones
from tests.emulators.gcp.stock import (
    ACCELERATOR_TYPES,
    MACHINE_TYPES,
    ZONES,
    region_of,
    sold_in,
)


class Refused(Exception):
    """A call that is answered with an error: HTTP status and reason."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the document allows: the values in its path, its query, its body."""

    path: dict[str, str]
    query: dict[str, str]
    body: Any


class Compute:
    """Method id -> what it does with a call."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.hidden_scopes: set[str] = set()
        """Zones that aggregated lists cannot reach and answer with a warning for."""
        self.commitments: list[tuple[str, dict[str, Any]]] = []
        """By region."""
        self.reservations: list[tuple[str, dict[str, Any]]] = []
        """By zone."""
        self.prices: dict[str, list[tuple[str, str, float]]] = {}
        self.preemptions: dict[str, list[tuple[str, str, float]]] = {}
        self.uptimes: dict[str, tuple[float, float]] = {}
        self.methods: dict[str, Callable[[Call], dict[str, Any]]] = {
            "compute.instances.insert": self._insert,
            "compute.instances.bulkInsert": self._bulk_insert,
            "compute.instances.get": self._get,
            "compute.instances.list": self._list,
            "compute.instances.aggregatedList": self._aggregated,
            "compute.instances.delete": self._delete,
            "compute.instances.setLabels": self._set_labels,
            "compute.zoneOperations.get": self._operation,
            "compute.zoneOperations.wait": self._operation,
            "compute.zoneOperations.list": self._operations,
            "compute.globalOperations.aggregatedList": self._aggregated_operations,
            "compute.machineTypes.list": self._machine_types,
            "compute.acceleratorTypes.list": self._accelerator_types,
            "compute.zones.list": self._zones,
            "compute.regions.get": self._region,
            "compute.regionCommitments.aggregatedList": self._aggregated_commitments,
            "compute.reservations.aggregatedList": self._aggregated_reservations,
            "compute.advice.capacity": self._advice,
            "compute.advice.capacityHistory": self._history,
        }

    def is_over(self, zone: str, operation: str) -> bool:
        """True where a `wait` for an operation has its answer."""
        found = self.project.operations.get(operation)
        return found is None or found.ends <= self.project.now() or f"zones/{zone}" != found.scope

    def _insert(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        known = self._replayed(call.query, call.body, "insert")
        if known is not None:
            return self.project.shown(known)
        self._check_machine(zone, call.body)
        if (zone, call.body["name"]) in self.project.machines:
            raise Refused(
                409, "alreadyExists", f"The resource '{call.body['name']}' already exists"
            )
        made = self.project.insert(zone, call.body, call.query.get("requestId", ""))
        return self.project.shown(made)

    def _bulk_insert(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        known = self._replayed(call.query, call.body, "bulkInsert")
        if known is not None:
            return self.project.shown(known)
        names = list(call.body.get("perInstanceProperties", {}))
        if len(names) != int(call.body.get("count", len(names))):
            raise Refused(400, "invalid", "count is not the number of perInstanceProperties")
        properties = call.body["instanceProperties"]
        made: list[Operation] = []
        for name in names:
            one = {**properties, "name": name}
            one["machineType"] = f"zones/{zone}/machineTypes/{properties['machineType']}"
            self._check_machine(zone, one)
            made.append(self.project.insert(zone, one, ""))
        ends = max((one.ends for one in made), default=self.project.now())
        whole = self.project.operation(
            "bulkInsert",
            zone,
            f"zones/{zone}",
            "0",
            ends,
            call.query.get("requestId", ""),
            call.body,
        )
        return self.project.shown(whole)

    def _check_machine(self, zone: str, body: Mapping[str, Any]) -> None:
        name = str(body.get("machineType", "")).rpartition("/")[2]
        if f"zones/{zone}/machineTypes/" not in str(body.get("machineType")):
            raise Refused(400, "invalid", "Invalid value for field 'resource.machineType'")
        if name not in sold_in(zone):
            message = f"Invalid value for field 'resource.machineType': '{name}' does not exist"
            raise Refused(400, "invalid", message)
        if not body.get("disks") or not body.get("networkInterfaces"):
            raise Refused(400, "required", "At least one disk and one network are required")
        for key, value in body.get("labels", {}).items():
            if len(key) > 63 or len(value) > 63 or key != key.lower() or value != value.lower():
                raise Refused(400, "invalid", f"Invalid label {key!r}: {value!r}")
        scheduling = body.get("scheduling", {})
        if scheduling.get("provisioningModel") == "SPOT" and (
            scheduling.get("automaticRestart", True)
            or scheduling.get("onHostMaintenance") != "TERMINATE"
        ):
            raise Refused(400, "invalid", "Spot VMs cannot be restarted or migrated")
        has_gpus = body.get("guestAccelerators") or MACHINE_TYPES[name].accelerators
        if has_gpus and scheduling.get("onHostMaintenance") != "TERMINATE":
            raise Refused(400, "invalid", "Instances with guest accelerators do not migrate")

    def _replayed(self, query: Mapping[str, str], body: Any, kind: str) -> Operation | None:
        """The operation that a request id was used for before; another body is refused."""
        request_id = query.get("requestId", "")
        if not request_id:
            return None
        try:
            uuid.UUID(request_id)
        except ValueError as error:
            raise Refused(400, "invalid", f"{request_id!r} is no UUID") from error
        for known in self.project.operations.values():
            if known.request_id == request_id:
                if known.kind != kind or known.request != body:
                    raise Refused(409, "conflict", "The request ID was used for another request")
                return known
        return None

    def _get(self, call: Call) -> dict[str, Any]:
        return dict(self._machine(call.path).resource)

    def _list(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        items, token = _page(call.query, self._shown_machines(zone))
        return _listed("instanceList", f"zones/{zone}/instances", items, token)

    def _aggregated(self, call: Call) -> dict[str, Any]:
        there = [(zone, one) for zone in known_zones() for one in self._shown_machines(zone)]
        return self._aggregate("instanceAggregatedList", "instances", call.query, there)

    def _shown_machines(self, zone: str) -> list[dict[str, Any]]:
        return [
            dict(one.resource)
            for (at, _), one in sorted(self.project.machines.items())
            if at == zone and not (self.project.hides_new and one.resource["status"] != "RUNNING")
        ]

    def _delete(self, call: Call) -> dict[str, Any]:
        known = self._replayed(call.query, None, "delete")
        if known is not None:
            return self.project.shown(known)
        machine = self._machine(call.path)
        return self.project.shown(self.project.delete(machine, call.query.get("requestId", "")))

    def _set_labels(self, call: Call) -> dict[str, Any]:
        machine = self._machine(call.path)
        if call.body.get("labelFingerprint") != machine.resource["labelFingerprint"]:
            raise Refused(412, "conditionNotMet", "Labels fingerprint either invalid or old")
        labels = dict(call.body.get("labels", {}))
        digest = hashlib.sha256(repr(sorted(labels.items())).encode()).digest()[:8]
        machine.resource |= {
            "labels": labels,
            "labelFingerprint": base64.b64encode(digest).decode(),
        }
        target = f"zones/{machine.zone}/instances/{machine.resource['name']}"
        made = self.project.operation(
            "setLabels", machine.zone, target, machine.resource["id"], self.project.now()
        )
        return self.project.shown(made)

    def _operation(self, call: Call) -> dict[str, Any]:
        found = self.project.operations.get(call.path["operation"])
        if found is None or found.scope != f"zones/{call.path['zone']}":
            raise Refused(404, "notFound", f"The resource '{call.path['operation']}' was not found")
        return self.project.shown(found)

    def _operations(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        found = [one for at, one in self._shown_operations() if at == zone]
        items, token = _page(call.query, found)
        return _listed("operationList", f"zones/{zone}/operations", items, token)

    def _aggregated_operations(self, call: Call) -> dict[str, Any]:
        found = self._shown_operations()
        return self._aggregate("operationAggregatedList", "operations", call.query, found)

    def _aggregated_commitments(self, call: Call) -> dict[str, Any]:
        """By region, with the same warnings as a list by zone."""
        regions = sorted({region_of(zone) for zone in known_zones()})
        return self._aggregate(
            "commitmentAggregatedList", "commitments", call.query, self.commitments,
            [("regions", region) for region in regions],
        )  # fmt: skip

    def _aggregated_reservations(self, call: Call) -> dict[str, Any]:
        return self._aggregate(
            "reservationAggregatedList", "reservations", call.query, self.reservations
        )

    def _shown_operations(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (one.scope.removeprefix("zones/"), self.project.shown(one))
            for one in self.project.operations.values()
        ]

    def _machine_types(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        items, token = _page(call.query, [self._machine_type(zone, name) for name in sold_in(zone)])
        return _listed("machineTypeList", f"zones/{zone}/machineTypes", items, token)

    def _machine_type(self, zone: str, name: str) -> dict[str, Any]:
        sold = MACHINE_TYPES[name]
        shown: dict[str, Any] = {
            "kind": "compute#machineType",
            "id": str(1000 + sorted(MACHINE_TYPES).index(name)),
            "name": name,
            "zone": zone,
            "guestCpus": sold.vcpus,
            "memoryMb": sold.memory_mb,
            "isSharedCpu": name.startswith("e2-micro"),
            "selfLink": self.project.link(f"zones/{zone}/machineTypes/{name}"),
        }
        if sold.architecture:
            shown["architecture"] = sold.architecture
        if sold.accelerators:
            shown["accelerators"] = [
                {"guestAcceleratorType": sold.accelerator, "guestAcceleratorCount": 1}
            ]
        if sold.deprecated:
            shown["deprecated"] = {"state": "DEPRECATED"}
        return shown

    def _accelerator_types(self, call: Call) -> dict[str, Any]:
        zone = self._zone(call.path)
        found = [
            {"kind": "compute#acceleratorType", "name": name, "maximumCardsPerInstance": most,
             "zone": zone}
            for name, most in sorted(ACCELERATOR_TYPES.get(zone, {}).items())
        ]  # fmt: skip
        items, token = _page(call.query, found)
        return _listed("acceleratorTypeList", f"zones/{zone}/acceleratorTypes", items, token)

    def _zones(self, call: Call) -> dict[str, Any]:
        found = [
            {"kind": "compute#zone", "name": zone,
             "status": "DOWN" if zone in self.project.down else "UP",
             "region": self.project.link(f"regions/{region_of(zone)}")}
            for zone in known_zones()
        ]  # fmt: skip
        items, token = _page(call.query, found)
        return _listed("zoneList", "zones", items, token)

    def _region(self, call: Call) -> dict[str, Any]:
        region = call.path["region"]
        if region not in {region_of(zone) for zone in ZONES}:
            raise Refused(404, "notFound", f"The resource '{region}' was not found")
        used = self.project.usage(region)
        quotas = [
            {"metric": metric, "limit": limit, "usage": float(used[metric])}
            for (place, metric), limit in sorted(self.project.quotas.items())
            if place == region
        ]
        return {"kind": "compute#region", "name": region, "status": "UP", "quotas": quotas}

    def _advice(self, call: Call) -> dict[str, Any]:
        return capacity_advice(call.body, call.path["region"], self.uptimes)

    def _history(self, call: Call) -> dict[str, Any]:
        scheduling = call.body.get("instanceProperties", {}).get("scheduling", {})
        if scheduling.get("provisioningModel") != "SPOT":
            raise Refused(400, "invalid", "provisioningModel must be SPOT")
        return capacity_history(call.body, call.path["region"], self.prices, self.preemptions)

    def _zone(self, path: Mapping[str, str]) -> str:
        if path["zone"] not in ZONES:
            raise Refused(404, "notFound", f"The resource 'zones/{path['zone']}' was not found")
        return path["zone"]

    def _machine(self, path: Mapping[str, str]) -> Machine:
        found = self.project.machines.get((self._zone(path), path["instance"]))
        if found is None:
            raise Refused(404, "notFound", f"The resource '{path['instance']}' was not found")
        return found

    def _aggregate(
        self,
        kind: str,
        name: str,
        query: dict[str, str],
        there: Iterable[tuple[str, dict[str, Any]]],
        places: Sequence[tuple[str, str]] = (),
    ) -> dict[str, Any]:
        """A list by zone, or by other places: empty ones carry a warning, as do those that cannot
        be reached."""
        marked = [{**one, "_zone": zone} for zone, one in there if zone not in self.hidden_scopes]
        items, token = _page(query, marked)
        scopes: dict[str, Any] = {}
        for of, place in places or [("zones", zone) for zone in known_zones()]:
            here = [_unmarked(one) for one in items if one["_zone"] == place]
            scope = f"{of}/{place}"
            if place in self.hidden_scopes:
                scopes[scope] = _warning("UNREACHABLE", scope)
            else:
                scopes[scope] = {name: here} if here else _warning("NO_RESULTS_ON_PAGE", scope)
        found = {"kind": f"compute#{kind}", "id": f"aggregated/{name}", "items": scopes}
        if self.hidden_scopes:
            there_are = places or [("zones", zone) for zone in known_zones()]
            found["unreachables"] = [
                f"{of}/{place}" for of, place in there_are if place in self.hidden_scopes
            ]
        return found | ({"nextPageToken": token} if token else {})


def _unmarked(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "_zone"}


def _warning(code: str, scope: str) -> dict[str, Any]:
    data = [{"key": "scope", "value": scope}]
    return {"warning": {"code": code, "message": f"{code} of {scope}", "data": data}}


def _listed(
    kind: str, found_id: str, items: Sequence[dict[str, Any]], token: str
) -> dict[str, Any]:
    body = {"kind": f"compute#{kind}", "id": found_id, "items": list(items)}
    return body | ({"nextPageToken": token} if token else {})


def _page(
    query: Mapping[str, str], found: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], str]:
    """The page that a query asks for and the token of the next, '' for none."""
    try:
        takes = parsed(query.get("filter", ""))
    except WrongFilter as error:
        raise Refused(400, "invalid", f"Invalid value for field 'filter': {error}") from error
    order = query.get("orderBy", "name")
    if order not in ("name", "creationTimestamp desc"):
        raise Refused(400, "invalid", f"Invalid value for field 'orderBy': {order!r}")
    kept = [one for one in found if takes(one)]
    if order != "name":
        kept.reverse()
    first = int(base64.urlsafe_b64decode(query["pageToken"])) if "pageToken" in query else 0
    last = first + (int(query.get("maxResults", 500)) or 500)
    token = base64.urlsafe_b64encode(str(last).encode()).decode() if last < len(kept) else ""
    return kept[first:last], token
