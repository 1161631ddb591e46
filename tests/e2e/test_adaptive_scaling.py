"""`cluster.scale(n)` by hand comes to n workers, whatever is being emptied or refuses."""

from __future__ import annotations

import asyncio

import pytest
from distributed import secede

from costplan.adapters.dask import adaptive_keeper, drain_on_scale
from costplan.adapters.dask.adaptive_keeper import keeper_of
from tests.adapted_cluster import GATES, RUNS, World, adapted, gated, run, until


@pytest.mark.parametrize("later", [2, 3, 5])
def test_workers_that_are_being_emptied_are_called_back_where_more_are_wanted(later: int) -> None:
    async def scene() -> None:
        async with adapted(World(), count=3) as (cluster, client):
            drain_on_scale(cluster)
            leaving = keeper_of(cluster).leaving
            held = client.map(gated, ["slow"] * 3, range(3), pure=False)
            await until(lambda: sum(RUNS.values()) == 3)
            cluster.scale(1)
            await until(lambda: len(leaving.workers()) == 2)
            cluster.scale(later)
            await until(lambda: not keeper_of(cluster)._begun)
            GATES["slow"].set()
            await client.gather(held)
            await until(lambda: not leaving.names() and len(cluster.workers) == later)
            assert len(cluster.worker_spec) == len(cluster.scheduler.workers) == later

    run(scene())


def test_new_workers_come_for_those_that_cannot_be_called_back() -> None:
    async def scene() -> None:
        async with adapted(World(), count=3) as (cluster, client):
            drain_on_scale(cluster)
            keeper = keeper_of(cluster)
            held = client.map(gated, ["slow"] * 3, range(3), pure=False)
            await until(lambda: sum(RUNS.values()) == 3)
            cluster.scale(1)
            await until(lambda: len(keeper.leaving.workers()) == 2)
            keeper.leaving.source.may_uncordon = False
            cluster.scale(3)
            await until(lambda: len(cluster.worker_spec) == 5)
            GATES["slow"].set()
            await client.gather(held)
            await until(lambda: not keeper.leaving.names() and len(cluster.workers) == 3)

    run(scene())


def seceded(gate: str, number: int) -> int:
    secede()
    RUNS[number] += 1
    GATES[gate].wait(30)
    return number


def test_who_may_not_leave_now_leaves_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_keeper, "SETTLE_SECONDS", 0.1)

    async def scene() -> None:
        async with adapted(World(), count=3) as (cluster, client):
            drain_on_scale(cluster)
            held = client.map(seceded, ["slow"] * 3, range(3), pure=False)
            await until(lambda: sum(RUNS.values()) == 3)
            cluster.scale(1)
            await asyncio.sleep(0.3)
            assert len(cluster.scheduler.workers) == 3, "a worker left while its task ran"
            GATES["slow"].set()
            await client.gather(held)
            await until(lambda: len(cluster.workers) == len(cluster.scheduler.workers) == 1)
            assert set(RUNS.values()) == {1}

    run(scene())
