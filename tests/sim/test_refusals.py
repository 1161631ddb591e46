"""A pool that has no machine, and the loop: few launches are tried there, and the fleet reaches its
size elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from costplan.adapters.sim.clock import MICROS
from costplan.adapters.sim.cloud import Account
from costplan.adapters.sim.drive import Crash, Driver, Memory
from costplan.adapters.sim.machines import Pool
from costplan.adapters.sim.steps import Steps, always, steps
from costplan.adapters.sim.world import World, make_world
from costplan.planner.asking import FIRST
from costplan.planner.loop import Ticked
from costplan.planner.settings import Safety, Settings
from costplan.planner.tick import Control, Launch
from costplan.planner.types import Market, OfferKey, Phase
from tests.sim.loops import SETTINGS, WORKER, driver_of
from tests.sim.scenes import SURE, key, pool

EMPTY = key("m4", Market.SPOT)
HOUR = 3600.0
EVERY = 5.0


def settings(nodes: int) -> Settings:
    """So many workers always kept, and the usual patience with who refuses."""
    kind = replace(WORKER, minimum=nodes, maximum=nodes)
    safety = Safety(refused_seconds=Safety().refused_seconds)
    return replace(SETTINGS, kinds=(kind,), safety=safety)


def market(capacity: Steps[int | None], usd: str = "0.20") -> tuple[Pool, ...]:
    """The cheapest pool with so many machines, and two at twice its price and more."""
    return (
        pool("m4", "0.10", market=Market.SPOT, capacity=capacity),
        pool("m8", usd, market=Market.SPOT),
        pool("m4", "0.36"),
    )


def world_of(capacity: Steps[int | None]) -> World:
    return make_world(market(capacity), account=Account(tells_room=False), fates=SURE)


class Calls:
    """Launch calls in which each offer is named, and in which tick the fleet was whole."""

    def __init__(self, nodes: int) -> None:
        self.named: Counter[OfferKey] = Counter()
        self.nodes = nodes
        self.whole_at: int | None = None

    def __call__(self, driver: Driver, ticked: Ticked) -> None:
        for action in ticked.actions:
            if isinstance(action, Launch):
                self.named.update(action.request.keys)
        machines = sum(m.ended is None for m in driver.world.cloud.machines())
        if self.whole_at is None and machines >= self.nodes:
            self.whole_at = driver.ticks


def driven(world: World, nodes: int, memory: Memory | None = None) -> tuple[Driver, Calls]:
    driver = driver_of(world, settings(nodes), memory or Memory())
    calls = Calls(nodes)
    driver.checks.append(calls)
    return driver, calls


@pytest.mark.parametrize(("nodes", "every"), [(60, 10.0), (200, 30.0)])
def test_a_pool_that_refuses_for_an_hour_is_asked_a_few_times(nodes: int, every: float) -> None:
    """Never asked before, and the cheapest: FIRST launches, and then one after 5, 15 and 35
    minutes. The daemon is started anew every ten minutes, and forgets nothing of it."""
    world, memory = world_of(always(0)), Memory()
    named: Counter[OfferKey] = Counter()
    for start in range(6):
        driver, calls = driven(world, nodes, memory)
        driver.run(HOUR / 6, every=every)
        named += calls.named
        if not start:
            assert calls.whole_at is not None
            assert calls.whole_at <= 10
    assert named[EMPTY] == FIRST + 3
    assert named.total() == named[EMPTY] + nodes
    assert Counter(m.pool.key for m in world.cloud.machines()) == {key("m8", Market.SPOT): nodes}


def test_a_pool_that_runs_dry_is_asked_no_more_often_than_it_has_just_granted() -> None:
    """It has 12: FIRST are asked for and granted, then twice as many, of which 7 are granted."""
    world = world_of(always(12))
    driver, calls = driven(world, 60)
    driver.run(240.0, every=EVERY)
    assert calls.named[EMPTY] == FIRST + 2 * FIRST
    found = Counter(m.pool.key for m in world.cloud.machines() if m.ended is None)
    assert found == {EMPTY: 12, key("m8", Market.SPOT): 48}


def test_a_pool_that_has_machines_again_is_tried_with_one_and_then_used() -> None:
    """It is worth an exchange once one launch has been granted."""
    world = world_of(steps([(0.0, 0), (200.0, None)]))
    driver, calls = driven(world, 8)
    driver.run(300.0, every=EVERY)
    before = calls.named[EMPTY]
    assert before == FIRST
    while calls.named[EMPTY] == before:
        driver.run(EVERY, every=EVERY)
    assert calls.named[EMPTY] == before + 1
    driver.run(HOUR, every=EVERY)
    alive = Counter(m.pool.key for m in world.cloud.machines() if m.ended is None)
    assert alive[EMPTY] == 8


def test_a_driver_that_dies_among_its_launches_does_not_ask_a_closed_pool_for_the_rest() -> None:
    """It dies before the third of 60; the next sends again what was journaled as asked for."""
    world, memory = world_of(always(0)), Memory()
    sent = iter(range(3))

    def dies(name: str) -> None:
        if name == "launch.before" and next(sent) == 2:
            raise Crash(name)

    first = driver_of(world, settings(60), memory, dies)
    with pytest.raises(Crash):
        first.step()
    asked = [n for n in memory.state.nodes.values() if n.phase is Phase.REQUESTED]
    assert len(asked) == FIRST
    driver, calls = driven(world, 60, memory)
    driver.run(HOUR, every=20.0)
    assert 2 + calls.named[EMPTY] <= 10
    assert calls.whole_at is not None


def test_a_pause_calls_off_what_has_not_been_asked_for() -> None:
    world, memory = world_of(always(None)), Memory()
    driver, calls = driven(world, 60, memory)
    driver.step()
    memory.control = Control(paused_until=world.clock.instant(round(120 * MICROS)))
    driver.run(100.0, every=EVERY)
    assert calls.named.total() == FIRST
    driver.run(60.0, every=EVERY)
    assert calls.whole_at is not None
