"""Reports of lives that nobody chose: whatever is split adds up to what it was split from."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.amounts import rounded_parts
from costplan.planner.load import Totals
from costplan.planner.report import Books, summarise
from costplan.planner.report_timeline import timeline
from tests.accounts import NOON
from tests.property.test_accrual import LOOKS, SPAN, Life, kept, lives, looks_at_every_change

AMOUNTS = st.lists(st.integers(-(10**14), 10**15).map(lambda n: Decimal(n).scaleb(-12)), min_size=1)


@settings(max_examples=40, deadline=None)
@given(lives(), LOOKS, st.integers(0, SPAN), st.floats(0, 1e5))
def test_all_parts_add_up(
    found: tuple[Life, ...], more: list[int], second: int, again: float
) -> None:
    entries = kept(found, looks_at_every_change(found, more), 300).entries
    totals = Totals(recomputed_seconds=again)
    books = Books(entries=entries, nodes=(), totals=totals)
    report = summarise(books, NOON)
    usd = sum((entry.usd for entry in entries), Decimal(0))
    if report is None:
        assert entries == []
        return
    assert report.total.usd == usd
    for rows in (report.by_market, report.by_type, report.by_workload, report.by_day):
        assert sum((row.usd for row in rows), Decimal(0)) == usd
        assert sum((row.node_seconds for row in rows), Decimal(0)) == report.total.node_seconds
    assert report.split.work_usd + report.split.waste_usd == usd
    line = timeline(report.entries, report.start, report.end)
    assert sum((sum(row, Decimal(0)) for row in line.usd), Decimal(0)) == usd
    cut = NOON + timedelta(seconds=second)
    halves = [summarise(books, NOON, end=cut), summarise(books, NOON, start=cut)]
    assert sum((half.total.usd for half in halves if half), Decimal(0)) == usd


@given(AMOUNTS, st.integers(0, 12))
def test_what_is_shown_adds_up(parts: list[Decimal], digits: int) -> None:
    shown = rounded_parts(parts, digits)
    unit = Decimal(1).scaleb(-digits)
    whole = sum(parts, Decimal(0))
    assert abs(sum(shown, Decimal(0)) - whole) <= unit / 2
    assert all(abs(a - b) < unit for a, b in zip(shown, parts, strict=True))
    assert all(-cell.as_tuple().exponent == digits for cell in shown)
