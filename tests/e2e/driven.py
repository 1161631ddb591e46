"""The daemon's tests: a file that makes it quick, and what its store and its machines say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import yaml

from costplan.adapters.clock import utc_now
from costplan.adapters.local.bill import bill
from costplan.adapters.local.events import announce
from costplan.adapters.local.folders import machines_folder
from costplan.adapters.local.prices import LocalPrices
from costplan.adapters.local.records import machine_records
from costplan.adapters.local.stage import read_stage
from costplan.adapters.store.store import Store, StoredTick
from costplan.planner.nodes import Node
from costplan.planner.types import Phase
from costplan.planner.work import WorkRow
from tests.daemon_cluster import DaemonCluster, wait_until

WORKER = {"name": "worker", "vcpu": 1, "threads": 1, "memory": "512 MiB"}


def config(*workers: dict[str, object], **sections: dict[str, object]) -> dict[str, object]:
    """The daemon's file for small quick machines; `sections` add to those that are here."""
    here: dict[str, dict[str, object]] = {
        "scaling": {
            "target": 10, "idle": 3, "client_gone": 1, "drain_wait": 60, "boot": 3,
            "boot_timeout": 60, "unknown_task": 1, "horizon": 600,
        },
        "cadence": {"observe": 0.3, "plan": 1, "load_stale": 10, "machines_stale": 10},
        "safety": {"min_node_age": 0, "max_drain_share": 1.0},
        "overhead": {"memory_share": 0, "memory_floor": 0},
        "log": {"format": "json"},
    }  # fmt: skip
    merged = {name: {**here.get(name, {}), **sections.get(name, {})} for name in {*here, *sections}}
    return {"cluster": "tested", "workload": "tests", "workers": list(workers), **merged}


def scenario(*offers: dict[str, object], **more: object) -> dict[str, object]:
    """Machines that boot in half a second; a small one for a tenth of a dollar an hour if none
    is said."""
    small = {"type": "small", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.1"}
    return {"scenario": "tested", "boot": 0.5, "offers": list(offers) or [small], **more}


def write_config(cluster: DaemonCluster, **sections: dict[str, object]) -> None:
    """Changes keys of sections of the daemon's file; `workers` is of the first kind."""
    file = yaml.safe_load(cluster.config.read_text())
    for name, keys in sections.items():
        place = file["workers"][0] if name == "workers" else file.setdefault(name, {})
        place |= keys
    cluster.config.write_text(yaml.safe_dump(file))


def reload(cluster: DaemonCluster, **sections: dict[str, object]) -> None:
    """Changes keys of the daemon's file, as `write_config`; returns when the daemon has them."""
    before = len(lines(cluster, "reloaded"))
    write_config(cluster, **sections)
    done = cluster.command("reload")
    assert done.returncode == 0, done.stderr
    when(cluster, lambda: len(lines(cluster, "reloaded")) > before, "it has read its file again")


def nodes(cluster: DaemonCluster) -> dict[str, Node]:
    """Every node that there ever was, by id."""
    with opened(cluster) as store:
        return {node.node_id: node for node in store.nodes(including_gone=True)}


def opened(cluster: DaemonCluster) -> Store:
    """The daemon's store, to read it."""
    return Store.open(cluster.folder / "costplan.db", read_only=True, clock=utc_now)


def work(cluster: DaemonCluster) -> tuple[WorkRow, ...]:
    """All work that the daemon has kept."""
    with opened(cluster) as store:
        return store.work()


def last_tick(cluster: DaemonCluster) -> StoredTick:
    """The newest tick."""
    with opened(cluster) as store:
        found = store.last_tick()
    assert found is not None
    return found


def looks_again(cluster: DaemonCluster, times: int) -> None:
    """Returns when the daemon has made so many ticks more."""
    seen = last_tick(cluster).seq
    when(cluster, lambda: last_tick(cluster).seq >= seen + times, f"{times} looks more")


def in_phase(cluster: DaemonCluster, *phases: Phase) -> list[Node]:
    """Nodes in one of these phases, by id."""
    return [node for node in nodes(cluster).values() if node.phase in phases]


def entered(node: Node, phase: Phase) -> tuple[datetime, str]:
    """When a node came into a phase first, and why."""
    return next((at, cause) for found, at, cause in node.history if found is phase)


def passed(node: Node) -> list[Phase]:
    """The phases of a node so far."""
    return [phase for phase, _, _ in node.history]


def when(
    cluster: DaemonCluster, condition: Callable[[], object], what: str, seconds: float = 60.0
) -> None:
    """Returns once the condition holds, and says the daemon's log where it never does."""
    try:
        wait_until(lambda: bool(condition()), what, seconds)
    except TimeoutError as error:
        tail = "\n".join(cluster.log().splitlines()[-15:])
        raise AssertionError(f"{error}\n{tail}") from None


def when_ready(cluster: DaemonCluster, count: int) -> list[Node]:
    """The nodes that work, once there are so many of them."""
    when(cluster, lambda: len(in_phase(cluster, Phase.READY)) == count, f"{count} ready nodes")
    return in_phase(cluster, Phase.READY)


def when_empty(cluster: DaemonCluster) -> None:
    """Returns once no machine is left, and the store knows."""
    when(cluster, lambda: cluster.alive() == 0, "no machine is left")
    when(
        cluster,
        lambda: all(node.phase is Phase.GONE for node in nodes(cluster).values()),
        "every node is gone",
    )


def interrupt(cluster: DaemonCluster, node: Node, notice_seconds: float | None) -> datetime:
    """Has a machine taken away, as an interruption of a scenario does; returns when it was said."""
    now = utc_now()
    folder = machines_folder(cluster.state_dir) / str(node.provider_id)
    announce(folder, f"test-{node.node_id}", "reclaim", notice_seconds, now)
    return now


def lines(cluster: DaemonCluster, event: str) -> list[dict[str, Any]]:
    """The lines of the daemon's log that tell of an event."""
    found = [json.loads(line) for line in cluster.log().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def instant(line: dict[str, Any]) -> datetime:
    """When a line was written."""
    return datetime.fromisoformat(line["at"]).astimezone(UTC)


def billed(cluster: DaemonCluster) -> dict[str, Decimal]:
    """Dollars by node, by the machines' own records and the scenario's prices."""
    stage, end = read_stage(cluster.state_dir), utc_now()
    assert stage is not None
    prices = LocalPrices(stage, utc_now).history(stage.started_at, end)
    found = bill(machine_records(cluster.state_dir), prices, stage.started_at, end)
    return {line.node_id: line.usd for line in found}


def entered_in_ledger(cluster: DaemonCluster) -> dict[str, Decimal]:
    """Dollars by node, by the ledger."""
    found: dict[str, Decimal] = {}
    with opened(cluster) as store:
        for entry in store.entries():
            found[entry.node_id] = found.get(entry.node_id, Decimal(0)) + entry.usd
    return found


def same_dollars(ledger: dict[str, Decimal], other: dict[str, Decimal]) -> bool:
    """True where both have the same nodes, each to within two pico-dollars."""
    return ledger.keys() == other.keys() and all(
        abs(ledger[name] - other[name]) <= Decimal("2e-12") for name in ledger
    )


def most_at_once(spans: Iterable[tuple[datetime, datetime]]) -> int:
    """How many of these half-open intervals there are at most at any instant."""
    steps = sorted(_steps(spans))
    count = most = 0
    for _, step in steps:
        count += step
        most = max(most, count)
    return most


def _steps(spans: Iterable[tuple[datetime, datetime]]) -> Iterator[tuple[datetime, int]]:
    for start, end in spans:
        yield start, 1
        yield end, -1
