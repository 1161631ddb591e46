"""The driver dies at every step between its decisions and their outcomes, again and again.

What the store has is all that its successor knows: a real one, opened anew after every death. In
the end nothing may be orphaned, launched twice, lost or charged wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from costplan.adapters.sim.demand import bursts, gangs, merged, until
from costplan.adapters.sim.drive import Crash
from costplan.adapters.sim.faults import Faults, rates
from costplan.adapters.store import store
from costplan.planner.asked import STEP_SECONDS
from costplan.planner.types import Phase
from tests.sim.checks import Safety, ledger_against_bill, orphans
from tests.sim.kept import Kept
from tests.sim.loops import SETTINGS, driver_of, world_of

STEPS = (
    "tick.before_commit",
    "store.commit.before",
    "store.commit.in",
    "store.commit.after",
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


def live_and_die(deaths: Deaths, path: Path, seed: int, faults: Faults) -> None:
    """35 minutes with deaths, and 25 without; then all must be well."""
    world = world_of(seed, hazard=0.5, faults=faults, is_moving=False)
    kept, safety = Kept(path, world.clock), Safety(SETTINGS)
    world.play(until(1500, merged(bursts(seed, tasks=80, gap_seconds=300), gangs(seed, width=4))))

    def run(seconds: float) -> None:
        until_micros = world.clock.micros + round(seconds * 1_000_000)
        driver = driver_of(world, SETTINGS, kept, deaths)
        driver.foreteller = kept.foreteller(SETTINGS)
        driver.checks.append(safety)
        while world.clock.micros < until_micros:
            try:
                driver.step()
            except Crash:
                kept.reopen()
                driver = driver_of(world, SETTINGS, kept, deaths)
                driver.foreteller = kept.foreteller(SETTINGS)
                driver.checks.append(safety)
            world.clock.advance(EVERY_SECONDS)

    run(2100.0)
    deaths.is_deadly = False
    world.provider.faults.stop()
    run(1500.0)
    driver_of(world, SETTINGS, kept).step()
    kept.reopen()
    nodes, entries = kept.load().nodes.values(), kept.store.entries()
    every = kept.store.nodes(including_gone=True)
    demand = kept.store.demand(SETTINGS.cluster)
    kept.close()
    # A step is never counted twice, whatever dies between the table and the memory.
    assert demand
    assert all(part.seconds <= STEP_SECONDS + 1e-6 for part in demand)
    assert safety.broken == []
    assert ledger_against_bill(world, entries) == []
    assert orphans(world, nodes) == []
    assert world.cluster.open_jobs == 0
    assert [node.node_id for node in every if node.phase is not Phase.GONE] == []


@pytest.fixture
def deaths_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Deaths]:
    """Makes deaths that the store's own places pass too."""

    def made(step: str, every: int) -> Deaths:
        deaths = Deaths(step, every)
        monkeypatch.setattr(store, "reach", deaths)
        return deaths

    return made


@pytest.mark.parametrize("step", STEPS)
def test_deaths_at_a_step_again_and_again_lose_nothing(
    step: str, deaths_of: Callable[[str, int], Deaths], tmp_path: Path
) -> None:
    """At every third tick, or at every second action of a kind."""
    deaths = deaths_of(step, 3 if "tick" in step or "store" in step else 2)
    live_and_die(deaths, tmp_path / "store.db", seed=11, faults=Faults())
    assert deaths.died[step] >= 2, deaths.passed


@pytest.mark.parametrize("seed", range(3))
def test_deaths_anywhere_among_faults_lose_nothing(
    seed: int, deaths_of: Callable[[str, int], Deaths], tmp_path: Path
) -> None:
    """Every seventh step of any kind is the last one, and a fifth of all changes goes wrong."""
    deaths = deaths_of("any", 7)
    faults = Faults(seed=seed, rates=rates(launch=0.2, terminate=0.2, reads=0.02) | {"quotes": {}})
    live_and_die(deaths, tmp_path / "store.db", seed, faults)
    assert deaths.died.total() > 30
