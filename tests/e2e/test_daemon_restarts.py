"""The daemon ends, cleanly or not, and the fleet goes on; its file is read anew while it runs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client

from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, daemon_cluster, start_daemon
from tests.e2e.daemon_tasks import begun, gated, nap
from tests.e2e.driven import (
    WORKER,
    config,
    in_phase,
    lines,
    looks_again,
    nodes,
    reload,
    scenario,
    when,
    when_empty,
    when_ready,
    write_config,
)

STOP_SECONDS = 10.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    """Two machines that stay."""
    folder = tmp_path_factory.mktemp("restarts")
    files: dict[str, Any] = {
        "config": config({**WORKER, "minimum": 2, "maximum": 2}, scaling={"idle": 60}),
        "scenario": scenario(),
    }
    with daemon_cluster(folder, **files) as found:
        when_ready(found, 2)
        yield found


def test_a_second_daemon_says_who_runs_and_touches_nothing(cluster: DaemonCluster) -> None:
    started = len(lines(cluster, "started"))
    refused = cluster.command("run")
    assert refused.returncode == 1
    said = f"driven by costplan of tested (process {cluster.daemon.pid} on "
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    looks_again(cluster, 2)
    assert cluster.daemon.poll() is None
    assert len(lines(cluster, "started")) == started
    assert len(cluster.records()) == cluster.alive() == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_work_goes_on_without_the_daemon_and_the_next_one_adopts_the_fleet(
    cluster: DaemonCluster, number: signal.Signals, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    fleet = when_ready(cluster, 2)
    with Client(cluster.address) as client:
        running = client.map(gated, [gate] * 2, range(2))
        when(cluster, lambda: len(begun(gate)) == 2, "both work")
        asked = time.monotonic()
        cluster.daemon.send_signal(number)
        code = cluster.daemon.wait(STOP_SECONDS)
        assert time.monotonic() - asked < STOP_SECONDS
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        assert cluster.status()["daemon"]["alive"] is False
        Path(gate).touch()
        assert client.gather(running) == [0, 1]
        assert cluster.alive() == 2

        start_daemon(cluster)
        looks_again(cluster, 5)
        assert [node.node_id for node in in_phase(cluster, Phase.READY)] == [
            node.node_id for node in fleet
        ]
        assert len(nodes(cluster)) == len(cluster.records()) == cluster.alive() == 2
        assert sorted(begun(gate)) == [0, 1]
        assert client.submit(nap, 0, 5, pure=False).result() == 5
        totals = cluster.load()["totals"]
        assert (totals["recomputed"], totals["restarted"]) == (0, 0)
    assert cluster.status()["daemon"]["alive"] is True


def test_down_by_itself_says_so_where_it_is_broken_off(
    cluster: DaemonCluster, tmp_path: Path
) -> None:
    """No daemon runs, and a task does for longer than is waited: nothing is cut off, and nobody is
    told that the fleet is gone."""
    gate = str(tmp_path / "gate")
    when_ready(cluster, 2)
    with Client(cluster.address) as client:
        running = client.map(gated, [gate] * 2, range(2))
        when(cluster, lambda: len(begun(gate)) == 2, "both work")
        cluster.daemon.send_signal(signal.SIGTERM)
        cluster.daemon.wait(STOP_SECONDS)
        ended = cluster.command("down", "--yes", "--timeout", "3s")
        assert ended.returncode == 6, ended.stderr
        assert "no daemon runs; the request stands" in ended.stderr
        assert "no machines" not in ended.stdout
        assert cluster.alive() == 2
        assert cluster.command("resume").returncode == 0
        start_daemon(cluster)
        Path(gate).touch()
        assert client.gather(running) == [0, 1]
    when_ready(cluster, 2)


@pytest.mark.parametrize(
    ("section", "keys", "problem"),
    [
        ("scaling", {"target": "soon"}, "scaling.target"),
        ("workers", {"minimum": 9}, "workers[0].minimum"),
        ("http", {"listen": "127.0.0.1:1"}, "http cannot change while it runs"),
    ],
)
def test_a_file_with_a_problem_is_refused_and_the_old_one_stays(
    cluster: DaemonCluster, section: str, keys: dict[str, object], problem: str
) -> None:
    good = cluster.config.read_text()
    write_config(cluster, **{section: keys})
    seen = len(lines(cluster, "reload refused"))
    try:
        if section != "http":  # as this one reads well, only the daemon sees what is wrong
            refused = cluster.command("reload")
            assert refused.returncode == 1
            assert problem in refused.stderr
        cluster.daemon.send_signal(signal.SIGHUP)
        when(cluster, lambda: len(lines(cluster, "reload refused")) > seen, "it is refused")
        assert problem in lines(cluster, "reload refused")[-1]["reason"]
    finally:
        cluster.config.write_text(good)
    looks_again(cluster, 3)
    assert len(in_phase(cluster, Phase.READY)) == cluster.alive() == 2


def test_a_cadence_is_taken_anew(cluster: DaemonCluster) -> None:
    """An hour between plans, and then a second."""

    def plans() -> list[bool]:
        return [line["expected_usd"] is not None for line in lines(cluster, "tick")]

    reload(cluster, cadence={"plan": 3600})
    when(cluster, lambda: not any(plans()[-12:]), "looks for four seconds, and no plan")
    seen = len(plans())
    reload(cluster, cadence={"plan": 1})
    when(cluster, lambda: sum(plans()[seen:]) >= 4, "it plans again and again")


def test_a_hangup_makes_it_read_its_file_and_down_ends_all(cluster: DaemonCluster) -> None:
    seen = len(lines(cluster, "reloaded"))
    file = yaml.safe_load(cluster.config.read_text())
    file["workers"][0]["minimum"], file["workers"][0]["maximum"] = 3, 3
    cluster.config.write_text(yaml.safe_dump(file))
    cluster.daemon.send_signal(signal.SIGHUP)
    when(cluster, lambda: len(lines(cluster, "reloaded")) > seen, "it is taken")
    when_ready(cluster, 3)
    ended = cluster.command("down", "--yes")
    assert ended.returncode == 0, ended.stderr
    when_empty(cluster)
    looks_again(cluster, 3)
    assert cluster.alive() == 0  # not even the minimum comes back by itself
