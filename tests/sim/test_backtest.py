"""Backtests, by hand: what a policy costs, what for, and that the same input gives the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from costplan.adapters.backtest.cluster import TraceCluster
from costplan.adapters.backtest.courses import Course
from costplan.adapters.backtest.jobs import TraceJob
from costplan.adapters.backtest.market import Availability, Ware, outages
from costplan.adapters.backtest.outcome import Deadline
from costplan.adapters.backtest.run import (
    POLICIES,
    Backtest,
    _Costplan,
    _pilot,
    _Play,
    foresight,
    foresight_settled,
    peak,
    simulate,
)
from costplan.adapters.backtest.spread import Run, spread
from costplan.adapters.sim.clock import MICROS, VirtualClock
from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.drive import Ticked
from costplan.adapters.sim.machines import Pool
from costplan.adapters.sim.steps import Steps, always, steps
from costplan.planner.codec import encode
from costplan.planner.errors import InvariantBroken
from costplan.planner.nodes import LaunchRequest
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.tick import Readings
from costplan.planner.types import Market, Offer, OfferKey, Resources
from costplan.policies.default import default_policies

GIB = 2**30
HOUR = 3600.0
KIND = WorkerKind(
    name="node", need=Resources(vcpu_milli=4000, memory_bytes=8 * GIB), threads=1, resources={}
)


def ware(name: str, market: Market, usd: str, **pool: object) -> Ware:
    key = OfferKey(provider="sim", region="one", zone="a", instance_type=name, market=market)
    offer = Offer(
        key=key, resources=Resources(vcpu_milli=4000, memory_bytes=16 * GIB), arch="x86_64"
    )
    made = Pool(offer=offer, usd_per_hour=always(Decimal(usd)), **pool)  # type: ignore[arg-type]
    return Ware(pool=made, workers=1)


FIRM = ware("plain", Market.ON_DEMAND, "1.00")
SPOT = ware("plain", Market.SPOT, "0.25")


def backtest(
    jobs: Iterable[TraceJob],
    wares: tuple[Ware, ...] = (FIRM, SPOT),
    hours: float = 6,
    **more: object,
) -> Backtest:
    made = Backtest(
        jobs=tuple(jobs),
        wares=wares,
        settings=Settings(cluster="backtest", workload="test", kinds=(KIND,)),
        one_type="plain",
        seconds=hours * HOUR,
        boot_seconds=100.0,
        rules=default_policies(),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def job(at: float, seconds: float, units: int = 1) -> TraceJob:
    return TraceJob(at_seconds=at, seconds=seconds, units=units)


ON_SPOT = ("costplan", "costplan-no-forecast", "dask-adaptive-spot")
STEADY = [job(600.0 * n, 1500.0, 1 + n % 3) for n in range(24)]


def test_foresight_pays_for_each_task_second_at_the_cheapest_price_of_its_moment() -> None:
    away = replace(SPOT.pool, capacity=steps([(0, None), (1800, 0), (3600, None)]))
    jobs = [job(0, 3600, 2), job(5400, 1800, 1)]
    found = foresight(backtest(jobs, (FIRM, replace(SPOT, pool=away))))
    # Two tasks: half an hour on spot, half an hour on demand; one task half an hour on spot.
    assert found.usd == Decimal("1.375")
    assert found.wait_p95_seconds == 0
    assert found.usd_by_kind["work"] == found.usd


def test_settled_foresight_leaves_a_machine_only_when_that_is_taken() -> None:
    away = replace(SPOT.pool, capacity=steps([(0, None), (1800, 0), (3600, None), (9000, 0)]))
    wares = (FIRM, replace(SPOT, pool=away))
    # Half an hour on spot until that is taken, then on demand to the end: an hour and a half.
    assert foresight_settled(backtest([job(0, 7200, 2)], wares)).usd == Decimal("3.25")
    # Begun where spot is back: 0.25 an hour, all of it.
    assert foresight_settled(backtest([job(3600, 3600)], wares)).usd == Decimal("0.25")
    # Half an hour at 0.25 and half at 0.3, where a second pool outlasts the first; without one that
    # is there just then, half on demand.
    lasting = replace(
        ware("other", Market.SPOT, "0.3").pool, capacity=steps([(0, None), (4000, 0)])
    )
    three = (*wares, replace(SPOT, pool=lasting))
    assert foresight_settled(backtest([job(0, 3600)], three)).usd == Decimal("0.275")
    later = replace(lasting, capacity=steps([(0, None), (1500, 0), (2000, None)]))
    four = (*wares, replace(SPOT, pool=later))
    assert foresight_settled(backtest([job(0, 3600)], four)).usd == Decimal("0.625")


def test_bounds_of_spot_alone_take_the_price_to_come_where_nothing_is_to_be_had() -> None:
    away = replace(SPOT.pool, capacity=steps([(0, 0), (1800, None)]))
    run = backtest([job(0, 3600)], (replace(SPOT, pool=away),))
    assert foresight(run).usd == Decimal("0.25")
    assert foresight_settled(run).usd == Decimal("0.25")


def test_settled_foresight_pays_the_price_of_each_moment() -> None:
    dearer = replace(SPOT.pool, usd_per_hour=steps([(0, Decimal("0.2")), (1800, Decimal("1.6"))]))
    wares = (FIRM, replace(SPOT, pool=dearer))
    # An hour: 0.9 on spot is less than 1 on demand; half an hour later all of it is on demand.
    assert foresight_settled(backtest([job(0, 3600)], wares)).usd == Decimal("0.9")
    assert foresight_settled(backtest([job(1800, 3600)], wares)).usd == Decimal(1)
    assert foresight(backtest([job(0, 3600)], wares)).usd == Decimal("0.6")


@pytest.mark.parametrize("policy", [name for name in POLICIES if name != "foresight"])
def test_a_policy_does_all_jobs_and_its_dollars_by_kind_are_the_bill(policy: str) -> None:
    run = backtest(STEADY)
    found = simulate(run, policy)
    assert found.jobs == len(STEADY)
    assert found.usd == sum(found.usd_by_kind.values())
    assert found.usd > foresight_settled(run).usd >= foresight(run).usd
    assert min(found.usd_by_kind.values()) >= 0
    hours = sum(j.seconds * j.units for j in STEADY) / HOUR
    price = Decimal("0.25") if policy in ON_SPOT else Decimal(1)
    assert found.usd_by_kind["work"] == pytest.approx(Decimal(hours) * price)


def test_the_peak_on_demand_is_paid_for_all_the_time() -> None:
    run = backtest([job(0, 600, 1), job(7200, 600, 3)])
    assert peak(run) == 3
    found = simulate(run, "on-demand-peak")
    assert found.usd == pytest.approx(Decimal(18), rel=Decimal("0.001"))
    assert found.wait_p50_seconds < 120
    assert found.scale_events == 6


def test_an_interrupted_task_goes_on_from_its_checkpoint() -> None:
    away = replace(
        SPOT.pool, capacity=steps([(0, None), (4000, 0), (4600, None)]), notice_seconds=0.0
    )
    run = backtest([job(0, 7200)], (FIRM, replace(SPOT, pool=away)), checkpoint_seconds=1000.0)
    assert list(outages(away)) == [4000.0]
    found = simulate(run, "dask-adaptive-spot")
    assert (found.interruptions, found.restarted_tasks) == (1, 1)
    assert 0 < found.usd_by_kind["recompute"] < Decimal("0.25") * 1000 / 3600
    assert found.usd_by_kind["work"] == pytest.approx(Decimal("0.5"))


def test_costplan_moves_on_where_spot_is_not_to_be_had() -> None:
    away = replace(SPOT.pool, capacity=steps([(0, None), (4000, 0)]), notice_seconds=120.0)
    run = backtest([job(0, 7200, 3)], (FIRM, replace(SPOT, pool=away)), checkpoint_seconds=600.0)
    found = simulate(run, "costplan")
    assert found.jobs == 1
    assert found.missed_deadlines == 0
    assert Decimal("1.5") < found.usd < Decimal(6)


def test_a_policy_that_is_given_up_is_paid_for_what_it_did() -> None:
    once = replace(SPOT.pool, capacity=steps([(0, 1), (2000, 0)]), notice_seconds=0.0)
    run = backtest(
        [job(0, 900, 2), job(600, 60)], (FIRM, replace(SPOT, pool=once)), hours=1,
        checkpoint_seconds=10.0,
    )  # fmt: skip
    found = simulate(run, "dask-adaptive-spot")
    # One machine does a task of the first job and breaks off the second: none of the two is done.
    assert (found.jobs, found.unfinished_jobs, found.missed_deadlines) == (2, 2, 2)
    assert (found.interruptions, found.restarted_tasks) == (1, 1)
    assert found.usd == sum(found.usd_by_kind.values()) > 0
    assert 36000 < found.ended_seconds < 37000
    assert found.wait_p95_seconds > 30000


def test_adaptive_takes_a_first_task_that_runs_long_for_a_long_one() -> None:
    found = simulate(backtest([job(0, 2 * HOUR, 8)]), "dask-adaptive")
    # A machine at first, for half a second a task; at the next look one runs for minutes already.
    assert 600 < found.wait_p95_seconds < 900


def test_no_kind_of_dollars_is_below_zero_by_rounding() -> None:
    once = steps([(0, 1), (4005, 0)])
    spot = ware("plain", Market.SPOT, "0.13", capacity=once, notice_seconds=0.0)
    run = backtest([job(0, 7200)], (FIRM, spot), hours=2, checkpoint_seconds=1000.0)
    kinds = simulate(run, "dask-adaptive-spot").usd_by_kind
    # The one machine boots, works, and is taken in the middle of its task: it is never idle.
    assert 0 <= kinds["idle"] < Decimal("1e-11") < kinds["recompute"]


def test_what_runs_when_a_policy_is_given_up_is_broken_off() -> None:
    run = backtest([job(0, 50 * HOUR)], hours=1)
    found = simulate(run, "dask-adaptive")
    assert (found.unfinished_jobs, found.restarted_tasks) == (1, 0)
    assert found.wait_p95_seconds < 600
    assert found.usd_by_kind["work"] == pytest.approx(Decimal(10), rel=Decimal("0.02"))


def test_equal_inputs_give_equal_outcomes_wherever_they_run() -> None:
    run, names = backtest(STEADY[:8]), ("costplan", "costplan-no-forecast", "foresight")
    runs = [Run(backtest=run, seed=seed, policies=names) for seed in (0, 1)]
    seen: list[tuple[int, str, float]] = []
    here = spread(runs, processes=1, scheduler=None, progress=lambda *what: seen.append(what))
    there = spread(runs, processes=2, scheduler=None, progress=lambda *_: None)
    assert here == there
    assert (1, "costplan", 1.0) in seen
    other = simulate(replace(run, seed=1), "costplan")
    assert other == here[1][0] != here[0][0]


def test_a_job_is_late_by_the_deadline_that_was_given() -> None:
    run = backtest([job(0, 3600, 2)], (FIRM,), hours=3)
    waits = simulate(run, "on-demand-peak").wait_p95_seconds
    assert 0 < waits < 300
    for deadline, missed in (
        (Deadline(times=1.0, seconds=waits + 1), 0),
        (Deadline(times=1.0, seconds=waits - 1), 1),
        (Deadline(times=1 + (waits + 1) / 3600, seconds=0.0), 0),
        (Deadline(times=1 + (waits - 1) / 3600, seconds=0.0), 1),
    ):
        found = simulate(replace(run, deadline=deadline), "on-demand-peak")
        assert found.missed_deadlines == missed


def test_a_machine_that_hangs_is_a_bug_of_the_simulation() -> None:
    clock = VirtualClock()
    cloud = SimCloud(clock, [FIRM.pool])
    cloud.guests.append(TraceCluster(clock, KIND, checkpoint_seconds=60.0))
    name = "only"
    request = LaunchRequest(
        token=name, node_id=name, cluster="backtest", keys=(FIRM.pool.key,), workers=(), tags={}
    )
    machine = cloud.launch(request)
    with pytest.raises(InvariantBroken, match="hangs"):
        cloud.hang(machine.machine_id)


def test_machines_are_lost_at_the_rate_of_their_pool_however_old_they_are() -> None:
    """Once in 1,000 h: after 120 days e^-2.88 = 5.6 % are left, after 30 days it was 49 %."""
    clock, pool = VirtualClock(), ware("plain", Market.SPOT, "0.25", hazard_per_hour=0.001).pool
    cloud = SimCloud(clock, [pool])
    for number in range(400):
        name = f"node-{number}"
        cloud.launch(LaunchRequest(token=name, node_id=name, cluster="backtest", keys=(pool.key,),
                                   workers=(), tags={}))  # fmt: skip
    left = []
    for _ in range(2):
        left.append(sum(machine.ended is None for machine in cloud.machines()))
        clock.advance(120 * 86400)
    left.append(sum(machine.ended is None for machine in cloud.machines()))
    assert left[0] == 400
    assert 10 < left[1] < 40
    assert left[2] < 6


def test_a_trace_is_repeated_and_shifted() -> None:
    trace = Availability(
        name="set/zone/type", from_seconds=(0.0, 60.0), is_up=(True, False), seconds=100.0
    )
    at = [(at / MICROS, up) for at, up in islice(trace.begun(0.0).changes(), 5)]
    assert at == [(0, True), (60, False), (100, True), (160, False), (200, True)]
    later = trace.begun(70.0)
    at = [(at / MICROS, up) for at, up in islice(later.changes(), 5)]
    assert at == [(0, False), (30, True), (90, False), (130, True), (190, False)]
    for second in (0, 29, 30, 89, 90, 129, 130, 3_000_089, 3_000_090):
        assert later.at(second * MICROS) is trace.at(second + 70.0)
    always_up = replace(trace, is_up=(True, True)).begun(70.0)
    assert list(always_up.changes()) == [(0, True)]


def test_machines_are_taken_at_every_outage_however_often_a_trace_is_repeated() -> None:
    """Spot is to be had for 40 of each 60 minutes, and a task takes 3 h with a checkpoint each 10
    minutes: it is interrupted in four hours of a trace that is one hour long."""
    trace = Availability(
        name="set/zone/type", from_seconds=(0.0, 2400.0), is_up=(True, False), seconds=HOUR
    )
    there = trace.begun(0.0)
    room = Steps(there.micros, tuple(None if up else 0 for up in there.values), there.period)
    spot = replace(SPOT, pool=replace(SPOT.pool, capacity=room, notice_seconds=120.0))
    run = backtest([job(0, 3 * HOUR)], (FIRM, spot), hours=4, checkpoint_seconds=600.0)
    found = simulate(run, "dask-adaptive-spot")
    assert (found.unfinished_jobs, found.interruptions) == (0, 5)
    assert foresight(run).usd == Decimal("0.25") * 2 + Decimal(1)


def test_what_can_never_be_done_ends_long_before_ten_times_the_span() -> None:
    """Of each two hours spot is there for one, and no task of two hours saves anything."""
    room: Steps[int | None] = Steps((0, 3600 * MICROS), (None, 0), period=7200 * MICROS)
    spot = replace(SPOT, pool=replace(SPOT.pool, capacity=room, notice_seconds=0.0))
    jobs = [job(0, 1800, 2), job(600, 2 * HOUR)]
    run = backtest(jobs, (FIRM, spot), hours=48, checkpoint_seconds=1e6, tick_seconds=1200.0)
    found = simulate(run, "dask-adaptive-spot")
    assert (found.jobs, found.unfinished_jobs) == (2, 1)
    # Two days of trace, one for changes of mind, a repetition and the task: 76 h.
    assert 76 * HOUR < found.ended_seconds < 77 * HOUR
    assert found.given_up == "in the last 1.18 of which nothing went on"
    done = simulate(run, "dask-adaptive")
    assert (done.unfinished_jobs, done.given_up) == (0, "")


def test_the_course_is_kept_at_each_tick() -> None:
    found = simulate(backtest([job(0, 600, 2)], hours=1), "costplan")
    assert found.at_seconds == tuple(300.0 * n for n in range(13))
    assert max(found.machines_at) == 2
    assert found.ended_seconds * MICROS >= HOUR * MICROS


def told(jobs: Iterable[TraceJob], policy: str, until_seconds: float) -> list[bytes]:
    """What the ticks of a policy are told of demand up to a moment, as bytes."""
    run = backtest(jobs)
    play = _Play(run)
    pilot = _pilot(run, policy, play)
    assert isinstance(pilot, _Costplan)
    found, ticked = [], pilot.driver.tick

    def spy(readings: Readings, *values: Any, **named: Any) -> Ticked:
        if play.clock.seconds < until_seconds:
            found.append(encode(readings.outlook, Outlook | None))
        return ticked(readings, *values, **named)

    pilot.driver.tick = spy
    play.run(pilot, lambda _: None)
    return found


def test_a_policy_is_told_of_demand_from_its_own_past_and_not_of_what_comes() -> None:
    until = 7000.0
    past = [each for each in STEADY if each.at_seconds < until]
    futures = [
        [job(until + 60, 600, 1)],
        [job(until + 1.0, 9000, 40), job(until + 100, 60, 300)],
    ]
    one, other = (told([*past, *future], "costplan", until) for future in futures)
    assert one == other
    assert one[0] == b"null"
    assert b'"node":[[' in one[-1]
    assert len(set(one)) > 15


def test_without_forecast_ticks_are_told_nothing() -> None:
    assert set(told(STEADY[:4], "costplan-no-forecast", 1e9)) == {b"null"}


def test_a_machine_pays_the_price_of_each_moment_and_foresight_takes_the_cheapest() -> None:
    moving = Course(
        instance_type="plain",
        zone="a",
        from_seconds=(0.0, HOUR),
        ratios=(0.5, 1.5),
        seconds=2 * HOUR,
    )
    usd = moving.around(Decimal("0.40"))
    spot = replace(SPOT, pool=replace(SPOT.pool, usd_per_hour=usd))
    # 0.20, 0.60, 0.20, 0.60, ... dollars an hour, beside 0.50 on demand.
    run = backtest([job(0, 4 * HOUR)], (ware("plain", Market.ON_DEMAND, "0.50"), spot), hours=4)
    assert foresight(run).usd == Decimal("1.4")
    found = simulate(run, "dask-adaptive-spot")
    assert found.interruptions == 0
    assert found.usd_by_kind["work"] == pytest.approx(Decimal("1.6"), abs=Decimal("0.04"))
    assert found.usd == sum(found.usd_by_kind.values())
