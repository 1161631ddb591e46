"""The rig's machines as the hypervisor sees them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from tests.emulators.azure.machines import Machine
from tests.emulators.azure.server import AzureRig
from tests.emulators.hypervisor import Guest


class AzureGuests:
    """Virtual machines that run, those that are being evicted too, with their start scripts."""

    cloud = "azure"

    def __init__(self, rig: AzureRig) -> None:
        self._rig = rig

    def on(self) -> Sequence[Guest]:
        """Every machine that is on."""
        with self._rig.lock:
            group = self._rig.group
            group.advance()
            return [
                _guest(name, machine, is_taken=name in group.preempted)
                for name, machine in group.machines.items()
                if machine.resource["properties"]["provisioningState"] == "Succeeded"
                and machine.power == "running"
            ]

    def powered_off(self, guest_id: str) -> None:
        """The machine is switched off, and goes where it was evicted."""
        with self._rig.lock:
            group = self._rig.group
            if guest_id in group.machines:
                group.switch_off(guest_id)
                if guest_id in group.preempted:
                    group.evict_now(guest_id)


def _guest(name: str, machine: Machine, *, is_taken: bool) -> Guest:
    properties = machine.resource["properties"]
    return Guest(
        id=name,
        name=name,
        script=base64.b64decode(machine.script).decode(),
        zone=f"{machine.resource['location']}-{machine.resource['zones'][0]}",
        kind=properties["hardwareProfile"]["vmSize"],
        is_spot=properties.get("priority") == "Spot",
        reclaim_at=machine.gone_at if is_taken else None,
    )
