"""The daemon on the rig of Azure: its file, and what the rig says of the machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from costplan.adapters.azure.names import NODE_TAG
from tests.conformance.test_azure_prices import row
from tests.daemon_cluster import DaemonCluster
from tests.emulators.azure.machines import Machine
from tests.emulators.azure.server import AzureRig, serving
from tests.emulators.azure.world import CREATE, identity_of_a_machine, provider_section
from tests.emulators.bill import Lived
from tests.emulators.gcp.faults import Fault

ZONES = ("eastus-1", "eastus-2")
TYPE = "Standard_D4s_v5"
USD_PER_HOUR = {"Spot": Decimal("0.05"), "Regular": Decimal("0.192")}


@contextmanager
def azure_rig(folder: Path) -> Iterator[AzureRig]:
    """A rig with prices, whose daemon finds credentials as on a machine with an identity."""
    with serving(AzureRig(), folder) as rig, pytest.MonkeyPatch.context() as patch:
        for name, value in identity_of_a_machine(rig).items():
            patch.setenv(name, value)
        spot, regular = (str(USD_PER_HOUR[market]) for market in ("Spot", "Regular"))
        rig.prices += [row(TYPE, regular), row(TYPE, spot, "Spot")]
        yield rig
        rig.check()


def on_azure(cluster: DaemonCluster, rig: AzureRig) -> None:
    """Has the daemon's file name the rig instead of local machines."""
    file = yaml.safe_load(cluster.config.read_text())
    file["provider"] = provider_section(rig)
    cluster.config.write_text(yaml.safe_dump(file))


class AzureFleet:
    """What tests of any cloud ask of this rig."""

    def __init__(self, rig: AzureRig) -> None:
        self._rig = rig

    def there(self) -> list[str]:
        """Machines that are not deleted, those that are switched off too."""
        with self._rig.lock:
            self._rig.group.advance()
            return list(self._rig.group.machines)

    def alive(self) -> list[str]:
        """Machines that run or will, and have not been told to end."""
        with self._rig.lock:
            self._rig.group.advance()
            return [
                name
                for name, one in self._rig.group.machines.items()
                if one.error is None and one.gone_at is None and one.power == "running"
            ]

    def made(self) -> list[str]:
        """Every machine that there ever was, again where there were two of its name."""
        with self._rig.lock:
            self._rig.group.advance()
            there = [one for one in self._rig.group.machines.values() if one.error is None]
            return [str(one.resource["name"]) for one in (*self._rig.group.gone, *there)]

    def launched_after(self, said: datetime) -> datetime | None:
        """When the first machine was asked for after an instant, None while there is none."""
        with self._rig.lock:
            events = list(self._rig.group.events)
        asked = (
            datetime.fromisoformat(one["eventTimestamp"])
            for one in events
            if one["operationName"]["value"].endswith("/write")
            and one["status"]["value"] == "Accepted"
        )
        return min((at for at in asked if at >= said), default=None)

    def launches(self) -> int:
        """Calls for a machine so far."""
        return self._rig.calls[CREATE]

    def at_the_next_launch(self, then: Callable[[], None]) -> None:
        """Once it is done, and before it is answered."""
        self._rig.faults.add(Fault(method=CREATE, where=TYPE, then=then))

    def reclaim(self, provider_id: str, seconds: float) -> None:
        """The cloud takes a machine after a notice."""
        with self._rig.lock:
            self._rig.group.evict(provider_id, seconds)

    def fail(self, provider_id: str) -> None:
        """A machine switches itself off; it is paid for until it is deleted."""
        with self._rig.lock:
            self._rig.group.switch_off(provider_id)

    def parts(self) -> set[str]:
        """Disks and interfaces that are there."""
        with self._rig.lock:
            return set(self._rig.group.parts)

    def lives(self) -> list[Lived]:
        """What Azure would charge, all having ended: from the call to the deletion."""
        with self._rig.lock:
            self._rig.group.advance()
            assert not self._rig.group.machines
            return [_lived(machine) for machine in self._rig.group.gone]


def _lived(machine: Machine) -> Lived:
    assert machine.gone_at is not None
    return Lived(
        node_id=machine.resource["tags"][NODE_TAG],
        began=datetime.fromisoformat(machine.resource["properties"]["timeCreated"]),
        ended=machine.gone_at,
        usd_per_hour=USD_PER_HOUR[machine.pool[2]],
        disk_usd_per_month=64 * Decimal("0.075"),
        step_seconds=60,
    )
