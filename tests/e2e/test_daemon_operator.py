"""What an operator says to a running daemon, and what it answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from distributed import Client

from costplan.planner.standing import COMING
from costplan.planner.types import Phase
from tests.daemon_cluster import COSTPLAN, DaemonCluster, daemon_cluster, start_daemon, stop
from tests.e2e.daemon_tasks import begun, gated
from tests.e2e.driven import (
    config,
    in_phase,
    last_tick,
    lines,
    looks_again,
    nodes,
    opened,
    reload,
    scenario,
    when,
    when_empty,
    when_ready,
)

KIND = {"name": "worker", "vcpu": 2, "threads": 1, "memory": "1 GiB"}
OFFER = {"type": "m5.large", "markets": ["on_demand"]}
PLACE = {"provider": "aws", "region": "us-east-1", "zone": "us-east-1a"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonCluster]:
    """Machines of the price list; an idle one stays for a minute."""
    files: dict[str, Any] = {
        "config": config(
            {**KIND, "maximum": 4},
            scaling={"idle": 60, "client_gone": 60},
            where={"providers": ["aws"], "regions": {"aws": ["us-east-1"]}},
        ),
        "scenario": scenario(OFFER, place=PLACE),
    }
    with daemon_cluster(tmp_path_factory.mktemp("operator"), **files) as found:
        yield found


def recommended(cluster: DaemonCluster) -> Path:
    """A plan of `recommend` for two workers, from what runs now."""
    current = cluster.folder / "now.json"
    current.write_text(cluster.command("status", "--format", "fleet").stdout)
    workload = cluster.folder / "workload.yaml"
    kind = {key: KIND[key] for key in ("name", "vcpu", "memory")}
    written = {
        "workload": "tests",
        "workers": [{**kind, "count": 2}],
        "where": {"providers": ["aws"], "regions": {"aws": ["us-east-1"]}},
        "machines": {"include": ["m5.large"]},
        "market": {"allow": ["on_demand"]},
        "overhead": {"vcpu": 0, "memory_share": 0, "memory_floor": 0},
    }
    workload.write_text(yaml.safe_dump(written))
    out = cluster.folder / "plan.json"
    command = [str(COSTPLAN), "recommend", str(workload), "--current", str(current)]
    command += ["--max-price-age", "3650d", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return out


def changed(plan: Path, **keys: object) -> Path:
    """The plan with other fields, beside it."""
    document = {**json.loads(plan.read_text()), **keys}
    path = plan.with_name("changed.json")
    path.write_text(json.dumps(document))
    return path


def test_a_plan_is_refused_where_it_does_not_fit(cluster: DaemonCluster, tmp_path: Path) -> None:
    """Each with its reason and its exit code, and nothing is launched."""
    plan = recommended(cluster)
    document = json.loads(plan.read_text())
    asked = document["workload"]
    kind = {**asked["workers"][0], "name": "other"}
    no_json = tmp_path / "broken.json"
    no_json.write_text("{")
    dearer = [{**row, "usd_per_hour_each": "0.01"} for row in document["fleet"]]
    elsewhere = [{**row, "instance_type": "m5.nonsense"} for row in document["fleet"]]
    cases = [
        (tmp_path / "none.json", 1, "there is no such file"),
        (no_json, 1, "is not JSON"),
        (lambda: changed(plan, fleet="all"), 1, "fleet"),
        (lambda: changed(plan, created_at="2020-01-01T00:00:00Z"), 4, "old"),
        (lambda: changed(plan, fleet=dearer), 4, "prices"),
        (lambda: changed(plan, fleet=elsewhere), 4, "m5.nonsense"),
        (lambda: changed(plan, workload={**asked, "name": "others"}), 5, "for workload others"),
        (lambda: changed(plan, workload={**asked, "workers": [kind]}), 5, "other is no kind of"),
    ]
    for made, code, reason in cases:
        path = made if isinstance(made, Path) else made()
        done = cluster.command("apply", str(path))
        assert (done.returncode, reason in done.stderr) == (code, True), (reason, done)
        assert "Traceback" not in done.stderr
    looks_again(cluster, 3)
    assert cluster.records() == []


def test_a_plan_is_executed_once(cluster: DaemonCluster) -> None:
    plan = recommended(cluster)
    checked = cluster.command("apply", str(plan), "--check")
    assert checked.returncode == 0, checked.stderr
    handed = cluster.command("apply", str(plan), "--hold", "1h")
    assert handed.returncode == 0, handed.stderr
    fleet = when_ready(cluster, 2)
    assert [node.key.instance_type for node in fleet] == ["m5.large"] * 2
    looks_again(cluster, 5)
    assert len(in_phase(cluster, Phase.READY)) == len(cluster.records()) == 2

    again = cluster.command("apply", str(plan))
    assert again.returncode == 5
    assert "was executed before" in again.stderr
    assert "made for a fleet with 0 nodes" in again.stderr
    looks_again(cluster, 3)
    assert len(cluster.records()) == 2
    assert cluster.command("resume").returncode == 0


def test_paused_nothing_is_bought_and_drained_one_goes(
    cluster: DaemonCluster, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    reload(cluster, workers={"minimum": 2})
    first, _ = when_ready(cluster, 2)
    assert cluster.command("pause").returncode == 0
    looks_again(cluster, 2)
    before = len(nodes(cluster))
    assert cluster.status()["control"]["paused_until"] is not None
    with Client(cluster.address) as client:
        futures = client.map(gated, [str(gate)] * 40, range(40))  # taken for 40 s of work
        looks_again(cluster, 6)
        assert len(nodes(cluster)) == before
        assert cluster.command("resume").returncode == 0
        when(cluster, lambda: len(nodes(cluster)) > before, "more are bought")
        gate.touch()
        assert client.gather(futures) == list(range(40))
    when(cluster, lambda: not in_phase(cluster, *COMING), "no machine is on its way")
    first, _ = when_ready(cluster, 2)  # the minimum, once the others were let go
    drained = cluster.command("drain", first.node_id, "--yes", "--wait")
    assert drained.returncode == 0, drained.stderr
    assert nodes(cluster)[first.node_id].phase is Phase.GONE
    assert first.node_id not in {node.node_id for node in when_ready(cluster, 2)}
    wrong = cluster.command("drain", "nobody", "--yes")
    assert wrong.returncode == 1
    assert "is no node of this cluster" in wrong.stderr


def test_every_tick_replays_and_is_explained(cluster: DaemonCluster) -> None:
    assert cluster.command("explain", "last").returncode == 0
    with opened(cluster) as store:
        ticks = list(store.ticks(1_000))
    planned = [each for each in ticks if each.plan is not None and each.actions]
    assert planned
    for stored in [*planned[:2], ticks[0], ticks[-1]]:
        replayed = cluster.command("replay", stored.tick_id)
        assert replayed.returncode == 0, replayed.stdout
        assert "byte for byte" in replayed.stderr
    told = cluster.command("explain", planned[0].tick_id)
    assert told.returncode == 0
    assert planned[0].tick_id in told.stdout


def test_health_figures_and_a_line_a_tick(cluster: DaemonCluster) -> None:
    assert httpx.get(f"{cluster.health}/healthz").json() == {"status": "alive", "problems": []}
    assert httpx.get(f"{cluster.health}/readyz").json() == {"status": "ready", "problems": []}
    figures = httpx.get(f"{cluster.health}/metrics").text
    assert 'costplan_mode{mode="full"} 1.0' in figures
    assert "costplan_tick_seconds_bucket" in figures
    seen = last_tick(cluster)
    looks_again(cluster, 1)
    with opened(cluster) as store:
        ticks = sorted(store.ticks(100_000), key=lambda each: each.seq)
    ids = [each.tick_id for each in ticks if each.seq <= seen.seq]
    assert [line["tick_id"] for line in lines(cluster, "tick")][: len(ids)] == ids
    assert all(
        isinstance(json.loads(line), dict) for line in cluster.log().splitlines()
    )  # JSON and nothing else
    for text in (cluster.log(), figures, cluster.command("status").stdout):
        assert cluster.token not in text


def test_down_without_a_daemon_says_what_is_left_when_its_time_is_over(
    cluster: DaemonCluster, tmp_path: Path
) -> None:
    """A machine that runs is not told to be gone, and the command does not wait for ever."""
    gate = tmp_path / "gate"
    with Client(cluster.address) as client:
        future = client.submit(gated, str(gate))
        when(cluster, lambda: len(begun(str(gate))) == 1, "the task runs")
        stop(cluster.daemon)
        asked = cluster.command("down", "--yes", "--timeout", "2s")
        assert asked.returncode == 6, asked.stderr
        assert "left" in asked.stderr
        assert "no daemon runs; the request stands" in asked.stderr
        assert "no machines" not in asked.stdout
        assert cluster.alive()
        assert cluster.command("resume").returncode == 0
        start_daemon(cluster)
        gate.touch()
        assert client.gather(future) == 0


def test_down_ends_all(cluster: DaemonCluster) -> None:
    asked = cluster.command("down", "--yes")
    assert asked.returncode == 0, asked.stderr
    when_empty(cluster)
    assert cluster.status()["control"]["down"] is True
