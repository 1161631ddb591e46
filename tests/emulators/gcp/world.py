"""The rig and the adapter put together: what a test of the provider starts from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Event
from typing import Any

from costplan.adapters import conformance
from costplan.adapters.gcp.clients import Clients, anonymous
from costplan.adapters.gcp.provider import GcpProvider
from costplan.adapters.gcp.settings import GcpSettings
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market, OfferKey
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.server import GcpRig, serving
from tests.emulators.gcp.stock import region_of

INSERT = "compute.instances.insert"
DEADLINE_SECONDS = 60.0
SETTINGS = GcpSettings(
    project="our-project",
    zones=("us-central1-a", "us-central1-b"),
    images={
        "x86_64": "projects/our-project/global/images/family/dask",
        "arm64": "projects/our-project/global/images/family/dask-arm",
    },
    subnets={"us-central1": "ours"},
    service_account="node@our-project.iam.gserviceaccount.com",
    network_tags=("dask",),
    settle_seconds=2.0,
    timeout_seconds=30.0,
    stop_seconds=2.0,
)


def key(
    instance_type: str = "n2-standard-4",
    zone: str = "us-central1-a",
    market: Market = Market.ON_DEMAND,
) -> OfferKey:
    """An offer of the rig."""
    return OfferKey(
        provider="gcp",
        region=region_of(zone),
        zone=zone,
        instance_type=instance_type,
        market=market,
    )


def startup(request: LaunchRequest, offer: OfferKey) -> str:
    """What a machine would do first."""
    return f"#!/bin/sh\necho {request.node_id} {offer.instance_type}\n"


class GcpWorld:
    """A project of the rig as the world of the conformance checks."""

    cluster = "ours"
    keys = (key(market=Market.SPOT), key("n2-standard-8", "us-central1-b", Market.SPOT))

    def __init__(self, rig: GcpRig) -> None:
        self.rig = rig
        rig.project.room["us-central1-a", "c2-standard-4", "SPOT"] = 0

    def provider(
        self,
        cluster: str = "ours",
        settings: GcpSettings = SETTINGS,
        clock: Callable[[], datetime] | None = None,
        credentials: Any = None,
    ) -> GcpProvider:
        """The adapter on this rig."""
        clients = self.clients(credentials, settings.timeout_seconds)
        return GcpProvider(clients, settings, cluster, startup, clock or self.now)

    def clients(self, credentials: Any = None, timeout_seconds: float = 30.0) -> Clients:
        """Clients of this rig."""
        return Clients(
            timeout_seconds=timeout_seconds,
            credentials=anonymous() if credentials is None else credentials,
            endpoint=self.rig.endpoint,
        )

    def make_provider(self) -> GcpProvider:
        return self.provider()

    def make_unreachable(self) -> GcpProvider:
        clients = Clients(
            timeout_seconds=1.0, credentials=anonymous(), endpoint="http://127.0.0.1:1"
        )
        return GcpProvider(clients, SETTINGS, self.cluster, startup, self.now)

    def make_stranger(self) -> tuple[GcpProvider, str]:
        return self.provider("theirs"), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:
        return (
            WorkerSpec(name=f"{node_id}-0", shape="w", threads=1, memory_bytes=1, resources={}),
        )

    def now(self) -> datetime:
        return self.rig.project.now()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise conformance.ContractBroken(f"never: {what}")
            Event().wait(0.02)

    def sold_out(self) -> OfferKey:
        return key("c2-standard-4", market=Market.SPOT)

    def losing_answer(self) -> OfferKey:
        self.rig.faults.add(Fault(method=INSERT, where="n2-highmem-4", is_lost=True))
        return key("n2-highmem-4", market=Market.SPOT)

    def throttling(self) -> OfferKey:
        fault = Fault(method=INSERT, where="n2d-standard-4", status=429, reason="rateLimitExceeded")
        self.rig.faults.add(fault)
        return key("n2d-standard-4", market=Market.SPOT)

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        with self.rig.lock:
            self.rig.project.preempt(*provider_id.split("/"), notice_seconds or 0.0)

    def break_down(self, provider_id: str) -> None:
        with self.rig.lock:
            self.rig.project.shut_down(*provider_id.split("/"))


@contextmanager
def gcp_world() -> Iterator[GcpWorld]:
    """A world that must not have seen anything that the cloud's documents do not allow."""
    with serving(GcpRig()) as rig:
        yield GcpWorld(rig)
        rig.check()


def request(
    token: str = "token-a",  # noqa: S107 - names a launch and opens nothing
    *keys: OfferKey,
    **changes: Any,
) -> LaunchRequest:
    """A request for one machine of our cluster."""
    made = LaunchRequest(
        token=token,
        node_id=f"node-{token}",
        cluster="ours",
        keys=keys or (GcpWorld.keys[0],),
        workers=(),
        tags={"owner": "tests"},
    )
    return replace(made, **changes)
