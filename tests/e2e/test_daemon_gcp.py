"""The daemon on Compute Engine end to end, with the 30 seconds that it warns of a preemption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from tests.daemon_cluster import scheduler_cluster, start_daemon
from tests.e2e.daemon_tasks import nap
from tests.e2e.driven import config
from tests.e2e.fleet_world import (
    FleetWorld,
    ended_and_accounted_for,
    killed_before_the_answer,
    killed_before_the_call,
    killed_in_a_drain,
    replaced_after_a_warning,
)
from tests.e2e.gcp_driven import TYPE, ZONES, GcpFleet, on_gcp
from tests.emulators.gcp.guests import GcpGuests
from tests.emulators.gcp.server import GcpRig, serving
from tests.emulators.hypervisor import hypervisor

NOTICE_SECONDS = 30.0
SIZE = 5
KIND: dict[str, object] = {
    "name": "worker", "vcpu": 4, "threads": 1, "memory": "1 GiB", "minimum": SIZE, "maximum": SIZE,
}  # fmt: skip
SECTIONS: dict[str, dict[str, object]] = {
    "scaling": {"target": 600, "idle": 600, "boot": 10, "boot_timeout": 600},
    "market": {"spot_max_share": 0.6},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetWorld]:
    """A fleet of five."""
    folder = tmp_path_factory.mktemp("gcp")
    with (
        serving(GcpRig()) as rig,
        hypervisor(GcpGuests(rig), folder / "hosts", "tests.e2e.daemon_tasks") as host,
        scheduler_cluster(folder, config=config(KIND, **SECTIONS), scenario={}) as cluster,
        Client(cluster.address) as client,
    ):
        # The first zone has too little of either, so that launches go on to the second one.
        rig.project.room = {(ZONES[0], TYPE, "SPOT"): 2, (ZONES[0], TYPE, "STANDARD"): 1}
        on_gcp(cluster, rig)
        start_daemon(cluster)
        yield FleetWorld(fleet=GcpFleet(rig), cluster=cluster, host=host, client=client, size=SIZE)
        rig.check()


def test_the_fleet_is_of_two_zones_and_two_markets(world: FleetWorld) -> None:
    fleet = world.when_whole()
    places = Counter((node.key.zone, str(node.key.market)) for node in fleet)
    assert {zone for zone, _ in places} == set(ZONES), places
    assert {market for _, market in places} == {"spot", "on_demand"}, places
    here = {f"zone-{ZONES[0]}": 1, "on_demand": 1}
    assert world.client.submit(nap, 0, 1, resources=here).result(30) == 1


def test_a_preemption_is_drained_and_replaced(
    world: FleetWorld, record_property: Callable[[str, object], None]
) -> None:
    record_property("replacement_seconds", replaced_after_a_warning(world, NOTICE_SECONDS))


def test_killed_between_the_journal_and_the_call(world: FleetWorld) -> None:
    killed_before_the_call(world)


def test_killed_between_the_call_and_the_answer(world: FleetWorld) -> None:
    killed_before_the_answer(world)


def test_killed_while_a_machine_is_drained(world: FleetWorld, tmp_path: Path) -> None:
    killed_in_a_drain(world, tmp_path, NOTICE_SECONDS)


def test_all_that_there_was_is_in_the_ledger_to_the_cent(world: FleetWorld) -> None:
    ended_and_accounted_for(world)
