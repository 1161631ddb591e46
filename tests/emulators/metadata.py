"""The metadata services of three clouds on this computer, as machines and their agents ask them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

LONGEST_WAIT_SECONDS = 5.0
TOKEN = "a session's".replace(" ", "-")


@dataclass
class Machine:
    """What the service says of the machine it is on; tests change it while it runs."""

    values: dict[str, str] = field(default_factory=dict)
    reclaim_at: datetime | None = None
    rebalance_at: datetime | None = None
    maintenance_at: datetime | None = None
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Requests that no real service would answer: must stay empty."""
    address: str = ""


class _Handler(RequestHandler):
    def initialize(self, machine: Machine) -> None:
        self.machine = machine

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish(str(status_code))

    def value(self, path: str) -> str:
        """What is configured under a path; refuses a path that the service does not know."""
        if path not in self.machine.values:
            self.refuse(404)
        return self.machine.values[path]

    def refuse(self, status: int) -> None:
        self.machine.refused.append(f"{self.request.method} {self.request.uri}: {status}")
        raise HTTPError(status)

    def need(self, header: str, value: str) -> None:
        if self.request.headers.get(header) != value:
            self.refuse(401)


class AwsToken(_Handler):
    def put(self) -> None:
        if not self.request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
            self.refuse(400)
        self.finish(TOKEN)


class AwsData(_Handler):
    def get(self, path: str) -> None:
        self.need("X-aws-ec2-metadata-token", TOKEN)
        machine = self.machine
        match path:
            case "spot/instance-action":
                self._or_absent(machine.reclaim_at, lambda at: {"action": "terminate", "time": at})
            case "events/recommendations/rebalance":
                self._or_absent(machine.rebalance_at, lambda at: {"noticeTime": at})
            case "events/maintenance/scheduled":
                at = machine.maintenance_at
                event = {"NotBefore": f"{at:%d %b %Y %H:%M:%S} GMT", "EventId": "event-1",
                         "Code": "system-reboot", "State": "active"} if at else None  # fmt: skip
                self.finish(json.dumps([event] if event else []))
            case _:
                self.finish(self.value(path))

    def _or_absent(self, at: datetime | None, body: Any) -> None:
        if at is None:
            raise HTTPError(404)
        self.finish(json.dumps(body(at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))))


class GcpData(_Handler):
    async def get(self, path: str) -> None:
        self.need("Metadata-Flavor", "Google")
        if path == "instance/preempted":
            await self._preempted()
        elif path == "instance/maintenance-event":
            upkeep = self.machine.maintenance_at is not None
            self.finish("TERMINATE_ON_HOST_MAINTENANCE" if upkeep else "NONE")
        else:
            self.finish(self.value(path))

    async def _preempted(self) -> None:
        loop = asyncio.get_running_loop()
        wait = float(self.get_argument("timeout_sec", "0"))
        until = loop.time() + min(wait, LONGEST_WAIT_SECONDS)
        told = self.get_argument("last_etag", "")
        while self._state() == told and loop.time() < until:
            await asyncio.sleep(0.02)
        self.set_header("ETag", self._state())
        self.finish("FALSE" if self.machine.reclaim_at is None else "TRUE")

    def _state(self) -> str:
        return "none" if self.machine.reclaim_at is None else "taken"


class AzureEvents(_Handler):
    def prepare(self) -> None:
        self.need("Metadata", "true")
        if self.get_argument("api-version", "") != "2020-07-01":
            self.refuse(400)

    def get(self) -> None:
        events = []
        for kind, at in (
            ("Preempt", self.machine.reclaim_at),
            ("Reboot", self.machine.maintenance_at),
        ):
            if at is not None:
                events.append(
                    {
                        "EventId": f"event-{kind}",
                        "EventType": kind,
                        "ResourceType": "VirtualMachine",
                        "Resources": [self.machine.values["name"]],
                        "EventStatus": "Scheduled",
                        "NotBefore": format_datetime(at.astimezone(UTC), usegmt=True),
                    }
                )
        self.finish(json.dumps({"DocumentIncarnation": len(events), "Events": events}))

    def post(self) -> None:
        asked = json.loads(self.request.body)["StartRequests"]
        self.machine.acknowledged.extend(one["EventId"] for one in asked)


class AzureData(_Handler):
    def get(self, name: str) -> None:
        self.need("Metadata", "true")
        if self.get_argument("format", "") != "text":
            self.refuse(400)
        self.finish(self.value(name))


ROUTES = {
    "aws": ((r"/latest/api/token", AwsToken), (r"/latest/meta-data/(.+)", AwsData)),
    "gcp": ((r"/computeMetadata/v1/(.+)", GcpData),),
    "azure": (
        (r"/metadata/scheduledevents", AzureEvents),
        (r"/metadata/instance/compute/(.+)", AzureData),
    ),
}


def values_of(cloud: str, name: str, zone: str, kind: str, *, is_spot: bool) -> dict[str, str]:
    """What a cloud's service says of a machine of a zone (as costplan names it) and type."""
    match cloud:
        case "aws":
            return {
                "instance-id": name,
                "instance-type": kind,
                "placement/availability-zone": zone,
                "placement/region": zone[:-1],
                "instance-life-cycle": "spot" if is_spot else "on-demand",
            }
        case "gcp":
            return {
                "instance/name": name,
                "instance/machine-type": f"projects/7/machineTypes/{kind}",
                "instance/zone": f"projects/7/zones/{zone}",
                "instance/scheduling/preemptible": "TRUE" if is_spot else "FALSE",
            }
        case "azure":
            location, _, number = zone.rpartition("-")
            return {
                "name": name,
                "vmSize": kind,
                "location": location,
                "zone": number,
                "priority": "Spot" if is_spot else "Regular",
            }
        case _:
            raise ValueError(f"no cloud: {cloud}")


VALUES = {
    "aws": values_of("aws", "i-0001", "us-east-1a", "m5.large", is_spot=True),
    "gcp": values_of("gcp", "n-0001", "us-central1-a", "n2-standard-2", is_spot=True),
    "azure": values_of("azure", "n-0001", "westeurope-1", "Standard_D2s_v5", is_spot=True),
}


class Service:
    """The metadata services of machines of one cloud, each under a path of its own."""

    def __init__(self, cloud: str) -> None:
        self.cloud = cloud
        self.machines: list[Machine] = []
        sockets = bind_sockets(0, "127.0.0.1")
        self._url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._server = HTTPServer(Application())
        self._thread = threading.Thread(target=self._serve, args=(sockets,), daemon=True)
        self._thread.start()

    def add(self, values: Mapping[str, str], path: str = "") -> Machine:
        """A machine with these values, whose service is at its `address`."""
        machine = Machine(values=dict(values), address=self._url + path)
        routes = [
            (re.escape(path) + route, handler, {"machine": machine})
            for route, handler in ROUTES[self.cloud]
        ]
        self.machines.append(machine)
        self._call(lambda: self._server.request_callback.add_handlers(".*", routes))
        return machine

    def close(self) -> None:
        """Ends all; raises AssertionError where something was asked for that no service has."""
        self._call(self._server.stop)
        asyncio.run_coroutine_threadsafe(self._server.close_all_connections(), self._loop).result(
            10
        )
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        refused = [one for machine in self.machines for one in machine.refused]
        assert not refused, f"asked for what no metadata service has: {refused}"

    def _call(self, what: Callable[[], None]) -> None:
        async def called() -> None:
            what()

        asyncio.run_coroutine_threadsafe(called(), self._loop).result(10)

    def _serve(self, sockets: list[socket.socket]) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._server.add_sockets, sockets)
        self._loop.run_forever()


@contextmanager
def metadata(cloud: str) -> Iterator[Machine]:
    """The service of one machine of a cloud, at `Machine.address` until the block ends."""
    service = Service(cloud)
    try:
        yield service.add(VALUES[cloud])
    finally:
        service.close()
