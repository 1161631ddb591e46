"""The daemon buys what the work asks for, lets go what it does not, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from distributed import Client

from costplan.planner.nodes import Cause
from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, daemon_cluster
from tests.e2e.daemon_tasks import begun, gated, nap
from tests.e2e.driven import (
    WORKER,
    billed,
    config,
    entered_in_ledger,
    in_phase,
    last_tick,
    looks_again,
    nodes,
    passed,
    reload,
    same_dollars,
    scenario,
    when,
    when_empty,
    when_ready,
    work,
)


def paced(cluster: DaemonCluster, prefix: str) -> dict[str, int]:
    """Tasks of a prefix by type of machine, whose pace the daemon remembers."""
    cells = last_tick(cluster).state_before.learnt.paces.get(prefix, {})
    return {name: cell[0] for name, cell in cells.items()}


def test_from_zero_to_the_size_of_the_work_and_back(tmp_path: Path) -> None:
    """24 tasks that are taken for 1 s each are to be done within 10 s, of which a boot takes 3:
    24/7, so 4 workers at once. The machines stay on until they are told to end, so that every one
    passes all phases, whoever looks first."""
    files = {
        "config": config({**WORKER, "maximum": 8}),
        "scenario": scenario(power_off=False),
    }
    with daemon_cluster(tmp_path, **files) as cluster:
        with Client(cluster.address) as client:
            found = client.gather(client.map(nap, [0.5] * 24, range(24)))
        assert found == list(range(24))
        when_empty(cluster)

        totals = cluster.load()["totals"]
        assert totals["finished"] == 24
        assert (totals["recomputed"], totals["restarted"]) == (0, 0)
        fleet = nodes(cluster).values()
        assert len(fleet) == len(cluster.records()) == 4
        for node in fleet:
            assert passed(node)[3:] == [
                Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING, Phase.GONE,
            ]  # fmt: skip
        when(cluster, lambda: sum(row.tasks for row in work(cluster)) == 24, "its work is kept")
        assert {row.node_id for row in work(cluster)} == set(nodes(cluster))
        assert sum(row.busy_seconds for row in work(cluster)) == pytest.approx(12, abs=4)
        # The machines said of what type they are, and what their tasks took is remembered by it.
        # Paces are told every few seconds, so a small fleet can be gone before the last ones are.
        when(cluster, lambda: paced(cluster, "nap") == {"small": 24}, "its pace is remembered")
        ledger = entered_in_ledger(cluster)
        assert len(ledger) == 4
        assert same_dollars(ledger, billed(cluster)), (ledger, billed(cluster))


def test_what_runs_on_a_surplus_worker_ends_there_and_what_it_holds_survives(
    tmp_path: Path,
) -> None:
    files = {
        "config": config(
            {**WORKER, "minimum": 3, "maximum": 3}, scaling={"target": 3, "boot": 1, "idle": 1}
        ),
        "scenario": scenario(),
    }
    gate = str(tmp_path / "gate")
    with daemon_cluster(tmp_path, **files) as cluster, Client(cluster.address) as client:
        fleet = when_ready(cluster, 3)
        held = [
            client.submit(nap, 0, number, workers=[name], allow_other_workers=True, pure=False)
            for number, name in enumerate(name for node in fleet for name in node.workers * 4)
        ]
        client.gather(held)
        running = client.map(gated, [gate] * 3, range(3))  # one on each
        when(cluster, lambda: len(begun(gate)) == 3, "three tasks run")

        reload(cluster, workers={"minimum": 0, "maximum": 1})
        when(cluster, lambda: len(in_phase(cluster, Phase.CORDONED)) == 2, "two nodes are to go")
        looks_again(cluster, 10)
        going = in_phase(cluster, Phase.CORDONED)
        assert len(going) == 2  # they wait for what runs, however long it takes
        assert {node.drain.cause for node in going if node.drain} == {Cause.SURPLUS}
        Path(gate).touch()
        assert client.gather(running) == [0, 1, 2]

        when(cluster, lambda: cluster.alive() == 1, "one machine is left")
        assert client.gather(held) == list(range(12))
        assert sorted(begun(gate)) == [0, 1, 2]
        totals = cluster.load()["totals"]
        assert (totals["recomputed"], totals["restarted"]) == (0, 0)
        assert totals["finished"] == 15
