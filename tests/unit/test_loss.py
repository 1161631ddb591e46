"""What an operator is told before nodes go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costplan.planner.loss import (
    discard_lines,
    drain_lines,
    end_lines,
    held_by,
    held_text,
    left_text,
)
from tests.fleets import NOON, after, does, load, node

TWO = (node("a", workers={"w": 2}), node("b"))
BUSY = load(
    workers={
        "a-w-0": does(1, sole_keys=1, sole_bytes=1000, recompute_seconds=7.5),
        "b-w-0": does(2, sole_keys=2, sole_bytes=3 * 2**30, recompute_seconds=4.5, actors=1),
    }
)


def test_what_nodes_do_and_hold_is_added_up_and_the_slowest_is_waited_for() -> None:
    held = held_by(TWO, BUSY)
    assert (held.workers, held.unknown, held.executing) == (3, 1, 3)
    assert (held.sole_keys, held.sole_bytes) == (3, 3 * 2**30 + 1000)
    assert held.recompute_seconds == 12.0
    assert held.drain_seconds == pytest.approx(3 * 2**30 / 0.5e9 * 1.5 + 2 * 0.0003 + 3)
    assert held.bindings == ("b: an actor lives on it",)


def test_one_of_each_is_said_in_the_singular() -> None:
    one = held_by([TWO[0]], BUSY)
    text = held_text(one, BUSY, after(4))
    assert text == (
        "1 task running, 1 result (1,000 B) held nowhere else, seen 4s ago; 1 worker not joined"
    )


def test_many_are_said_in_the_plural_and_sizes_in_units() -> None:
    text = held_text(held_by(TWO, BUSY), BUSY, after(90))
    assert text.startswith(
        "3 tasks running, 3 results (3 GiB) held nowhere else, seen 1min 30s ago"
    )


def test_a_scheduler_that_was_never_read_is_not_an_idle_one() -> None:
    held = held_by(TWO, None)
    assert (held.unknown, held.drain_seconds) == (3, 0.0)
    assert "not known" in held_text(held, None, NOON)
    assert "running" not in held_text(held, None, NOON)


def test_a_sample_from_ahead_of_the_clock_is_not_said_to_be_older_than_now() -> None:
    assert "seen 0s ago" in held_text(held_by(TWO, BUSY), BUSY, after(-30))


def test_a_drain_loses_nothing_and_says_what_it_waits_for() -> None:
    lines = list(drain_lines(held_by([TWO[0]], BUSY)))
    assert lines[0].startswith("nothing is lost")
    assert lines[1] == "1 task to wait for, 1 result (1,000 B) to copy, about 3 s without the tasks"


def test_a_whole_fleet_that_ends_has_nobody_to_copy_to() -> None:
    lines = list(end_lines(held_by([TWO[0]], BUSY)))
    assert "copied" not in lines[0]
    assert lines[1:] == ["1 task to wait for, 1 result (1,000 B) wanted by clients"]
    assert len(list(end_lines(held_by([], BUSY)))) == 1


def test_discarding_says_what_is_cut_off_and_what_it_takes_to_make_again() -> None:
    lines = list(discard_lines(held_by(TWO, BUSY)))
    assert lines[0].startswith("3 running tasks may be cut off")
    assert "3 results (3 GiB)" in lines[1]
    assert "about 12 s of task-time" in lines[1]
    assert lines[2:] == ["b: an actor lives on it"]
    assert list(discard_lines(held_by([], BUSY))) == ["nothing is known that would be lost"]


def test_what_keeps_the_last_machines_of_a_fleet_that_ends() -> None:
    assert left_text(TWO, BUSY) == "2 machines left"  # their tasks are waited for
    quiet = {name: replace(each, executing=0) for name, each in BUSY.workers.items()}
    told = left_text([TWO[0]], replace(BUSY, workers=quiet))
    assert told.startswith("1 machine left, with 1 result (1,000 B) that a client wants")
    assert "`costplan down --discard`" in told
    assert left_text(TWO, None) == "2 machines left"
