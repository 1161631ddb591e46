"""Machines are taken away, with a warning and without one."""

from __future__ import annotations

import json
from pathlib import Path

from distributed import Client

from costplan.planner.types import Phase
from tests.daemon_cluster import daemon_cluster
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
FILES = {
    "config": config({**WORKER, "maximum": 3}, scaling={"target": 60, "idle": 60}),
    "scenario": scenario(
        {
            "type": "small", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.1",
            "markets": ["spot"], "hazard_per_hour": 0.1,
        }
    ),
}  # fmt: skip


def test_with_a_warning_nothing_is_lost_and_without_one_it_is_done_again(tmp_path: Path) -> None:
    """First one of two machines is warned of, then another one vanishes with what it holds."""
    first_gate, second_gate = str(tmp_path / "first"), str(tmp_path / "second")
    files = {**FILES, "config": {**FILES["config"], "workers": [{**WORKER, "minimum": 2}]}}
    with daemon_cluster(tmp_path, **files) as cluster:
        with Client(cluster.address) as client:
            victim, other = when_ready(cluster, 2)
            held = [
                client.submit(nap, 0.1, n, workers=list(victim.workers), allow_other_workers=True)
                for n in range(5)
            ]
            client.gather(held)
            running = client.submit(
                gated, first_gate, 7, workers=list(victim.workers), allow_other_workers=True
            )
            when(cluster, lambda: begun(first_gate), "a task runs where the machine will go")

            said = interrupt(cluster, victim, NOTICE_SECONDS)
            when(
                cluster,
                lambda: Phase.CORDONED in passed(nodes(cluster)[victim.node_id]),
                "a drain begins",
            )
            cordoned, _ = entered(nodes(cluster)[victim.node_id], Phase.CORDONED)
            assert (cordoned - said).total_seconds() <= 1.0
            heirs = set(nodes(cluster)) - {victim.node_id, other.node_id}
            assert len(heirs) == 1
            (heir,) = heirs
            asked, _ = entered(nodes(cluster)[heir], Phase.REQUESTED)
            assert (asked - said).total_seconds() <= 1.0
            Path(first_gate).touch()
            assert running.result() == 7
            when(
                cluster,
                lambda: nodes(cluster)[victim.node_id].phase is Phase.GONE,
                "it ends by our word, before its time",
            )
            ended = nodes(cluster)[victim.node_id]
            assert ended.history[-1][2] == "terminated"
            assert ended.ended_at is not None
            assert (ended.ended_at - said).total_seconds() < NOTICE_SECONDS
            assert client.gather(held) == list(range(5))
            assert begun(first_gate) == [7]
            totals = cluster.load()["totals"]
            assert (totals["recomputed"], totals["restarted"]) == (0, 0)
            [cordon] = [
                line
                for line in lines(cluster, "outcome")
                if line["action"] == "cordon" and victim.node_id in line["nodes"]
            ][:1]
            assert (instant(cordon) - said).total_seconds() <= 2.0

            # The rest is done by the others now, and one of those vanishes.
            when_ready(cluster, 2)
            running = client.submit(
                gated, second_gate, 8, workers=list(other.workers), allow_other_workers=True
            )
            when(cluster, lambda: begun(second_gate), "a task runs where the machine will go")
            said = interrupt(cluster, other, None)
            when(
                cluster,
                lambda: nodes(cluster)[other.node_id].phase is Phase.GONE,
                "its end is seen",
            )
            gone, cause = entered(nodes(cluster)[other.node_id], Phase.GONE)
            assert cause == "reclaimed"
            assert (gone - said).total_seconds() <= SOON_SECONDS
            when(cluster, lambda: len(nodes(cluster)) == 4, "another one is asked for")
            Path(second_gate).touch()
            assert client.gather([*held, running]) == [0, 1, 2, 3, 4, 8]
            assert begun(second_gate) == [8, 8]
            when_ready(cluster, 2)
            totals = cluster.load()["totals"]
            assert totals["restarted"] == 1
            assert totals["recomputed"] >= 1
            assert totals["recomputed_seconds"] > 0.09
        assert cluster.command("down", "--yes").returncode == 0
        when_empty(cluster)
        ledger = entered_in_ledger(cluster)
        assert same_dollars(ledger, billed(cluster)), (ledger, billed(cluster))
        report = json.loads(cluster.command("report", "--format", "json").stdout)
        print(json.dumps(report, indent=1)[:6000])
