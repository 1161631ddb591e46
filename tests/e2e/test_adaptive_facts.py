"""What stock `Adaptive` and `SpecCluster.scale` lose, and `CostAwareAdaptive` does not.

The same scenes run with both where that can be: a test that stock passes shows nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from distributed import Adaptive, wait

from costplan.adapters.dask import CostAwareAdaptive, drain_on_scale
from costplan.adapters.dask.adaptive_keeper import keeper_of
from tests.adapted_cluster import GATES, RUNS, World, adapted, gated, number, run, spec, until

BOTH = pytest.mark.parametrize(
    ("kind", "is_ours"), [(CostAwareAdaptive, True), (Adaptive, False)], ids=["ours", "stock"]
)


def test_running_tasks_are_finished_where_the_maximum_falls() -> None:
    """`retire_workers` alone would start them again elsewhere: each task begins once."""

    async def scene() -> None:
        async with adapted(World(), count=3) as (cluster, client):
            futures = client.map(gated, ["a"] * 3, range(3), pure=False)
            await until(lambda: sum(RUNS.values()) == 3)
            cluster.adapt(Adaptive=CostAwareAdaptive, maximum=1, interval="20ms")
            statuses = cluster.scheduler.workers.values
            await until(lambda: sum(w.status.name == "closing_gracefully" for w in statuses()) == 2)
            assert len(cluster.worker_spec) == 3, "a worker left while its task ran"
            GATES["a"].set()
            await wait(futures)
            await until(lambda: len(cluster.worker_spec) == 1)
            assert [len(await f) for f in futures] == [100] * 3
            assert set(RUNS.values()) == {1}

    run(scene())


@BOTH
def test_tasks_are_cut_off_by_stock_only(kind: Any, is_ours: bool) -> None:
    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            futures = client.map(gated, ["a"] * 2, range(2), pure=False)
            await until(lambda: sum(RUNS.values()) == 2)
            adaptive = cluster.adapt(Adaptive=kind, minimum=1, maximum=2, interval="1h")
            await adaptive.target()
            victim = next(iter(cluster.plan))
            going = asyncio.ensure_future(adaptive.scale_down([victim]))
            if is_ours:
                await going
                GATES["a"].set()
            await until(lambda: len(cluster.scheduler.workers) == 1)
            GATES["a"].set()
            await client.gather(futures)
            await going
            assert max(RUNS.values()) == (1 if is_ours else 2)

    run(scene())


@BOTH
def test_a_worker_that_refuses_to_leave_stays_with_what_it_holds(kind: Any, is_ours: bool) -> None:
    """Its only other worker is paused, so that nobody can take its results."""

    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=kind, minimum=1, maximum=2, interval="1h")
            await adaptive.target()
            first, second = cluster.scheduler.workers.values()
            scattered = await client.scatter(list(range(20)), workers=[first.address])
            cluster.scheduler.handle_worker_status_change("paused", second, "test")
            await adaptive.scale_down([first.name])
            if is_ours:
                stays = adaptive._keeper.leaving
                await until(lambda: stays._refused)
                assert stays.lost == []
                await adaptive.target()
                assert any("refused to leave" in line for line in adaptive.explain())
                assert await client.gather(scattered) == list(range(20))
            else:
                await until(lambda: len(cluster.scheduler.workers) == 1)
                assert not cluster.scheduler.tasks.get(scattered[0].key)

    run(scene())


@BOTH
def test_scaling_down_by_hand_keeps_results(kind: Any, is_ours: bool) -> None:
    """`cluster.scale(1)` of a cluster with 4 workers and 40 results."""

    async def scene() -> None:
        async with adapted(World(), count=4) as (cluster, client):
            if is_ours:
                drain_on_scale(cluster)
            futures = client.map(number, range(40), pure=False)
            await wait(futures)
            cluster.scale(1)
            await until(lambda: len(cluster.scheduler.workers) == 1)
            await until(lambda: len(cluster.workers) == 1)
            assert await client.gather(futures) == list(range(40))
            assert (max(RUNS.values()) == 1) is is_ours
            cluster.scale(2)
            await until(lambda: len(cluster.scheduler.workers) == 2)

    run(scene())


def test_scaling_down_twice_empties_once() -> None:
    """Who is being emptied is in the plan until it has left, and counts."""

    async def scene() -> None:
        async with adapted(World(), count=3) as (cluster, client):
            drain_on_scale(cluster)
            leaving = keeper_of(cluster).leaving
            held = client.map(gated, ["slow"] * 3, range(3), pure=False)
            await until(lambda: sum(RUNS.values()) == 3)
            cluster.scale(1)
            await until(lambda: len(leaving.workers()) == 2)
            first = leaving.workers()
            cluster.scale(1)
            await until(lambda: not keeper_of(cluster)._begun)
            assert leaving.workers() == first
            GATES["slow"].set()
            await until(lambda: len(cluster.scheduler.workers) == 1)
            assert len(await client.gather(held)) == 3

    run(scene())


@BOTH
def test_a_slow_drain_does_not_block_growth(kind: Any, is_ours: bool) -> None:
    """One worker is being emptied and waits for a task (with stock: for its results to move, held
    up here as a slow network would); then more work comes."""

    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            held = client.map(gated, ["slow"] * 2, range(2), pure=False)
            await until(lambda: sum(RUNS.values()) == 2)
            adaptive = cluster.adapt(Adaptive=kind, minimum=0, maximum=4, interval="20ms")
            release = asyncio.Event()
            if not is_ours:
                retire = cluster.scheduler.handlers["retire_workers"]

                async def slowly(*args: Any, **kwargs: Any) -> Any:
                    await release.wait()
                    return await retire(*args, **kwargs)

                cluster.scheduler.handlers["retire_workers"] = slowly
                adaptive.maximum = 1
                await until(lambda: adaptive._adapting and adaptive.log)
            else:
                await until(lambda: adaptive._look)
                await adaptive.scale_down([next(iter(cluster.plan))])
            adaptive.maximum = 4
            more = client.map(gated, ["more"] * 8, range(10, 18), pure=False)
            if is_ours:
                await until(lambda: len(cluster.worker_spec) >= 4)
            else:
                for _ in range(50):
                    await asyncio.sleep(0)
                assert len(cluster.worker_spec) == 2
                release.set()
            GATES["slow"].set()
            GATES["more"].set()
            await client.gather([*held, *more])

    run(scene())


@BOTH
def test_workers_with_names_of_their_own_are_known(kind: Any, is_ours: bool) -> None:
    """As with dask-cloudprovider, where no worker has the name of its entry. Stock takes every
    worker for one that never came, and ends busy ones."""

    async def scene() -> None:
        world = World(alias=True)
        async with adapted(world) as (cluster, client):
            adaptive = cluster.adapt(
                Adaptive=kind, maximum=4, interval="20ms", target_duration="1s"
            )
            futures = client.map(gated, ["a"] * 8, range(8), pure=False)
            await until(lambda: sum(RUNS.values()) >= 4)
            del futures[4:]
            await until(lambda: len(cluster.scheduler.tasks) <= 4)
            for _ in range(20):
                await adaptive.adapt()
            GATES["a"].set()
            await client.gather(futures)
            if is_ours:
                assert {RUNS[at] for at in range(4)} == {1}
                del futures
                await until(lambda: not cluster.worker_spec and not world.alive)

    run(scene())


def test_workers_of_which_nobody_can_say_whose_they_are_are_left_alone() -> None:
    """Two work whose names fit no entry, and a third machine is being started. Neither a maximum of
    one nor a scaling by hand ends any of them."""

    async def scene() -> None:
        world = World(alias=True)
        async with adapted(world) as (cluster, client):
            world.booted.clear()
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, minimum=2, maximum=2, interval="20ms"
            )
            await until(lambda: world.launches == 2)
            world.booted.set()
            await until(lambda: len(cluster.scheduler.workers) == 2)
            world.booted.clear()
            adaptive.minimum = adaptive.maximum = 3
            await until(lambda: world.launches == 3)
            running = client.map(gated, ["a"] * 2, range(2), pure=False)
            await until(lambda: sum(RUNS.values()) == 2)
            for worker in cluster.workers.values():
                worker.name = "forgotten"
            adaptive.minimum = adaptive.maximum = 1
            for _ in range(10):
                await adaptive.adapt()
            cluster.scale(0)
            assert len(cluster.scheduler.workers) == 2
            GATES["a"].set()
            await client.gather(running)
            assert set(RUNS.values()) == {1}

    run(scene())


@BOTH
def test_launches_that_fail_are_tried_again(kind: Any, is_ours: bool) -> None:
    """The first two launches come to nothing. Stock counts them as workers for ever."""

    async def scene() -> None:
        world = World(fails=2)
        async with adapted(world) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=kind, minimum=2, maximum=3, interval="20ms")
            futures = client.map(gated, ["a"] * 6, range(6), pure=False)
            await until(lambda: world.launches == 2 and not world.fails)
            if is_ours:
                await until(lambda: sum(RUNS.values()) >= 2, lambda: (RUNS, world))
                GATES["a"].set()
                await client.gather(futures)
            else:
                for _ in range(20):
                    await adaptive.adapt()
                assert world.launches == 2
                assert len(cluster.worker_spec) == 2

    run(scene())


@BOTH
def test_demand_that_no_worker_can_serve_buys_nothing(kind: Any, is_ours: bool) -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=kind, maximum=4, interval="20ms")
            gpu = client.map(number, range(8), resources={"GPU": 1}, pure=False)
            await until(lambda: len(cluster.scheduler.unrunnable) == 8)
            if not is_ours:
                await until(lambda: world.launches > 0)
                return
            await until(lambda: adaptive._asked.waiting)
            assert world.launches == 0
            assert any(
                "GPU=1" in line and "worker_resources" in line for line in adaptive.explain()
            )
            assert await client.submit(number, 5) == 5
            assert world.launches == 1
            assert not any(future.done() for future in gpu)

    run(scene())


def test_resources_of_the_template_are_bought() -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world, resources={"GPU": 1}) as (cluster, client):
            cluster.adapt(Adaptive=CostAwareAdaptive, maximum=4, interval="20ms")
            futures = client.map(number, range(4), resources={"GPU": 1}, pure=False)
            assert await client.gather(futures) == [0, 1, 2, 3]

    run(scene())


def test_a_worker_that_dies_while_it_is_emptied_is_said_to_be_lost() -> None:
    """`retire_workers` reports success for it. A task ran on it, which begins again."""

    async def scene() -> None:
        async with adapted(World(), count=2) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, minimum=1, interval="1h")
            await adaptive.target()
            first = next(iter(cluster.scheduler.workers.values()))
            blocked = client.map(gated, ["a"] * 2, range(2), pure=False)
            await until(lambda: sum(RUNS.values()) == 2)
            await adaptive.scale_down([first.name])
            await until(lambda: first.status.name == "closing_gracefully")
            await cluster.scheduler.remove_worker(first.address, stimulus_id="test", expected=False)
            await until(lambda: first.name not in cluster.worker_spec)
            assert adaptive._keeper.leaving.lost == [str(first.name)]
            GATES["a"].set()
            del blocked

    run(scene())


def test_idle_workers_go_at_once_when_nobody_is_left() -> None:
    """They are held for long while a client is there, and not a moment longer."""

    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, client):
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, maximum=2, interval="20ms", wait_count=10**6
            )
            assert await client.gather(client.map(number, range(4))) == [0, 1, 2, 3]
            await until(lambda: not cluster.scheduler.tasks)
            for _ in range(20):
                await adaptive.adapt()
            assert len(world.alive) >= 1
            await client.close()
            await until(lambda: not world.alive and not cluster.worker_spec)

    run(scene())


def test_a_drain_is_called_off_where_work_comes_back() -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world, count=2) as (cluster, client):
            adaptive = cluster.adapt(Adaptive=CostAwareAdaptive, minimum=0, interval="20ms")
            futures = client.map(gated, ["a"] * 2, range(2), pure=False)
            await until(lambda: sum(RUNS.values()) == 2 and adaptive._look)
            await adaptive.scale_down(list(cluster.plan))
            leaving = adaptive._keeper.leaving
            workers = cluster.scheduler.workers.values
            await until(lambda: any(w.status.name == "closing_gracefully" for w in workers()))
            futures += client.map(gated, ["a"] * 20, range(2, 22), pure=False)
            await until(lambda: not leaving.workers())
            assert all(w.status.name == "running" for w in workers())
            GATES["a"].set()
            await client.gather(futures)
            assert set(RUNS.values()) == {1}

    run(scene())


def test_machines_that_never_join_are_given_up() -> None:
    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, client):
            world.booted.clear()
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, maximum=1, interval="20ms", boot_timeout="100ms"
            )
            future = client.submit(number, 1)
            await until(lambda: adaptive._failures > 0)
            world.booted.set()
            assert await future == 1

    run(scene())


def test_entries_of_several_workers_leave_as_a_whole() -> None:
    """A job with two workers: they come and go together, and no maximum is exceeded."""

    async def scene() -> None:
        world = World()
        async with adapted(world) as (cluster, client):
            cluster.new_spec = {**spec(world), "cls": Pair, "group": ["-0", "-1"]}
            adaptive = cluster.adapt(
                Adaptive=CostAwareAdaptive, maximum=5, interval="20ms", target_duration="1s"
            )
            futures = client.map(gated, ["a"] * 12, range(12), pure=False)
            await until(lambda: len(cluster.scheduler.workers) == 4)
            assert len(cluster.worker_spec) == 2
            GATES["a"].set()
            await client.gather(futures)
            del futures
            await until(lambda: not cluster.scheduler.workers and not cluster.worker_spec)
            assert not adaptive._keeper.leaving.lost

    run(scene())


class Pair:
    """Two workers of one job."""

    def __init__(self, scheduler: str, name: object, world: World) -> None:
        from tests.adapted_cluster import Machine

        self.name = name
        self._both = [Machine(scheduler, f"{name}-{at}", world) for at in range(2)]

    @property
    def status(self) -> Any:
        return self._both[0].status

    def __await__(self) -> Any:
        async def start() -> Pair:
            await asyncio.gather(*self._both)
            return self

        return start().__await__()

    async def close(self) -> None:
        await asyncio.gather(*(one.close() for one in self._both))
