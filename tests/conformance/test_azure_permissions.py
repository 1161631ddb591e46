"""The calls that the adapter makes are those whose permissions docs/clouds/azure.md asks for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from costplan.adapters.azure.past import Past, read_past
from costplan.adapters.azure.prices import AzurePrices
from costplan.adapters.azure.provider import AzureProvider
from costplan.adapters.remembered import Remembered
from costplan.planner.types import Market
from tests.emulators.azure.world import AzureWorld, azure_world, key, request, startup

PAGE = (Path(__file__).parents[2] / "docs" / "clouds" / "azure.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+\.\w+)` \| (.+?) \|", PAGE, re.MULTILINE))
ROLE = json.loads(re.search(r"^    \{\n.*?^    \}", PAGE, re.MULTILINE | re.DOTALL)[0])  # type: ignore[index]
TABLE = re.findall(r"^\| ([\d,]+) \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)


def permissions(row: str) -> set[str]:
    return set(re.findall(r"`(Microsoft[\w./]+)`", row))


def test_every_call_is_on_the_page_and_every_row_is_called() -> None:
    """All that the adapter can do is done here once, with every setting on."""
    with azure_world() as world:
        provider = world.provider(scale_set="workers", public_ip=True)
        provider.offers()
        spot = key(market=Market.SPOT)
        AzurePrices(world.clients(), world.settings(), world.now).quotes([spot])
        node = provider.launch(request("t", spot))
        world.reclaim(node.provider_id, 60.0)
        assert len(provider.notices()) == 1
        provider.terminate([node.provider_id])
        provider.nodes()
        assert set(world.rig.calls) == set(ROWS)


def test_the_role_is_what_the_calls_need() -> None:
    needed = set().union(*map(permissions, ROWS.values()))
    assert sorted(needed) == sorted(ROLE["permissions"][0]["actions"])
    assert ROLE["permissions"][0]["notActions"] == []


@pytest.mark.parametrize(("machines", "first", "next_ones"), TABLE)
def test_a_tick_costs_what_the_page_says(machines: str, first: str, next_ones: str) -> None:
    """The verbs of a tick as the daemon has them, with the past remembered between two."""
    count = int(machines.replace(",", ""))
    with azure_world() as world:
        world.rig.largest_page = 500
        looking = looking_at(world, count)
        for calls in (first, next_ones):
            world.rig.calls.clear()
            assert len(looking.nodes()) == count
            assert looking.notices() == ()
            assert sum(world.rig.calls.values()) == int(calls) <= 5


def looking_at(world: AzureWorld, count: int) -> AzureProvider:
    """A provider as the daemon has one, of a group with so many machines."""
    world.make_provider().launch(request("t0"))
    ((name, machine),) = world.group.machines.items()
    with world.rig.lock:
        for number in range(1, count):
            another = f"{name[:-1]}{number}"
            named = replace(machine, resource={**machine.resource, "name": another})
            world.group.machines[another] = named
    clients, settings = world.clients(), world.settings()
    past: Remembered[None, Past] = Remembered(
        lambda _: read_past(clients, settings, world.now()), world.now, 60.0
    )
    return AzureProvider(clients, settings, "ours", startup, world.now, lambda: past(None))
