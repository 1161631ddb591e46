"""What Dask's documentation promises of `Adaptive`, kept by the drop-in: the behaviours that its
own tests hold it to, said in our words. What differs is in docs/dask-plugin.md."""

from __future__ import annotations

import math
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, SpecCluster, Worker, wait

from costplan.adapters.dask import CostAwareAdaptive
from tests.adapted_cluster import GATES, RUNS, World, adapted, gated, number, run, until


def local(**settings: Any) -> LocalCluster:
    """A cluster of workers in this process."""
    return LocalCluster(
        **{
            "n_workers": 0,
            "processes": False,
            "dashboard_address": ":0",
            "asynchronous": True,
            "threads_per_worker": 1,
            **settings,
        }
    )


def statuses(adaptive: Any) -> list[str]:
    return [event["status"] for _, event in adaptive.log]


def test_a_sync_cluster_of_processes_grows_and_goes() -> None:
    """Workers come for work, and go when results are no longer wanted."""
    with LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1"
    ) as cluster:
        adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, interval="50 ms", maximum=2)
        with Client(cluster) as client:
            future = client.submit(number, 2)
            assert future.result(timeout=60) == 2
            assert client.nthreads()
            del future

            async def until_empty() -> None:
                await until(lambda: not cluster.scheduler.workers and not cluster.worker_spec)

            cluster.sync(until_empty)
        assert statuses(adaptive) == ["up", "down"]
        assert adaptive.cost.usd is None
        assert adaptive.cost.worker_seconds > 0


def test_minimum_and_maximum_are_kept() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, minimum=1, maximum=2, interval="20 ms", wait_count=10
            )
            await until(lambda: len(cluster.scheduler.workers) == 1)
            assert [event for _, event in adaptive.log] == [{"status": "up", "n": 1}]
            futures = client.map(gated, ["a"] * 100, range(100), pure=False)
            await until(lambda: len(cluster.scheduler.workers) == 2)
            assert statuses(adaptive) == ["up", "up"]
            assert len(cluster.worker_spec) == 2
            GATES["a"].set()
            await wait(futures)
            del futures
            await until(lambda: len(cluster.scheduler.workers) == 1)
            assert statuses(adaptive) == ["up", "up", "down"]

    run(scene())


def test_brief_pauses_do_not_make_it_flap() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, interval="20 ms", wait_count=50)
            for at in range(10):
                await client.submit(number, at, seconds=0.02)
                for _ in range(3):
                    await adaptive.adapt()
            assert statuses(adaptive) == ["up"]

    run(scene())


def test_there_are_no_more_workers_than_tasks() -> None:
    async def scene() -> None:
        durations = {"distributed.scheduler.default-task-durations": {"gated": 1000}}
        with dask.config.set(durations):
            async with adapted(World()) as (cluster, client):
                adaptive = cluster.adapt(
                    Adaptive=CostAwareAdaptive, maximum=4, interval="20 ms", target_duration="1s"
                )
                future = client.submit(gated, "a")
                await until(lambda: sum(RUNS.values()) == 1)
                for _ in range(5):
                    await adaptive.adapt()
                assert len(cluster.worker_spec) == 1
                GATES["a"].set()
                await future

    run(scene())


def test_a_chain_of_tasks_is_no_reason_to_grow() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=10, interval="20 ms")
            last = client.submit(gated, "a", 0)
            for at in range(1, 100):
                last = client.submit(_after, last, at)
            await until(lambda: sum(RUNS.values()) == 1)
            for _ in range(5):
                await adaptive.adapt()
            assert len(cluster.worker_spec) == 1
            GATES["a"].set()
            assert await last == 99

    run(scene())


def _after(_: object, at: int) -> int:
    return at


def test_known_durations_and_the_target_say_how_many() -> None:
    """100 tasks of 1 s in 5 s. Stock asks for 20; here a boot comes off the target."""

    async def scene() -> None:
        durations = {"distributed.scheduler.default-task-durations": {"gated": 1}}
        with dask.config.set(durations):
            async with adapted(World()) as (cluster, client):
                adaptive = cluster.adapt(
                    Adaptive=CostAwareAdaptive, interval="20ms", minimum=2, target_duration="5s"
                )
                await until(lambda: len(cluster.scheduler.workers) == 2)
                futures = client.map(gated, ["a"] * 100, range(100), pure=False)
                await until(lambda: len(adaptive.log) == 2)
                assert 20 <= adaptive.log[1][1]["n"] <= 25, adaptive.log
                GATES["a"].set()
                await client.gather(futures)

    run(scene())


def test_adapting_anew_with_a_lower_maximum_shrinks_and_stops_the_first() -> None:
    async def scene() -> None:
        async with adapted(World()) as (cluster, client):
            first = cluster.adapt(
                Adaptive=CostAwareAdaptive, interval="20ms", maximum=5, usd_per_hour=9,
                worker_usd_per_hour=1, target_duration="1s",
            )  # fmt: skip
            futures = client.map(gated, ["a"] * 100, range(100), pure=False)
            await until(lambda: len(cluster.scheduler.workers) == 5)
            second = cluster.adapt(Adaptive=CostAwareAdaptive, maximum=2)
            assert first.periodic_callback is None
            GATES["a"].set()
            await until(lambda: len(cluster.scheduler.workers) <= 2)
            assert second.interval == 0.02
            await until(lambda: second.cost.usd_per_hour in (1, 2))
            await client.gather(futures)
            assert max(RUNS.values()) == 1

    run(scene())


def test_workers_of_one_key_leave_together() -> None:
    async def scene() -> None:
        names = ("a-1", "a-2", "b-1", "b-2")
        spec = {"cls": Worker, "options": {"dashboard": False, "host": "127.0.0.1"}}
        options = {"dashboard_address": ":0", "host": "127.0.0.1"}
        async with SpecCluster(
            workers=dict.fromkeys(names, spec),
            scheduler={"cls": "distributed.Scheduler", "options": options},
            asynchronous=True,
        ) as cluster:
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, minimum=1, interval="20 ms", boot="0s",
                worker_key=lambda ws: ws.name.split("-")[0],
            )  # fmt: skip
            await until(lambda: len(cluster.scheduler.workers) == 2)
            for _ in range(5):
                await adaptive.adapt()
            left = {ws.name for ws in cluster.scheduler.workers.values()}
            assert left in ({"a-1", "a-2"}, {"b-1", "b-2"})

    run(scene())


def test_limits_may_be_given_as_cores_and_memory() -> None:
    async def scene() -> None:
        async with local(threads_per_worker=2, memory_limit="3 GB") as cluster:
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, minimum_cores=1, minimum_memory="7GB",
                maximum_cores=10, maximum_memory="1 TB",
            )  # fmt: skip
            assert (adaptive.minimum, adaptive.maximum) == (3, 5)

    run(scene())


def test_the_configuration_is_read() -> None:
    said = {"distributed.adaptive.minimum": 10, "distributed.adaptive.wait-count": 8}
    with dask.config.set(said):
        adaptive = CostAwareAdaptive(None, interval="5s")
        assert (adaptive.minimum, adaptive.maximum) == (10, math.inf)
        assert (adaptive.interval, adaptive.wait_count) == (5, 8)


def test_without_a_memory_limit_it_neither_grows_for_results_nor_keeps_all_for_a_few_bytes() -> (
    None
):
    """Stock keeps four workers for 224 bytes."""

    async def scene() -> None:
        async with adapted(World(), memory_limit=0) as (cluster, client):
            cluster.adapt(
                Adaptive=CostAwareAdaptive, maximum=4, interval="20ms", target_duration="1s"
            )
            futures = client.map(gated, ["a"] * 4, range(4), pure=False)
            await until(lambda: len(cluster.scheduler.workers) == 4)
            GATES["a"].set()
            await wait(futures)
            await until(lambda: len(cluster.scheduler.workers) == 1)
            assert [len(one) for one in await client.gather(futures)] == [100] * 4
            assert max(RUNS.values()) == 1

    run(scene())


def test_a_scale_that_must_be_awaited_is() -> None:
    class Awaited(LocalCluster):  # type: ignore[misc]
        def scale(self, n: int) -> Any:
            method = super().scale

            async def later() -> Any:
                return method(n)

            return self.sync(later)

    async def scene() -> None:
        async with (
            Awaited(
                n_workers=0, processes=False, dashboard_address=":0", asynchronous=True
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            futures = client.map(number, range(5), pure=False)
            cluster.adapt(Adaptive=CostAwareAdaptive, interval="20ms")
            assert await client.gather(futures) == list(range(5))
            del futures
            await until(lambda: not cluster.workers)

    run(scene())


def test_it_stops_with_its_cluster() -> None:
    async def scene() -> None:
        async with local() as cluster:
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, interval="10ms")
            await until(adaptive.periodic_callback.is_running)
        assert adaptive.periodic_callback is None

    run(scene())


@pytest.mark.parametrize("maximum", [1.5, "many"])
def test_a_maximum_that_is_no_number_is_refused_as_by_stock(maximum: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        CostAwareAdaptive(None, maximum=maximum, interval=0)
