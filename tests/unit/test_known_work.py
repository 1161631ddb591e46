"""What the graph still holds, as workers and seconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import exp

import numpy as np
import pytest

from costplan.planner.known_work import GUESSED_SPREAD, KNOWN_SPREAD, KnownWork, known_work
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup
from tests.sim.loops import SETTINGS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = TaskGroup(
    prefix="fit", need={}, queued=0, running=8, mean_task_seconds=3600.0, observed_tasks=4
)


def known(*groups: TaskGroup) -> dict[str, KnownWork]:
    load = Load(at=NOON, window_seconds=0.0, groups=groups, workers={})
    return dict(known_work(load, Learnt(), SETTINGS))


def done(work: KnownWork, seconds: float, deviations: float = 0.0) -> float:
    return float(work.worker_seconds(np.array([seconds]), np.array([deviations]))[0, 0])


def test_tasks_that_run_end_one_after_the_other() -> None:
    """8 tasks of an hour on 2 workers of 4 threads: of each half an hour is left on average."""
    assert known(LONG) == {
        "worker": KnownWork(workers=2, full_seconds=0, tail_seconds=3600, spread=KNOWN_SPREAD)
    }
    varied = replace(LONG, variance_seconds2=3600.0**2)  # as memoryless ones: an hour is left
    assert known(varied)["worker"].tail_seconds == 7200


def test_tasks_that_are_pinned_to_workers_that_are_not_here_keep_nobody_busy() -> None:
    pinned = replace(LONG, queued=1004, running=0, pinned=1000, unrunnable=1000)
    assert known(pinned) == known(replace(LONG, queued=4, running=0))
    assert known(replace(pinned, queued=1000)) == {}


def test_of_one_task_alone_the_age_is_known() -> None:
    one = replace(LONG, running=1, longest_running_seconds=1200.0)
    assert known(one)["worker"].tail_seconds == 2 * 2400
    over = replace(one, longest_running_seconds=9999.0)
    assert known(over)["worker"].tail_seconds == 0
    assert known(replace(one, running=2))["worker"].tail_seconds == 3600


def test_who_is_overdue_runs_for_as_long_again_as_it_has() -> None:
    """Three tasks are half done, and one that has run for 9 h goes on for 9 h: 2.625 h each."""
    late = replace(LONG, running=4, overdue=1, overdue_seconds=9 * 3600.0)
    assert known(late)["worker"].tail_seconds == 2 * (3 * 1800 + 9 * 3600) / 4


def test_all_workers_are_busy_until_nothing_is_queued() -> None:
    """8 tasks run for 15 s more on average, and 792 of 30 s come after them, four at a time."""
    queued = replace(LONG, queued=792, mean_task_seconds=30.0)
    work = known(queued)["worker"]
    assert done(work, 1e9) == pytest.approx((8 * 15 + 792 * 30) / 4)
    assert work.tail_seconds == 30
    assert work.full_seconds == pytest.approx(5970 / work.workers - 15)
    assert work.full_seconds > 30


def test_tasks_that_wait_for_others_take_the_workers_that_can_run_some() -> None:
    """One at a time: 40 tasks of 30 s on one worker, though it has four threads."""
    chain = replace(LONG, queued=1, running=0, waiting=39, mean_task_seconds=30.0)
    assert known(chain)["worker"].workers == 1
    assert known(chain)["worker"].full_seconds == 40 * 30 / 4


def test_guessed_durations_are_less_sure() -> None:
    guessed = replace(LONG, prefix="new", mean_task_seconds=None, observed_tasks=0)
    assert known(guessed)["worker"].spread == GUESSED_SPREAD
    assert known(LONG, guessed)["worker"].spread == GUESSED_SPREAD


def test_each_kind_has_its_own_and_no_work_is_left_out() -> None:
    gpu = replace(LONG, need={"GPU": 1.0}, running=1)
    assert set(known(LONG, gpu)) == {"worker", "gpu"}
    assert known() == {}
    assert known(replace(LONG, need={"TPU": 1.0})) == {}
    assert known(replace(LONG, running=0)) == {}


def test_what_is_done_is_a_block_and_a_triangle() -> None:
    work = KnownWork(workers=10, full_seconds=100.0, tail_seconds=200.0, spread=0.5)
    assert [done(work, seconds) for seconds in (50, 100, 200, 300, 1e6)] == [
        500, 1000, 1750, 2000, 2000,  # half of the tail is at 10 to 5 workers
    ]  # fmt: skip
    assert done(work, 1e6, 2.0) == pytest.approx(2000 * exp(1))
    flat = replace(work, tail_seconds=0.0)
    assert [done(flat, seconds) for seconds in (50, 300)] == [500, 1000]
