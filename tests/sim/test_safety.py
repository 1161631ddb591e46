"""The loop in worlds where much goes wrong: what must never happen, and what must in the end."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import Phase as Steps
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.adapters.sim.demand import Arrival, gpu, merged, mixed, until
from costplan.adapters.sim.drive import Driver, Memory
from costplan.adapters.sim.faults import Fault, Faults, rates
from costplan.adapters.sim.machines import Fates
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.sim.world import World
from costplan.planner.settings import Settings
from costplan.planner.types import Phase
from tests.sim.checks import Safety, ledger_against_bill, orphans
from tests.sim.loops import SETTINGS, driver_of, with_budget, with_floor, world_of

ROUGH = Fates(
    boot_seconds=45.0,
    boot_spread=0.4,
    never_boots_share=0.05,
    fails_per_hour=0.05,
    hangs_per_hour=0.02,
)
LONGEST_SECONDS = 3 * 3600.0
QUIET_SECONDS = 1200.0


def drive(
    world: World, wanted: Settings = SETTINGS, hours: float = 1.0, every: float = 10.0
) -> tuple[Driver, Safety, Memory]:
    """So long with whatever goes wrong in that world, then without until all work is done, and
    a while longer."""
    memory, safety = Memory(), Safety(wanted)
    driver = driver_of(world, wanted, memory)
    driver.checks.append(safety)
    driver.run(hours * 3600, every=every)
    world.provider.faults.stop()
    # A training that needs an hour in one piece never ends where a machine lasts twenty minutes.
    world.cloud.takes_machines = False
    end = world.clock.seconds + LONGEST_SECONDS
    while world.cluster.open_jobs and world.clock.seconds < end:
        driver.run(60.0, every=every)
    driver.run(QUIET_SECONDS, every=every)
    driver.step()
    return driver, safety, memory


def assert_at_rest(driver: Driver, memory: Memory, workers: int = 0) -> None:
    """The fleet is what is wanted, and nothing is done to it any more."""
    assert [ticked.actions for ticked in driver.history if ticked.actions] == []
    alive = [node for node in memory.state.nodes.values() if node.phase is not Phase.GONE]
    assert {node.phase for node in alive} <= {Phase.READY}
    assert sum(len(node.workers) for node in alive) == workers
    running = [machine for machine in driver.world.cloud.machines() if machine.ended is None]
    assert len(running) == len(alive)
    assert orphans(driver.world, alive) == []
    assert driver.world.cluster.open_jobs == 0


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_doubled_or_forgotten(seed: int) -> None:
    """An hour of faults in a third of all changes and a twentieth of all reads, of
    interruptions, failures and machines that never boot; then all is done and paid for."""
    faults = Faults(seed=seed, rates=rates(launch=0.3, terminate=0.3, reads=0.05) | {"quotes": {}})
    world = world_of(seed, hazard=0.5, fates=ROUGH, faults=faults)
    world.play(until(3000, merged(mixed(seed), gpu(seed, gap_seconds=1800.0))))
    driver, safety, memory = drive(world)
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries) == []
    assert_at_rest(driver, memory)
    assert sum(faults.drawn.values()) > 20


@pytest.mark.parametrize("seed", range(2))
def test_a_calm_day_computes_nothing_twice(seed: int) -> None:
    world = world_of(seed)
    world.play(until(5400, merged(mixed(seed), gpu(seed, gap_seconds=1800.0))))
    driver, safety, memory = drive(world, hours=2.0)
    totals = world.cluster.load().totals
    assert safety.broken == []
    assert (totals.recomputed_tasks, totals.restarted_tasks) == (0, 0)
    assert world.cluster.losses.maxlen
    assert list(world.cluster.losses) == []
    assert ledger_against_bill(world, memory.entries) == []
    assert_at_rest(driver, memory)


def test_the_floor_is_kept_and_filled_again() -> None:
    wanted = with_floor(SETTINGS, 6)
    world = world_of(3, hazard=1.0, faults=Faults(seed=3, rates=rates(launch=0.2)))
    world.play(until(3000, mixed(3)))
    _, safety, memory = drive(world, wanted)
    assert safety.broken == []
    alive = [node for node in memory.state.nodes.values() if node.phase is Phase.READY]
    assert sum(len(node.workers) for node in alive) >= 6


def test_a_budget_is_not_passed() -> None:
    wanted = with_budget(SETTINGS, "1.00")
    world = world_of(4, is_moving=False, faults=Faults(seed=4, rates=rates(launch=0.3)))
    world.play(until(3000, mixed(4)))
    driver, safety, memory = drive(world, wanted, hours=3.0)
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries) == []
    assert_at_rest(driver, memory)


def test_a_scheduler_that_comes_and_goes_costs_no_machine_twice() -> None:
    """Away for a minute, stale for two, and once born again: nothing is drained on what is not
    known, and the work gets done."""
    world = world_of(5)
    stage = Stage(prefix="map", tasks=20_000, seconds=20.0, spread=0.2, result_bytes=10**6)
    world.play([Arrival(at_seconds=10.0, job=Job(name="long", stages=(stage,)))])
    world.clock.after(400, lambda: world.cluster.away(60))
    world.clock.after(600, lambda: world.cluster.stale(120))
    world.clock.after(900, lambda: world.cluster.restart(45))
    driver, safety, memory = drive(world, hours=2.0)
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries) == []
    assert_at_rest(driver, memory)
    ended_by_us = [m for m in world.cloud.machines() if m.end_cause == "terminated"]
    early = [m for m in ended_by_us if m.ended is not None and 300e6 < m.ended < 1000e6]
    assert early == []


def test_machines_that_vanish_are_replaced_and_charged_until_they_were_missed() -> None:
    """The cloud does not say when they ended, so up to one look of ten seconds is charged too
    much of each: 0.40 $/h x 10 s and a bit."""
    world = world_of(6, fates=Fates(boot_seconds=45.0, vanishes_per_hour=1.0))
    world.play(until(3000, mixed(6)))
    _, safety, memory = drive(world)
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries, allowed_usd=Decimal("0.0026")) == []
    assert orphans(world, memory.state.nodes.values()) == []
    assert world.cluster.open_jobs == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What goes wrong in a world, and the seed of all that is left to chance."""

    seed: int
    launch: float
    terminate: float
    reads: float
    hazard: float
    never_boots: float
    hangs: float
    troubles: list[tuple[float, str]]


TROUBLES = ("away", "stale", "restart", "crash", "fail")
WEATHERS = st.builds(
    Weather,
    seed=st.integers(0, 10**6),
    launch=st.floats(0, 0.6),
    terminate=st.floats(0, 0.6),
    reads=st.floats(0, 0.3),
    hazard=st.floats(0, 3),
    never_boots=st.floats(0, 0.3),
    hangs=st.floats(0, 0.3),
    troubles=st.lists(st.tuples(st.floats(0, 2400), st.sampled_from(TROUBLES)), max_size=6),
)


@settings(max_examples=8, deadline=None, derandomize=True, phases=[Steps.generate])
@given(weather=WEATHERS)
def test_any_world_is_survived(weather: Weather) -> None:
    """Forty minutes of any mixture of troubles, then quiet: safe all the time, no machine left
    without an owner in the end, and all work done."""
    seed = weather.seed
    shares = rates(weather.launch, weather.terminate, weather.reads) | {"quotes": {}}
    fates = Fates(
        boot_seconds=45.0,
        boot_spread=0.4,
        never_boots_share=weather.never_boots,
        hangs_per_hour=weather.hangs,
    )
    faults = Faults(seed=seed, rates=shares)
    world = world_of(seed, hazard=weather.hazard, fates=fates, faults=faults)
    world.play(until(2000, mixed(seed)))
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    for at, kind in weather.troubles:
        world.clock.after(at, partial(make_trouble, world, kind, dice))
    _, safety, memory = drive(world, hours=0.7)
    assert safety.broken == []
    # A node launched in the tick before a price moves is first priced after it.
    allowed = Decimal("0.04") * 10 / 3600
    assert ledger_against_bill(world, memory.entries, allowed_usd=allowed) == []
    assert orphans(world, memory.state.nodes.values()) == []
    assert world.cluster.open_jobs == 0


def make_trouble(world: World, kind: str, dice: random.Random) -> None:
    """Something that happens to a scheduler, a worker or a machine."""
    workers = sorted(world.cluster.scheduler.workers)
    machines = [m.machine_id for m in world.cloud.machines() if m.ended is None]
    match kind:
        case "away":
            world.cluster.away(dice.uniform(5, 120))
        case "stale" if not world.cluster.is_away:
            world.cluster.stale(dice.uniform(5, 120))
        case "restart":
            world.cluster.restart(dice.uniform(5, 60))
        case "crash" if workers:
            world.cluster.crash(dice.choice(workers), back_seconds=5.0)
        case "fail" if machines:
            world.cloud.fail(dice.choice(machines))


def test_a_machine_that_comes_late_after_a_refusal_is_not_forgotten() -> None:
    """A launch is not answered; sent again it is refused for want of capacity; then the first
    one arrives after all."""
    world = world_of(7)
    stage = Stage(prefix="map", tasks=8, seconds=30.0)
    world.play([Arrival(at_seconds=5.0, job=Job(name="small", stages=(stage,)))])
    world.provider.faults.script("launch", *[Fault.UNKNOWN_LATE, Fault.NO_CAPACITY] * 3)
    driver, safety, memory = drive(world, hours=0.5, every=5.0)
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries) == []
    assert_at_rest(driver, memory)
