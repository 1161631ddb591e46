"""One course of work under a daemon that dies in it, and what is left in the end.

    24 tasks come and wait at a gate -> two machines -> the gate opens -> one machine is surplus,
    and what it holds moves -> the results are taken -> the last machine ends

Everything is a real process: scheduler, daemon, machines, workers. A daemon that dies as it was
told to is followed by another; every other end of it is an error.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from distributed import Client, Future

from costplan.adapters.faults import VARIABLE
from costplan.adapters.local.folders import ENDED, REQUEST, SUPERVISOR, folders, read_json
from costplan.adapters.local.sweep import running_processes
from costplan.planner.types import Phase
from tests.crash_points import Course, Deaths
from tests.daemon_cluster import COSTPLAN, DaemonCluster, start_daemon, wait_until
from tests.e2e.daemon_tasks import begun, gated
from tests.e2e.driven import (
    WORKER,
    config,
    entered_in_ledger,
    in_phase,
    nodes,
    scenario,
    write_config,
)

MACHINES = 2
TASKS = 24
WAIT_SECONDS = 120.0
LOOK_SECONDS = 0.2
"""Seldom, as each look opens the store anew."""
USD_PER_HOUR = Decimal("0.1")
OFF_USD = Decimal("2e-12")
"""What the entries of a node may be off by, for their rounding."""
SPARE = {"type": "spare", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.1"}
REFUSALS = {
    Course.THROTTLED: "throttled",
    Course.LOST_ANSWER: "lost_answer",
}


def files(course: Course = Course.PLAIN) -> dict[str, dict[str, object]]:
    """The daemon's file and the scenario of a course; those without refusals share theirs."""
    small = {**SPARE, "type": "small"}
    offers = [small]
    refused: dict[str, Any] = {}
    if course in REFUSALS:
        refused["launches"] = [{"offer": "*small*", "launch": 1, "outcome": REFUSALS[course]}]
    return {
        # No look ahead: after deaths that took minutes it keeps the surplus for as long.
        "config": config({**WORKER, "maximum": MACHINES}, scaling={"idle": 1, "ahead": 0}),
        # Machines that end by the daemon's order alone, so that each death at one comes to pass.
        "scenario": scenario(*offers, power_off=False, **refused),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """What a course left behind. All is well where `broken` is empty."""

    deaths: Deaths
    died: int
    machines: int
    orphans: tuple[str, ...]
    doubles: tuple[str, ...]
    lost: int
    again: int
    ledger_usd: Decimal
    bill_usd: Decimal
    off: tuple[str, ...]
    seconds: float

    @property
    def broken(self) -> list[str]:
        """What is not as it must be, in words."""
        found = [*self.orphans, *self.doubles, *self.off]
        if self.lost:
            found.append(f"{self.lost} results of {TASKS} are lost")
        if self.again:
            found.append(f"{self.again} tasks were done again")
        if self.died != len(self.deaths.faults):
            found.append(f"it died {self.died} times, not {len(self.deaths.faults)}")
        return found


@dataclass(slots=True)
class Life:
    """The daemon, and each of its successors; the first of `faults` is the next death."""

    cluster: DaemonCluster
    faults: list[str]
    died: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Returns when a daemon is ready, however many died on the way."""
        while True:
            before = ["env", f"{VARIABLE}={self.faults[0]}"] if self.faults else []
            try:
                start_daemon(self.cluster, *before)
            except RuntimeError:
                self._count()
            else:
                return

    def look(self) -> None:
        """Starts a successor where the daemon has died."""
        if self.cluster.daemon.poll() is not None:
            self._count()
            self.start()

    def when(self, condition: Callable[[], object], what: str) -> None:
        """Returns once the condition holds, whoever dies meanwhile."""

        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            self.look()
            if condition():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"never: {what}, after {self.died}: {self._last_decision()}")
            time.sleep(LOOK_SECONDS)

    def _last_decision(self) -> str:
        return self.cluster.log()[-900:] + self.cluster.command("explain").stdout

    def stop(self) -> None:
        """Asks the daemon to end; one that is to die of that is followed by another."""
        self.cluster.daemon.terminate()
        if self.cluster.daemon.wait(20) != 0:
            self._count()

    def _count(self) -> None:
        ended = self.cluster.daemon.returncode
        if ended != -signal.SIGKILL or not self.faults:
            raise AssertionError(f"a daemon ended with {ended}: {self.cluster.log()[-3000:]}")
        self.died.append(self.faults.pop(0))


def live(cluster: DaemonCluster, deaths: Deaths) -> Aftermath:
    """Plays a course on a cluster without machines and daemon, and leaves it so."""
    began = time.monotonic()
    place = len(list(cluster.folder.glob("gate-*.begun")))
    gate = cluster.folder / f"gate-{place}"
    old, old_totals = {folder.name for folder in folders(cluster.state_dir)}, _again(cluster)
    is_down = deaths.course is Course.DOWN
    life = Life(cluster, [] if is_down else list(deaths.faults))
    with Client(cluster.address, set_as_default=False) as client:
        # Names of their own, of which the scheduler knows no duration yet: each counts as 1 s.
        keys = [f"gated{place}-{number}" for number in range(TASKS)]
        asked = client.map(gated, [str(gate)] * TASKS, range(TASKS), key=keys)
        life.start()
        life.when(lambda: len(in_phase(cluster, Phase.READY)) == MACHINES, "all are ready")
        _befall(cluster, deaths.course, life)
        if is_down:
            life.stop()
        gate.touch()
        if not is_down:
            life.when(lambda: all(one.done() for one in asked), "all is done")
            life.when(lambda: cluster.alive() == 1, "the surplus is gone")
        results = _taken(client, asked)
    if is_down:
        life.died += _down(cluster, deaths.faults)
    else:
        life.when(lambda: cluster.alive() == 0, "no machine is left")
        life.when(
            lambda: all(node.phase is Phase.GONE for node in nodes(cluster).values()), "all is gone"
        )
        life.stop()
    new = [folder for folder in folders(cluster.state_dir) if folder.name not in old]
    again = len(begun(str(gate))) - TASKS + _again(cluster) - old_totals
    return _aftermath(cluster, deaths, new, life.died, (results, again, time.monotonic() - began))


def _befall(cluster: DaemonCluster, course: Course, life: Life) -> None:
    """What happens while all machines work, and no task can end."""
    if course is Course.RETURNING:
        _say_maximum(cluster, 1)
        life.when(
            lambda: len(in_phase(cluster, Phase.CORDONED)) == MACHINES - 1, "the surplus is to go"
        )
        _say_maximum(cluster, MACHINES)
        life.when(
            lambda: not life.faults and len(in_phase(cluster, Phase.READY)) == MACHINES,
            "they are called back",
        )
    elif course is Course.MUTE:
        for folder in folders(cluster.state_dir):
            if not (folder / ENDED).exists():
                (folder / SUPERVISOR).write_text("{")
    elif course is Course.STOP:
        life.stop()
        life.start()


def _say_maximum(cluster: DaemonCluster, workers: int) -> None:
    write_config(cluster, workers={"maximum": workers})
    done = cluster.command("reload")
    assert done.returncode == 0, done.stderr


def _down(cluster: DaemonCluster, faults: tuple[str, ...]) -> list[str]:
    """Ends the fleet by command; the deaths of that command, before one that ends well."""
    down = [str(COSTPLAN), "down", "--yes", "--config", str(cluster.config)]
    for fault in faults:
        command = ["/usr/bin/env", f"{VARIABLE}={fault}", *down]
        dead = subprocess.run(command, check=False, timeout=120, capture_output=True)
        assert dead.returncode == -signal.SIGKILL, (fault, dead)
    done = cluster.command("down", "--yes")
    assert done.returncode == 0, done.stderr
    assert cluster.command("resume").returncode == 0
    return list(faults)


def _taken(client: Client, asked: list[Future]) -> list[object]:
    """What has come of the tasks: a result, or an error in its place."""
    wait_until(lambda: all(one.done() for one in asked), "all is done")
    return [one.result() if one.status == "finished" else one.status for one in asked]


def _again(cluster: DaemonCluster) -> int:
    """Tasks that were done again or begun again, by the scheduler's count."""
    totals = cluster.load()["totals"]
    return int(totals["recomputed"]) + int(totals["restarted"])


def _aftermath(
    cluster: DaemonCluster,
    deaths: Deaths,
    new: list[Path],
    died: list[str],
    found: tuple[list[object], int, float],
) -> Aftermath:
    results, again, seconds = found
    requests = [read_json(folder / REQUEST) or {} for folder in new]
    bill = {
        str(request["node_id"]): _bill(folder)
        for folder, request in zip(new, requests, strict=True)
    }
    known = nodes(cluster)
    ledger = {name: usd for name, usd in entered_in_ledger(cluster).items() if name in bill}
    strays = set(entered_in_ledger(cluster)) - {_node_of(f) for f in folders(cluster.state_dir)}
    return Aftermath(
        deaths=deaths,
        died=len(died),
        machines=len(new),
        orphans=(
            *(f"machine of {name} has no node" for name in bill if name not in known),
            *(f"{folder.name} has no end" for folder in new if not (folder / ENDED).exists()),
            *(f"process {pid} is left" for pid in running_processes(cluster.state_dir)),
        ),
        doubles=(
            *_twice("node", [str(one["node_id"]) for one in requests]),
            *_twice("token", [str(one["token"]) for one in requests]),
            *([f"{len(new)} machines, not {MACHINES}"] if len(new) != MACHINES else []),
        ),
        lost=sum(result != number for number, result in enumerate(results)),
        again=again,
        ledger_usd=sum(ledger.values(), Decimal(0)),
        bill_usd=sum(bill.values(), Decimal(0)),
        off=(
            *(
                f"{name}: ledger {ledger.get(name)}, bill {usd}"
                for name, usd in bill.items()
                if name not in ledger or abs(ledger[name] - usd) > OFF_USD
            ),
            *(f"{name}: in the ledger, and no machine of it" for name in strays),
        ),
        seconds=seconds,
    )


def _bill(folder: Path) -> Decimal:
    """Dollars for a machine by the instants in its folder alone: begun seconds at its price."""
    request, ended = json.loads((folder / REQUEST).read_text()), read_json(folder / ENDED)
    if ended is None:
        return Decimal("NaN")
    lived = datetime.fromisoformat(ended["at"]) - datetime.fromisoformat(request["launched_at"])
    micros = (lived.days * 86400 + lived.seconds) * 1_000_000 + lived.microseconds
    return -(-micros // 1_000_000) * USD_PER_HOUR / 3600


def _node_of(folder: Path) -> str:
    return str((read_json(folder / REQUEST) or {}).get("node_id"))


def _twice(what: str, names: list[str]) -> list[str]:
    return [f"{what} {name} has {n} machines" for name, n in Counter(names).items() if n > 1]
