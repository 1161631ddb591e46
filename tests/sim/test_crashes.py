"""The driver dies at every step between its decisions and their outcomes, again and again.

What the store has is all that its successor knows. In the end nothing may be orphaned, launched
twice, lost or charged wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from costplan.adapters.sim.demand import bursts, gangs, merged, until
from costplan.adapters.sim.faults import Faults, rates
from costplan.planner.types import Phase
from tests.sim.checks import Safety, ledger_against_bill, orphans
from tests.sim.drive import Crash, Memory
from tests.sim.loops import SETTINGS, driver_of, world_of

STEPS = (
    "tick.before_commit",
    "tick.after_commit",
    "launch.before",
    "launch.after",
    "cordon.before",
    "cordon.after",
    "retire.before",
    "retire.after",
    "terminate.before",
    "terminate.after",
    "tick.after_actions",
)
EVERY_SECONDS = 10.0


class Deaths:
    """Crashes at every n-th passing of a step, for as long as it is deadly."""

    def __init__(self, step: str, every: int) -> None:
        self.step, self.every = step, every
        self.passed = 0
        self.died: Counter[str] = Counter()
        self.is_deadly = True

    def __call__(self, name: str) -> None:
        if self.step not in (name, "any"):
            return
        self.passed += 1
        if self.is_deadly and self.passed % self.every == 0:
            self.died[name] += 1
            raise Crash(name)


def live_and_die(deaths: Callable[[str], None], seed: int, faults: Faults) -> None:
    """An hour of work with deaths, and half an hour without; then all must be well."""
    world = world_of(seed, hazard=0.5, faults=faults, is_moving=False)
    memory, safety = Memory(), Safety(SETTINGS)
    world.play(until(2400, merged(bursts(seed, tasks=80, gap_seconds=300), gangs(seed, width=4))))

    def run(seconds: float) -> None:
        until_micros = world.clock.micros + round(seconds * 1_000_000)
        driver = driver_of(world, SETTINGS, memory, deaths)
        driver.checks.append(safety)
        while world.clock.micros < until_micros:
            try:
                driver.step()
            except Crash:
                driver = driver_of(world, SETTINGS, memory, deaths)
                driver.checks.append(safety)
            world.clock.advance(EVERY_SECONDS)

    run(3600.0)
    deaths.is_deadly = False  # type: ignore[attr-defined]
    world.provider.faults.stop()
    run(1800.0)
    driver = driver_of(world, SETTINGS, memory)
    driver.step()
    nodes = memory.state.nodes.values()
    assert safety.broken == []
    assert ledger_against_bill(world, memory.entries) == []
    assert orphans(world, nodes) == []
    assert world.cluster.open_jobs == 0
    assert [node.node_id for node in nodes if node.phase is not Phase.GONE] == []


@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_every_third_passing_of_a_step_loses_nothing(step: str) -> None:
    deaths = Deaths(step, every=3)
    live_and_die(deaths, seed=11, faults=Faults())
    assert deaths.died[step] >= 2, deaths.passed


@pytest.mark.parametrize("seed", range(3))
def test_deaths_anywhere_among_faults_lose_nothing(seed: int) -> None:
    """Every seventh step of any kind is the last one, and a fifth of all changes goes wrong."""
    deaths = Deaths("any", every=7)
    faults = Faults(seed=seed, rates=rates(launch=0.2, terminate=0.2, reads=0.02) | {"quotes": {}})
    live_and_die(deaths, seed, faults)
    assert deaths.died.total() > 40
