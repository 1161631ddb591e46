"""A collective is one unit: nobody of it leaves before its end, and its end is right."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import numpy as np
import pytest
import xgboost as xgb
import xgboost.dask as dxgb
from distributed import Client

from costplan.planner.types import Phase
from tests.daemon_cluster import DaemonCluster, daemon_cluster
from tests.e2e.boosted_rounds import (
    COLUMNS,
    MODEL,
    ROUNDS,
    WAITS_AFTER,
    Waits,
    part,
    scores,
    trained_alone,
)
from tests.e2e.daemon_tasks import begun
from tests.e2e.driven import (
    WORKER,
    config,
    entered,
    in_phase,
    interrupt,
    looks_again,
    nodes,
    passed,
    reload,
    scenario,
    when,
    when_ready,
)

PARTS, MEMBERS = 4, 2
NOTICE_SECONDS = 30.0
FILES: dict[str, Any] = {
    "config": config(
        {**WORKER, "minimum": MEMBERS, "maximum": MEMBERS}, scaling={"target": 5, "idle": 1}
    ),
    "scenario": scenario(
        {
            "type": "small", "vcpu": 1, "memory": "1 GiB", "usd_per_hour": "0.1",
            "markets": ["spot"], "hazard_per_hour": 0.1,
        }
    ),
}  # fmt: skip


@contextmanager
def in_training(folder: Path) -> Iterator[tuple[DaemonCluster, Client, Path, Future[xgb.Booster]]]:
    """A training that waits in its midst at a gate, over all machines that there are."""
    gate = folder / "gate"
    with (
        daemon_cluster(folder, **FILES) as cluster,
        Client(cluster.address) as client,
        ThreadPoolExecutor(1) as beside,
    ):
        when_ready(cluster, MEMBERS)
        table = client.persist(dd.from_map(part, range(PARTS)))
        training = beside.submit(_train, client, table, str(gate))
        try:
            when(
                cluster,
                lambda: training.done() or begun(str(gate)).count(WAITS_AFTER) == MEMBERS,
                "all members are in the midst of the training",
            )
            yield cluster, client, gate, training
        finally:
            gate.touch()
            training.exception(timeout=60)


def _train(client: Client, table: dd.DataFrame, gate: str) -> xgb.Booster:
    matrix = dxgb.DaskQuantileDMatrix(client, table[list(COLUMNS)], table["y"])
    training = dxgb.train(client, MODEL, matrix, num_boost_round=ROUNDS, callbacks=[Waits(gate)])
    return training["booster"]


def assert_right(cluster: DaemonCluster, gate: Path, model: xgb.Booster) -> None:
    """The model is that of a training that nobody disturbed, and no round was done twice."""
    assert scores(model) == pytest.approx(trained_alone(PARTS), abs=1e-3)
    assert np.ptp(scores(model)) > 0.5
    assert sorted(begun(str(gate))) == sorted([*range(ROUNDS)] * MEMBERS)
    totals = cluster.load()["totals"]
    assert (totals["restarted"], totals["erred"]) == (0, 0)


def test_a_surplus_is_let_go_after_the_training(tmp_path: Path) -> None:
    with in_training(tmp_path) as (cluster, _, gate, training):
        reload(cluster, workers={"minimum": 0, "maximum": 1})
        looks_again(cluster, 12)
        assert not training.done()
        assert [Phase.CORDONED in passed(node) for node in nodes(cluster).values()] == [False] * 2
        told = cluster.command("explain", "last").stdout
        assert "collective" in told, told

        gate.touch()
        assert_right(cluster, gate, training.result(timeout=30))
        when(cluster, lambda: cluster.alive() == 1, "one machine is left")
        assert cluster.load()["totals"]["recomputed"] == 0


def test_a_machine_that_is_warned_of_leaves_after_the_training(tmp_path: Path) -> None:
    with in_training(tmp_path) as (cluster, client, gate, training):
        victim, other = in_phase(cluster, Phase.READY)
        said = interrupt(cluster, victim, NOTICE_SECONDS)
        when(
            cluster,
            lambda: Phase.CORDONED in passed(nodes(cluster)[victim.node_id]),
            "a drain begins",
        )
        cordoned, _ = entered(nodes(cluster)[victim.node_id], Phase.CORDONED)
        assert (cordoned - said).total_seconds() <= 1.0
        when_ready(cluster, MEMBERS)  # one of them is the replacement
        assert not training.done()
        assert nodes(cluster)[victim.node_id].phase is Phase.CORDONED

        gate.touch()
        assert_right(cluster, gate, training.result(timeout=30))
        when(
            cluster,
            lambda: nodes(cluster)[victim.node_id].phase is Phase.GONE,
            "it ends by our word, before its time",
        )
        ended = nodes(cluster)[victim.node_id]
        assert ended.history[-1][2] == "terminated"
        assert ended.ended_at is not None
        assert (ended.ended_at - said).total_seconds() < NOTICE_SECONDS
        assert nodes(cluster)[other.node_id].phase is Phase.READY
        assert client.submit(sum, [1, 2]).result() == 3
        assert cluster.load()["totals"]["recomputed"] == 0
