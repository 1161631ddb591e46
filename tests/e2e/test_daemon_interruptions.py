"""Machines are taken away, with a warning and without one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from distributed import Client

from costplan.adapters.local.folders import WORKERS, machines_folder, read_json
from costplan.planner.nodes import Node
from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, daemon_cluster
from tests.e2e.daemon_tasks import begun, gated, nap
from tests.e2e.driven import (
    WORKER,
    billed,
    config,
    entered,
    entered_in_ledger,
    instant,
    interrupt,
    lines,
    nodes,
    passed,
    same_dollars,
    scenario,
    when,
    when_empty,
    when_ready,
)

NOTICE_SECONDS = 15.0
SOON_SECONDS = 3.0
FILES: dict[str, Any] = {
    "config": config({**WORKER, "minimum": 2}, scaling={"target": 60, "idle": 60}),
    "scenario": scenario(
        {
            "type": "small", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.1",
            "markets": ["spot"], "hazard_per_hour": 0.1,
        }
    ),
}  # fmt: skip


def test_with_a_warning_nothing_is_lost(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    with daemon_cluster(tmp_path, **FILES) as cluster, Client(cluster.address) as client:
        victim, _ = before = when_ready(cluster, 2)
        here: dict[str, Any] = {"workers": list(victim.workers), "allow_other_workers": True}
        held = [client.submit(nap, 0.1, number, **here) for number in range(5)]
        client.gather(held)
        running = client.submit(gated, gate, 7, **here)
        when(cluster, lambda: begun(gate), "a task runs where the machine will go")

        said = interrupt(cluster, victim, NOTICE_SECONDS)
        when(
            cluster,
            lambda: Phase.CORDONED in passed(nodes(cluster)[victim.node_id]),
            "a drain begins",
        )
        cordoned, _ = entered(nodes(cluster)[victim.node_id], Phase.CORDONED)
        assert (cordoned - said).total_seconds() <= 1.0
        (heir,) = set(nodes(cluster)) - {node.node_id for node in before}
        asked, _ = entered(nodes(cluster)[heir], Phase.REQUESTED)
        assert (asked - said).total_seconds() <= 1.0
        Path(gate).touch()
        assert running.result() == 7
        ended = when_gone(cluster, victim)
        assert ended.history[-1][2] == "terminated"  # by our word, before its time
        assert ended.ended_at is not None
        assert (ended.ended_at - said).total_seconds() < NOTICE_SECONDS
        cordon = next(
            line
            for line in lines(cluster, "outcome")
            if line["action"] == "cordon" and victim.node_id in line["node_ids"]
        )
        assert (instant(cordon) - said).total_seconds() <= 2.0

        assert client.gather(held) == list(range(5))
        assert begun(gate) == [7]
        totals = cluster.load()["totals"]
        assert (totals["recomputed"], totals["restarted"]) == (0, 0)


def test_what_goes_without_a_warning_is_seen_replaced_and_done_again(tmp_path: Path) -> None:
    """A worker is killed, then a machine vanishes with what it holds."""
    with daemon_cluster(tmp_path, **FILES) as cluster:
        with Client(cluster.address) as client:
            first, second = when_ready(cluster, 2)
            cause = loses(cluster, client, first, lambda: kill_worker(cluster, first), tmp_path)
            assert cause == "failed"
            when_ready(cluster, 2)
            cause = loses(
                cluster, client, second, lambda: interrupt(cluster, second, None), tmp_path
            )
            assert cause == "reclaimed"
            when_ready(cluster, 2)
            assert len(nodes(cluster)) == len(cluster.records()) == 4
        assert cluster.command("down", "--yes").returncode == 0
        when_empty(cluster)

        ledger = entered_in_ledger(cluster)
        assert same_dollars(ledger, billed(cluster)), (ledger, billed(cluster))
        report = json.loads(cluster.command("report", "--format", "json").stdout)
        assert Decimal(report["control_totals"]["cash_usd"]) == sum(ledger.values())
        by_purpose = {row["names"]["purpose"]: row for row in report["by_purpose"]}
        assert Decimal(by_purpose["recompute"]["cash_usd"]) > 0


def loses(
    cluster: DaemonCluster,
    client: Client,
    node: Node,
    take: Callable[[], object],
    folder: Path,
) -> str:
    """Has a node taken while it works and holds results; returns the cause that is written down.

    Its end is seen soon, all results are right in the end, and only what was lost is done again.
    """
    gate = str(folder / node.node_id)
    here: dict[str, Any] = {"workers": list(node.workers), "allow_other_workers": True}
    held = [client.submit(nap, 0.1, number, pure=False, **here) for number in range(5)]
    client.gather(held)
    running = client.submit(gated, gate, 8, **here)
    when(cluster, lambda: begun(gate) == [8], "a task runs where the machine will go")
    before, known = cluster.load()["totals"], set(nodes(cluster))

    take()
    when(cluster, lambda: begun(gate) == [8, 8], "it runs elsewhere")
    ended = when_gone(cluster, node)
    gone, cause = entered(ended, Phase.GONE)
    assert ended.ended_at is not None
    assert (gone - ended.ended_at).total_seconds() <= SOON_SECONDS
    when(cluster, lambda: len(set(nodes(cluster)) - known) == 1, "another one is asked for")
    Path(gate).touch()
    assert client.gather([*held, running]) == [0, 1, 2, 3, 4, 8]
    totals = cluster.load()["totals"]
    assert totals["restarted"] - before["restarted"] == 1
    # Those that the memory manager had copied by then are not lost.
    assert 1 <= totals["recomputed"] - before["recomputed"] <= 5
    return cause


def kill_worker(cluster: DaemonCluster, node: Node) -> None:
    """Has the process of a node's worker killed."""
    started = read_json(machines_folder(cluster.state_dir) / str(node.provider_id) / WORKERS)
    assert started is not None
    for process in started["processes"]:
        os.kill(process["pid"], signal.SIGKILL)


def when_gone(cluster: DaemonCluster, node: Node) -> Node:
    """The node once it is gone."""
    when(
        cluster,
        lambda: nodes(cluster)[node.node_id].phase is Phase.GONE,
        f"the end of {node.node_id} is seen",
    )
    return nodes(cluster)[node.node_id]
