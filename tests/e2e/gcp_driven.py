"""The daemon on the rig of Compute Engine: its file, and what the rig says of the machines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import yaml

from costplan.adapters.gcp.names import NODE_LABEL, label_text
from tests.daemon_cluster import DaemonCluster
from tests.emulators.bill import Lived
from tests.emulators.gcp.faults import Fault
from tests.emulators.gcp.machines import Machine
from tests.emulators.gcp.server import GcpRig
from tests.emulators.gcp.world import INSERT

ZONES = ("us-central1-a", "us-central1-b")
TYPE = "n2-standard-4"
USD_PER_HOUR = {True: Decimal("0.0552"), False: Decimal("0.184")}
"""Of the type, by whether it is spot: 4 vCPU and 16 GiB at the rates of the rig's list."""


def on_gcp(cluster: DaemonCluster, rig: GcpRig) -> None:
    """Has the daemon's file name the rig instead of local machines."""
    file = yaml.safe_load(cluster.config.read_text())
    file["provider"] = {
        "kind": "gcp",
        "project": rig.project.name,
        "zones": list(ZONES),
        "image": f"projects/{rig.project.name}/global/images/family/dask",
        "machine_types": [TYPE],
        "subnets": {"us-central1": "dask"},
        "endpoint": rig.endpoint,
    }
    cluster.config.write_text(yaml.safe_dump(file))


class GcpFleet:
    """What tests of any cloud ask of this rig."""

    def __init__(self, rig: GcpRig) -> None:
        self._rig = rig

    def there(self) -> list[str]:
        """Instances that are not deleted, stopped ones too."""
        with self._rig.lock:
            self._rig.project.advance()
            return [f"{zone}/{name}" for zone, name in self._rig.project.machines]

    def alive(self) -> list[str]:
        """Instances that run or will, and have not been told to end."""
        with self._rig.lock:
            self._rig.project.advance()
            return [
                f"{zone}/{name}"
                for (zone, name), machine in self._rig.project.machines.items()
                if machine.error is None and machine.stops_at is None
            ]

    def made(self) -> list[str]:
        """Every instance that there ever was, again where there were two of its name."""
        with self._rig.lock:
            return [
                "/".join(operation.target.split("/")[-3::2])
                for operation in self._rig.project.operations.values()
                if operation.kind == "insert" and not operation.errors
            ]

    def launched_after(self, said: datetime) -> datetime | None:
        """When the first machine was asked for after an instant, None while there is none."""
        with self._rig.lock:
            operations = list(self._rig.project.operations.values())
        asked = (one.inserted for one in operations if one.kind == "insert")
        return min((at for at in asked if at >= said), default=None)

    def launches(self) -> int:
        """Calls for a machine so far."""
        return self._rig.calls[INSERT]

    def at_the_next_launch(self, then: Callable[[], None]) -> None:
        """Once it is done, and before it is answered."""
        self._rig.faults.add(Fault(method=INSERT, then=then))

    def reclaim(self, provider_id: str, seconds: float) -> None:
        """The cloud takes an instance after a notice."""
        with self._rig.lock:
            self._rig.project.preempt(*provider_id.split("/"), seconds)

    def fail(self, provider_id: str) -> None:
        """An instance stops by itself."""
        with self._rig.lock:
            self._rig.project.shut_down(*provider_id.split("/"))

    def lives(self) -> list[Lived]:
        """What Google would charge, all having ended: from the call to the stop."""
        with self._rig.lock:
            self._rig.project.advance()
            assert not self._rig.project.machines
            return [_lived(machine) for machine in self._rig.project.gone]


def _lived(machine: Machine) -> Lived:
    assert machine.off_at is not None
    labels: dict[str, Any] = machine.resource["labels"]
    return Lived(
        node_id=label_text(labels[NODE_LABEL]),
        began=machine.created,
        ended=machine.off_at,
        usd_per_hour=USD_PER_HOUR[machine.is_spot],
        disk_usd_per_month=50 * Decimal("0.10"),
    )
