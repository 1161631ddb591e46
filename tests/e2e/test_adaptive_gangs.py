"""Workers that are needed together: blocks, announcements, and a training through a scale-down."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster, wait

from costplan.adapters.dask import CostAwareAdaptive, span
from costplan.adapters.dask.adaptive_options import ArgumentError
from tests.adapted_cluster import (
    DEADLINE_SECONDS,
    GATES,
    RUNS,
    World,
    adapted,
    gated,
    number,
    run,
    until,
)
from tests.e2e.daemon_tasks import begun


def test_a_gang_is_there_before_its_block_and_stays_until_its_end() -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=4, interval="20ms")
            async with adaptive.gang(3):
                assert len(cluster.scheduler.workers) == 3
                assert await client.submit(number, 1) == 1
                for _ in range(50):
                    await adaptive.adapt()
                assert len(cluster.scheduler.workers) == 3
            await until(lambda: not world.alive)
            with pytest.raises(ArgumentError, match="gang of 5 is above maximum=4"):
                await adaptive.gang(5).__aenter__()
            world.booted.clear()
            with pytest.raises(TimeoutError, match="of a gang of 2 workers 0 are there"):
                await adaptive.gang(2, timeout="50ms").__aenter__()
            assert adaptive._gangs.width() == 0

    run(scene())


def test_a_gang_stays_where_the_cluster_is_adapted_anew() -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, _):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=4, interval="20ms")
            async with adaptive.gang(3):
                cluster.adapt(Adaptive=CostAwareAdaptive, maximum=5, idle_timeout="1ms")
                await asyncio.sleep(1.0)
                assert len(world.alive) == 3
            await until(lambda: not world.alive)

    run(scene())


def test_a_gang_can_be_announced_by_its_tasks_or_with_the_arguments() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            cluster.adapt(Adaptive=CostAwareAdaptive, maximum=4, interval="20ms")
            with dask.annotate(costplan={"gang": 3}), span("train"):
                future = client.submit(gated, "a", 1)
            await until(lambda: len(cluster.scheduler.workers) == 3)
            with dask.annotate(costplan={"gang": "many"}):
                other = client.submit(gated, "a", 2)  # says nothing, and does no harm
            with span("test"), dask.annotate(costplan={"gang": 2}):
                third = client.submit(gated, "a", 3)
            GATES["a"].set()
            await client.gather([future, other, third])
            costs = cluster.scheduler.plugins["costplan"].costs.figures_now()
            assert {line.name: line.tasks for line in costs.by_span} == {
                "train": 1, "test": 1, "(no span)": 1
            }  # fmt: skip
            del future, other, third
            await until(lambda: not cluster.worker_spec)
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, gang=2)
            future = client.submit(gated, "b", 7)
            await until(
                lambda: len(cluster.scheduler.workers) == 2,
                lambda: (adaptive.explain(), adaptive.log, adaptive._look),
            )
            GATES["b"].set()
            await future
            del future
            await until(lambda: not cluster.worker_spec)

    run(scene())


def test_a_block_of_a_sync_cluster() -> None:
    RUNS.clear()
    with LocalCluster(
        n_workers=0, processes=False, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=3, interval="50ms")
        with Client(cluster) as client, adaptive.gang(2, timeout="30s"):
            assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2
            before = client.map(number, range(20), pure=False)
            wait(before)
            cluster.scale(1)
            assert client.gather(before) == list(range(20))
            assert max(RUNS[at] for at in range(20)) == 1


def test_xgboost_trains_through_a_scale_down(tmp_path: Path) -> None:
    """Members hold their parts of the data and work until the end. Stock ends the training:
    'Invalid worker address', or the collective breaks."""
    pytest.importorskip("xgboost")
    dd = pytest.importorskip("dask.dataframe")
    import xgboost.dask as dxgb

    from tests.e2e.boosted_rounds import COLUMNS, MODEL, ROUNDS, WAITS_AFTER, Waits, part

    gate = tmp_path / "gate"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        ThreadPoolExecutor(1) as beside,
    ):
        table = client.persist(dd.from_map(part, range(4)))
        wait(table)
        matrix = dxgb.DaskDMatrix(client, table[list(COLUMNS)], table["y"])
        waits = [Waits(str(gate))]
        training = beside.submit(
            dxgb.train, client, MODEL, matrix, num_boost_round=ROUNDS, callbacks=waits
        )
        try:
            _wait_until(lambda: training.done() or begun(str(gate)).count(WAITS_AFTER) == 2)
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=1, interval="50ms")
            _wait_until(lambda: "maximum of 1" in " ".join(adaptive.explain()))
            for _ in range(5):
                cluster.sync(adaptive.adapt)
            assert len(cluster.scheduler.workers) == 2
        finally:
            gate.touch()
        assert training.result(timeout=60)["booster"].num_boosted_rounds() == ROUNDS
        assert sorted(begun(str(gate))) == sorted([*range(ROUNDS)] * 2)
        _wait_until(lambda: len(cluster.worker_spec) == 1)
        assert adaptive._keeper.leaving.lost == []


def _wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        threading.Event().wait(0.02)
