"""The rig and the adapter put together: what a test of the provider starts from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from azure.core.credentials import AccessToken

from costplan.adapters import conformance
from costplan.adapters.azure.clients import Clients
from costplan.adapters.azure.provider import AzureProvider
from costplan.adapters.azure.settings import AzureSettings
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from costplan.planner.types import Market, OfferKey
from tests.emulators.azure.server import SUBSCRIPTION, AzureRig, serving
from tests.emulators.gcp.faults import Fault

CREATE = "virtualMachines.createOrUpdate"
DEADLINE_SECONDS = 60.0
NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network"
SETTINGS = AzureSettings(
    subscription=SUBSCRIPTION,
    resource_group="ours",
    location="eastus",
    zones=("eastus-1", "eastus-2"),
    images={
        "x86_64": "Canonical:ubuntu-24_04-lts:server:latest",
        "arm64": "/CommunityGalleries/dask-1/Images/dask-arm/Versions/latest",
    },
    subnet=f"{NETWORK}/virtualNetworks/ours/subnets/workers",
    ssh_key="ssh-ed25519 AAAA nobody",
    security_group=f"{NETWORK}/networkSecurityGroups/workers",
    identity="/subscriptions/s/resourceGroups/ours/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/worker",
    settle_seconds=2.0,
    poll_seconds=0.02,
    cleanup_seconds=20.0,
    notice_seconds=2.0,
)


class Token:
    """A credential whose token is what it was given."""

    def __init__(self, text: str = "t") -> None:
        self._text = text

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ARG002
        return AccessToken(self._text, int(time.time()) + 3600)


def identity_of_a_machine(rig: AzureRig) -> dict[str, str]:
    """The environment in which azure-identity finds a credential that the rig lets in, as on a
    machine with an identity."""
    rig.tokens_accepted = {"t"}
    return {
        "IDENTITY_ENDPOINT": f"{rig.endpoint}/msi/token",
        "IDENTITY_HEADER": "a-machine",
        "REQUESTS_CA_BUNDLE": str(rig.ca_file),
    }


def provider_section(rig: AzureRig) -> dict[str, Any]:
    """The part of a configuration that names this rig."""
    return {
        "kind": "azure",
        "subscription": SUBSCRIPTION,
        "resource_group": rig.group.name,
        "region": "eastus",
        "zones": ["eastus-1", "eastus-2"],
        "image": SETTINGS.images["x86_64"],
        "sizes": ["Standard_D4s_v5"],
        "subnet": SETTINGS.subnet,
        "ssh_key": SETTINGS.ssh_key,
        "price_list": rig.endpoint,
        "endpoint": rig.endpoint,
    }


def key(
    size: str = "Standard_D4s_v5",
    zone: str = "eastus-1",
    market: Market = Market.ON_DEMAND,
) -> OfferKey:
    """An offer of the rig."""
    return OfferKey(provider="azure", region="eastus", zone=zone, instance_type=size, market=market)


def startup(request: LaunchRequest, offer: OfferKey) -> str:
    """What a machine would do first."""
    return f"#!/bin/sh\necho {request.node_id} {offer.instance_type}\n"


class AzureWorld:
    """A resource group of the rig as the world of the conformance checks."""

    cluster = "ours"
    keys = (key(market=Market.SPOT), key("Standard_D8s_v5", "eastus-2", Market.SPOT))

    def __init__(self, rig: AzureRig) -> None:
        self.rig = rig
        self.group = rig.group
        self.group.room["1", "Standard_F4s_v2", "Spot"] = 0

    def settings(self, **changes: Any) -> AzureSettings:
        """The adapter's settings on this rig."""
        where = {"endpoint": self.rig.endpoint, "prices_endpoint": self.rig.endpoint}
        return replace(SETTINGS, **(where | changes))

    def clients(self, credential: Any = None, **changes: Any) -> Clients:
        """Clients of this rig."""
        found = Token() if credential is None else credential
        return Clients(self.settings(**changes), credential=found, ca_file=str(self.rig.ca_file))

    def provider(
        self,
        cluster: str = "ours",
        *,
        clock: Callable[[], datetime] | None = None,
        credential: Any = None,
        **changes: Any,
    ) -> AzureProvider:
        """The adapter on this rig."""
        clients = self.clients(credential, **changes)
        settings = self.settings(**changes)
        return AzureProvider(clients, settings, cluster, startup, clock or self.now)

    def make_provider(self) -> AzureProvider:
        return self.provider()

    def make_unreachable(self) -> AzureProvider:
        return self.provider(endpoint="https://127.0.0.1:1", connect_seconds=1.0)

    def make_stranger(self) -> tuple[AzureProvider, str]:
        return self.provider("theirs"), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:
        return (
            WorkerSpec(name=f"{node_id}-0", shape="w", threads=1, memory_bytes=1, resources={}),
        )

    def now(self) -> datetime:
        return self.group.clock()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise conformance.ContractBroken(f"never: {what}")
            Event().wait(0.02)

    def sold_out(self) -> OfferKey:
        return key("Standard_F4s_v2", market=Market.SPOT)

    def losing_answer(self) -> OfferKey:
        self.rig.faults.add(Fault(method=CREATE, where="Standard_E4s_v5", is_lost=True))
        return key("Standard_E4s_v5", market=Market.SPOT)

    def throttling(self) -> OfferKey:
        fault = Fault(method=CREATE, where="Standard_D2s_v5", status=429, reason="TooManyRequests")
        self.rig.faults.add(fault)
        return key("Standard_D2s_v5", market=Market.SPOT)

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        with self.rig.lock:
            self.group.evict(provider_id, notice_seconds or 0.0)

    def break_down(self, provider_id: str) -> None:
        """Somebody else stops it, and gives its place back."""
        with self.rig.lock:
            self.group.give_back(provider_id)


@contextmanager
def azure_world() -> Iterator[AzureWorld]:
    """A world that must not have seen anything that the cloud's models do not allow."""
    with tempfile.TemporaryDirectory() as folder, serving(AzureRig(), Path(folder)) as rig:
        yield AzureWorld(rig)
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
        keys=keys or (AzureWorld.keys[0],),
        workers=(),
        tags={"owner": "tests"},
    )
    return replace(made, **changes)
