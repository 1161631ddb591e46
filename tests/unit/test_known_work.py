"""What the graph still holds, as workers and seconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import exp

import pytest

from costplan.planner.known_work import GUESSED_SPREAD, KNOWN_SPREAD, KnownWork, known_work
from costplan.planner.load import Load, TaskGroup
from costplan.planner.tick import Learnt
from tests.sim.loops import SETTINGS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG = TaskGroup(
    prefix="fit", need={}, queued=0, running=8, mean_task_seconds=3600.0, observed_tasks=4
)


def known(*groups: TaskGroup) -> dict[str, KnownWork]:
    load = Load(at=NOON, window_seconds=0.0, groups=groups, workers={})
    return dict(known_work(load, Learnt(), SETTINGS))


def test_long_tasks_keep_their_workers_for_what_is_left_of_them() -> None:
    """8 tasks of an hour on 2 workers of 4 threads; the oldest has run for 20 minutes."""
    begun = replace(LONG, longest_running_seconds=1200.0)
    assert known(begun) == {"worker": KnownWork(workers=2, seconds=3600 - 600, spread=KNOWN_SPREAD)}
    assert known(LONG)["worker"].seconds == 1800  # of age nothing is known: half is left
    one = replace(begun, running=1)
    assert known(one)["worker"].seconds == 2400
    over = replace(one, longest_running_seconds=9999.0)
    assert known(over)["worker"].seconds == 0


def test_tasks_that_wait_for_others_take_the_workers_that_can_run_some() -> None:
    """One at a time: 10 tasks of 30 s on one worker, though it has four threads."""
    chain = replace(LONG, queued=1, running=0, waiting=39, mean_task_seconds=30.0)
    assert known(chain)["worker"].workers == 1
    assert known(chain)["worker"].seconds == 40 * 30 / 4


def test_a_task_takes_its_own_time_however_many_workers_there_are() -> None:
    few = replace(LONG, queued=2, running=0)
    assert known(few)["worker"].seconds == 3600


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


def test_the_spread_is_of_the_logarithm() -> None:
    work = KnownWork(workers=1, seconds=100.0, spread=0.5)
    assert work.seconds_at(0.0) == 100
    assert work.seconds_at(2.0) == pytest.approx(100 * exp(1))
