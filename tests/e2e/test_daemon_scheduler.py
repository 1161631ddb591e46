"""The scheduler is away, and starts anew with nothing in its memory."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from distributed import Client

from costplan.planner.types import Mode, Phase
from tests.daemon_cluster import daemon_cluster, start_scheduler, stop
from tests.e2e.daemon_tasks import begun, gated, nap
from tests.e2e.driven import (
    WORKER,
    config,
    last_tick,
    lines,
    looks_again,
    nodes,
    scenario,
    when,
    when_ready,
)


def test_a_scheduler_that_is_silent_is_not_idle(tmp_path: Path) -> None:
    """Frozen, with work on two machines that one would be enough for."""
    files: dict[str, Any] = {
        "config": config(
            {**WORKER, "minimum": 2, "maximum": 4}, scaling={"idle": 0, "client_gone": 0}
        ),
        "scenario": scenario(),
    }
    gate = str(tmp_path / "gate")
    with daemon_cluster(tmp_path, **files) as cluster, Client(cluster.address) as client:
        fleet = when_ready(cluster, 2)
        running = client.map(gated, [gate] * 2, range(2))
        when(cluster, lambda: len(begun(gate)) == 2, "both work")
        before = len(lines(cluster, "action"))
        cluster.scheduler.send_signal(signal.SIGSTOP)
        when(cluster, lambda: last_tick(cluster).mode is Mode.HOLD, "it only holds")
        told = cluster.status()
        assert told["last_tick"]["mode"] == "hold"
        assert "load" in [gap["kind"] for gap in told["last_tick"]["gaps"]]
        assert "hold" in cluster.command("status").stdout
        assert lines(cluster, "tick")[-1]["mode"] == "hold"
        assert lines(cluster, "tick")[-1]["level"] == "warning"

        cluster.scheduler.send_signal(signal.SIGCONT)
        when(cluster, lambda: last_tick(cluster).mode is Mode.FULL, "it is back")
        Path(gate).touch()
        assert client.gather(running) == [0, 1]
        assert len(lines(cluster, "action")) == before
        assert set(nodes(cluster)) == {node.node_id for node in fleet}
        assert sorted(begun(gate)) == [0, 1]


def test_a_scheduler_that_starts_anew_gets_workers_and_nothing_twice(tmp_path: Path) -> None:
    """It dies and comes back at once; then it dies and stays away for a while."""
    files: dict[str, Any] = {
        # Where a step of the forecast ends meanwhile, a machine may be bought for work to come.
        "config": config(
            {**WORKER, "maximum": 2},
            scaling={"idle": 60, "client_gone": 60},
            forecast={"use": False},
        ),
        "scenario": scenario(),
    }
    with daemon_cluster(tmp_path, **files) as cluster:
        with Client(cluster.address) as client:
            assert client.gather(client.map(nap, [0.5] * 12, range(12))) == list(range(12))
        first = cluster.load()["scheduler_id"]

        stop(cluster.scheduler)
        start_scheduler(cluster)
        assert cluster.load()["scheduler_id"] != first
        with Client(cluster.address) as client:
            assert client.gather(client.map(nap, [0.5] * 12, range(100, 112))) == [*range(100, 112)]

        stop(cluster.scheduler)
        when(cluster, lambda: last_tick(cluster).mode is Mode.HOLD, "it only holds")
        known = set(nodes(cluster))
        when(cluster, lambda: cluster.alive() == 0, "its machines power off")
        looks_again(cluster, 5)
        assert last_tick(cluster).mode is Mode.HOLD
        assert set(nodes(cluster)) == known
        assert all(node.phase is Phase.GONE for node in nodes(cluster).values())
        assert not [line for line in lines(cluster, "action") if line["action"] == "terminate"]

        start_scheduler(cluster)
        when(cluster, lambda: last_tick(cluster).mode is Mode.FULL, "it is back")
        assert cluster.alive() == 0  # nothing waits, so nothing is bought
        with Client(cluster.address) as client:
            assert client.gather(client.map(nap, [0.5] * 12, range(12))) == list(range(12))
        fleet = nodes(cluster)
        assert len(fleet) == len(cluster.records())
        assert len({node.token for node in fleet.values()}) == len(fleet)
        assert len(fleet) <= 6  # twice two at each start
