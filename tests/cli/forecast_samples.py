"""Nine days of demand with an outage, a graph that holds work, and a nightly job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np

from costplan.adapters.store.store import Store, TickCommit
from costplan.planner.asked import STEP, DemandPart
from costplan.planner.calendar import ScheduledJob
from costplan.planner.foretold import Foretold, foretold
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup
from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State
from costplan.planner.types import Mode
from tests.sim.loops import SETTINGS as SIMULATED

NOW = datetime(2026, 3, 10, 15, 2, 30, tzinfo=UTC)
STEPS = 9 * 288
OUTAGE = range(2100, 2160)
NIGHTLY = ScheduledJob(
    name="nightly", kind="gpu", workers=4, start_minute=120, duration_seconds=3 * 3600
)
SETTINGS = replace(SIMULATED, cluster="fraud", calendar=(NIGHTLY,))
FIT = TaskGroup(
    prefix="fit", need={}, queued=0, running=96, mean_task_seconds=3600.0, observed_tasks=9
)


@cache
def parts() -> tuple[DemandPart, ...]:
    """Few workers by night and more by day, and half of the step under way."""
    last = NOW.replace(minute=0, second=0)
    hours = np.arange(STEPS) / 12
    values = 20 - 12 * np.cos(2 * np.pi * (hours - hours[-1] + 13) / 24) + 3 * np.sin(hours * 5)
    whole = [
        DemandPart(
            kind="worker",
            start=last - (STEPS - place) * STEP,
            seconds=300.0,
            worker_seconds=300.0 * round(float(value), 2),
        )
        for place, value in enumerate(values)
        if place not in OUTAGE
    ]
    return (*whole, DemandPart(kind="worker", start=last, seconds=150.0, worker_seconds=150 * 24.0))


def load() -> Load:
    return Load(at=NOW, window_seconds=0.0, groups=(FIT,), workers={})


@cache
def made() -> Foretold:
    """The forecast as of NOW."""
    return foretold(parts(), load(), Learnt(), SETTINGS, NOW)


def write_store(
    path: Path,
    demand: tuple[DemandPart, ...],
    settings: Settings = SETTINGS,
    *,
    is_ticked: bool = True,
) -> None:
    """A store whose only tick, at NOW, saw the load and brought this demand."""
    with Store.open(path, clock=lambda: NOW) as store:
        if not is_ticked:
            return
        store.acquire_lease("test", NOW, 20)
        store.commit(
            TickCommit(
                tick_id="t",
                at=NOW,
                replan=False,
                mode=Mode.FULL,
                gaps=(),
                readings=Readings(
                    at=NOW, load=load(), machines=(), notices=(), offers=(), quotes=()
                ),
                state_before=State(),
                state_after=State(at=NOW, load=load()),
                settings=settings,
                snapshot_digest="1",
                plan=None,
                actions=(),
                entries=(),
                version="test",
                summary={},
                demand=demand,
            )
        )
        store.release_lease()
