"""A statement asked of a book: its lines added up, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from costplan.adapters.finance.ask_budgets import RAN, burns, whole_from
from costplan.adapters.finance.ask_causes import ask_variance, planned_since
from costplan.adapters.finance.ask_money import (
    ask_carbon,
    ask_commitments,
    ask_counts,
    ask_otherwise,
    ask_units,
)
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.cells import SUMS, column, make_cells, sums_of
from costplan.planner.errors import InputError
from costplan.planner.finance.anomalies import Anomaly, anomalies
from costplan.planner.finance.budgets import burn
from costplan.planner.finance.dimensions import DEFAULT
from costplan.planner.finance.savings import Before
from costplan.planner.finance.statement import (
    Aside,
    Bucket,
    Corrections,
    Period,
    Row,
    Series,
    Statement,
    Table,
    View,
)
from costplan.planner.settings import Budget

_EXPLAINING = ("workload", "team", "instance_type", "market", "region", "purpose", "kind")
"""What an odd day may be explained by; the first of equals is named."""

_STEPS = (60, 300, 900, 3600, 21600, 86400)
_MOST_BUCKETS = 96
_QUARTER = 900

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the lines of a period, in tables by each of `tables`.

    `actual_usd` is what the provider billed for machines, where that is known.
    """

    period: Period
    cluster: str = ""
    view: View = View.AMORTISED
    tables: tuple[tuple[str, ...], ...] = (DEFAULT,)
    budget: Budget = Budget()
    before: Before | None = None
    aside: Aside = Aside()
    actual_usd: Decimal | None = None


def ask(book: Book, question: Question, told: Told = lambda _: None) -> Statement:
    """The statement; `told` hears what is being done. Raises InputError where there are no lines
    of the period in the book."""
    period, view = question.period, question.view
    usd = "billed_usd" if view is View.CASH else "effective_usd"
    by = dict.fromkeys(name for names in question.tables for name in names)
    told("adding up the lines")
    _check(book, period)
    since = planned_since(book, period)
    make_cells(book, period, tuple(by), since)
    total = sums_of(book.rows(f"SELECT {SUMS} FROM costs WHERE is_mine")[0])  # noqa: S608 - ours
    as_of = book.rows("SELECT max(recorded_at) FROM costs WHERE is_mine")[0][0]
    whole = whole_from(book.rows(f"SELECT min(first_at) FROM costs WHERE {RAN}")[0][0])  # noqa: S608 - ours
    days = _days(book, usd)
    mine = _days(book, usd, mine=True)
    told("telling what is behind the sums")
    counts = ask_counts(book, period, usd)

    def table(*names: str) -> Table:
        return _table(book, names, usd)

    return Statement(
        cluster=question.cluster,
        as_of=as_of.replace(tzinfo=UTC),
        period=period,
        view=view,
        total=total,
        nodes=counts.nodes,
        first=min(mine),
        last=max(mine),
        tables=tuple(table(*names) for names in question.tables),
        purposes=table("purpose"),
        markets=table("market"),
        charges=table("charge"),
        kinds=table("kind"),
        types=table("instance_type"),
        series=_series(book, period, usd, (min(mine), max(mine))),
        corrections=_corrections(book),
        otherwise=ask_otherwise(book, period, question.before),
        variance=ask_variance(book, period, since, total.effective_usd, question.actual_usd),
        commitments=ask_commitments(book),
        budgets=burns(days, period, question.budget, whole),
        forecast=None
        if period.is_over
        else burn("month", days, (period.start, period.end), period.until, None, whole),
        anomalies=_anomalies(book, _between(days, whole, period), mine, usd),
        footprint=ask_carbon(book),
        unit_costs=ask_units(book, period, usd, total, counts),
        aside=question.aside,
    )


def _check(book: Book, period: Period) -> None:
    known = book.has("lines")
    if known and book.rows("SELECT 1 FROM lines WHERE month = ? LIMIT 1", period.name):
        return
    there = book.rows("SELECT min(month), max(month) FROM lines")[0] if known else (None, None)
    if there[0] is None:
        way_out = "entries come with the first machine that `costplan run` starts"
        raise InputError(period.name, "the ledger has no entries yet", way_out)
    span = there[0] if there[0] == there[1] else f"{there[0]} to {there[1]}"
    raise InputError(period.name, "nothing was spent in this month", f"there are entries of {span}")


def _table(book: Book, names: Sequence[str], usd: str) -> Table:
    columns = [
        "strftime(day, '%Y-%m-%d')" if name == "day" else f"coalesce({column(name)}, '')"
        for name in names
    ]
    places = ", ".join(str(place + 1) for place in range(len(names)))
    rows = book.rows(
        f"""SELECT {", ".join(columns)}, {SUMS} FROM costs WHERE is_mine GROUP BY {places}
        ORDER BY sum({usd}) DESC, {places}"""  # noqa: S608 - quoted
    )
    size = len(names)
    found = tuple(Row(names=tuple(row[:size]), sums=sums_of(row[size:])) for row in rows)
    return Table(dimensions=tuple(names), rows=found)


def _days(book: Book, usd: str, *, mine: bool = False) -> dict[date, Decimal]:
    where = "WHERE is_mine" if mine else ""
    return dict(book.rows(f"SELECT day, sum({usd}) FROM costs {where} GROUP BY 1 ORDER BY 1"))  # noqa: S608 - ours


def _corrections(book: Book) -> Corrections:
    count, earlier, billed, effective = book.rows(
        """SELECT coalesce(sum(n), 0)::BIGINT, coalesce(sum(n_earlier), 0)::BIGINT,
        coalesce(sum(billed_usd), 0), coalesce(sum(effective_usd), 0)
        FROM costs WHERE is_mine AND kind = 'correction'"""
    )[0]
    return Corrections(lines=count, of_earlier=earlier, billed_usd=billed, effective_usd=effective)


def _series(book: Book, period: Period, usd: str, span: tuple[date, date]) -> Series:
    """Dollars by market: of days, or of shorter steps where there are only a few days."""
    days = (span[1] - span[0]).days + 1
    if days > 3:
        rows = book.rows(
            f"""SELECT day::TIMESTAMP, market, sum({usd}) FROM costs WHERE is_mine
            GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - ours
        )
        return _bucketed(rows, 86_400)
    seconds = book.rows(
        "SELECT epoch(max(end_at)) - epoch(min(start_at)) FROM lines WHERE month = ?", period.name
    )[0][0]
    # Entries reach over up to a quarter of an hour: in shorter steps most would seem empty.
    least = _QUARTER if seconds > 2 * _QUARTER else 0
    step = next(size for size in _STEPS if size >= least and seconds <= size * _MOST_BUCKETS)
    start = period.start.replace(tzinfo=None)
    rows = book.rows(
        f"""SELECT time_bucket(to_seconds({step}), greatest(start_at, ?2)), market, sum({usd})
        FROM lines WHERE month = ?1 GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608 - ours
        period.name, start,
    )  # fmt: skip
    return _bucketed(rows, step)


def _bucketed(rows: Sequence[tuple[datetime, str, Decimal]], seconds: int) -> Series:
    """Buckets from the first to the last, empty ones too."""
    found: dict[datetime, dict[str, Decimal]] = {}
    for at, market, usd in rows:
        found.setdefault(at, {})[market] = usd
    at, last, buckets = min(found), max(found), []
    while at <= last:
        start = at.replace(tzinfo=UTC)
        buckets.append(Bucket(start=start, by_market=tuple(sorted(found.get(at, {}).items()))))
        at += timedelta(seconds=seconds)
    return Series(bucket_seconds=seconds, buckets=tuple(buckets))


def _between(days: dict[date, Decimal], since: date | None, period: Period) -> dict[date, Decimal]:
    """The days that are whole: neither the one that the ledger began in, nor one not over."""
    until = period.until.date()
    return {day: usd for day, usd in days.items() if (since or day) <= day < until}


def _anomalies(
    book: Book, whole: dict[date, Decimal], mine: dict[date, Decimal], usd: str
) -> tuple[Anomaly, ...]:
    """Of whole days: another is not judged, nor counted as one like others."""
    parts = {name: _parts(book, name, usd) for name in _EXPLAINING}
    return anomalies(whole, parts, [day for day in mine if day in whole])


def _parts(book: Book, name: str, usd: str) -> dict[str, dict[date, Decimal]]:
    found: dict[str, dict[date, Decimal]] = {}
    rows = book.rows(
        f"SELECT {name}, day, sum({usd}) FROM costs GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608 - ours
    )
    for value, day, spent in rows:
        found.setdefault(value, {})[day] = spent
    return found
