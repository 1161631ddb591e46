"""Workers leave a real cluster, and nothing is lost unless it cannot be helped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from costplan.planner.load import Load
from tests.e2e.dask_cluster import GATES, Cluster, cluster, first, gated, run


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


def member(gate: str, number: int) -> bytes:
    return gated(gate, number)


async def held_by(at: Cluster, name: str, results: int) -> list[Any]:
    """Futures of results that this worker holds."""
    GATES["open"].set()
    futures = at.client.map(
        gated, ["open"] * results, range(results), workers=[name], allow_other_workers=True
    )
    await at.client.gather(futures)
    return futures


def test_a_task_that_runs_is_finished_and_those_behind_it_move_on() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            first_task = at.client.submit(gated, "gate", 0)
            home = await first(lambda: _home(at, first_task), lambda name: name is not None)
            other = "b" if home == "a" else "a"
            blocked = at.client.submit(gated, "other", 1, workers=[other])
            behind = at.client.map(gated, ["open"] * 6, range(2, 8))
            await at.load_when(lambda load: load.workers[home].executing == 1)
            await at.ask(at.endpoint.cordon, [home], "drain-1")
            GATES["other"].set()
            GATES["open"].set()
            await at.client.gather([*behind, blocked])  # though one worker waits at the gate
            load = await at.load_when(lambda load: load.workers[home].processing == 1)
            assert load.workers[home].status == "closing"
            assert load.workers[home].executing == 1

            GATES["gate"].set()
            load = await at.load_when(lambda load: load.workers[home].processing == 0)
            retired = await at.retired(home)
            assert retired.done == (home,)
            assert await first_task == bytes([0]) * 1000
            load = await at.load_when(lambda load: home in load.departed)
            gone = load.departed[home]
            assert (gone.expected, gone.lost_keys, gone.restarted_tasks) == (True, 0, 0)
            assert (load.totals.restarted_tasks, load.totals.recomputed_tasks) == (0, 0)
            assert load.totals.finished_tasks == 8

    run(test())


async def _home(at: Cluster, future: Any) -> str | None:
    task = at.scheduler.tasks.get(future.key)
    return str(task.processing_on.name) if task is not None and task.processing_on else None


def test_a_task_that_is_not_waited_for_starts_again_elsewhere() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            future = at.client.submit(gated, "gate", 1, workers=["a"], allow_other_workers=True)
            await at.load_when(lambda load: load.workers["a"].executing == 1)
            retired = await at.retired("a")
            assert retired.done == ("a",)
            load = await at.load_when(lambda load: load.totals.restarted_tasks == 1)
            assert load.departed["a"].restarted_tasks == 1
            GATES["gate"].set()
            await future

    run(test())


def test_many_leave_in_one_call_with_all_they_held() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}, c={}, stays={}) as at:
            futures = [future for name in "abc" for future in await held_by(at, name, 5)]
            values = [at.client.submit(_twice, f"{name}{n}", workers=[name])
                      for name in "abc" for n in range(10)]  # fmt: skip
            await at.client.gather(values)
            await at.ask(at.endpoint.cordon, ["a", "b", "c"], "drain-1")
            await at.load_when(lambda load: all(load.workers[n].sole_keys == 0 for n in "abc"))
            load = await at.load()
            assert load.workers["stays"].sole_keys == 5 + 30
            retired = await at.retired("a", "b", "c")
            assert retired.done == ("a", "b", "c")
            assert (dict(retired.refused), retired.lost) == ({}, ())
            load = await at.load_when(lambda load: list(load.workers) == ["stays"])
            assert load.totals.recomputed_tasks == 0
            assert [gone.lost_keys for gone in load.departed.values()] == [0, 0, 0]
            assert await at.client.gather(values) == [
                f"{n}{i}" * 2 for n in "abc" for i in range(10)
            ]
            assert await at.ask(at.endpoint.progress, ["a", "nobody"]) == await at.retired("a")
            del futures

    run(test())


def _twice(text: str) -> str:
    return text * 2


def test_scattered_data_is_kept_too() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            data = await at.client.scatter({"x": 1, "y": 2}, workers=["a"])
            assert (await at.retired("a")).done == ("a",)
            assert await at.client.gather(data) == {"x": 1, "y": 2}

    run(test())


def test_a_drain_is_refused_where_data_can_go_nowhere() -> None:
    async def test() -> None:
        async with cluster(a={}) as at:
            futures = await held_by(at, "a", 3)
            retired = await at.retired("a")
            assert retired.done == ()
            assert "alone" in retired.refused["a"]
            await at.add_worker("b")
            retired = await first(lambda: at.retired("a"), lambda retired: retired.done == ("a",))
            assert len(await at.client.gather(futures)) == 3
            assert (await at.load()).totals.recomputed_tasks == 0

    run(test())


def test_an_actor_keeps_its_home() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            actor = await at.client.submit(Counter, actor=True, workers=["a"])
            for force in (False, True):
                retired = await at.retired("a", force=force)
                assert retired.done == ()
                assert "actors" in retired.refused["a"]
            await at.ask(at.endpoint.uncordon, ["a"])
            await at.load_when(lambda load: load.workers["a"].status == "running")
            assert await actor.add() == 1

    run(test())


def test_a_member_of_a_collective_stays_unless_forced() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}, c={}) as at:
            members = [at.client.submit(member, "gate", n, workers=[w]) for n, w in enumerate("ab")]
            await at.load_when(lambda load: load.workers["b"].executing == 1)
            retired = await at.retired("a")
            assert "collective member" in retired.refused["a"]
            forced = await at.retired("a", force=True)
            assert forced.done == ("a",)
            GATES["gate"].set()
            await members[1]

    run(test())


def test_a_task_bound_to_a_cordoned_worker_calls_it_back() -> None:
    """A training that begins on the workers of its data would fail on any others."""

    async def test() -> None:
        async with cluster(a={}, b={}, c={}) as at:
            blocked = at.client.submit(gated, "gate", 9, workers=["a"], allow_other_workers=True)
            await at.load_when(lambda load: load.workers["a"].executing == 1)
            await at.ask(at.endpoint.cordon, ["a"], "drain-1")
            await at.load_when(lambda load: load.workers["a"].status == "closing")
            members = [
                at.client.submit(member, "gate", n, workers=[w], allow_other_workers=True)
                for n, w in enumerate("ab")
            ]
            load = await at.load_when(lambda load: load.workers["a"].gang == "member")
            homes = [at.scheduler.tasks[one.key].processing_on.name for one in members]
            assert homes == ["a", "b"]
            assert "collective" in (await at.retired("a")).refused["a"]
            GATES["gate"].set()
            await at.client.gather([*members, blocked])
            retired = await first(lambda: at.retired("a"), lambda retired: retired.done == ("a",))
            assert (await at.load()).totals.restarted_tasks == 0
            del load, retired

    run(test())


def test_uncordon_gives_a_worker_back() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            futures = await held_by(at, "a", 3)
            await at.ask(at.endpoint.cordon, ["a"], "drain-1")
            await at.load_when(lambda load: load.workers["a"].status == "closing")
            await first(lambda: _status(at, "a"), lambda name: name == "closing_gracefully")
            await at.ask(at.endpoint.uncordon, ["a"])
            load = await at.load_when(lambda load: load.workers["a"].status == "running")
            assert "a" not in (await at.ask(at.endpoint.progress, ["a"])).pending
            assert await at.client.submit(_twice, "x", workers=["a"]) == "xx"
            assert len(await at.client.gather(futures)) == 3
            del load

    run(test())


async def _status(at: Cluster, name: str) -> str:
    """What the worker itself thinks that it is."""
    status: str = at.workers[name].status.name
    return status


def test_a_death_in_the_middle_of_a_drain_is_a_loss() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            held = await held_by(at, "a", 3)
            running = at.client.submit(gated, "gate", 7, workers=["a"], allow_other_workers=True)
            await at.load_when(lambda load: load.workers["a"].executing == 1)
            await at.ask(at.endpoint.cordon, ["a"], "drain-1")
            await at.scheduler.remove_worker(
                at.workers["a"].address, stimulus_id="cut", expected=False, close=True
            )
            retired = await at.retired("a")
            assert (retired.done, retired.lost) == ((), ("a",))
            GATES["gate"].set()
            await at.client.gather([*held, running])

    run(test())


def test_growth_goes_on_while_a_drain_waits() -> None:
    async def test() -> None:
        async with cluster(a={}, b={}) as at:
            future = at.client.submit(gated, "gate", 1, workers=["a"], allow_other_workers=True)
            await at.load_when(lambda load: load.workers["a"].executing == 1)
            await at.ask(at.endpoint.cordon, ["a"], "drain-1")
            await at.add_worker("c")
            load = await at.load_when(lambda load: len(load.workers) == 3)
            assert _statuses(load) == {"a": "closing", "b": "running", "c": "running"}
            victims = at.scheduler.workers_to_close(n=3, attribute="name")
            assert "a" not in victims
            GATES["gate"].set()
            await future

    run(test())


def _statuses(load: Load) -> dict[str, str]:
    return {name: worker.status for name, worker in load.workers.items()}


@pytest.mark.filterwarnings("ignore")
def test_a_training_runs_through_a_voluntary_drain() -> None:
    """XGBoost over three workers; one is to go while it trains, and leaves when it has."""
    xgboost = pytest.importorskip("xgboost")
    from xgboost import dask as xgboost_dask

    async def test() -> None:
        import dask.array as da

        async with cluster(a={}, b={}, c={}) as at:
            rows = da.random.random((3000, 4), chunks=(500, 4))
            data = await xgboost_dask.DaskDMatrix(at.client, rows, (rows[:, 0] > 0.5).astype(int))
            pause = _Pause()
            training = asyncio.ensure_future(
                xgboost_dask.train(
                    at.client, {"tree_method": "hist", "objective": "binary:logistic"}, data,
                    num_boost_round=4, callbacks=[pause],
                )
            )  # fmt: skip
            load = await at.load_when(lambda load: any(w.gang for w in load.workers.values()))
            members = [name for name, worker in load.workers.items() if worker.gang]
            assert {load.workers[name].gang for name in members} == {"xgboost"}
            victim = members[0]
            await at.ask(at.endpoint.cordon, [victim], "drain-1")
            assert victim in (await at.retired(victim)).refused
            GATES["training"].set()
            booster = (await training)["booster"]
            assert booster.num_boosted_rounds() == 4
            retired = await first(
                lambda: at.retired(victim), lambda retired: retired.done == (victim,)
            )
            assert retired.lost == ()
            assert (await at.load()).totals.restarted_tasks == 0

    class _Pause(xgboost.callback.TrainingCallback):  # type: ignore[misc, name-defined]
        def before_iteration(self, *_: Any) -> bool:
            gated("training")
            return False

    run(test())
