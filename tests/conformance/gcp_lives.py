"""What tests of machines of Compute Engine share: a world of them, and how one ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from costplan.adapters.gcp.provider import GcpProvider
from costplan.planner.nodes import MachineState, ProviderNode
from costplan.planner.types import Market
from tests.emulators.gcp.world import GcpWorld, gcp_world

LIST = "compute.instances.aggregatedList"
OPERATIONS = "compute.globalOperations.aggregatedList"
WAIT = "compute.zoneOperations.wait"
SPOT = Market.SPOT


@pytest.fixture
def world() -> Iterator[GcpWorld]:
    with gcp_world() as found:
        yield found


def let_go(world: GcpWorld) -> None:
    """What is on its way to its end is there now."""
    now = world.now()
    with world.rig.lock:
        for machine in world.rig.project.machines.values():
            machine.placed_at = min(machine.placed_at, now)
            machine.gone_at = None if machine.gone_at is None else min(machine.gone_at, now)
            machine.insert.ends = min(machine.insert.ends, now)


def state_of(provider: GcpProvider, token: str) -> list[tuple[MachineState, str | None]]:
    return [(node.state, node.end_cause) for node in provider.nodes() if node.token == token]


def ended(world: GcpWorld, provider: GcpProvider, token: str) -> ProviderNode:
    """The machine of a token once it has ended."""

    def is_over() -> bool:
        return [state for state, _ in state_of(provider, token)] == [MachineState.ENDED]

    world.wait_until(is_over, f"{token} ends")
    return next(node for node in provider.nodes() if node.token == token)
