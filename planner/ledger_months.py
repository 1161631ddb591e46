"""Months of the ledger, which are UTC's and named like '2026-10', and what closing one means.

A closed month is never added to: what is learnt of it later is issued in a month that is open.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from costplan.planner.errors import InputError
from costplan.planner.ledger import LedgerEntry
from costplan.planner.ledger_cuts import pieces


def month_of(instant: datetime) -> str:
    """The month that an instant lies in."""
    return f"{instant.astimezone(UTC):%Y-%m}"


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """The first instants of a month and of the next; raises InputError where it is none."""
    try:
        begin = datetime.strptime(f"{month}-01", "%Y-%m-%d").replace(tzinfo=UTC)
        if len(month) != len("2026-10"):
            raise ValueError(month)
        years, next_month = divmod(begin.month, 12)
        return begin, begin.replace(year=begin.year + years, month=next_month + 1)
    except ValueError as error:
        raise InputError(f"month {month}", "is no month", "write it like 2026-10") from error


def month_after(month: str) -> str:
    """The next month."""
    return month_of(month_bounds(month)[1])


def issue_month(charged: str, recorded_at: datetime, closed: Collection[str]) -> str:
    """The month that an entry of the month `charged` is issued in: its own, unless that is closed;
    then the first open one from when it is recorded on."""
    if charged not in closed:
        return charged
    month = max(month_of(recorded_at), month_after(charged))
    while month in closed:
        month = month_after(month)
    return month


def cut_by_month(entry: LedgerEntry) -> list[LedgerEntry]:
    """The entry in parts that each lie in one month, which add up to it."""
    cuts, end = [], month_bounds(month_of(entry.start))[1]
    while end < entry.end:
        cuts.append(end)
        end = month_bounds(month_of(end))[1]
    return pieces(entry, cuts) if cuts else [entry]
