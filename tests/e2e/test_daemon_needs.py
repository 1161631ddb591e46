"""Work that no machine could do costs nothing, and what was learnt is known after a restart."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from distributed import Client

from costplan.planner.types import Phase
from tests.daemon_cluster import daemon_cluster, start_daemon
from tests.e2e.daemon_tasks import nap
from tests.e2e.driven import (
    WORKER,
    config,
    entered,
    last_tick,
    looks_again,
    nodes,
    scenario,
    when,
    when_empty,
)


def test_nothing_is_bought_for_what_no_machine_could_do(tmp_path: Path) -> None:
    """A GPU that no machine has, a resource that no kind offers, a worker that is not there."""
    gpu = {"name": "trainer", "vcpu": 1, "threads": 1, "memory": "512 MiB", "gpu": 1}
    files: dict[str, Any] = {
        "config": config({**WORKER, "maximum": 2}, {**gpu, "maximum": 2}),
        "scenario": scenario(),
    }
    with daemon_cluster(tmp_path, **files) as cluster, Client(cluster.address) as client:
        waiting = [
            client.submit(sum, [1], resources={"GPU": 1}),
            client.submit(len, [1], resources={"licence": 1}),
            client.submit(abs, 1, workers=["nobody"]),
        ]
        when(cluster, lambda: len(cluster.status()["not_bought_for"]) == 3, "it says so of all")
        looks_again(cluster, 8)
        rows = {row["prefix"]: row for row in cluster.status()["not_bought_for"]}
        assert {name: row["tasks"] for name, row in rows.items()} == {"sum": 1, "len": 1, "abs": 1}
        assert rows["sum"]["need"] == {"GPU": 1.0}
        assert "GPU" in rows["sum"]["reason"]
        assert "licence" in rows["len"]["reason"]
        assert all(row["reason"] for row in rows.values())
        screen = cluster.command("status").stdout
        for row in rows.values():
            assert row["prefix"] in screen
        assert nodes(cluster) == {}
        assert cluster.records() == []

        # They are in nobody's way.
        assert client.submit(nap, 0, 3).result() == 3
        assert {node.resources.gpus for node in nodes(cluster).values()} == {0}
        assert all(future.status == "pending" for future in waiting)


def test_the_first_size_after_a_restart_is_that_of_what_was_learnt(tmp_path: Path) -> None:
    """Tasks of 1.5 s are taken for 0.3 s before any has run: 24 of them for one worker. Once
    known they are 36 s of work for 10 s less a boot, so at least four."""
    files: dict[str, Any] = {
        "config": config({**WORKER, "maximum": 8}, scaling={"unknown_task": 0.3}),
        "scenario": scenario(),
    }
    with daemon_cluster(tmp_path, **files) as cluster:
        with Client(cluster.address) as client:
            assert client.submit(nap, 1.5, 1).result() == 1
        when_empty(cluster)
        before = set(nodes(cluster))
        assert len(before) == 1
        cluster.daemon.send_signal(signal.SIGTERM)
        cluster.daemon.wait(10)
        start_daemon(cluster)

        with Client(cluster.address) as client:
            futures = client.map(nap, [1.5] * 24, range(24))
            when(cluster, lambda: len(nodes(cluster)) > 1, "machines are asked for")
            fresh = [node for name, node in nodes(cluster).items() if name not in before]
            first = min(entered(node, Phase.INTENDED)[0] for node in fresh)
            together = [node for node in fresh if entered(node, Phase.INTENDED)[0] == first]
            assert len(together) >= 4
            assert client.gather(futures) == list(range(24))
        when_empty(cluster)  # well before `idle` would end a worker that a client might need
        assert last_tick(cluster).mode == "full"
