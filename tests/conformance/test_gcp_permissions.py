"""The calls that the adapter makes are those whose permissions docs/clouds/gcp.md asks for."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from costplan.adapters.gcp.prices import GcpPrices, advised_hazards
from costplan.planner.types import Market
from tests.emulators.gcp.world import SETTINGS, gcp_world, key, request

PAGE = (Path(__file__).parents[2] / "docs" / "clouds" / "gcp.md").read_text()
ROWS = dict(re.findall(r"^\| `([\w.]+\.[\w.]+)` \| (.+?) \|", PAGE, re.MULTILINE))
ROLE = yaml.safe_load(re.search(r"^    title: .*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)[0])  # type: ignore[index]


def permissions(row: str) -> set[str]:
    return set(re.findall(r"`([\w.]+)`", row))


def test_every_call_is_on_the_page_and_every_row_is_called() -> None:
    """All that the adapter can do is done here once, with every setting on."""
    with gcp_world() as world:
        provider, clients = world.make_provider(), world.clients()
        hazards = advised_hazards(clients, SETTINGS.project)
        GcpPrices(clients, SETTINGS, world.now, hazards).quotes([key(market=Market.SPOT)])
        provider.offers()
        gpu = key("n1-standard-4-t4x1", market=Market.SPOT)
        nodes = [provider.launch(request(f"t{n}", one)) for n, one in enumerate((gpu, key()))]
        world.reclaim(nodes[0].provider_id, 60.0)
        assert len(provider.notices()) == 1
        world.break_down(nodes[1].provider_id)
        provider.terminate([one.provider_id for one in provider.nodes() if one.remains])
        assert set(world.rig.calls) == set(ROWS)


def test_the_role_is_what_the_calls_need() -> None:
    needed = set().union(*map(permissions, ROWS.values()))
    assert sorted(needed) == ROLE["includedPermissions"]
