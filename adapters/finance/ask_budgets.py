"""How budgets stand, asked of a book by itself: a budget may be asked for before its month has a
line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from costplan.adapters.finance.book import Book, naive
from costplan.planner.finance.anomalies import WINDOW_DAYS
from costplan.planner.finance.budgets import Burn, burn
from costplan.planner.finance.statement import Period
from costplan.planner.settings import Budget
from costplan.planner.spending import day_end

RAN = "charge != 'commitment'"
"""Lines of what ran. A commitment is paid for before the ledger begins, too, which says nothing of
what days cost."""


def spent_by_day(book: Book, period: Period) -> dict[date, Decimal]:
    """Amortised dollars of each UTC day of a period and of the weeks before it. What is issued in
    the period for time before it counts for its first day."""
    start = naive(period.start)
    rows = book.rows(
        """SELECT CASE WHEN month = ?1 THEN greatest(start_at, ?2) ELSE start_at END::DATE,
        sum(effective_usd) FROM lines
        WHERE month = ?1 OR (month < ?1 AND start_at >= ?3) GROUP BY 1 ORDER BY 1""",
        period.name, start, start - timedelta(days=WINDOW_DAYS),
    )  # fmt: skip
    return dict(rows)


def whole_from(first: datetime | None) -> date | None:
    """The first whole day of a ledger in which something first ran at `first`."""
    if first is None:
        return None
    at = first.replace(hour=0, minute=0, second=0, microsecond=0)
    return first.date() if at == first else (at + timedelta(days=1)).date()


def first_whole_day(book: Book) -> date | None:
    """The first day that the book has all of; None where nothing ran in it."""
    return whole_from(book.rows(f"SELECT min(start_at) FROM lines WHERE {RAN}")[0][0])  # noqa: S608 - ours


def burns(
    days: Mapping[date, Decimal], period: Period, budget: Budget, since: date | None
) -> tuple[Burn, ...]:
    """The budget of the month, and that of its last day so far; `since` is the first whole day."""
    found = []
    if budget.usd_per_month is not None:
        month = (period.start, period.end)
        found.append(burn("month", days, month, period.until, budget.usd_per_month, since))
    if budget.usd_per_day is not None:
        last = (period.until - timedelta(microseconds=1)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        day = (last, day_end(last))
        found.append(burn("day", days, day, period.until, budget.usd_per_day, since))
    return tuple(found)
