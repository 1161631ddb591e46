"""A loop that is told of demand: what it asked for is in the store, and outlives it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from costplan.adapters.sim.work import Job, Stage
from costplan.planner.asked import STEP
from costplan.planner.forecast.types import QUANTILES
from costplan.planner.foretell import Foreteller
from tests.sim.kept import Kept
from tests.sim.loops import SETTINGS, driver_of, world_of

MEDIAN = QUANTILES.index(0.5)


def test_the_loop_keeps_what_was_asked_for_and_foretells_it_after_a_restart(
    tmp_path: Path,
) -> None:
    world = world_of(3)
    kept = Kept(tmp_path / "s.db", world.clock)
    driver = driver_of(world, record=kept)
    driver.foreteller = kept.foreteller(SETTINGS)
    begun = world.clock()
    world.cluster.submit(Job(name="job", stages=(Stage(prefix="job", tasks=40, seconds=3000.0),)))
    driver.run(1500.0)
    demand = [part for part in kept.store.demand("sim") if part.kind == "worker"]
    assert sum(part.seconds for part in demand) == 1495  # the last tick's still holds
    assert demand[0].worker_seconds < demand[1].worker_seconds == 10 * 300

    kept.reopen()
    after = driver_of(world, record=kept)
    after.foreteller = kept.foreteller(SETTINGS)
    readings = after.foreteller.told(after.read(), kept.load(), SETTINGS, refresh=True)
    kept.close()
    outlook = readings.outlook
    assert outlook is not None
    assert outlook.at == begun + timedelta(seconds=1500)
    rows = np.array(outlook.workers["worker"])
    assert rows[MEDIAN, 0] == pytest.approx(10.0, abs=0.5)
    assert (rows[:, 0] >= 7.0).all()  # without the graph half as many would be possible
    assert "of history: the spread is a guess of 50 %" in outlook.notes[0]


def test_an_hour_of_downtime_is_a_gap_and_not_demand_of_nothing(tmp_path: Path) -> None:
    world = world_of(3)
    kept = Kept(tmp_path / "s.db", world.clock)
    world.cluster.submit(Job(name="job", stages=(Stage(prefix="job", tasks=40, seconds=9000.0),)))
    for _ in range(2):
        driver = driver_of(world, record=kept)
        driver.foreteller = kept.foreteller(SETTINGS)
        driver.run(600.0)
        world.clock.advance(3600.0)
    demand = [part for part in kept.store.demand("sim") if part.kind == "worker"]
    kept.close()
    starts = [part.start for part in demand]
    gaps = [late - early for early, late in pairwise(starts)]
    assert max(gaps) >= timedelta(minutes=60)
    assert sum(gap > STEP for gap in gaps) == 1
    assert all(part.worker_seconds > 0 for part in demand)


def test_nothing_is_bought_ahead_of_work_that_has_until_a_deadline() -> None:
    """67 h of task-time: four threads a worker, 8 h left, 80 % of it planned for."""
    world = world_of(3)
    due = world.clock() + timedelta(hours=8)
    driver = driver_of(world, replace(SETTINGS, scaling=replace(SETTINGS.scaling, deadline=due)))
    driver.foreteller = Foreteller((), world.clock())
    world.cluster.submit(Job(name="job", stages=(Stage(prefix="job", tasks=4000, seconds=60.0),)))
    driver.run(240.0)
    assert 1 <= sum(machine.ended is None for machine in world.cloud.machines()) <= 8
