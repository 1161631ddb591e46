"""The rig of Azure as a TLS server on localhost, in a thread of its own, with a record of calls.

A test that ends with `violations` or `unimplemented` not empty has found a body or an answer that
the models do not allow, or a call that the rig does not have.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.emulators.azure.answers import cut_off, error, not_found, refused
from tests.emulators.azure.commitments import HELD, HELD_ROUTES
from tests.emulators.azure.machines import SIZES, Group
from tests.emulators.azure.models import wrong
from tests.emulators.azure.records import graph_page, log_page, prices_page
from tests.emulators.gcp.faults import Faults

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
API_VERSION = "2026-04-01"
_COMPUTE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute"
_LOCATION = "/subscriptions/{subscription}/providers/Microsoft.Compute"
_LOG = "/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values"
_PERMISSIONS = _COMPUTE.replace("Compute", "Authorization") + "/permissions"
_OPEN = ("retailPrices.list", "identity.token")
"""Calls that no token is sent with."""


@cache
def authority() -> trustme.CA:
    """Who signs the rig's certificate; made once, because that takes a while."""
    return trustme.CA()


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is let in, and its body."""

    request: Request
    body: Any


class AzureRig:
    """One subscription of a fake Azure, with one resource group. All state is under one lock."""

    def __init__(self, group: str = "ours", location: str = "eastus") -> None:
        self.group = Group(SUBSCRIPTION, group, location)
        self.faults = Faults()
        self.prices: list[dict[str, Any]] = []
        self.reservations: list[dict[str, Any]] = []
        self.savings_plans: list[dict[str, Any]] = []
        self.ratios: dict[str, tuple[str, str]] = {}
        """Of the catalogue: the group of each size, and its units in it."""
        self.restrictions: dict[str, list[dict[str, Any]]] = {}
        self.eviction_rates: dict[str, str] = {}
        self.largest_page = 100
        self.roles: list[dict[str, list[str]]] = [{"actions": ["*"], "notActions": []}]
        """What the caller may do in the resource group."""
        self.lock = threading.RLock()
        self.calls: Counter[str] = Counter()
        self.violations: list[str] = []
        self.unimplemented: list[str] = []
        self.tokens_accepted: set[str] | None = None
        """Bearer tokens that are let in; None lets everybody in."""
        self.endpoint = ""
        self.ca_file = Path()

    def check(self) -> None:
        """Raises AssertionError where anything was sent or answered that is not allowed."""
        assert self.violations == []
        assert self.unimplemented == []

    def routes(self) -> list[Route]:
        """Every call that the rig has."""
        machines = f"{_COMPUTE}/virtualMachines"
        known = [
            ("GET", machines, "virtualMachines.list"),
            ("GET", machines + "/{name}", "virtualMachines.get"),
            ("PUT", machines + "/{name}", "virtualMachines.createOrUpdate"),
            ("PATCH", machines + "/{name}", "virtualMachines.update"),
            ("DELETE", machines + "/{name}", "virtualMachines.delete"),
            ("POST", machines + "/{name}/simulateEviction", "virtualMachines.simulateEviction"),
            ("GET", _LOCATION + "/locations/{location}/operations/{number}", "operations.get"),
            ("GET", _LOCATION + "/locations/{location}/usages", "usage.list"),
            ("GET", _LOCATION + "/skus", "resourceSkus.list"),
            ("GET", _LOG, "activityLogs.list"),
            ("POST", "/providers/Microsoft.ResourceGraph/resources", "resourceGraph.resources"),
            ("GET", _PERMISSIONS, "permissions.list"),
            *HELD_ROUTES,
            ("GET", "/api/retail/prices", "retailPrices.list"),
            ("GET", "/msi/token", "identity.token"),
        ]
        found = [Route(path, self._answering(call), methods=[http]) for http, path, call in known]
        every = ["GET", "PUT", "PATCH", "POST", "DELETE"]
        return [*found, Route("/{path:path}", self._unknown, methods=every)]

    def _answering(self, call: str) -> Any:
        async def answer(request: Request) -> Response:
            raw = await request.body()
            self.calls[call] += 1
            text = f"{request.url.path}?{request.url.query} {raw.decode()}"
            fault = self.faults.take(call, text)
            if fault is not None and fault.latency_seconds:
                await asyncio.sleep(fault.latency_seconds)
            if fault is not None and fault.status and not fault.does_it:
                return refused(fault)
            with self.lock:
                done = self._done(call, request, json.loads(raw) if raw else None)
            if fault is not None and fault.then is not None:
                fault.then()
            if fault is not None and fault.is_lost:
                return cut_off()
            return done if fault is None or not fault.status else refused(fault)

        return answer

    async def _unknown(self, request: Request) -> Response:
        self.unimplemented.append(f"{request.method} {request.url.path}")
        return error(404, "NotFound", "no such route")

    def _done(self, call: str, request: Request, body: Any) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        is_arm = call not in _OPEN
        if is_arm and self.tokens_accepted is not None and bearer not in self.tokens_accepted:
            return error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if is_arm and "api-version" not in request.query_params:
            self.violations.append(f"{call}: no api-version")
            return error(400, "MissingApiVersionParameter", "api-version is required")
        if request.path_params.get("group", self.group.name) != self.group.name:
            return error(404, "ResourceGroupNotFound", "Resource group could not be found.")
        self.group.advance()
        if call in HELD:
            return HELD[call](self, request)
        does = getattr(self, f"_{call.replace('.', '_').lower()}")
        return does(Call(request, body))  # type: ignore[no-any-return]

    def _permissions_list(self, _: Call) -> Response:
        return JSONResponse({"value": self.roles})

    def _virtualmachines_list(self, call: Call) -> Response:
        every = [self._shown(name) for name in sorted(self.group.machines)]
        first = int(call.request.query_params.get("$skiptoken", 0))
        last = first + self.largest_page
        found: dict[str, Any] = {"value": every[first:last]}
        if last < len(every):
            again = f"api-version={API_VERSION}&$skiptoken={last}"
            found["nextLink"] = f"{self.endpoint}{call.request.url.path}?{again}"
        for place, one in enumerate(found["value"]):
            at = f"virtualMachines.list answers value[{place}]"
            self.violations += wrong("VirtualMachine", one, at, is_request=False)
        return JSONResponse(found)

    def _virtualmachines_get(self, call: Call) -> Response:
        name = call.request.path_params["name"]
        if name not in self.group.machines:
            return not_found(name)
        shown = self._shown(name)
        if call.request.query_params.get("$expand") == "instanceView":
            shown["properties"]["instanceView"] = self._view(name)
        at = "virtualMachines.get answers response"
        self.violations += wrong("VirtualMachine", shown, at, is_request=False)
        return JSONResponse(shown)

    def _virtualmachines_createorupdate(self, call: Call) -> Response:
        name = call.request.path_params["name"]
        complaints = wrong("VirtualMachine", call.body, "body", is_request=True)
        if complaints:
            self.violations += [f"virtualMachines.createOrUpdate: {one}" for one in complaints]
            return error(400, "InvalidParameter", "; ".join(complaints))
        if name in self.group.machines:
            if call.request.headers.get("if-none-match") == "*":
                return error(412, "PreconditionFailed", f"{name} is there already")
            return JSONResponse(self._shown(name))
        refused = self._refused_at_once(call.body)
        if refused is not None:
            return refused
        self.group.put(name, call.body)
        return JSONResponse(self._shown(name), 201, self._polled())

    def _refused_at_once(self, body: dict[str, Any]) -> Response | None:
        """What Azure says before it makes anything."""
        properties = body["properties"]
        size, zone = properties["hardwareProfile"]["vmSize"], (body.get("zones") or [""])[0]
        if size not in SIZES or body["location"] != self.group.location:
            return error(400, "InvalidParameter", f"The value {size} is invalid here")
        for need in ("storageProfile", "osProfile", "networkProfile"):
            if need not in properties:
                return error(400, "InvalidParameter", f"Required parameter '{need}' is missing")
        if (zone, size, properties.get("priority", "Regular")) in self.group.barred:
            return error(409, "SkuNotAvailable", f"{size} is currently not available")
        quota = self.group.over_quota(body)
        if quota is not None:
            said = f"Operation could not be completed as it results in exceeding approved {quota} "
            said += f"Cores quota. Current Limit: {self.group.quotas[quota]}"
            return error(409, "OperationNotAllowed", said)
        return None

    def _virtualmachines_update(self, call: Call) -> Response:
        name = call.request.path_params["name"]
        complaints = wrong("VirtualMachineUpdate", call.body, "body", is_request=True)
        if complaints:
            self.violations += [f"virtualMachines.update: {one}" for one in complaints]
            return error(400, "InvalidParameter", "; ".join(complaints))
        if name not in self.group.machines:
            return not_found(name)
        self.group.machines[name].resource["tags"] = dict(call.body.get("tags", {}))
        return JSONResponse(self._shown(name))

    def _virtualmachines_delete(self, call: Call) -> Response:
        machine = self.group.machines.get(call.request.path_params["name"])
        if machine is None:
            return Response(status_code=204)
        self.group.delete(machine)
        headers = self._polled()
        return Response(status_code=202, headers=headers | {
            "location": headers["azure-asyncoperation"]
        })  # fmt: skip

    def _virtualmachines_simulateeviction(self, call: Call) -> Response:
        name = call.request.path_params["name"]
        machine = self.group.machines.get(name)
        if machine is None:
            return not_found(name)
        if machine.pool[2] != "Spot":
            return error(409, "OperationNotAllowed", f"{name} is no spot machine")
        self.group.evict(name, 0.05)
        return Response(status_code=204)

    def _operations_get(self, call: Call) -> Response:
        operation = self.group.operations.get(call.request.path_params["number"])
        if operation is None:
            return error(404, "NotFound", "no such operation")
        found: dict[str, Any] = {
            "name": call.request.path_params["number"],
            "startTime": operation.started.isoformat(),
            "status": "InProgress",
        }
        if operation.ends <= self.group.clock():
            found |= {"status": "Succeeded", "endTime": operation.ends.isoformat()}
            if operation.error is not None:
                code, message = operation.error
                found |= {"status": "Failed", "error": {"code": code, "message": message}}
        return JSONResponse(found)

    def _usage_list(self, call: Call) -> Response:  # noqa: ARG002
        used = self.group.used()
        value = [
            {"unit": "Count", "currentValue": used[name], "limit": limit,
             "name": {"value": name, "localizedValue": name}}
            for name, limit in sorted(self.group.quotas.items())
        ]  # fmt: skip
        for one in value:
            self.violations += wrong("Usage", one, "usage.list answers", is_request=False)
        return JSONResponse({"value": value})

    def _resourceskus_list(self, call: Call) -> Response:
        where = self.group.location
        if call.request.query_params.get("$filter") != f"location eq '{where}'":
            return error(400, "InvalidParameter", "the filter is not understood")
        value = [
            {
                "resourceType": "virtualMachines",
                "name": name,
                "family": size.family,
                "locations": [where],
                "locationInfo": [{"location": where, "zones": ["1", "2", "3"]}],
                "capabilities": [
                    {"name": "vCPUs", "value": str(size.vcpus)},
                    {"name": "MemoryGB", "value": f"{size.gib:g}"},
                    {"name": "LowPriorityCapable", "value": "True"},
                    {"name": "CpuArchitectureType", "value": size.arch},
                    {"name": "GPUs", "value": size.gpus},
                ],
                "restrictions": self.restrictions.get(name, []),
            }
            for name, size in sorted(SIZES.items())
        ]
        value.append({"resourceType": "disks", "name": "Premium_LRS", "locations": [where]})
        for one in value:
            self.violations += wrong("ResourceSku", one, "resourceSkus answers", is_request=False)
        return JSONResponse({"value": value})

    def _retailprices_list(self, call: Call) -> Response:
        return prices_page(self, call.request.query_params)

    def _activitylogs_list(self, call: Call) -> Response:
        return log_page(self, call.request)

    def _resourcegraph_resources(self, call: Call) -> Response:
        return graph_page(self, call.request, call.body)

    def _identity_token(self, call: Call) -> Response:
        """What a machine with an identity is told of itself."""
        if "x-identity-header" not in call.request.headers:
            return error(400, "BadRequest", "no X-IDENTITY-HEADER")
        resource = call.request.query_params.get("resource", "")
        found = {"access_token": "t", "expires_on": str(int(time.time()) + 86400)}
        return JSONResponse({**found, "resource": resource, "token_type": "Bearer"})

    def _shown(self, name: str) -> dict[str, Any]:
        resource = self.group.machines[name].resource
        return {**resource, "properties": dict(resource["properties"])}

    def _view(self, name: str) -> dict[str, Any]:
        machine = self.group.machines[name]
        state = machine.resource["properties"]["provisioningState"]
        statuses = [{"code": f"ProvisioningState/{state.lower()}", "level": "Info"}]
        if state == "Failed" and machine.error is not None:
            code, message = machine.error
            statuses = [{"code": f"ProvisioningState/failed/{code}", "level": "Error",
                         "message": message}]  # fmt: skip
        if state == "Succeeded":
            statuses.append({"code": f"PowerState/{machine.power}", "level": "Info"})
        return {"statuses": statuses}

    def _polled(self) -> dict[str, str]:
        """Where the newest operation is asked for."""
        number = list(self.group.operations)[-1]
        path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute"
        where = f"{path}/locations/{self.group.location}/operations/{number}"
        return {"azure-asyncoperation": f"{self.endpoint}{where}?api-version={API_VERSION}"}


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the tests."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cuts connections off: a caller who keeps one would be asked to close it, and waited
        for, by a loop that has ended."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # type: ignore[union-attr]
        await super().shutdown(sockets)
        for _ in range(10):
            await asyncio.sleep(0)


@contextmanager
def serving(rig: AzureRig, folder: Path) -> Iterator[AzureRig]:
    """The rig on a free port of localhost while the block runs; `ca_file` is put into a folder."""
    # Said to be TCP, or asyncio does not switch off the wait of 40 ms for more to send.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    rig.endpoint = f"https://localhost:{listening.getsockname()[1]}"
    rig.ca_file = folder / "ca.pem"
    authority().cert_pem.write_to_path(str(rig.ca_file))
    pair = folder / "server.pem"
    authority().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pair))
    config = uvicorn.Config(
        Starlette(routes=rig.routes()), log_level="critical", lifespan="off",
        timeout_graceful_shutdown=1, ssl_certfile=str(pair), ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )  # fmt: skip
    server = _Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield rig
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive(), "the rig does not end"
