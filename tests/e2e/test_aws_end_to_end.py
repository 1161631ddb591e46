"""EC2 end to end: a call, a process, a worker that joins, tasks, a warning, a drain, a replacement.

A real scheduler, the real daemon, and EC2 as the rig has it, whose instances run their start
scripts. The tests go on one after another with one fleet, whose bill comes at the end.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from costplan.adapters.aws.clients import Clients
from costplan.adapters.clock import utc_now
from costplan.adapters.faults import VARIABLE
from costplan.planner.nodes import Node
from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, scheduler_cluster, start_daemon, stop
from tests.e2e.aws_driven import LAUNCHES, alive, launched_after, lives, on_aws, price
from tests.e2e.daemon_tasks import begun, gated, nap, noted
from tests.e2e.driven import (
    config,
    entered_in_ledger,
    in_phase,
    instant,
    lines,
    nodes,
    passed,
    reload,
    when,
)
from tests.emulators.aws.account import ZONES, Account, cluster_of
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served
from tests.emulators.aws.guests import AwsGuests
from tests.emulators.aws.server import Rig, fresh
from tests.emulators.bill import bill
from tests.emulators.hypervisor import Hypervisor, hypervisor

__all__ = ["account", "served"]

logger = logging.getLogger(__name__)
NOTICE_SECONDS = 120.0
REPLACED_SECONDS = 1.0
"""From a warning to the call for another machine, where no other process wants the cores."""
DEADLINE_SECONDS = 180.0
OFF_USD = Decimal("1e-11")
"""What the entries of a node may be off by, for their rounding."""
FLEET = 5
MANY = 60
KIND: dict[str, object] = {"name": "worker", "vcpu": 2, "threads": 1, "memory": "1 GiB"}
SECTIONS: dict[str, dict[str, object]] = {
    "scaling": {"target": 600, "idle": 600, "boot": 10, "boot_timeout": 600},
    "market": {"spot_max_share": 0.6},
}


def slowness() -> float:
    """How many processes want each core, by the kernel's mean of the last minute; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All of it."""

    account: Account
    cluster: DaemonCluster
    host: Hypervisor
    client: Client

    def node_at(self, provider_id: str) -> Node:
        """The node of an instance."""
        return next(n for n in nodes(self.cluster).values() if n.provider_id == provider_id)

    def done_again(self) -> int:
        """Tasks that were done or begun again, by the scheduler's count."""
        totals = self.cluster.load()["totals"]
        return int(totals["recomputed"]) + int(totals["restarted"])

    def kill_daemon(self) -> None:
        """SIGKILL."""
        os.killpg(self.cluster.daemon.pid, signal.SIGKILL)

    def when(self, condition: Callable[[], object], what: str) -> None:
        """Returns once the condition holds."""
        when(self.cluster, condition, what, DEADLINE_SECONDS)

    def when_whole(self, count: int = FLEET) -> list[Node]:
        """The nodes that work, once there are so many and no others; each has one machine."""
        self.when(lambda: len(in_phase(self.cluster, Phase.READY)) == count, f"{count} ready nodes")
        self.when(lambda: len(alive(self.account)) == count, f"{count} machines")
        known = nodes(self.cluster).values()
        machines = [node.provider_id for node in known if node.provider_id]
        with self.account.rig.cloud.lock:
            assert sorted(machines) == sorted(one.id for one in self.account.rig.cloud.instances())
        return in_phase(self.cluster, Phase.READY)


@pytest.fixture(scope="module")
def world(served: tuple[Rig, Clients], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A fleet of five."""
    rig, clients = served
    folder = tmp_path_factory.mktemp("aws")
    kind = {**KIND, "minimum": FLEET, "maximum": FLEET}
    with (
        fresh(rig),
        hypervisor(AwsGuests(rig.cloud), folder / "hosts", "tests.e2e.daemon_tasks") as host,
        scheduler_cluster(folder, config=config(kind, **SECTIONS), scenario={}) as cluster,
        Client(cluster.address) as client,
    ):
        account = Account(rig, clients)
        price(account)
        # The first zone has too little of either, so that fleets go on to the second one.
        rig.cloud.capacity = {
            ("c5.large", ZONES[0], "spot"): 2,
            ("c5.large", ZONES[0], "on-demand"): 1,
        }
        on_aws(cluster, account, types=["c5.large"])
        start_daemon(cluster)
        yield World(account=account, cluster=cluster, host=host, client=client)


def test_the_fleet_is_of_two_zones_and_two_markets(world: World) -> None:
    fleet = world.when_whole()
    places = Counter((node.key.zone, str(node.key.market)) for node in fleet)
    assert {zone for zone, _ in places} == set(ZONES), places
    assert {market for _, market in places} == {"spot", "on_demand"}, places
    tags = {cluster_of(world.account.raw(one)) for one in alive(world.account)}
    assert tags == {"tested"}
    here = {"zone-us-east-1a": 1, "on_demand": 1}
    assert world.client.submit(nap, 0, 1, resources=here).result(30) == 1


@pytest.mark.parametrize("ways", [("events", "metadata"), ("events",), ("metadata",)])
def test_a_warning_leads_to_one_drain_and_one_replacement(
    world: World,
    ways: tuple[str, ...],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """However it comes, and nothing is done again."""
    stream = str(tmp_path / "stream")
    fleet = world.when_whole()
    victim = next(node for node in fleet if str(node.key.market) == "spot")
    before = nodes(world.cluster)
    home: dict[str, Any] = {"workers": list(victim.workers), "allow_other_workers": True}
    held = world.client.map(nap, [0.0] * 5, range(5), pure=False, **home)
    world.client.gather(held)
    running = world.client.map(noted, [stream] * 40, [0.3] * 40, range(40), pure=False)
    world.when(lambda: len(begun(stream)) >= FLEET, "all machines work")
    said = utc_now()
    world.account.rig.cloud.interrupt(str(victim.provider_id), NOTICE_SECONDS, ways)
    is_out = utc_now()
    assert world.client.gather(running) == list(range(40))
    assert world.client.gather(held) == list(range(5))
    world.when(lambda: nodes(world.cluster)[victim.node_id].phase is Phase.GONE, "it is gone")
    world.when_whole()
    assert sorted(begun(stream)) == list(range(40))
    assert world.done_again() == 0
    after = nodes(world.cluster)
    assert Counter(passed(after[victim.node_id]))[Phase.CORDONED] <= 1
    (heir,) = set(after) - set(before)
    asked = launched_after(world.account, said)
    assert asked is not None
    seconds = (asked - said).total_seconds()
    record_property(f"replacement_seconds_{'_and_'.join(ways)}", seconds)
    logger.info("asked for a replacement %.2f s after a warning by %s", seconds, ways)
    if "events" in ways:
        assert heir in _launched_by_the_first_tick(world, is_out)
        assert seconds <= REPLACED_SECONDS * slowness()


def test_killed_between_the_journal_and_the_call(world: World) -> None:
    world.when_whole()
    stop(world.cluster.daemon)
    start_daemon(world.cluster, "env", f"{VARIABLE}=daemon.launch.before:1")
    launched = _launches(world)
    world.account.rig.cloud.fail(alive(world.account)[0])
    world.when(lambda: world.cluster.daemon.poll() is not None, "it is killed")
    assert _launches(world) == launched
    assert len(alive(world.account)) == FLEET - 1
    start_daemon(world.cluster)
    world.when_whole()


def test_killed_between_the_call_and_the_answer(world: World) -> None:
    world.when_whole()
    cloud = world.account.rig.cloud
    cloud.faults += [Fault(operation=name, then=world.kill_daemon) for name in LAUNCHES]
    cloud.fail(alive(world.account)[0])
    world.when(lambda: world.cluster.daemon.poll() is not None, "it is killed")
    cloud.faults.clear()
    assert len(alive(world.account)) == FLEET
    start_daemon(world.cluster)
    world.when_whole()


def test_killed_while_a_machine_is_drained(world: World, tmp_path: Path) -> None:
    """The machine's own watch ends the drain without the daemon, and waits for what runs."""
    gate = str(tmp_path / "gate")
    victim = next(node for node in world.when_whole() if str(node.key.market) == "spot")
    again = world.done_again()
    home: dict[str, Any] = {"workers": list(victim.workers), "allow_other_workers": True}
    held = world.client.map(nap, [0.0] * 5, range(5), pure=False, **home)
    world.client.gather(held)
    running = world.client.submit(gated, gate, 7, **home)
    world.when(lambda: begun(gate), "a task runs where the machine will go")
    world.account.rig.cloud.interrupt(str(victim.provider_id), NOTICE_SECONDS)
    world.when(
        lambda: Phase.CORDONED in passed(nodes(world.cluster)[victim.node_id]), "a drain begins"
    )
    world.kill_daemon()
    world.cluster.daemon.wait()
    Path(gate).touch()
    assert running.result(60) == 7
    end = world.host.hosted[str(victim.provider_id)]
    world.when(lambda: end.end == "powered off", "its watch ends it")
    start_daemon(world.cluster)
    world.when_whole()
    assert begun(gate) == [7]
    assert world.client.gather(held) == list(range(5))
    assert world.done_again() == again


def test_sixty_machines_join(world: World, record_property: Callable[[str, object], None]) -> None:
    world.when_whole()
    began = time.monotonic()
    reload(world.cluster, workers={"minimum": MANY, "maximum": MANY})
    world.client.wait_for_workers(MANY, timeout=DEADLINE_SECONDS)
    seconds = time.monotonic() - began
    record_property("seconds_until_sixty_have_joined", seconds)
    logger.info("%d machines joined in %.1f s", MANY - FLEET, seconds)
    world.when_whole(MANY)
    assert world.client.gather(world.client.map(nap, [0.01] * 200, range(200))) == list(range(200))


def test_all_that_there_was_is_in_the_ledger_to_the_cent(world: World) -> None:
    done = world.cluster.command("down", "--yes")
    assert done.returncode == 0, done.stderr
    world.when(lambda: not alive(world.account), "all are ended")
    world.when(lambda: not in_phase(world.cluster, *set(Phase) - {Phase.GONE}), "all are gone")
    assert world.host.alive() == []
    ended, untold = lives(world.account)
    ledger, charged = entered_in_ledger(world.cluster), bill(ended)
    assert ledger.keys() == charged.keys()
    told = charged.keys() - untold
    assert len(told) >= FLEET
    off = {name: ledger[name] - usd for name, usd in charged.items()}
    assert {name: usd for name, usd in off.items() if name in told and abs(usd) > OFF_USD} == {}
    # The end of the others is when it was seen.
    assert min(off.values()) >= -OFF_USD
    logger.info("the bill is %s, the ledger %s", sum(charged.values()), sum(ledger.values()))
    assert sum(off.values()) < Decimal("0.01")


def _launched_by_the_first_tick(world: World, after: datetime) -> list[str]:
    """The nodes asked for by the first tick that began after an instant, or by one before it."""
    ticks = {line["tick_id"]: line for line in lines(world.cluster, "tick")}
    began = {name: instant(t) - timedelta(seconds=t["seconds"]) for name, t in ticks.items()}
    first = min(instant(ticks[name]) for name, at in began.items() if at > after)
    return [
        line["node_ids"][0]
        for line in lines(world.cluster, "action")
        if line["action"] == "launch" and instant(line) <= first
    ]


def _launches(world: World) -> int:
    return sum(world.account.rig.made()[f"ec2:{name}"] for name in LAUNCHES)
