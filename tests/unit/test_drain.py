"""How long it takes to empty a node, what that costs, and what forbids it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.drain import (
    binding,
    drain_seconds,
    drain_usd,
    loads_of,
    mean_running_seconds,
    node_drain_seconds,
)
from tests.fleets import does, load, node, tasks

GB = 10**9


@pytest.mark.parametrize(
    ("sole_bytes", "sole_keys", "seconds"),
    [
        (0, 0, 3.0),
        (0, 10_000, 6.0),  # 0.3 ms a key
        (GB // 2, 1, 1.0 + 0.0003 + 3.0),  # quicker than the 2 s cadence: copied once
        (4 * GB, 64, 4 * 2 * 1.5 + 64 * 0.0003 + 3.0),  # copied one and a half times
    ],
)
def test_the_time_is_what_was_measured(sole_bytes: int, sole_keys: int, seconds: float) -> None:
    assert drain_seconds(sole_bytes, sole_keys) == pytest.approx(seconds)


def test_a_slow_network_is_the_limit_and_a_quick_one_is_not() -> None:
    """1 GB at 125 MB/s takes 8 s, one and a half times 12 s; Dask itself does 0.5 GB/s at best."""
    assert drain_seconds(GB, 0, network_bytes_per_second=125e6) == pytest.approx(15.0)
    assert drain_seconds(GB, 0, network_bytes_per_second=10e9) == drain_seconds(GB, 0)


def test_workers_of_a_node_share_its_network() -> None:
    """Two of 0.8 GB are 1.6 GB: past the cadence together, though neither is alone."""
    two = [does(sole_bytes=8 * GB // 10, sole_keys=5)] * 2
    assert node_drain_seconds(two) == pytest.approx(3.2 * 1.5 + 10 * 0.0003 + 3.0)


def test_a_drain_is_paid_for_and_waits_for_half_of_what_runs() -> None:
    """At $3.60 an hour a second is a tenth of a cent: 3 s to leave, and 20 of a 40 s task."""
    idle = drain_usd([does()], Decimal("3.60"), 40.0)
    one = drain_usd([does(), does(1)], Decimal("3.60"), 40.0)
    busy = drain_usd([does(1), does(2)], Decimal("3.60"), 40.0)
    assert idle == (Decimal("0.003"), 3.0)
    assert one == (Decimal("0.023"), 23.0)
    # The last of three tasks that are anywhere in 40 s ends after 30 s on average.
    assert busy == (Decimal("0.033"), 33.0)


def test_the_mean_of_what_runs_is_by_tasks_that_run() -> None:
    known = [tasks(running=3, mean=10.0), tasks(running=1, mean=50.0), tasks(queued=9, mean=900.0)]
    assert mean_running_seconds([*known, tasks(running=5, mean=None)]) == 20.0
    assert mean_running_seconds([tasks(running=5, mean=None)]) == 0.0


def test_those_found_running_are_longer_than_the_mean() -> None:
    # One in two takes 10 s and one in two 30 s: of those found running three in four take 30 s.
    found = tasks(running=1, mean=20.0, variance_seconds2=100.0)
    assert mean_running_seconds([found]) == 0.25 * 10 + 0.75 * 30
    late = replace(found, running=4, overdue=1, overdue_seconds=500.0)
    assert mean_running_seconds([late]) == (3 * 25 + 1000) / 4
    unknown = tasks(running=1, mean=None, longest_running_seconds=50.0)
    assert mean_running_seconds([unknown]) == 100.0


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"gang": "round-7"}, "collective round-7"),
        ({"shuffling": True}, "a running shuffle needs it"),
        ({"actors": 1}, "an actor lives on it"),
        ({"actors": 2}, "2 actors live on it"),
        ({"long_running": 1}, "a seceded task runs on it"),
        ({"long_running": 3}, "3 seceded tasks run on it"),
    ],
)
def test_one_worker_binds_its_whole_node(what: dict[str, Any], said: str) -> None:
    assert said in binding([does(), does(**what)])


def test_running_tasks_and_sole_results_do_not_bind() -> None:
    """They cost time, and nothing is lost by waiting and copying."""
    assert binding([does(4, sole_bytes=GB, sole_keys=9)]) == ""


def test_workers_that_the_scheduler_does_not_know_are_left_out() -> None:
    three = node("n", workers={"w": 3})
    there = load(workers={"n-w-0": does(1), "n-w-2": does(2), "other": does(3)})
    assert [worker.executing for worker in loads_of(three, there)] == [1, 2]
    assert loads_of(three, None) == ()
