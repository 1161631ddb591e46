"""How fast a tick is with 1,000 simulated workers, and how soon it acts.

    python -m tests.bench.tick

Seconds are of CPU time of this process: reading the simulated ports, deciding, and handing over
the actions. Codec and store are not in them.
What a cadence adds (at most `observe_seconds` until a change is seen) is not in them; `react` has
the wall time of it all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from costplan.adapters.sim.drive import Driver
from costplan.adapters.sim.machines import Fates
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.sim.world import World
from costplan.planner.settings import Settings
from costplan.planner.tick import Action, Cordon, Launch
from costplan.planner.types import Phase
from tests.sim.loops import SETTINGS, driver_of, world_of

WORKERS = 1000
REPEATS = 20


def settings() -> Settings:
    """Rules under which 1,000 workers are always kept, and as many more may run."""
    worker, gpu = SETTINGS.kinds
    worker = replace(worker, minimum=WORKERS, maximum=2 * WORKERS)
    return replace(SETTINGS, kinds=(worker, gpu))


def grown() -> tuple[World, Driver]:
    """A world with 1,000 workers that are busy for hours."""
    world = world_of(0, fates=Fates(boot_seconds=45.0, boot_spread=0.0), is_moving=False)
    driver = driver_of(world, settings())
    grow(driver)
    return world, driver


def grow(driver: Driver) -> None:
    """Gives a world work for hours, and lets it pass until 1,000 workers are there and busy."""
    world = driver.world
    world.cluster.submit(long_job("long", WORKERS * 4, 36_000.0))
    while len(world.cluster.scheduler.workers) < WORKERS:
        driver.step()
        world.clock.advance(5.0)
        if world.clock.seconds > 3600:
            raise RuntimeError(f"{len(world.cluster.scheduler.workers)} workers after an hour")
    driver.run(120.0)


def long_job(name: str, tasks: int, seconds: float) -> Job:
    """Equal tasks."""
    return Job(name=name, stages=(Stage(prefix=name, tasks=tasks, seconds=seconds),))


def seconds_of(do: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.process_time()
    do()
    return time.process_time() - start


def ticks_without_changes(world: World, driver: Driver, *, replan: bool) -> list[float]:
    """Seconds of `tick` alone, in a world where nothing changes but the time."""
    found = []
    for _ in range(REPEATS):
        world.clock.advance(5.0)
        readings, state = driver.read(), driver.record.load()
        start = time.process_time()
        ticked = driver.tick(readings, state, driver.settings, driver.policies, replan=replan)
        found.append(time.process_time() - start)
        if ticked.actions:
            raise RuntimeError(f"something changed: {ticked.actions[:2]}")
        driver.record.commit(readings, ticked, driver.settings)
    return found


def until_action(world: World, driver: Driver, kind: type[Action]) -> tuple[float, int]:
    """Seconds of processing, and ticks, until an action of that kind was handed over."""
    total = 0.0
    for ticks in range(1, 20):
        before = len(driver.history)
        total += seconds_of(driver.step)
        latest = driver.history[-1] if before else driver.history[0]
        if any(isinstance(action, kind) for action in latest.actions):
            return total, ticks
        world.clock.advance(5.0)
    raise RuntimeError(f"no {kind.__name__} in 20 ticks")


def shown(what: str, seconds: list[float], target: float) -> None:
    """One line of the table."""
    median, most = statistics.median(seconds), max(seconds)
    print(f"{what:<42}{median * 1000:>9.1f} ms{most * 1000:>9.1f} ms{target * 1000:>9.0f} ms")


def main() -> None:
    """Prints each figure beside its target."""
    world, driver = grown()
    print(f"{'1,000 workers':<42}{'median':>12}{'worst':>12}{'target':>12}")
    shown("tick without changes", ticks_without_changes(world, driver, replan=False), 0.1)
    shown("the same, planned anew", ticks_without_changes(world, driver, replan=True), 0.1)
    shown("read the simulated ports", [seconds_of(driver.read) for _ in range(REPEATS)], 0.1)
    world.cluster.submit(long_job("jump", 4_000_000, 0.5))
    seconds, ticks = until_action(world, driver, Launch)
    shown(f"load jump -> launch request ({ticks} ticks)", [seconds], 2.0)
    world.clock.advance(120.0)
    ready = [n for n in driver.record.load().nodes.values() if n.phase is Phase.READY]
    machine = ready[0].provider_id
    if machine is None:
        raise RuntimeError("a ready node has no machine")
    world.cloud.interrupt(machine, in_seconds=120.0)
    seconds, ticks = until_action(world, driver, Cordon)
    shown(f"notice -> drain begins ({ticks} ticks)", [seconds], 1.0)


if __name__ == "__main__":
    main()
