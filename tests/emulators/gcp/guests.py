"""The rig's machines as the hypervisor sees them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.emulators.gcp.machines import Machine
from tests.emulators.gcp.server import GcpRig
from tests.emulators.hypervisor import Guest


class GcpGuests:
    """Instances that run, those that are being preempted too, with their start scripts."""

    cloud = "gcp"

    def __init__(self, rig: GcpRig) -> None:
        self._rig = rig

    def on(self) -> Sequence[Guest]:
        """Every instance that is on."""
        with self._rig.lock:
            project = self._rig.project
            project.advance()
            return [
                _guest(name, machine)
                for (_, name), machine in project.machines.items()
                if machine.resource["status"] == "RUNNING"
                or (machine.is_preempted and machine.resource["status"] == "STOPPING")
            ]

    def powered_off(self, guest_id: str) -> None:
        """The instance stops, and goes where it was preempted."""
        zone, name = guest_id.split("/")
        with self._rig.lock:
            if (zone, name) in self._rig.project.machines:
                self._rig.project.shut_down(zone, name)


def _guest(name: str, machine: Machine) -> Guest:
    items = {one["key"]: one["value"] for one in machine.resource["metadata"]["items"]}
    return Guest(
        id=f"{machine.zone}/{name}",
        name=name,
        script=items["startup-script"],
        zone=machine.zone,
        kind=machine.machine_type,
        is_spot=machine.is_spot,
        reclaim_at=machine.gone_at if machine.is_preempted else None,
    )
