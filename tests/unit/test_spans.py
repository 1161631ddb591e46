"""Paid time, cut into spans: what each costs, and that the parts are the whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.ledger import Use
from costplan.planner.spans import (
    Rate,
    amount_usd,
    clock_marks,
    end_of,
    in_force,
    last_mark,
    paid_until,
    spans_between,
    uses_of,
)
from costplan.planner.types import Billing, Phase
from tests.fleets import LONG_AGO, NOON, after, node

RATES = st.decimals("0.0001", "400", places=7)
SECONDS = st.lists(st.floats(0, 10**7), min_size=2, max_size=8)


@given(RATES, SECONDS)
def test_the_parts_of_a_time_cost_what_the_whole_does(usd: Decimal, seconds: list[float]) -> None:
    cuts = sorted(after(each) for each in seconds)
    parts = [amount_usd(usd, *pair) for pair in pairwise(cuts)]
    whole = amount_usd(usd, cuts[0], cuts[-1])
    assert sum(parts) == whole
    exact = usd * Decimal((cuts[-1] - cuts[0]) // timedelta(microseconds=1)) / 3_600_000_000
    assert abs(whole - exact) <= Decimal("1e-12")
    assert amount_usd(usd, cuts[-1], cuts[0]) == -whole


@pytest.mark.parametrize(
    ("seconds", "billing", "paid"),
    [
        (30, Billing(minimum_seconds=60), 60),
        (90.5, Billing(minimum_seconds=60), 91),
        (90, Billing(minimum_seconds=60, step_seconds=60), 120),
        (120, Billing(minimum_seconds=60, step_seconds=60), 120),
        (90.5, Billing(minimum_seconds=0, step_seconds=0), 90.5),
        (1, Billing(minimum_seconds=3600, step_seconds=3600), 3600),
    ],
)
def test_an_end_is_paid_to_the_minimum_in_whole_steps(
    seconds: float, billing: Billing, paid: float
) -> None:
    one = replace(node("a"), launched_at=NOON)
    assert paid_until(one, after(seconds), billing) == after(paid)


def test_uses_follow_the_history_and_never_go_back_in_time() -> None:
    history = (
        (Phase.REQUESTED, after(1), ""),
        (Phase.BOOTING, after(2), ""),
        (Phase.READY, after(40), ""),
        (Phase.CORDONED, after(35), "a clock that was set back"),
    )
    one = replace(node("a"), launched_at=NOON, history=history, phase=Phase.GONE,
                  phase_since=after(60))  # fmt: skip
    assert uses_of(one) == [
        (NOON, Use.BOOT),
        (after(40), Use.READY),
        (after(40), Use.DRAIN),
        (after(60), Use.END),
    ]


def test_the_end_is_what_the_cloud_says_or_when_it_was_found_lost() -> None:
    assert end_of(node("a"), NOON) is None
    told = replace(node("a"), phase=Phase.GONE, phase_since=after(9), ended_at=after(5))
    assert end_of(told, after(10)) == after(5)
    assert end_of(told, after(4)) is None  # not yet
    found = replace(
        node("a"), phase=Phase.GONE, phase_since=after(9), history=((Phase.LOST, after(3), ""),)
    )
    assert end_of(found, after(10)) == after(3)
    early = replace(told, ended_at=LONG_AGO - timedelta(hours=1))
    assert end_of(early, NOON) == LONG_AGO  # no end is before the beginning


def test_what_is_in_force_is_the_last_step_or_the_first() -> None:
    steps = [(after(10), "a"), (after(20), "b")]
    assert [in_force(after(s), steps) for s in (0, 10, 19, 20, 99)] == ["a", "a", "a", "b", "b"]


def test_marks_are_whole_quarters_of_the_day() -> None:
    found = list(clock_marks(after(0), after(2700), 900))
    assert found == [after(900), after(1800), after(2700)]
    assert list(clock_marks(after(1), after(899), 900)) == []
    assert last_mark(after(1000), 900) == after(900)
    assert last_mark(after(900), 900) == after(900)


def test_spans_have_the_use_and_the_rate_of_their_beginning() -> None:
    cheap, dear = Rate(Decimal(1), "a", is_estimate=False), Rate(Decimal(2), "b", is_estimate=True)
    spans = list(
        spans_between(
            (NOON, after(10), after(30)),
            [(NOON, Use.BOOT), (after(10), Use.READY)],
            [(NOON, cheap), (after(20), dear)],
        )
    )
    assert [(s.use, s.rate, s.seconds) for s in spans] == [
        (Use.BOOT, cheap, 10.0),
        (Use.READY, cheap, 20.0),
    ]
