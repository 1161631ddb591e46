"""What was spent in a day and a month, of entries that may lie over midnight."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.snapshot import assemble
from costplan.planner.spending import (
    add_by_day,
    day_end,
    month_end,
    spent_in_month,
    spent_on_day,
)
from costplan.planner.tick import State
from costplan.planner.types import Phase
from tests import accounts
from tests.fleets import key, settings


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, month, day, hour, minute, tzinfo=UTC)


def entry(start: datetime, end: datetime, usd: str) -> LedgerEntry:
    return LedgerEntry(
        node_id="n-1", key=key(), start=start, end=end, usd=Decimal(usd),
        usd_per_hour=Decimal(1), kind="usage", use=Use.READY, busy_seconds=0.0,
        thread_seconds=0.0, rate_source="test", workload="test",
    )  # fmt: skip


def test_an_entry_over_midnight_belongs_to_both_days_by_time() -> None:
    """$4 from 21:00 to 01:00: $3 before midnight and $1 after."""
    now = at(5, 16, 1)
    days = add_by_day({}, [entry(at(5, 15, 21), now, "4")], now)
    assert days == {"2024-05-15": Decimal(3), "2024-05-16": Decimal(1)}
    assert spent_on_day(days, now) == 1
    assert spent_in_month(days, now) == 4


def test_an_entry_that_ends_at_midnight_belongs_to_the_day_before() -> None:
    now = at(5, 16)
    days = add_by_day({"2024-05-15": Decimal(2)}, [entry(at(5, 15, 23), now, "1")], now)
    assert days == {"2024-05-15": Decimal(3)}
    assert spent_on_day(days, now) == 0


def test_a_new_month_starts_at_nothing_and_the_last_is_kept() -> None:
    now = at(6, 1, 0, 30)
    old = {"2024-04-30": Decimal(9), "2024-05-01": Decimal(8)}
    days = add_by_day(old, [entry(at(5, 31, 23, 30), now, "1")], now)
    assert days == {
        "2024-04-30": Decimal(9), "2024-05-01": Decimal(8),
        "2024-05-31": Decimal("0.5"), "2024-06-01": Decimal("0.5"),
    }  # fmt: skip
    assert spent_in_month(days, now) == Decimal("0.5")


def test_days_before_the_last_month_go_but_for_as_many_as_two_months_have() -> None:
    many = {
        f"2023-{month:02}-{day:02}": Decimal(1) for month in range(1, 13) for day in range(1, 29)
    }
    days = add_by_day(many, [], at(5, 16))
    assert list(days) == sorted(many)[-62:]
    assert len(add_by_day(days | {"2024-05-16": Decimal(1)}, [], at(5, 16))) == 63


def test_a_clock_that_is_years_ahead_for_a_while_makes_no_budget_forget_what_was_spent() -> None:
    spent = {"2024-04-30": Decimal(2), "2024-05-01": Decimal(8), "2024-05-16": Decimal(1)}
    ahead = add_by_day(spent, [], at(5, 16).replace(year=2034))
    days = add_by_day(ahead, [], at(5, 16, 1))
    assert (spent_in_month(days, at(5, 16, 1)), spent_on_day(days, at(5, 16, 1))) == (9, 1)


def test_days_and_months_end_at_midnight() -> None:
    assert day_end(at(5, 15)) == at(5, 16)
    assert day_end(at(5, 31, 23, 59)) == at(6, 1)
    assert month_end(at(5, 31, 23)) == at(6, 1)
    assert month_end(at(12, 1)) == datetime(2025, 1, 1, tzinfo=UTC)


@given(
    st.integers(0, 366 * 86400).map(lambda seconds: at(1, 1) + timedelta(seconds=seconds)),
    st.integers(1, 10 * 86400 * 10**6),
    st.decimals(0, 1000, places=12, allow_nan=False),
)
def test_the_parts_add_up_to_the_last_digit(
    start: datetime, microseconds: int, usd: Decimal
) -> None:
    end = start + timedelta(microseconds=microseconds)
    days = add_by_day({}, [entry(start, end, str(usd))], start)
    assert sum(days.values()) == usd
    assert all(amount >= 0 for amount in days.values())


def test_a_budget_sees_what_runs_before_the_ledger_has_it() -> None:
    """At $1.00 an hour the ledger has the quarter to 12:15, and six minutes run since."""
    books = accounts.Books()
    ready = accounts.node(history=((Phase.READY, accounts.NOON),))
    now = accounts.readings(accounts.at(21), accounts.quote("1.00", accounts.NOON))
    books.tick([ready], now)
    state = State(
        nodes={"n1": ready},
        meters=books.meters,
        spent_usd=books.usd,
        spent_by_day=add_by_day({}, books.entries, now.at),
    )
    found = assemble(now, state.nodes, state, settings())
    assert found.spent_usd == Decimal("0.25")
    assert found.spent_today_usd == found.spent_month_usd == Decimal("0.35")
