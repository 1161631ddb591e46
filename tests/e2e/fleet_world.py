"""What every cloud must show end to end: a call, a process, a worker that joins, tasks, a warning,
a drain, a replacement, and a daemon that is killed.

A real scheduler, the real daemon, and a cloud as its rig has it, whose machines run their start
scripts. The scenes go on one after another with one fleet, whose bill comes at the end.
"""

from __future__ import annotations

import logging
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from distributed import Client

from costplan.adapters.clock import utc_now
from costplan.adapters.faults import VARIABLE
from costplan.planner.nodes import Node
from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, start_daemon, stop
from tests.e2e.daemon_tasks import begun, gated, nap
from tests.e2e.driven import entered_in_ledger, in_phase, nodes, passed, when, when_ready
from tests.emulators.bill import Lived, bill
from tests.emulators.hypervisor import Hypervisor

OFF_USD = Decimal("1e-11")
"""What the entries of a node may be off by, for their rounding."""
REPLACED_SECONDS = 1.0
"""From a warning to the call for another machine, where no other process wants the cores."""
logger = logging.getLogger(__name__)


class Fleet(Protocol):
    """What is asked of a rig; its own names of machines are the provider's ids."""

    def there(self) -> list[str]: ...
    def alive(self) -> list[str]: ...
    def made(self) -> list[str]: ...
    def launched_after(self, said: datetime) -> datetime | None: ...
    def launches(self) -> int: ...
    def at_the_next_launch(self, then: Callable[[], None]) -> None: ...
    def reclaim(self, provider_id: str, seconds: float) -> None: ...
    def fail(self, provider_id: str) -> None: ...
    def lives(self) -> list[Lived]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetWorld:
    """All of it; the daemon holds `size` machines."""

    fleet: Fleet
    cluster: DaemonCluster
    host: Hypervisor
    client: Client
    size: int

    def done_again(self) -> int:
        """Tasks that were done or begun again, by the scheduler's count."""
        totals = self.cluster.load()["totals"]
        return int(totals["recomputed"]) + int(totals["restarted"])

    def kill_daemon(self) -> None:
        """SIGKILL."""
        os.killpg(self.cluster.daemon.pid, signal.SIGKILL)

    def when(self, condition: Callable[[], object], what: str) -> None:
        """Returns once the condition holds."""
        when(self.cluster, condition, what)

    def when_whole(self) -> list[Node]:
        """The nodes that work, once there are as many as there should be, and no machine that is
        not a node's: each that there ever was is the only one of its node."""
        found = when_ready(self.cluster, self.size)
        self.when(lambda: len(self.fleet.there()) == self.size, f"{self.size} machines")
        self.when(lambda: self._known() == sorted(self.fleet.made()), "each is a node's")
        return found

    def _known(self) -> list[str]:
        return sorted(n.provider_id for n in nodes(self.cluster).values() if n.provider_id)

    def spot_node(self) -> Node:
        """One that may be taken away."""
        return next(node for node in self.when_whole() if str(node.key.market) == "spot")

    def held_by(self, node: Node) -> list[Any]:
        """Results that a node alone holds."""
        home: dict[str, Any] = {"workers": list(node.workers), "allow_other_workers": True}
        held = self.client.map(nap, [0.0] * 5, range(5), pure=False, **home)
        self.client.gather(held)
        return held


def slowness() -> float:
    """How many processes want each core, by the kernel's mean of the last minute; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def replaced_after_a_warning(world: FleetWorld, notice_seconds: float) -> float:
    """A machine is warned of and drained, nothing is done again, and another one is asked for at
    once; after how many seconds."""
    victim = world.spot_node()
    before = nodes(world.cluster)
    held = world.held_by(victim)
    stream = world.client.map(nap, [0.3] * 40, range(40), pure=False)
    said = utc_now()
    world.fleet.reclaim(str(victim.provider_id), notice_seconds)
    assert world.client.gather(stream) == list(range(40))
    assert world.client.gather(held) == list(range(5))
    world.when(lambda: nodes(world.cluster)[victim.node_id].phase is Phase.GONE, "it is gone")
    world.when_whole()
    assert world.done_again() == 0
    after = nodes(world.cluster)
    assert Counter(passed(after[victim.node_id]))[Phase.CORDONED] <= 1
    assert len(after) == len(before) + 1
    asked = world.fleet.launched_after(said)
    assert asked is not None
    seconds = (asked - said).total_seconds()
    logger.info("asked for a replacement %.2f s after a warning", seconds)
    assert seconds <= REPLACED_SECONDS * slowness()
    return seconds


def killed_before_the_call(world: FleetWorld) -> None:
    """The daemon dies with an intention in its journal, and nothing was asked for."""
    world.when_whole()
    stop(world.cluster.daemon)
    start_daemon(world.cluster, "env", f"{VARIABLE}=daemon.launch.before:1")
    launches = world.fleet.launches()
    world.fleet.fail(world.fleet.alive()[0])
    world.when(lambda: world.cluster.daemon.poll() is not None, "it is killed")
    assert world.fleet.launches() == launches
    assert len(world.fleet.alive()) == world.size - 1
    start_daemon(world.cluster)
    world.when_whole()


def killed_before_the_answer(world: FleetWorld) -> None:
    """The daemon dies when the cloud has made a machine, and does not hear of it."""
    world.when_whole()
    world.fleet.at_the_next_launch(world.kill_daemon)
    world.fleet.fail(world.fleet.alive()[0])
    world.when(lambda: world.cluster.daemon.poll() is not None, "it is killed")
    assert len(world.fleet.alive()) == world.size
    start_daemon(world.cluster)
    world.when_whole()


def killed_in_a_drain(world: FleetWorld, folder: Path, notice_seconds: float) -> None:
    """The machine's own watch ends the drain without the daemon, and waits for what runs."""
    gate = str(folder / "gate")
    victim = world.spot_node()
    held = world.held_by(victim)
    home: dict[str, Any] = {"workers": list(victim.workers), "allow_other_workers": True}
    running = world.client.submit(gated, gate, 7, **home)
    world.when(lambda: begun(gate), "a task runs where the machine will go")
    world.fleet.reclaim(str(victim.provider_id), notice_seconds)
    world.when(
        lambda: Phase.CORDONED in passed(nodes(world.cluster)[victim.node_id]), "a drain begins"
    )
    world.kill_daemon()
    world.cluster.daemon.wait()
    Path(gate).touch()
    assert running.result(60) == 7
    hosted = world.host.hosted[str(victim.provider_id)]
    world.when(lambda: hosted.end == "powered off", "its watch ends it")
    start_daemon(world.cluster)
    world.when_whole()
    assert begun(gate) == [7]
    assert world.client.gather(held) == list(range(5))
    assert world.done_again() == 0


def ended_and_accounted_for(world: FleetWorld) -> None:
    """All are ended without a daemon, nothing is left, and the ledger has all that there was to the
    cent; but for machines that a cloud took, which may tell of no end, exactly."""
    world.when_whole()
    world.kill_daemon()
    world.cluster.daemon.wait()
    done = world.cluster.command("down", "--yes")
    assert done.returncode == 0, done.stderr
    world.when(lambda: not world.fleet.there(), "nothing is left")
    world.when(lambda: not in_phase(world.cluster, *set(Phase) - {Phase.GONE}), "all are gone")
    assert world.host.alive() == []
    ledger, charged = entered_in_ledger(world.cluster), bill(world.fleet.lives())
    assert ledger.keys() == charged.keys()
    off = {name: ledger[name] - usd for name, usd in charged.items()}
    known = nodes(world.cluster)
    logger.info("bill %s, ledger %s", sum(charged.values()), sum(ledger.values()))
    wrong = {name: usd for name, usd in off.items()
             if abs(usd) > OFF_USD and known[name].history[-1][2] != "reclaimed"}  # fmt: skip
    assert wrong == {}, {name: (usd, known[name].history) for name, usd in wrong.items()}
    assert abs(sum(off.values())) < Decimal("0.01"), off
