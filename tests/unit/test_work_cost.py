"""Dollars of work: what machines cost, shared out by what was computed on them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.ledger import Meter
from costplan.planner.work import OTHERS
from costplan.planner.work_cost import NO_SPAN, Line, dearest, shared_out, span_text
from costplan.planner.work_nodes import node_finder, worker_rates
from tests.fleets import NOON, node


def test_the_worked_example_of_the_model() -> None:
    """$1 for four threads' hour, of which a quarter went to one span and a half to another."""
    parts, idle = shared_out(
        10**12, 4 * 3_600_000_000, {"train": 3_600 * 10**6, "etl": 7_200 * 10**6}
    )
    assert (parts, idle) == ({"train": 25 * 10**10, "etl": 50 * 10**10}, 25 * 10**10)


def test_more_work_than_time_leaves_nothing_idle() -> None:
    parts, idle = shared_out(10**12, 3_600_000_000, {"a": 5_400 * 10**6, "b": 1_800 * 10**6})
    assert (parts, idle) == ({"a": 75 * 10**10, "b": 25 * 10**10}, 0)


def test_a_line_is_named_and_priced_by_its_rows() -> None:
    line = Line(name=span_text(("train", "folds")), usd=Decimal("0.25"), busy_seconds=1.0, tasks=1)
    assert (line.name, line.usd_per_million_rows) == ("train / folds", None)
    assert replace(line, rows=2_500_000).usd_per_million_rows == Decimal("0.1")
    assert span_text(()) == NO_SPAN


@given(
    st.integers(0, 10**15),
    st.integers(0, 10**12),
    st.lists(st.integers(0, 10**11), max_size=12),
)
def test_shares_and_the_idle_part_are_the_whole(pico: int, thread_us: int, busy: list[int]) -> None:
    parts, idle = shared_out(pico, thread_us, dict(enumerate(busy)))
    assert sum(parts.values()) + idle == pico
    assert idle >= 0
    whole = max(thread_us, sum(busy))
    for place, us in enumerate(busy):
        exact = pico * us / whole if whole else 0
        assert parts[place] == pytest.approx(exact, abs=1 + exact * 1e-12)


def test_workers_share_their_nodes_rate_and_are_known_by_name() -> None:
    there = node("fraud-00007-ab12", workers={"w": 3})
    meter = Meter(until=NOON, busy_seconds=0.0, usd_per_hour=Decimal("0.1"), rate_source="test")
    rates = worker_rates({there.node_id: there}, {there.node_id: meter})
    assert [rate.worker for rate in rates] == sorted(there.workers)
    assert sum(rate.usd_per_hour for rate in rates) == Decimal("0.1")
    node_of = node_finder({there.node_id: there}, "fraud")
    assert node_of(there.workers[0]) == there.node_id
    # One that is long gone is known by its name; what only looks like one of ours is not.
    assert node_of("fraud-00003-0f0f-2") == "fraud-00003-0f0f"
    assert node_of("fraud-annas-laptop") == node_of("other-00003-0f0f-2") == ""


def test_lines_beyond_the_dearest_are_one_and_all_still_add_up() -> None:
    lines = [
        Line(name=name, usd=Decimal(usd), busy_seconds=usd, tasks=usd, rows=usd)
        for name, usd in (("a", 9), (OTHERS, 7), ("b", 5), ("c", 3), ("d", 1))
    ]
    shown = dearest(lines, 3)
    assert [(line.name, line.usd) for line in shown] == [("a", 9), ("b", 5), (OTHERS, 11)]
    assert (shown[-1].busy_seconds, shown[-1].tasks, shown[-1].rows) == (11, 11, 11)
    assert dearest(lines, 5) == lines
