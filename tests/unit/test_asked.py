"""What was asked for as it fills steps of five minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.asked import Asked, DemandPart, between, merged, step_start

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def test_steps_begin_at_whole_five_minutes() -> None:
    assert step_start(minutes(4.99)) == NOON
    assert step_start(minutes(5)) == minutes(5)


def test_what_was_asked_for_fills_the_steps_that_it_touches() -> None:
    asked = Asked(at=minutes(3), workers={"b": 2.0, "a": 4.0})
    found = between(asked, minutes(3), minutes(11))
    assert [(p.kind, p.start, p.seconds, p.worker_seconds) for p in found] == [
        ("a", NOON, 120, 480),
        ("a", minutes(5), 300, 1200),
        ("a", minutes(10), 60, 240),
        ("b", NOON, 120, 240),
        ("b", minutes(5), 300, 600),
        ("b", minutes(10), 60, 120),
    ]
    assert between(asked, minutes(3), minutes(3)) == ()
    assert between(asked, minutes(3), minutes(2)) == ()


@given(
    st.floats(0, 60),
    st.lists(st.floats(0.001, 20), min_size=1, max_size=20),
    st.floats(0, 1000),
)
def test_however_it_is_cut_the_steps_are_the_same(
    begin: float, cuts: list[float], workers: float
) -> None:
    asked = Asked(at=NOON, workers={"a": workers})
    edges = [minutes(begin)]
    for cut in cuts:
        edges.append(edges[-1] + timedelta(minutes=cut))
    in_pieces = merged(
        part for left, right in pairwise(edges) for part in between(asked, left, right)
    )
    at_once = between(asked, edges[0], edges[-1])
    assert [p.start for p in in_pieces] == [p.start for p in at_once]
    for piece, whole in zip(in_pieces, at_once, strict=True):
        assert piece.seconds == pytest.approx(whole.seconds)
        assert piece.worker_seconds == pytest.approx(whole.worker_seconds)
        assert piece.worker_seconds == pytest.approx(workers * piece.seconds)


def test_a_part_of_nothing_is_a_bug() -> None:
    with pytest.raises(Exception, match="nothing of the step"):
        DemandPart(kind="a", start=NOON, seconds=0.0, worker_seconds=0.0)
