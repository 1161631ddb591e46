"""What a daemon is told of real work on real workers."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import dask
import pytest
from distributed import secede, worker_client

from costplan.planner.load import OVERDUE_MEANS, Load
from tests.e2e.dask_cluster import (
    DEADLINE_SECONDS,
    GATES,
    Cluster,
    cluster,
    first,
    gated,
    group_of,
    run,
)

MEMORY_MANAGER = "distributed.scheduler.active-memory-manager.start"


def quick(number: int) -> int:
    return number


def train(gate: str, number: int) -> None:
    gated(gate, number)


def failing() -> None:
    raise ValueError("on purpose")


def leaves_the_pool(gate: str) -> None:
    secede()
    gated(gate)


def asks_as_a_client() -> int:
    with worker_client(separate_thread=False) as client:
        answer: int = client.submit(quick, 41).result() + 1
    return answer


class Counter:
    def __init__(self) -> None:
        self.count = 0


def test_an_empty_cluster_has_nothing() -> None:
    async def test() -> None:
        async with cluster() as at:
            load = await at.load()
            assert (load.groups, dict(load.workers), load.unread_tasks) == ((), {}, 0)
            assert (load.clients, load.clients_gone_since) == (1, None)
            assert abs((load.at - datetime.now(UTC)).total_seconds()) < 5
            again = await at.load()
            assert again.at >= load.at
            assert again.scheduler_id == load.scheduler_id

    run(test())


def test_who_has_outlived_the_mean_is_counted_until_it_ends() -> None:
    async def test() -> None:
        async with cluster(a={"nthreads": 2}) as at:
            GATES["short"].set()
            await at.client.gather(at.client.map(gated, ["short"] * 5, range(5)))
            stuck = at.client.submit(gated, "stuck")

            load = await at.load_when(lambda load: any(each.overdue for each in load.groups))
            group = group_of(load, "gated")
            assert group.overdue_seconds > OVERDUE_MEANS * (group.mean_task_seconds or 0.0)
            assert (group.running, group.observed_tasks) == (1, 5)

            GATES["stuck"].set()
            await stuck
            gone = await at.load_when(lambda load: not _running(load))
            assert sum(each.overdue for each in gone.groups) == 0

    run(test())


def test_a_burst_is_counted_by_prefix_and_need() -> None:
    async def test() -> None:
        async with cluster(a={"nthreads": 2}, g={"resources": {"GPU": 1}}) as at:
            await at.client.gather(at.client.map(quick, range(5)))
            burst = at.client.map(gated, ["burst"] * 50, range(50))
            trained = at.client.map(train, ["burst"] * 4, range(4), resources={"GPU": 1})
            homeless = at.client.map(quick, range(100, 103), resources={"licence": 1})
            pinned = at.client.submit(gated, "burst", 99, workers=["a"])
            after = at.client.submit(len, burst)

            load = await at.load_when(lambda load: _running(load) == 3)
            plain, shaped = group_of(load, "gated"), group_of(load, "train", GPU=1.0)
            assert plain.queued + plain.running == 51
            assert (plain.pinned, plain.unrunnable) == (1, 0)
            assert (shaped.queued, shaped.running, shaped.unrunnable) == (
                3 + (shaped.running == 0),
                shaped.running,
                0,
            )
            assert (plain.mean_task_seconds, plain.observed_tasks) == (None, 0)
            assert plain.longest_running_seconds is not None
            assert group_of(load, "len").waiting == 1
            lost = group_of(load, "quick", licence=1.0)
            assert (lost.queued, lost.running, lost.unrunnable) == (3, 0, 3)
            assert lost.observed_tasks == 5  # its prefix's, as it has none of its own
            assert {name: dict(one.resources) for name, one in load.workers.items()} == {
                "a": {}, "g": {"GPU": 1.0},
            }  # fmt: skip
            assert [one.threads for one in load.workers.values()] == [2, 1]
            assert all(one.memory_bytes == 2**33 for one in load.workers.values())
            assert all(one.is_busy and one.idle_since is None for one in load.workers.values())

            GATES["burst"].set()
            await at.client.gather([*burst, *trained, pinned, after])
            load = await at.load_when(lambda load: len(load.groups) == 1)
            assert load.totals.finished_tasks == 5 + 50 + 4 + 1 + 1
            assert (load.totals.recomputed_tasks, load.totals.restarted_tasks) == (0, 0)
            assert all(one.idle_since is not None for one in load.workers.values())
            assert sum(one.busy_seconds for one in load.workers.values()) == pytest.approx(
                load.totals.busy_seconds, abs=0.01
            )
            del homeless

    run(test())


def _running(load: Load) -> int:
    return sum(group.running for group in load.groups)


def naps(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_what_dask_takes_and_the_wire_does_not_is_told_as_far_as_it_may_be() -> None:
    most = float("inf")
    own = {"slots": most, "less": -1.0, "two\nlines": 1.0, "yes": True} | {
        f"r{number}": 1 for number in range(150)
    }

    async def test() -> None:
        async with cluster(**{"n" * 300: {"resources": own}, "other": {}}) as at:
            asked = ({"memory": most}, {"nothing": float("nan")}, {"a" * 300: 1}, {"b\n": 1e30})
            pending = [at.client.submit(quick, 1, resources=need, pure=False) for need in asked]
            load = await at.load_when(lambda load: len(load.groups) == 4)
            needs = {name: of for group in load.groups for name, of in group.need.items()}
            assert sorted(needs.values()) == [0.0, 1.0, 1e18, 1e18]
            assert needs["memory"] == 1e18
            (name,) = load.workers.keys() - {"other"}
            resources = load.workers[name].resources
            assert (resources["slots"], resources["less"], resources["yes"]) == (1e18, 0.0, 1.0)
            assert len(resources) == 100
            # It is drained by the name that was told.
            await at.ask(at.endpoint.retire, [name], "drain")
            await at.load_when(lambda load: name in load.departed)
            assert (await at.ask(at.endpoint.progress, [name])).done == (name,)
            del pending

    run(test())


def test_durations_have_a_mean_and_a_variance_of_their_own() -> None:
    async def test() -> None:
        async with cluster(a={}) as at:
            held = at.client.map(naps, [0.05, 0.15, 0.25])
            await at.client.gather(held)
            waiting = at.client.submit(naps, 0.01, resources={"none": 1}, pure=False)
            load = await at.load_when(lambda load: load.groups)
            group = group_of(load, "naps", none=1.0)
            assert group.mean_task_seconds == pytest.approx(0.15, abs=0.03)
            assert group.variance_seconds2 == pytest.approx(0.01, rel=0.3)
            assert group.observed_tasks == 3
            assert load.workers["a"].recompute_seconds == pytest.approx(3 * 0.15, abs=0.1)
            del waiting

    run(test())


def test_results_held_alone_and_twice() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            GATES["open"].set()
            held = at.client.map(gated, ["open"] * 3, range(3), workers=["a"])
            await at.client.gather(held)
            worker = (await at.load()).workers["a"]
            assert (worker.sole_keys, worker.sole_bytes, worker.managed_bytes) == (3, 3000, 3000)

            await at.client.replicate(held[:2], n=2)
            load = await at.load_when(lambda load: load.workers["b"].managed_bytes == 2000)
            both = load.workers["a"], load.workers["b"]
            assert [(one.sole_keys, one.sole_bytes) for one in both] == [(1, 1000), (0, 0)]
            assert [one.managed_bytes for one in both] == [3000, 2000]

    with dask.config.set({MEMORY_MANAGER: False}):  # it would remove spare copies
        run(test())


def test_seceded_tasks_actors_and_clients_of_workers() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            future = at.client.submit(leaves_the_pool, "gate", workers=["a"])
            actor = await at.client.submit(Counter, actor=True, workers=["b"])
            load = await at.load_when(lambda load: load.workers["a"].long_running == 1)
            assert load.workers["a"].is_busy
            assert load.workers["a"].executing == 0
            load = await at.load_when(lambda load: load.workers["b"].actors == 1)
            assert await at.client.submit(asks_as_a_client, workers=["b"]) == 42
            assert (await at.load()).clients == 1
            GATES["gate"].set()
            await future
            del actor

    run(test())


def test_errors_and_the_last_client() -> None:
    async def test() -> None:
        async with cluster(a={}) as at:
            future = at.client.submit(failing)
            await first(lambda: _value(future.status), lambda status: status == "error")
            assert (await at.load()).totals.erred_tasks == 1
            await at.client.close()
            load = await at.load_when(lambda load: load.clients == 0)
            gone = load.clients_gone_since
            assert gone is not None
            assert gone <= load.at

    run(test())


async def _value(value: Any) -> Any:
    return value


def test_a_worker_that_dies_takes_results_with_it() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            GATES["open"].set()
            held = at.client.map(
                gated, ["open"] * 4, range(4), workers=["a"], allow_other_workers=True
            )
            await at.client.gather(held)
            running = at.client.submit(gated, "shut", 9, workers=["a"], allow_other_workers=True)
            await at.load_when(lambda load: load.workers["a"].executing == 1)
            await _cut(at, "a")
            load = await at.load_when(lambda load: load.totals.recomputed_tasks == 4)
            departure = load.departed["a"]
            assert (departure.expected, departure.lost_keys) == (False, 4)
            assert departure.restarted_tasks == 1 == load.totals.restarted_tasks
            assert list(load.workers) == ["b"]
            GATES["shut"].set()
            assert len(await at.client.gather([*held, running])) == 5

    run(test())


async def _cut(at: Cluster, name: str) -> None:
    """A worker's connection breaks, as when its machine dies."""
    await at.scheduler.remove_worker(
        at.workers[name].address, stimulus_id="cut", expected=False, close=True
    )


def test_members_of_a_collective_by_name_and_by_form() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}, c={}) as at:
            members = [at.client.submit(train, "gate", n, workers=[w]) for n, w in enumerate("ab")]
            load = await at.load_when(lambda load: load.workers["a"].gang)
            gangs = {name: one.gang for name, one in load.workers.items()}
            assert gangs == {"a": "train", "b": "train", "c": None}
            kept = at.scheduler.workers_to_close(n=3, attribute="name")
            assert kept == ["c"]
            GATES["gate"].set()
            await at.client.gather(members)
            await at.load_when(lambda load: load.workers["a"].gang is None)

    run(test())


def test_a_shuffle_marks_its_members() -> None:
    import dask.dataframe as dd
    import pandas as pd

    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            frame = dd.from_pandas(pd.DataFrame({"x": range(100), "y": 1}), npartitions=4)
            held = frame.map_partitions(_slow_part, meta=frame._meta)
            shuffled = at.client.compute(held.shuffle("x", shuffle_method="p2p"))
            await at.load_when(lambda load: any(w.shuffling for w in load.workers.values()))
            assert at.scheduler.workers_to_close(n=2) == []
            GATES["shuffle"].set()
            assert len(await shuffled) == 100
            await at.load_when(lambda load: not any(w.shuffling for w in load.workers.values()))

    run(test())


def _slow_part(part: Any) -> Any:
    """The first row's part is held back, so that the shuffle goes on for as long as wanted."""
    if 99 in set(part["x"]):
        assert GATES["shuffle"].wait(DEADLINE_SECONDS)
    return part


def test_idle_since_does_not_move() -> None:
    async def test() -> None:
        async with cluster(a={}) as at:
            before = time.time()
            await at.client.submit(quick, 1)
            one = (await at.load()).workers["a"].idle_since
            two = (await at.load()).workers["a"].idle_since
            assert one is not None
            assert one == two
            assert before - 1 <= one.timestamp() <= time.time()

    run(test())
