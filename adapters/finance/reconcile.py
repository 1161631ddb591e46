"""Matches the ledger's machine time with a provider's, by machine and hour (or day)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.actuals_files import Opened
from costplan.adapters.finance.book import Book, aware, decimal_of
from costplan.adapters.finance.match_sql import (
    CAUSES,
    FOREIGN,
    KINDS,
    OURS,
    PAIRS,
    SLIM,
    STATES,
    THEIRS,
    known,
    matched,
)
from costplan.adapters.finance.stage import Told
from costplan.planner.errors import InputError
from costplan.planner.finance.actuals import (
    RESTATED_STATES,
    ActualKind,
    Causes,
    ForeignSum,
    KindSum,
    MatchState,
    Pair,
    Reconciliation,
    Source,
    StateSum,
    Wanted,
)
from costplan.planner.ledger_months import month_bounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

TOLERANCE_USD = Decimal("0.000001")
"""So much an hour of a machine may differ: bills are rounded to ten places or fewer."""
GRAINS = ("hour", "day", "month")
_WORST = 20


def reconcile(
    book: Book,
    opened: Opened,
    month: str,
    *,
    tolerance_usd: Decimal = TOLERANCE_USD,
    progress: Told = lambda _: None,
) -> Reconciliation:
    """Compares the lines of a book of this month's time with the `actuals` beside them.

    Leaves the table `matched`, a row for each machine and hour. Raises InputError where the
    actuals are of accounts that the ledger has nothing of.
    """
    db = book.db
    start, end = (each.replace(tzinfo=None) for each in month_bounds(month))
    grain = _grain(book)
    progress(f"matching by machine and {grain}")
    db.execute(SLIM)
    db.execute(known(has_items=book.has("items")))
    _check_account(book)
    db.execute(OURS.format(grain=grain), [start, end])
    db.execute(THEIRS.format(grain=grain))
    db.execute(matched(), [tolerance_usd])
    return Reconciliation(
        month=month,
        source=_source(book, opened, grain),
        states=tuple(_state(row) for row in book.rows(STATES)),
        causes=_causes(book),
        kinds=tuple(
            KindSum(
                kind=ActualKind(kind),
                rows=rows,
                filed_usd=decimal_of(usd),
                ours_usd=None if ours is None else decimal_of(ours),
            )
            for kind, rows, usd, ours in book.rows(KINDS)
        ),
        foreign=tuple(
            ForeignSum(
                account=account,
                instance_type=kind,
                machines=machines,
                hours=decimal_of(hours),
                filed_usd=decimal_of(usd),
            )
            for account, kind, machines, hours, usd in book.rows(FOREIGN)
        ),
        worst=tuple(pairs(book, only_differing=True, most=_WORST)),
    )


def pairs(book: Book, *, only_differing: bool, most: int | None = None) -> Iterator[Pair]:
    """Rows of `matched`: by how much they differ, or all in the order of machine and time."""
    where = "state NOT IN ('matched', 'foreign')" if only_differing else "true"
    order = "abs(coalesce(theirs_usd, 0) - coalesce(ours_usd, 0)) DESC, key, bucket"
    limit = "" if most is None else f"LIMIT {most:d}"
    if not only_differing:
        order = "key, bucket"
    query = f"SELECT {PAIRS} FROM matched WHERE {where} ORDER BY {order} {limit}"  # noqa: S608 - ours
    for batch in book.batches(query):
        for row in batch.to_pylist():
            yield Pair(
                key=row["key"],
                account=row["account"] or "",
                node_id=row["node_id"] or "",
                start=aware(row["bucket"]),
                state=MatchState(row["state"]),
                ours_hours=row["ours_hours"],
                theirs_hours=row["theirs_hours"],
                ours_usd=row["ours_usd"],
                theirs_usd=row["theirs_usd"],
            )


def wanted(book: Book, grain: str) -> dict[str, tuple[Wanted, ...]]:
    """What the ledger is to have, of all that differs and that a restatement changes."""
    states = ", ".join(f"'{state.value}'" for state in RESTATED_STATES)
    found: dict[str, list[Wanted]] = {}
    rows = book.rows(
        f"""SELECT key, bucket, bucket + INTERVAL 1 {grain}, theirs_usd,
        coalesce(theirs_hours, 0), state = 'missed by us' FROM matched
        WHERE state IN ({states}) AND theirs_usd >= 0 ORDER BY key, bucket"""  # noqa: S608 - ours
    )
    for key, start, end, usd, hours, is_missed in rows:
        found.setdefault(key, []).append(
            Wanted(start=aware(start), end=aware(end), usd=usd, hours=hours, is_missed=is_missed)
        )
    return {key: tuple(values) for key, values in found.items()}


def _grain(book: Book) -> str:
    """How fine the actuals are: what all rows of machines fit in."""
    [(longest,)] = book.rows("SELECT max(end_at - start_at) FROM actuals WHERE kind = 'machine'")
    if longest is None:
        return GRAINS[0]
    hours = _hours(longest)
    return GRAINS[0] if hours <= 1 else GRAINS[1] if hours <= 24 else GRAINS[2]


def _hours(lasts: timedelta) -> float:
    return lasts.total_seconds() / 3600


def _check_account(book: Book) -> None:
    ours = {name for (name,) in book.rows(
        "SELECT DISTINCT account FROM slim WHERE account != '' AND provider IN "
        "(SELECT provider FROM actuals)")}  # fmt: skip
    theirs = {name for (name,) in book.rows(
        "SELECT DISTINCT lower(account) FROM actuals WHERE account != '' AND is_here")}  # fmt: skip
    [(met,)] = book.rows(
        "SELECT count(*) FROM actuals WHERE is_here AND kind = 'machine' AND key IN "
        "(SELECT key FROM known)"
    )
    if ours and theirs and not met and not theirs & {name.lower() for name in ours}:
        raise InputError(
            "--actuals",
            f"are of {_names(theirs)}, and the ledger is of {_names(ours)}",
            "name the export of the account that the cluster runs in",
        )
    [(providers, lines)] = book.rows(
        """SELECT (SELECT string_agg(DISTINCT provider, ', ') FROM actuals WHERE provider NOT IN
        (SELECT provider FROM slim)), (SELECT count(*) FROM slim)"""
    )
    if lines and providers and not met:
        raise InputError(
            "--actuals", f"are of {providers}, where the ledger has nothing", "name the right ones"
        )


def _names(accounts: set[str]) -> str:
    listed = sorted(accounts)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return f"account {', '.join(listed[:3])}{more}"


def _source(book: Book, opened: Opened, grain: str) -> Source:
    [(rows, usd, exact, other_rows, other_usd)] = book.rows(
        """SELECT count(*), sum(filed_usd), sum(exact_usd), count(*) FILTER (NOT is_here),
        sum(filed_usd) FILTER (NOT is_here) FROM actuals"""
    )
    accounts = book.rows("SELECT DISTINCT account FROM actuals WHERE account != '' ORDER BY 1")
    total = decimal_of(exact)
    return Source(
        files=tuple(file.name for file in opened.files),
        format=opened.format.title,
        sha256=opened.sha256,
        grain=grain,
        rows=rows,
        filed_usd=total,
        rounding_usd=total - decimal_of(usd),
        other_months_rows=other_rows,
        other_months_usd=decimal_of(other_usd),
        accounts=tuple(name for (name,) in accounts),
    )


def _state(row: tuple[Any, ...]) -> StateSum:
    state, count, *amounts = row
    names = ("ours_hours", "theirs_hours", "ours_usd", "theirs_usd", "ours_effective_usd",
             "theirs_effective_usd", "filed_usd")  # fmt: skip
    values = {name: decimal_of(value) for name, value in zip(names, amounts, strict=True)}
    return StateSum(state=MatchState(state), count=count, **values)


def _causes(book: Book) -> Causes:
    [row] = book.rows(CAUSES)
    price, quantity, mix, commitment, interruption = map(decimal_of, row)
    return Causes(
        price_usd=price,
        quantity_usd=quantity,
        mix_usd=mix,
        commitment_usd=commitment,
        interruption_usd=interruption,
    )
