"""The harness itself: a plain controller passes its checks, and a careless one does not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from costplan.adapters.sim.demand import mixed, until
from costplan.adapters.sim.drive import Crash, Driver, Memory
from costplan.adapters.sim.faults import Fault, Faults, rates
from costplan.adapters.sim.steps import steps
from costplan.adapters.sim.world import World, make_world
from costplan.planner.settings import Budget, Settings, WorkerKind
from costplan.planner.types import Resources
from costplan.planner.units import GIB
from tests.sim.checks import Safety, ledger_against_bill, orphans
from tests.sim.plain import Plain
from tests.sim.scenes import SURE, key, pool

KIND = WorkerKind(
    name="worker",
    need=Resources(vcpu_milli=4000, memory_bytes=14 * GIB),
    threads=4,
    resources={},
)
SETTINGS = Settings(cluster="sim", workload="test", kinds=(KIND,))


def world_with(faults: Faults) -> World:
    prices = steps([(0, Decimal("0.36")), (3600, Decimal("0.72")), (5400, Decimal("0.18"))])
    return make_world([pool(usd=prices)], fates=SURE, faults=faults)


def driven(controller: Plain, faults: Faults, hours: float = 2.0) -> tuple[Driver, Safety, Memory]:
    """A world with an hour of mixed work, driven for longer."""
    world, memory, safety = world_with(faults), Memory(), Safety(SETTINGS)
    world.play(until(3600, mixed(5)))
    driver = Driver(world, controller, SETTINGS, (), memory, checks=[safety])
    driver.run(hours * 3600, every=10)
    driver.step()
    return driver, safety, memory


def test_a_plain_controller_does_the_work_and_keeps_the_books() -> None:
    faults = Faults(seed=1, rates=rates(launch=0.3, terminate=0.3, reads=0.0))
    driver, safety, memory = driven(Plain(key=key()), faults)
    assert safety.broken == []
    assert driver.world.cluster.open_jobs == 0
    assert len(driver.world.cluster.done) == len(list(until(3600, mixed(5))))
    assert ledger_against_bill(driver.world, memory.entries) == []
    assert orphans(driver.world, memory.state.nodes.values()) == []
    assert sum(faults.drawn.values()) > 10
    assert driver.world.cluster.load().totals.recomputed_tasks == 0


@pytest.mark.parametrize(
    ("controller", "said"),
    [
        (Plain(key=key(), asks_anew=True), "has 2 machines"),
        (Plain(key=key(), ends_without_drain=True), "cause='terminated'"),
    ],
)
def test_the_checks_see_carelessness(controller: Plain, said: str) -> None:
    faults = Faults(rates={"launch": {Fault.UNKNOWN_DONE: 0.5}, "nodes": {Fault.UNREACHABLE: 0.5}})
    _, safety, _ = driven(controller, faults, hours=0.5)
    assert any(said in line for line in safety.broken), safety.broken


def test_the_books_are_compared_node_by_node() -> None:
    driver, _, memory = driven(Plain(key=key()), Faults(), hours=0.5)
    assert ledger_against_bill(driver.world, memory.entries) == []
    assert "overlaps" in ledger_against_bill(driver.world, memory.entries * 2)[1]
    assert ledger_against_bill(driver.world, memory.entries[1:]) != []
    driver, _, memory = driven(Plain(key=key(), forgets_to_charge=True), Faults(), hours=0.5)
    assert "ledger 0, bill" in ledger_against_bill(driver.world, memory.entries)[0]


def test_a_budget_and_an_orphan_are_seen() -> None:
    settings = Settings(
        cluster="sim", workload="test", kinds=(KIND,), budget=Budget(usd_per_hour=Decimal("1.00"))
    )
    world, memory, safety = world_with(Faults()), Memory(), Safety(settings)
    world.play(until(3600, mixed(5)))
    driver = Driver(world, Plain(key=key()), settings, (), memory, checks=[safety])
    driver.run(1800, every=10)
    assert any("$/h of 1.00" in line for line in safety.broken)
    assert orphans(world, [])


def crash_at(step: str, nth: int) -> Callable[[str], None]:
    """Dies the nth time that the step is passed, and never again."""
    passed = 0

    def passing(name: str) -> None:
        nonlocal passed
        passed += name == step
        if name == step and passed == nth:
            raise Crash(f"{step}:{nth}")

    return passing


@pytest.mark.parametrize("step", ["tick.before_commit", "launch.after", "terminate.before"])
def test_a_driver_that_dies_is_followed_by_another(step: str) -> None:
    world, memory = world_with(Faults()), Memory()
    world.play(until(1800, mixed(5)))
    first = Driver(world, Plain(key=key()), SETTINGS, (), memory, passing=crash_at(step, 3))
    with pytest.raises(Crash):
        first.run(7200, every=10)
    second = Driver(world, Plain(key=key()), SETTINGS, (), memory)
    second.run(7200, every=10)
    second.step()
    assert ledger_against_bill(world, memory.entries) == []
    assert orphans(world, memory.state.nodes.values()) == []
    assert world.cluster.open_jobs == 0
