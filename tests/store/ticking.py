"""Ticks of a simulated cluster in a real store, for the tests of what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from costplan.adapters.sim.drive import Driver
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.sim.world import World
from costplan.adapters.store.records import TickCommit
from costplan.adapters.store.store import Store
from costplan.planner.load import Load
from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State
from costplan.planner.types import Mode
from tests.sim.kept import Kept
from tests.sim.loops import driver_of, world_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETTINGS = Settings(cluster="test", workload="test", kinds=())


def clock() -> datetime:
    """Always noon."""
    return NOON


@contextmanager
def held(path: Path) -> Iterator[Store]:
    """A store that this process may write."""
    with Store.open(path, clock=clock) as store:
        store.acquire_lease("test", NOON, 86400.0 * 365)
        yield store
        store.release_lease()


def tick_at(seconds: float, before: State, after: State | None = None) -> TickCommit:
    """A tick that saw nothing and did nothing, so many seconds after noon."""
    at = NOON + timedelta(seconds=seconds)
    return TickCommit(
        tick_id=f"t-{seconds}",
        at=at,
        replan=False,
        mode=Mode.FULL,
        gaps=(),
        readings=Readings(
            at=at,
            load=Load(at=at, window_seconds=1.0, groups=(), workers={}),
            machines=(),
            notices=(),
            offers=(),
            quotes=(),
        ),
        state_before=before,
        state_after=replace(before if after is None else after, at=at),
        settings=SETTINGS,
        snapshot_digest="0123456789abcdef",
        plan=None,
        actions=(),
        entries=(),
        version="1",
        summary={},
    )


def ran(path: Path, seconds: float = 900.0) -> tuple[World, Driver, Kept]:
    """A cluster that grew for a job, lost machines under its work and shrank after it, in a store
    that is still open."""
    world = world_of(3, hazard=8.0)
    record = Kept(path, world.clock)
    driver = driver_of(world, record=record)
    driver.foreteller = record.foreteller(driver.settings)
    world.cluster.submit(Job(name="job", stages=(Stage(prefix="job", tasks=120, seconds=45.0),)))
    driver.run(seconds)
    return world, driver, record
