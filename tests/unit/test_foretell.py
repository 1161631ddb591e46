"""From ticks to outlooks: history, graph and calendar, and never the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from costplan.planner.asked import STEP, DemandPart
from costplan.planner.calendar import ScheduledJob
from costplan.planner.codec import encode
from costplan.planner.forecast.types import QUANTILES, STEPS_PER_DAY, FloatArray
from costplan.planner.foretell import ENDS_SECONDS, MOST_LEARNT, Foreteller, over_steps
from costplan.planner.foretold import foretold
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup
from costplan.planner.needs import Needs
from costplan.planner.outlook import Outlook
from costplan.planner.settings import Forecasting, Settings
from costplan.planner.tick import ClassDemand, Readings, Snapshot, State
from costplan.planner.types import Mode
from tests.sim.loops import SETTINGS

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
MEDIAN = QUANTILES.index(0.5)
HIGH = QUANTILES.index(0.9)
FIT = TaskGroup(
    prefix="fit", need={}, queued=0, running=40, mean_task_seconds=7200.0, observed_tasks=4
)


def parts(values: FloatArray, kind: str = "worker") -> list[DemandPart]:
    return [
        DemandPart(kind=kind, start=MONDAY + place * STEP, seconds=300.0, worker_seconds=300.0 * v)
        for place, v in enumerate(values)
        if not np.isnan(v)
    ]


def daily(days: float) -> FloatArray:
    step = np.arange(int(days * STEPS_PER_DAY))
    noise = np.random.default_rng(1).normal(0, 1, len(step))
    return np.asarray(25 - 15 * np.cos(2 * np.pi * step / STEPS_PER_DAY) + noise.clip(-3, 3))


def load(now: datetime, *groups: TaskGroup) -> Load:
    return Load(at=now, window_seconds=0.0, groups=groups, workers={})


def outlook_of(
    past: list[DemandPart],
    now: datetime,
    *groups: TaskGroup,
    settings: Settings = SETTINGS,
) -> Outlook | None:
    foreteller = Foreteller(past, now)
    foreteller.learn(now)
    return foreteller.outlook(now, load(now, *groups), Learnt(), settings)


def workers(outlook: Outlook | None, kind: str = "worker") -> FloatArray:
    assert outlook is not None
    return np.array(outlook.workers[kind])


def test_an_outlook_is_a_day_in_steps_that_grow() -> None:
    widths = np.diff((0, *ENDS_SECONDS))
    assert 24 <= len(ENDS_SECONDS) <= 48
    assert (widths[:12] == 300).all()
    assert (np.diff(widths) >= 0).all()
    assert ENDS_SECONDS[-1] == 86400


def test_a_history_of_days_is_foretold_with_its_waves() -> None:
    now = MONDAY + timedelta(days=9)  # midnight
    outlook = outlook_of(parts(daily(9)), now)
    assert outlook is not None
    assert outlook.at == now
    assert (outlook.ends_seconds, outlook.shares) == (ENDS_SECONDS, QUANTILES)
    assert outlook.notes == ("gpu: no history: the graph and the calendar only",)
    assert set(outlook.workers) == {"worker"}
    rows = workers(outlook)
    assert (np.diff(rows, axis=0) >= 0).all()
    noon = ENDS_SECONDS.index(12 * 3600)
    assert rows[MEDIAN, 0] == pytest.approx(10, abs=3)
    assert rows[MEDIAN, noon] == pytest.approx(40, abs=6)


def test_the_first_minutes_are_better_than_nothing_and_say_so() -> None:
    now = MONDAY + timedelta(minutes=2)
    few = [DemandPart(kind="worker", start=MONDAY, seconds=120.0, worker_seconds=960.0)]
    outlook = outlook_of(few, now)
    rows = workers(outlook)
    assert rows[MEDIAN] == pytest.approx(np.full(len(ENDS_SECONDS), 8.0))
    assert rows[HIGH, 0] == pytest.approx(12.0, abs=1.0)
    assert outlook is not None
    assert "of history: the spread is a guess of 50 %" in outlook.notes[0]
    assert outlook_of([], now) is None


def test_demand_that_rose_since_the_last_whole_step_moves_the_forecast() -> None:
    """After 200 s at 40 the last 300 s were at (200 x 40 + 100 x 10) / 300 = 30."""
    now = MONDAY + timedelta(hours=2, seconds=200)
    late = DemandPart(
        kind="worker", start=MONDAY + timedelta(hours=2), seconds=200.0, worker_seconds=8000.0
    )
    rows = workers(outlook_of([*parts(np.full(24, 10.0)), late], now))
    assert rows[MEDIAN, :3] == pytest.approx(np.full(3, 30.0), abs=0.5)


def test_a_clock_that_is_set_back_foretells_no_hour_without_work() -> None:
    foreteller, now = (
        Foreteller(parts(np.full(200, 10.0)), MONDAY + 200 * STEP),
        MONDAY + 200 * STEP,
    )
    foreteller.learn(now)
    for back in (timedelta(seconds=60), timedelta(hours=1), timedelta(hours=5)):
        outlook = foreteller.outlook(now - back, None, Learnt(), SETTINGS)
        assert (workers(outlook)[MEDIAN] == 10).all()


def test_the_graph_is_a_floor_for_as_long_as_it_lasts() -> None:
    """40 tasks of two hours, half through on average: 10 workers at first, none in two hours."""
    now = MONDAY + timedelta(days=2)
    quiet = parts(np.zeros(2 * STEPS_PER_DAY))
    rows = workers(outlook_of(quiet, now, FIT))
    done = rows @ np.diff((0, *ENDS_SECONDS))
    assert rows[MEDIAN, 0] == pytest.approx(10, abs=0.5)
    assert rows[MEDIAN, ENDS_SECONDS.index(7200)] < 2
    assert done[MEDIAN] == pytest.approx(10 * 3600, rel=1e-4)
    assert done[0] < 0.8 * done[MEDIAN]
    assert done[-1] > 1.2 * done[MEDIAN]
    assert (workers(outlook_of(quiet, now)) == 0).all()


def test_work_that_has_until_a_deadline_is_spread_over_its_time() -> None:
    now = MONDAY
    queued = TaskGroup(
        prefix="fit", need={}, queued=4000, running=0, mean_task_seconds=60.0, observed_tasks=4
    )
    scaling = replace(SETTINGS.scaling, deadline=now + timedelta(hours=8))
    due = replace(SETTINGS, scaling=scaling)
    assert workers(outlook_of([], now, queued))[MEDIAN, 0] == 60  # the maximum
    # 4,000 x 60 s in 23,040 s are 10.4 threads, four a worker.
    assert workers(outlook_of([], now, queued, settings=due))[MEDIAN, 0] == pytest.approx(3)
    (told, _) = foretold((), load(now, queued), Learnt(), due, now).kinds
    assert told.at(0.5)[0] == pytest.approx(3)


def test_the_calendar_is_a_floor_too_and_the_maximum_a_ceiling() -> None:
    now = MONDAY + timedelta(days=2)
    job = ScheduledJob(name="j", kind="worker", workers=50, start_minute=30, duration_seconds=1800)
    settings = replace(SETTINGS, calendar=(job, replace(job, name="k")))
    rows = workers(outlook_of(parts(np.zeros(2 * STEPS_PER_DAY)), now, settings=settings))
    assert (rows[:, :6] == 0).all()
    assert (rows[:, 6:12] == 60).all()  # 100, were there not a maximum
    assert (rows[:, 12:] == 0).all()
    only = outlook_of([], now, settings=settings)
    assert only is not None
    assert only.notes[0] == "worker: no history: the graph and the calendar only"


def test_who_does_not_want_forecasts_gets_none_but_demand_is_recorded() -> None:
    settings = replace(SETTINGS, forecast=Forecasting(use=False))
    now = MONDAY + timedelta(days=1)
    assert outlook_of(parts(daily(1)), now, settings=settings) is None
    foreteller, read, state = ticking(now)
    foreteller.told(read, state, settings, refresh=True)
    foreteller.kept(*saw(now, 3))
    later = replace(read, at=now + timedelta(seconds=20))
    assert foreteller.told(later, state, settings, refresh=True).outlook is None
    assert [part.worker_seconds for part in foreteller.unkept] == [60.0]


def ticking(now: datetime) -> tuple[Foreteller, Readings, State]:
    read = Readings(at=now, load=load(now), machines=(), notices=(), offers=(), quotes=())
    return Foreteller((), now), read, State()


def saw(at: datetime, wanted: int, *, is_known: bool = True) -> tuple[Snapshot, Needs]:
    """What a tick hands back where the work asks for so many."""
    snapshot = Snapshot(
        at=at, nodes=(), load=load(at) if is_known else None, offers=(), quotes=(), notices=(),
        gaps=(), mode=Mode.FULL, spent_usd=Decimal(0), digest="",
    )  # fmt: skip
    demand = ClassDemand(
        shape="worker", wanted=wanted, present=0, coming=0, work_seconds=0.0, width=0, reason=""
    )
    return snapshot, Needs(demand=(demand,), waiting=(), target={}, here={}, kept={})


def test_what_a_tick_saw_holds_until_the_next_or_until_it_is_too_old() -> None:
    now = MONDAY + timedelta(seconds=290)
    foreteller, read, state = ticking(now)
    foreteller.told(read, state, SETTINGS, refresh=True)
    assert foreteller.unkept == ()
    foreteller.kept(*saw(now, 4))
    foreteller.told(replace(read, at=now + timedelta(seconds=15)), state, SETTINGS, refresh=False)
    assert [(p.start, p.seconds, p.worker_seconds) for p in foreteller.unkept] == [
        (MONDAY, 10, 40),
        (MONDAY + STEP, 5, 20),
    ]
    # The commit failed: the next tick has it all, up to when the load was too old.
    foreteller.told(replace(read, at=now + timedelta(hours=1)), state, SETTINGS, refresh=False)
    stale = SETTINGS.cadence.load_stale_seconds
    assert sum(part.seconds for part in foreteller.unkept) == stale
    foreteller.kept(*saw(now + timedelta(hours=1), 9, is_known=False))
    foreteller.told(replace(read, at=now + timedelta(hours=2)), state, SETTINGS, refresh=False)
    assert foreteller.unkept == ()


def test_between_plans_ticks_read_the_same_outlook() -> None:
    now = MONDAY + timedelta(days=1)
    foreteller = Foreteller(parts(daily(1)), now)
    read, state = ticking(now)[1:]
    first = foreteller.told(read, state, SETTINGS, refresh=True).outlook
    assert first is not None
    soon = replace(read, at=now + timedelta(seconds=1))
    assert foreteller.told(soon, state, SETTINGS, refresh=False).outlook is first
    assert foreteller.told(soon, state, SETTINGS, refresh=True).outlook is not first
    late = replace(read, at=now + timedelta(seconds=302))
    again = foreteller.told(late, state, SETTINGS, refresh=False).outlook
    assert again is not None
    assert again.at == late.at


def test_a_long_history_is_read_a_day_at_a_tick() -> None:
    now = MONDAY + timedelta(days=3)
    foreteller = Foreteller(parts(daily(3)), now)
    read, state = ticking(now)[1:]
    said = []
    for second in range(3):
        at = now + timedelta(seconds=second)
        tick = replace(read, at=at, load=load(at, FIT))
        outlook = foreteller.told(tick, state, SETTINGS, refresh=True).outlook
        assert outlook is not None
        said.append(outlook.notes[0])
    assert MOST_LEARNT == STEPS_PER_DAY
    assert said[:2] == [f"worker: {days}.0 days of history are not read yet" for days in (2, 1)]
    assert "worker" not in "".join(said[2:])
    at_once = outlook_of(parts(daily(3)), at, FIT)
    assert outlook == at_once


@pytest.mark.parametrize("poison", [np.nan, 1e9, 0.0])
def test_what_comes_after_now_changes_not_a_byte(poison: float) -> None:
    """The same past with another future, in the table and in the order that it is read."""
    days = 6
    whole = daily(days + 2)
    for hours in (1.0, 30.25, 24.0 * days):
        now = MONDAY + timedelta(hours=hours)
        seen = int(hours * 12)
        past = parts(whole[:seen])
        future = whole.copy()
        future[seen + 1 :] = poison
        future[seen] = np.nan  # the step that is under way
        told = [outlook_of(made, now, FIT) for made in (past, [*past, *parts(future)[len(past) :]])]
        assert encode(told[0], Outlook | None) == encode(told[1], Outlook | None)


def test_means_of_steps_keep_what_is_under_the_forecast() -> None:
    values = np.arange(STEPS_PER_DAY, dtype=np.float64)[None, :]
    rows = over_steps(values, 0.0)
    assert rows[0, :12] == pytest.approx(np.arange(12.0))
    assert rows[0] @ np.diff((0, *ENDS_SECONDS)) == pytest.approx(values.sum() * 300)
    moved = over_steps(values, 150.0)
    assert moved[0, :11] == pytest.approx(np.arange(11) + 0.5)
    assert moved[0, -1] > rows[0, -1]  # what lies beyond the day is as its last step
