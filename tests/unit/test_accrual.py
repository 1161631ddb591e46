"""What machines cost, with dollars that can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from costplan.planner.accrual import is_settled, running_usd, unpriced
from costplan.planner.ledger import Use
from costplan.planner.spans import amount_usd
from costplan.planner.types import Billing, Phase
from tests.accounts import NOON, Books, at, load, node, quote, readings

READY_AT_5 = ((Phase.READY, at(5)),)


def test_a_life_of_an_hour_at_one_price() -> None:
    """At $1.20 an hour a minute is 2 cents. 5 minutes of boot are $0.10, 45 of work $0.90,
    8 of drain $0.16 and 2 until the machine was gone $0.04: $1.20 for the hour."""
    books = Books()
    story = [
        node(history=READY_AT_5),
        node(history=(*READY_AT_5, (Phase.CORDONED, at(50)))),
        node(history=(*READY_AT_5, (Phase.CORDONED, at(50)), (Phase.TERMINATING, at(58)))),
    ]
    books.tick([story[0]], readings(at(6), quote("1.20", NOON)))
    books.tick([story[1]], readings(at(51), quote("1.20", NOON)))
    books.tick([story[2]], readings(at(59), quote("1.20", NOON)))
    gone = node(
        history=(
            *READY_AT_5,
            (Phase.CORDONED, at(50)),
            (Phase.TERMINATING, at(58)),
            (Phase.GONE, at(61)),
        ),
        ended=at(60),
    )
    books.tick([gone], readings(at(61), quote("1.20", NOON)))
    by_use = {use: sum(e.usd for e in books.entries if e.use is use) for use in Use}
    assert by_use == {
        Use.BOOT: Decimal("0.10"),
        Use.READY: Decimal("0.90"),
        Use.DRAIN: Decimal("0.16"),
        Use.END: Decimal("0.04"),
    }
    assert books.usd == Decimal("1.20")
    assert is_settled(gone, books.meters)
    assert books.tick([gone], readings(at(90), quote("1.20", NOON))) == ()


def test_a_price_change_splits_when_it_was_observed() -> None:
    """$0.60 an hour until 12:20, $0.90 after: $0.20 and, until 12:30, $0.15."""
    books = Books(every_seconds=3600)
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("0.60", NOON)))
    books.tick([ready], readings(at(24), quote("0.90", at(20))))
    gone = node(history=((Phase.READY, NOON), (Phase.GONE, at(30))), ended=at(30))
    books.tick([gone], readings(at(30), quote("0.90", at(20))))
    assert [(e.start, e.end, e.usd) for e in books.entries] == [
        (NOON, at(20), Decimal("0.20")),
        (at(20), at(30), Decimal("0.15")),
    ]


def test_what_was_opened_for_a_machine_that_never_came_is_charged_from_the_one_that_did() -> None:
    books, price = Books(every_seconds=3600), quote("0.60", NOON)
    books.tick([node()], readings(at(1), price))
    come = replace(node(history=((Phase.READY, at(4)),)), launched_at=at(2))
    books.tick([come], readings(at(5), price))
    gone = replace(come, phase=Phase.GONE, ended_at=at(32))
    books.tick([gone], readings(at(33), price))
    assert books.entries[0].start == at(2)
    assert books.usd == Decimal("0.30")


def test_the_machine_that_did_come_pays_its_own_minimum() -> None:
    books, price, billing = Books(), quote("36", NOON), Billing(minimum_seconds=60)
    books.tick([node()], readings(at(1), price, billing=billing))
    end = at(2) + timedelta(seconds=20)
    come = node(history=((Phase.GONE, end),), ended=end)
    books.tick([replace(come, launched_at=at(2))], readings(at(5), price, billing=billing))
    assert books.usd == Decimal("0.60")


def test_nothing_is_written_while_nothing_changes() -> None:
    books = Books()
    nodes = [node(f"n{i}", history=READY_AT_5) for i in range(20)]
    books.tick(nodes, readings(at(6), quote("1", NOON)))
    before = books.meters
    assert books.tick(nodes, readings(at(10), quote("1", at(9)))) == ()
    assert all(books.meters[name] is meter for name, meter in before.items())
    entries = books.tick(nodes, readings(at(15.05), quote("1", at(9))))
    assert len(entries) == 20
    assert {entry.end for entry in entries} == {at(15)}


def test_an_end_learnt_late_is_taken_back_at_the_prices_it_was_charged_at() -> None:
    """Charged until 13:00 at $1.00 until 12:30 and $2.00 after; it had ended at 12:24. What is
    owed is 24 minutes at $1.00, $0.40. Charged were $0.50 and $1.00: $1.10 go back, $0.10 at
    the old price and $1.00 at the new."""
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("1.00", NOON)))
    books.tick([ready], readings(at(30), quote("2.00", at(30))))
    books.tick([ready], readings(at(60), quote("2.00", at(30))))
    assert books.usd == Decimal("1.50")
    gone = node(history=((Phase.READY, NOON), (Phase.GONE, at(61))), ended=at(24))
    back = books.tick([gone], readings(at(61), quote("2.00", at(30))))
    assert [(e.kind, e.start, e.end, e.usd) for e in back] == [
        ("correction", at(24), at(30), Decimal("-0.10")),
        ("correction", at(30), at(60), Decimal("-1.00")),
    ]
    assert books.usd == Decimal("0.40")
    assert sum(e.thread_seconds for e in books.entries) == 4 * 24 * 60
    assert books.tick([gone], readings(at(75), quote("2.00", at(30)))) == ()


def test_an_end_that_moves_on_is_charged_on() -> None:
    """Missed at 12:10, and its cloud says later that it ran until 12:20: ten minutes more."""
    books = Books()
    lost = node(history=((Phase.READY, NOON), (Phase.GONE, at(10))), ended=at(10))
    books.tick([lost], readings(at(10), quote("0.60", NOON)))
    assert books.usd == Decimal("0.10")
    later = node(history=((Phase.READY, NOON), (Phase.GONE, at(10))), ended=at(20))
    books.tick([later], readings(at(30), quote("0.60", NOON)))
    assert books.usd == Decimal("0.20")


def test_a_daemon_that_was_away_accounts_for_all_of_it_and_says_so() -> None:
    """Away from 12:01 to 14:00: $2.00 at $1.00 an hour, at the price it knew."""
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("1.00", NOON)))
    entries = books.tick([ready], readings(at(120), quote("3.00", at(120))))
    assert sum(e.usd for e in entries) == Decimal("2.00")
    assert {e.rate_source for e in entries} == {"list (last known)"}
    books.tick([ready], readings(at(135), quote("3.00", at(120))))
    assert books.usd == Decimal("2.75")
    assert books.entries[-1].rate_source == "list"


def test_a_node_without_a_price_waits_and_is_then_accounted_for_in_full() -> None:
    """Twenty minutes without a price are a gap, not zero; at $0.90 an hour they are $0.30."""
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    assert books.tick([ready], readings(at(20))) == ()
    (gap,) = unpriced({"n1": ready}, books.meters)
    assert "n1" in gap.subject
    assert gap.since == NOON
    assert not is_settled(ready, books.meters)
    gone = node(history=((Phase.READY, NOON), (Phase.GONE, at(20))), ended=at(20))
    books.tick([gone], readings(at(60), quote("0.90", at(60), estimate=True)))
    assert books.usd == Decimal("0.30")
    assert {e.rate_source for e in books.entries} == {"list (first known)"}
    assert all(e.is_estimate for e in books.entries)
    assert unpriced({"n1": gone}, books.meters) == ()


def test_a_quote_that_is_gone_leaves_the_last_price_in_force() -> None:
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("1.00", NOON)))
    books.tick([ready], readings(at(30)))
    assert books.usd == Decimal("0.50")


@pytest.mark.parametrize(
    ("seconds", "billing", "paid_seconds"),
    [
        (20, Billing(minimum_seconds=60), 60),
        (60, Billing(minimum_seconds=60), 60),
        (61, Billing(minimum_seconds=60), 61),
        (61.5, Billing(minimum_seconds=60), 62),
        (61, Billing(minimum_seconds=0, step_seconds=3600), 3600),
        (0, Billing(minimum_seconds=60), 60),
    ],
)
def test_the_minimum_and_the_step_are_paid_at_the_end(
    seconds: float, billing: Billing, paid_seconds: int
) -> None:
    """At $36 an hour each second is a cent."""
    books = Books()
    end = NOON + timedelta(seconds=seconds)
    gone = node(history=((Phase.GONE, end),), ended=end)
    books.tick([gone], readings(at(5), quote("36", NOON), billing=billing))
    assert books.usd == Decimal("0.01") * paid_seconds
    assert books.entries[-1].end == NOON + timedelta(seconds=paid_seconds)
    if paid_seconds > seconds:
        assert books.entries[-1].use is Use.END


def test_a_node_that_never_had_a_machine_costs_nothing() -> None:
    books = Books()
    called_off = node()
    called_off = type(called_off)(
        **{
            name: getattr(called_off, name)
            for name in called_off.__slots__
            if name not in ("launched_at", "phase")
        },
        phase=Phase.GONE,
    )
    assert books.tick([called_off], readings(at(5), quote("1", NOON))) == ()
    assert unpriced({"n1": called_off}, {}) == ()
    assert is_settled(called_off, {})


def test_a_lost_node_is_paid_for_until_it_was_missed() -> None:
    """Nobody says when it ended: missed at 12:30 it costs half an hour."""
    books = Books()
    lost = node(history=((Phase.READY, NOON), (Phase.LOST, at(30)), (Phase.GONE, at(31))))
    books.tick([lost], readings(at(31), quote("1.00", NOON)))
    assert books.usd == Decimal("0.50")


def test_task_time_is_what_the_counters_gained() -> None:
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("1", NOON), seen=load(at(1), {"n1-0": (50, NOON)})))
    books.tick(
        [ready], readings(at(15), quote("1", NOON), seen=load(at(15), {"n1-0": (900, NOON)}))
    )
    books.tick(
        [ready], readings(at(30), quote("1", NOON), seen=load(at(30), {"n1-0": (1000, NOON)}))
    )
    assert [(e.busy_seconds, e.thread_seconds) for e in books.entries] == [
        (900, 3600),
        (100, 3600),
    ]


def test_task_time_of_a_worker_that_left_or_began_anew_is_not_lost() -> None:
    """The nanny starts n1-0 again at 12:05 after 300 s of work; it does 200 s more. n1-1 leaves
    at 12:08 with 100 s. A tick that is told the same again counts nothing twice."""
    books = Books()
    ready = node(history=((Phase.READY, NOON),), threads=(4, 4))
    price = quote("1", NOON)
    first = load(at(4), {"n1-0": (300, NOON), "n1-1": (80, NOON)})
    again = load(at(6), {"n1-0": (10, at(5)), "n1-1": (100, NOON)})
    left = load(at(9), {"n1-0": (200, at(5))})
    for seen in (first, again, left, left):
        books.tick([ready], readings(seen.at, price, seen=seen))
    books.last_load = again
    books.tick([ready], readings(at(15), price, seen=load(at(15), {"n1-0": (200, at(5))})))
    assert sum(e.busy_seconds for e in books.entries) == pytest.approx(600)
    assert books.usd == Decimal("0.25")


def test_without_a_load_the_last_one_counts() -> None:
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(1), quote("1", NOON), seen=load(at(1), {"n1-0": (50, NOON)})))
    books.tick([ready], readings(at(15), quote("1", NOON)))
    assert [e.busy_seconds for e in books.entries] == [50]


def test_what_runs_and_is_in_no_entry_yet() -> None:
    """From 12:15 to 12:21 at $1.00 an hour: ten cents."""
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(21), quote("1.00", NOON)))
    assert books.usd == Decimal("0.25")
    assert running_usd({"n1": ready}, books.meters, at(21)) == Decimal("0.10")


def test_a_clock_that_goes_back_writes_nothing() -> None:
    books = Books()
    ready = node(history=((Phase.READY, NOON),))
    books.tick([ready], readings(at(31), quote("1.00", NOON)))
    assert books.tick([ready], readings(at(3), quote("2.00", at(2)))) == ()
    books.tick([ready], readings(at(45), quote("2.00", at(2))))
    assert books.usd == Decimal("1.00")


def test_thirds_add_up() -> None:
    """Three times twenty minutes at ten cents an hour are ten cents, to the last place."""
    parts = [amount_usd(Decimal("0.1"), at(20 * i), at(20 * i + 20)) for i in range(3)]
    assert sum(parts) == Decimal("0.1")
    assert all(abs(part - Decimal("0.1") / 3) < Decimal("1e-12") for part in parts)
