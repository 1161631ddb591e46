"""The simulated Dask cluster: who runs what, who holds what, and what a drain or a death does."""

from __future__ import annotations

import pytest

from costplan.adapters.sim.demand import bursts, diurnal, gpu, merged, mixed, until
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.sim.world import World, make_world
from costplan.planner.errors import ClusterUnreachable
from costplan.planner.load import TaskGroup
from costplan.planner.nodes import WorkerSpec
from tests.sim.scenes import SURE, key, pool, request, running

MB = 10**6


def job(*stages: Stage, stays_seconds: float = 0.0) -> Job:
    return Job(name="somebody", stages=stages, stays_seconds=stays_seconds)


def groups(world: World) -> dict[str, TaskGroup]:
    return {group.prefix: group for group in world.cluster.load().groups}


def test_workers_join_when_their_machine_has_booted_and_run_what_they_can() -> None:
    """20 tasks of 10 s on two workers with four threads: 8, 8 and 4 of them in 30 s."""
    world = make_world([pool()], fates=SURE)
    world.cluster.submit(job(Stage(prefix="a", tasks=20, seconds=10)))
    assert groups(world)["a"].unrunnable == 20
    for number in (1, 2):
        world.provider.launch(request(number))
    world.clock.advance(61)
    assert world.cluster.load().workers == {}
    world.clock.advance(1)
    load = world.cluster.load()
    assert [worker.executing for worker in load.workers.values()] == [4, 4]
    assert [group.queued for group in load.groups] == [12]
    world.clock.advance(29.9)
    assert (groups(world)["a"].queued, groups(world)["a"].running) == (0, 4)
    assert world.cluster.open_jobs == 1
    world.clock.advance(0.1)
    load = world.cluster.load()
    (group,) = load.groups
    assert (group.observed_tasks, group.mean_task_seconds) == (20, pytest.approx(10))
    assert load.totals.busy_seconds == pytest.approx(200)
    assert sum(worker.busy_seconds for worker in load.workers.values()) == pytest.approx(200)
    assert (world.cluster.open_jobs, load.clients, load.clients_gone_since) == (0, 0, load.at)


def test_tasks_wait_for_the_stage_before_and_for_what_they_need() -> None:
    world, _ = running(1)
    world.cluster.submit(
        job(
            Stage(prefix="a", tasks=4, seconds=10),
            Stage(prefix="b", tasks=3, seconds=10, after=(0,), need={"GPU": 1.0}),
        )
    )
    assert groups(world)["b"].waiting == 3
    world.clock.advance(10)
    group = groups(world)["b"]
    assert (group.waiting, group.queued, group.unrunnable) == (0, 3, 3)
    other = make_world([pool(gpus=2)], fates=SURE)
    other.provider.launch(request(gpus=2))
    other.clock.advance(62)
    other.cluster.submit(job(Stage(prefix="b", tasks=3, seconds=10, need={"GPU": 1.0})))
    group = groups(other)["b"]
    assert (group.running, group.queued, group.unrunnable) == (2, 1, 0)


def held(world: World) -> dict[str, int]:
    return {name: worker.sole_keys for name, worker in world.cluster.load().workers.items()}


def test_a_killed_worker_loses_what_it_alone_holds_and_it_is_computed_again() -> None:
    world, machines = running(2)
    world.cluster.submit(
        job(
            Stage(prefix="a", tasks=8, seconds=10, result_bytes=MB),
            Stage(prefix="b", tasks=8, seconds=100, after=(0,)),
        )
    )
    world.clock.advance(20)
    assert held(world) == {"n1-0": 4, "n2-0": 4}
    world.cloud.fail(machines[0].provider_id)
    load = world.cluster.load()
    departure = load.departed["n1-0"]
    assert (departure.expected, departure.lost_keys, departure.restarted_tasks) == (False, 4, 4)
    assert load.totals.restarted_tasks == 4
    (loss,) = world.cluster.losses
    assert (loss.cause, loss.keys, loss.tasks) == ("failed", 4, 4)
    world.clock.advance(1000)
    load = world.cluster.load()
    assert world.cluster.open_jobs == 0
    assert load.totals.recomputed_tasks == 4
    assert load.totals.recomputed_seconds == pytest.approx(40)
    assert load.totals.finished_tasks == 20  # 8 + 4 again, 8


def test_a_cordoned_worker_finishes_its_tasks_and_takes_no_more() -> None:
    world, _ = running(2)
    world.cluster.submit(job(Stage(prefix="a", tasks=16, seconds=10)))
    world.clock.advance(5)
    world.cluster.cordon(["n1-0"], "t")
    assert world.cluster.load().workers["n1-0"].status == "closing"
    world.clock.advance(5)
    load = world.cluster.load()
    assert [worker.executing for worker in load.workers.values()] == [0, 4]
    world.cluster.uncordon(["n1-0", "unknown"])
    assert [w.executing for w in world.cluster.load().workers.values()] == [4, 4]


def test_copies_take_the_time_that_bytes_and_keys_take() -> None:
    """100 results of 50 MB at 500 MB/s and 0.3 ms each: 10.03 s, after 0.2 s to begin."""
    world, _ = running(2, threads=100)
    stages = (
        Stage(prefix="a", tasks=100, seconds=10, result_bytes=50 * MB, kept=True),
        Stage(prefix="b", tasks=1, seconds=1000, after=(0,)),
    )
    world.cluster.submit(job(*stages))
    world.clock.advance(20)
    before = held(world)["n1-0"]
    assert before == 50
    answer = world.cluster.retire(["n1-0"], "t")
    assert (answer.done, answer.pending) == ((), ("n1-0",))
    world.clock.advance(0.2 + 20 * 0.1003)
    assert held(world) == {"n1-0": 30, "n2-0": 70}
    world.clock.advance(30 * 0.1003 - 0.01)
    assert world.cluster.retire(["n1-0"], "t").pending == ("n1-0",)
    world.clock.advance(0.02)
    answer = world.cluster.retire(["n1-0", "unknown"], "t")
    assert (answer.done, answer.pending, answer.lost) == (("n1-0",), (), ())
    assert held(world) == {"n2-0": 100}
    load = world.cluster.load()
    assert load.departed["n1-0"].expected
    assert load.totals.recomputed_tasks == 0


def test_a_death_in_the_middle_of_a_drain_is_not_success() -> None:
    world, machines = running(2)
    world.cluster.submit(
        job(Stage(prefix="a", tasks=8, seconds=10, result_bytes=500 * MB), stays_seconds=900)
    )
    world.clock.advance(15)
    world.cluster.retire(["n1-0"], "t")
    world.clock.advance(2.5)
    world.cloud.fail(machines[0].provider_id)
    answer = world.cluster.retire(["n1-0"], "t")
    assert (answer.done, answer.lost) == ((), ("n1-0",))
    assert world.cluster.load().departed["n1-0"].lost_keys == 2


def test_a_worker_stays_where_nobody_can_take_what_it_holds() -> None:
    world, _ = running(2)
    world.cluster.submit(job(Stage(prefix="a", tasks=8, seconds=10), stays_seconds=900))
    world.clock.advance(15)
    answer = world.cluster.retire(["n1-0", "n2-0"], "t")
    assert sorted(answer.refused) == ["n1-0", "n2-0"]
    assert world.cluster.load().totals.recomputed_tasks == 0
    world.cluster.uncordon(["n2-0"])
    world.cluster.retire(["n1-0"], "t")
    world.clock.advance(10)
    assert world.cluster.retire(["n1-0"], "t").done == ("n1-0",)


def test_retiring_does_not_wait_for_tasks_that_run() -> None:
    world, _ = running(2)
    world.cluster.submit(job(Stage(prefix="a", tasks=4, seconds=100)))
    world.clock.advance(1)
    busy = [name for name, worker in world.cluster.load().workers.items() if worker.executing]
    assert world.cluster.retire(busy[:1], "t").done == tuple(busy[:1])
    assert world.cluster.load().totals.restarted_tasks == 2
    assert world.cluster.load().departed[busy[0]].lost_keys == 0


def test_a_gang_runs_on_all_its_members_and_fails_with_one() -> None:
    world, _ = running(4)
    world.cluster.submit(job(Stage(prefix="train", tasks=4, seconds=100, gang=True)))
    load = world.cluster.load()
    assert len({worker.gang for worker in load.workers.values()}) == 1
    assert groups(world)["train"].pinned == 4
    world.clock.advance(50)
    assert list(world.cluster.retire(["n1-0"], "t").refused) == ["n1-0"]
    assert world.cluster.load().totals.restarted_tasks == 0
    assert world.cluster.retire(["n1-0"], "t", force=True).done == ("n1-0",)
    assert world.cluster.load().totals.restarted_tasks == 4
    assert groups(world)["train"].queued == 4
    world.clock.advance(30)
    assert groups(world)["train"].running == 3  # no more have come in half a minute
    world.clock.advance(100 * 4 / 3 + 1)
    assert world.cluster.open_jobs == 0
    assert world.cluster.scheduler.counts.gangs_failed == 1


def test_the_scheduler_may_be_away_stale_and_born_again() -> None:
    world, _ = running(2)
    world.cluster.submit(job(Stage(prefix="a", tasks=8, seconds=60)))
    before = world.cluster.load()
    world.cluster.stale(20)
    world.clock.advance(19)
    assert world.cluster.load() == before
    world.clock.advance(1)
    assert world.cluster.load().at == world.clock()
    world.cluster.away(10)
    for ask in (world.cluster.load, lambda: world.cluster.retire([], "t")):
        with pytest.raises(ClusterUnreachable):
            ask()
    world.clock.advance(10)
    world.cluster.restart(15)
    world.clock.advance(15)
    load = world.cluster.load()
    assert load.scheduler_id != before.scheduler_id
    assert groups(world)["a"].unrunnable == 8
    world.clock.advance(5)
    assert sorted(world.cluster.load().workers) == ["n1-0", "n2-0"]
    world.clock.advance(60)
    assert world.cluster.open_jobs == 0


def test_a_crashed_worker_comes_back_under_its_name() -> None:
    world, _ = running(1)
    joined = world.cluster.load().workers["n1-0"].joined_at
    world.cluster.crash("n1-0", back_seconds=3)
    assert not world.cluster.load().departed["n1-0"].expected
    world.clock.advance(3)
    again = world.cluster.load().workers["n1-0"].joined_at
    assert again is not None
    assert joined is not None
    assert (again - joined).total_seconds() == 3


def test_scattered_data_is_gone_for_good() -> None:
    world, machines = running(1)
    world.cluster.submit(
        job(
            Stage(prefix="data", tasks=3, seconds=0, result_bytes=MB, scattered=True, kept=True),
            Stage(prefix="a", tasks=1, seconds=1000, after=(0,)),
        )
    )
    assert held(world) == {"n1-0": 3}
    world.cloud.fail(machines[0].provider_id)
    assert world.cluster.scheduler.counts.gone_for_good == 3


def test_variances_are_of_the_sample() -> None:
    """Durations 10 and 20 in equal parts: variance 25 s² of many."""
    world, _ = running(1)
    stage = Stage(prefix="a", tasks=400, seconds=10, tail_share=0.5, tail_seconds=20)
    world.cluster.submit(job(stage))
    world.clock.advance(4000)
    group = groups(world)["a"]
    assert group.mean_task_seconds == pytest.approx(15, abs=1)
    assert group.variance_seconds2 == pytest.approx(25, abs=0.5)


def test_demand_is_the_same_for_the_same_seed_and_in_order() -> None:
    first, second = (list(until(8 * 3600, mixed(7))) for _ in range(2))
    assert first == second != list(until(8 * 3600, mixed(8)))
    times = [arrival.at_seconds for arrival in first]
    assert times == sorted(times)
    assert len(times) > 100
    night = len(list(until(6 * 3600, diurnal(1))))
    day = sum(arrival.at_seconds > 9 * 3600 for arrival in until(15 * 3600, diurnal(1)))
    assert day > 2 * night
    assert all(arrival.job.tasks for arrival in until(9999, merged(bursts(1), gpu(1))))


def test_eight_hours_conserve_tasks() -> None:
    """All that was submitted is done at the end, and what was done twice is counted."""
    world = make_world([pool(hazard=0.5)], fates=SURE)
    world.play(until(8 * 3600, mixed(3)))
    launched = 0
    for _ in range(10 * 120):
        world.clock.advance(30)
        alive = sum(node.ended_at is None for node in world.provider.nodes())
        for _ in range(20 - alive):
            launched += 1
            world.provider.launch(request(launched))
    load = world.cluster.load()
    submitted = sum(arrival.job.tasks for arrival in until(8 * 3600, mixed(3)))
    assert world.cluster.open_jobs == 0
    assert load.totals.finished_tasks >= submitted + load.totals.recomputed_tasks
    assert load.totals.recomputed_tasks == 0 or world.cluster.losses
    assert all(g.queued == g.running == g.waiting == 0 for g in load.groups)
    assert all(w.sole_keys == 0 and w.executing == 0 for w in load.workers.values())
    assert key() in world.provider.keys
    assert isinstance(world.cloud.machines()[0].request.workers[0], WorkerSpec)
