"""Results in the memory of a backtest's workers, by hand: held, copied, refused, lost."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.run import simulate
from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.machines import Fates, Machine
from costplan.adapters.sim.steps import steps
from costplan.planner.load import WorkerLoad
from costplan.planner.nodes import LaunchRequest, WorkerSpec
from tests.sim.test_backtest import FIRM, GIB, KIND, SPOT, backtest, job

HALF_GB = 500_000_000
"""A result that takes 1.0003 s to copy."""


class Small:
    """Machines of one worker of one thread each, which have joined."""

    def __init__(
        self, machines: int, result_bytes: int = HALF_GB, memory_bytes: int = 8 * GIB
    ) -> None:
        self.clock = VirtualClock()
        self.cloud = SimCloud(self.clock, [FIRM.pool], fates=Fates(boot_seconds=1, boot_spread=0))
        self.cluster = TraceCluster(
            self.clock, KIND, checkpoint_seconds=60.0, result_bytes=result_bytes
        )
        self.cloud.guests.append(self.cluster)
        self.memory_bytes = memory_bytes
        self.machines = [self.launch(f"n{number}") for number in range(machines)]
        self.clock.advance(10)

    def launch(self, name: str) -> Machine:
        worker = WorkerSpec(
            name=name, shape="node", threads=1, memory_bytes=self.memory_bytes, gpus=0, resources={}
        )
        keys = (FIRM.pool.key,)
        request = LaunchRequest(
            token=name, node_id=name, cluster="backtest", keys=keys, workers=(worker,), tags={}
        )
        return self.cloud.launch(request)

    def seen(self, name: str) -> WorkerLoad:
        return self.cluster.load().workers[name]

    def keys(self) -> list[int]:
        return [load.sole_keys for load in self.cluster.load().workers.values()]


def test_a_task_leaves_its_result_until_its_job_is_over() -> None:
    world = Small(2)
    world.cluster.submit(job(0, 100, 3))
    world.clock.advance(150)
    assert world.keys() == [1, 1]
    seen = world.seen("n0")
    assert (seen.managed_bytes, seen.sole_bytes) == (HALF_GB, HALF_GB)
    assert seen.recompute_seconds == 100
    assert seen.executing == 1
    world.clock.advance(50)
    assert world.keys() == [0, 0]
    assert world.cluster.is_done
    assert world.seen("n0").managed_bytes == 0


def test_without_bytes_there_are_no_results() -> None:
    world = Small(2, result_bytes=0)
    world.cluster.submit(job(0, 100, 3))
    world.clock.advance(150)
    assert world.keys() == [0, 0]


def test_a_cordoned_worker_copies_what_it_holds_one_result_after_the_other() -> None:
    world = Small(3)
    world.cluster.submit(job(0, 100, 7))
    world.clock.advance(250)
    assert world.keys() == [2, 2, 2]
    world.cluster.cordon(["n1"], "t")
    world.clock.advance(1.0002)
    assert world.keys() == [2, 2, 2]
    world.clock.advance(0.0002)
    assert world.keys() == [3, 1, 2]
    assert world.seen("n1").sole_bytes == HALF_GB
    assert world.seen("n1").status == "closing"
    world.cluster.uncordon(["n1"])
    world.clock.advance(10)
    assert world.keys() == [3, 1, 2]


def test_workers_that_go_together_copy_to_none_of_each_other() -> None:
    world = Small(3)
    world.cluster.submit(job(0, 100, 7))
    world.clock.advance(250)
    world.cluster.cordon(["n1", "n2"], "t")
    world.clock.advance(3)
    assert world.keys() == [6, 0, 0]


def test_retiring_waits_for_the_copies() -> None:
    world = Small(2)
    left: list[tuple[str, float]] = []
    world.cluster.retired = lambda machine: left.append((machine, world.clock.seconds))
    world.cluster.submit(job(0, 100, 5))
    world.clock.advance(250)
    assert world.keys() == [2, 2]
    found = world.cluster.retire(["n1"], "t")
    assert (found.pending, found.done) == (("n1",), ())
    world.clock.advance(5)
    assert left == [(world.machines[1].machine_id, pytest.approx(260 + 2.0006, abs=1e-6))]
    found = world.cluster.retire(["n1"], "t")
    assert (found.pending, found.done, found.lost) == ((), ("n1",), ())
    assert world.keys() == [4]
    assert world.cluster.load().departed["n1"].lost_keys == 0
    world.clock.advance(100)
    assert world.cluster.is_done
    assert world.cluster.recomputed == 0


def test_retiring_is_refused_where_nobody_can_take_what_is_held() -> None:
    world = Small(2)
    world.cluster.submit(job(0, 100, 5))
    world.clock.advance(250)
    found = world.cluster.retire(["n0", "n1"], "t")
    said = "nobody can take what it alone holds"
    assert found.refused == {"n0": said, "n1": said}
    assert found.pending == ()
    world.cluster.uncordon(["n0"])
    assert world.cluster.retire(["n1"], "t").pending == ("n1",)
    world.clock.advance(3)
    assert world.keys() == [4]


def test_what_is_lost_with_a_machine_is_computed_again_before_what_waits() -> None:
    world = Small(2)
    world.cluster.submit(job(0, 100, 5))
    world.clock.advance(250)  # four have ended, and n0 has begun the fifth 50 s ago
    world.cluster.cordon(["n1"], "t")
    world.cluster.submit(job(250, 100, 1))
    world.clock.advance(1.5)
    world.cloud.reclaim(world.machines[1].machine_id)
    assert world.keys() == [3]
    load = world.cluster.load()
    assert load.departed["n1"].lost_keys == 1
    assert load.groups[0].queued == 2
    first, second = world.cluster.runs
    assert (first.to_end, world.cluster.is_done) == (2, False)
    world.clock.advance(250)
    # n0 ends the fifth at 310 s, computes the lost one again, and then the other job.
    assert (first.ended, second.ended) == (410 * 10**6, 510 * 10**6)
    totals = world.cluster.load().totals
    assert (totals.recomputed_tasks, totals.recomputed_seconds) == (1, 100.0)
    assert totals.finished_tasks == 7
    world.cluster.close()
    assert sum(stint.worked for stint in world.cluster.stints) == 600 * 10**6
    assert sum(stint.lost for stint in world.cluster.stints) == 100 * 10**6


def test_a_worker_holds_no_more_than_its_memory() -> None:
    # 60 % of 4 GB are four results of half a GB, 80 % six.
    world = Small(2, memory_bytes=4 * 10**9)
    world.cluster.submit(job(0, 100, 20))
    world.clock.advance(650)
    assert world.keys() == [4, 4]
    found = world.cluster.retire(["n1"], "t")
    assert list(found.refused) == ["n1"]


def test_a_copy_fills_nobody_beyond_its_room() -> None:
    world = Small(3, memory_bytes=4 * 10**9)
    world.cluster.submit(job(0, 100, 40))
    world.clock.advance(450)
    assert world.keys() == [4, 4, 4]
    world.cluster.cordon(["n1"], "t")
    world.clock.advance(10)
    assert world.keys() == [6, 0, 6]


def few(policy: str, result_bytes: int, **pool: object) -> PolicyOutcome:
    """Three tasks of 1000 s where there are two machines: one of them idles while the third
    task runs, and holds a result."""
    firm = replace(FIRM, pool=replace(FIRM.pool, capacity=steps([(0, 2)]), **pool))  # type: ignore[arg-type]
    run = backtest([job(0, 1000, 3)], (firm,), hours=1, result_bytes=result_bytes)
    return simulate(run, policy)


def test_adaptive_ends_a_machine_once_what_it_holds_is_copied() -> None:
    none, some = few("dask-adaptive", 0), few("dask-adaptive", 2 * 10**9)
    for found in (none, some):
        assert (found.recomputed_tasks, found.usd_by_kind["recompute"]) == (0, 0)
    # 2 GB at 0.5 GB/s and 0.3 ms, at a dollar an hour; billed in whole seconds.
    assert (some.usd - none.usd) * 3600 == pytest.approx(Decimal(5))
    assert Decimal(4) <= (some.usd_by_kind["drain"] - none.usd_by_kind["drain"]) * 3600


def test_costplan_loses_no_results_by_choice() -> None:
    found = few("costplan", 2 * 10**9)
    assert (found.recomputed_tasks, found.usd_by_kind["recompute"]) == (0, 0)
    assert found.machines_at[8] == 1  # the one that idled has gone, and the third task goes on


def test_results_that_go_with_a_taken_machine_are_paid_for_again() -> None:
    capacity = steps([(0, 2), (1700, 0), (2000, 2)])
    pool = replace(SPOT.pool, capacity=capacity, notice_seconds=0.0)
    jobs = [job(0, 1000, 3)]
    spot = replace(SPOT, pool=pool)
    run = backtest(jobs, (FIRM, spot), hours=2, checkpoint_seconds=100.0)
    found = simulate(run, "dask-adaptive-spot")
    assert found.interruptions >= 1
    assert found.recomputed_tasks >= 1
    price = Decimal("0.25") / 3600
    assert found.usd_by_kind["work"] == pytest.approx(3000 * price, rel=Decimal("0.001"))
    again = 1000 * found.recomputed_tasks * price
    assert again <= found.usd_by_kind["recompute"] < again + 100 * price
    without = simulate(replace(run, result_bytes=0), "dask-adaptive-spot")
    assert without.recomputed_tasks == 0
    assert without.usd_by_kind["recompute"] < 100 * price
    assert simulate(run, "dask-adaptive-spot") == found


def troubled(seed: int) -> Small:
    """Machines that come, are cordoned, called back, retired and taken, until all work is done."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    world = Small(4, result_bytes=dice.choice((0, HALF_GB)), memory_bytes=4 * 10**9)
    for number in range(6):
        world.cluster.submit(job(0, dice.choice((40, 100, 300)), dice.choice((1, 7, 20))))
        for turn in range(15):
            here = sorted(world.cluster.load().workers)
            some = dice.sample(here, min(len(here), dice.randint(1, 3)))
            match dice.randrange(6):
                case 0:
                    world.cluster.cordon(some, "t")
                case 1:
                    world.cluster.uncordon(some)
                case 2:
                    world.cluster.retire(some, "t")
                case 3 if here:
                    (machine,) = (m for m in world.machines if m.request.node_id == some[0])
                    world.cloud.reclaim(machine.machine_id)
                case _:
                    world.machines.append(world.launch(f"m{number}-{turn}"))
            world.clock.advance(dice.choice((0.7, 20, 130)))
    world.machines.append(world.launch("last"))
    world.clock.advance(100_000)
    return world


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_to_workers_all_work_is_done_and_counted_once(seed: int) -> None:
    world = troubled(seed)
    cluster = world.cluster
    assert cluster.is_done
    assert sum(load.sole_keys for load in cluster.load().workers.values()) == 0
    totals = cluster.load().totals
    tasks = sum(run.job.units for run in cluster.runs)
    assert totals.finished_tasks == tasks + totals.recomputed_tasks
    assert all((run.to_begin, run.to_end) == (0, 0) for run in cluster.runs)
    cluster.close()
    worked = sum(run.job.units * run.job.seconds for run in cluster.runs)
    assert sum(stint.worked for stint in cluster.stints) == worked * 10**6
    for stint in cluster.stints:
        spent = stint.worked + stint.lost + stint.draining
        assert 0 <= spent <= (stint.left - stint.joined) * stint.slots
        assert stint.draining >= 0


def test_troubles_lose_results_and_the_same_ones_each_time() -> None:
    found = [troubled(seed).cluster.load().totals for seed in range(8)]
    assert sum(totals.recomputed_tasks for totals in found) > 10
    assert found == [troubled(seed).cluster.load().totals for seed in range(8)]
