"""What was spent in a UTC day and month: the ledger's dollars, by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType

from costplan.planner.ledger import LedgerEntry

_ONE_DAY = timedelta(days=1)
_KEPT_BEFORE = 62
"""The most days that two months have."""


def add_by_day(
    by_day: Mapping[str, Decimal], entries: Iterable[LedgerEntry], now: datetime
) -> Mapping[str, Decimal]:
    """`by_day` with the entries added to the UTC days that they lie in.

    An entry over midnight is split by time, and its parts add up to it exactly. What is not
    `recent` is dropped.
    """
    days = dict(by_day)
    for entry in entries:
        for day, usd in _parts(entry):
            days[day] = days.get(day, Decimal(0)) + usd
    return recent(days, now)


def recent(by_day: Mapping[str, Decimal], now: datetime) -> Mapping[str, Decimal]:
    """The days of this month and the last, and as many before them as may be of those when a clock
    that is far ahead is set: what was spent in a month that goes on is not to be forgotten."""
    first = (now.replace(day=1) - _ONE_DAY).strftime("%Y-%m-01")
    days = sorted(by_day)
    before = sum(day < first for day in days)
    return MappingProxyType({day: by_day[day] for day in days[max(0, before - _KEPT_BEFORE) :]})


def spent_on_day(by_day: Mapping[str, Decimal], now: datetime) -> Decimal:
    """Dollars of the UTC day of `now`."""
    return by_day.get(now.strftime("%Y-%m-%d"), Decimal(0))


def spent_in_month(by_day: Mapping[str, Decimal], now: datetime) -> Decimal:
    """Dollars of the UTC month of `now`."""
    month = now.strftime("%Y-%m-")
    return sum((usd for day, usd in by_day.items() if day.startswith(month)), Decimal(0))


def day_end(now: datetime) -> datetime:
    """The midnight that ends the UTC day of `now`."""
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + _ONE_DAY


def month_end(now: datetime) -> datetime:
    """The midnight that ends the UTC month of `now`."""
    years, month = divmod(now.month, 12)
    return datetime(now.year + years, month + 1, 1, tzinfo=UTC)


def _parts(entry: LedgerEntry) -> Iterable[tuple[str, Decimal]]:
    """The UTC days of an entry with the dollars of each; the last takes what rounding leaves."""
    start, left = entry.start, entry.usd
    whole = Decimal((entry.end - entry.start) // timedelta(microseconds=1))
    while (midnight := day_end(start)) < entry.end:
        piece = Decimal((midnight - start) // timedelta(microseconds=1))
        usd = (entry.usd * piece / whole).quantize(Decimal(1).scaleb(-12), rounding=ROUND_DOWN)
        yield start.strftime("%Y-%m-%d"), usd
        start, left = midnight, left - usd
    yield start.strftime("%Y-%m-%d"), left
