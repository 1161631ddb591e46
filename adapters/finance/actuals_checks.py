"""What is wrong with an export, said with the column, the value and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costplan.adapters.finance.actuals_columns import Format
from costplan.adapters.finance.actuals_sql import instant
from costplan.planner.errors import InputError

if TYPE_CHECKING:
    import duckdb

_AS_NUMBER = r"^\d+(\.\d+)?[eE]\+?\d+$|^\d{9,}\.0+$"
"""How spreadsheets and data frames write an id that they took for a number."""


def check_texts(duck: duckdb.DuckDBPyConnection, form: Format, subject: str) -> None:
    """Refuses values that are none of their column's kind."""
    [(rows,)] = duck.execute("SELECT count(*) FROM texts").fetchall()
    if not rows:
        raise InputError(subject, "has no rows", "export the month again")
    for name in ("account", "resource"):
        query = f"SELECT {name} FROM texts WHERE regexp_matches({name}, $1)"  # noqa: S608 - ours
        found = _one(duck, query, _AS_NUMBER)
        if found is not None:
            raise InputError(
                f"{subject}: {form.needed[name][0]}",
                f"{found!r} is an id that was read as a number",
                "export it anew, and do not save it from a spreadsheet: its last digits are lost",
            )
    if form.provider == "aws":
        found = _one(
            duck, "SELECT account FROM texts WHERE NOT regexp_full_match(account, '[0-9]{12}')"
        )
        if found is not None:
            raise InputError(
                f"{subject}: {form.needed['account'][0]}",
                f"{found!r} is no account of AWS, which has 12 digits",
                "export it anew: as a number it loses leading zeros",
            )
    for name, column in (("start_text", "start"), ("end_text", "end")):
        if column not in form.needed:
            continue
        found = _one(
            duck,
            f"SELECT coalesce({name}, '') FROM texts WHERE {instant(name)} IS NULL",  # noqa: S608
        )
        if found is not None:
            raise InputError(
                f"{subject}: {form.needed[column][0]}", f"{found!r} is no time", "export it anew"
            )
    for name in ("filed", "rated", "effective", "quantity"):
        empty = "true" if name == "filed" else f"{name} IS NOT NULL"
        found = _one(
            duck,
            f"""SELECT coalesce({name}, '') FROM texts
            WHERE TRY_CAST({name} AS DECIMAL(38,12)) IS NULL AND {empty}""",  # noqa: S608
        )
        if found is not None:
            column = "quantity" if name == "quantity" else "cost"
            raise InputError(
                f"{subject}: {form.needed[column][0]}", f"{found!r} is no number", "export it anew"
            )


def check_rows(
    duck: duckdb.DuckDBPyConnection, form: Format, subject: str, month: str
) -> None:  # fmt: skip
    """Refuses another currency, times that are none, another month, and rows that are there
    twice."""
    money = duck.execute(
        "SELECT DISTINCT currency FROM actuals WHERE currency != 'USD' ORDER BY 1 LIMIT 3"
    ).fetchall()
    if money:
        names = ", ".join(name or "none" for (name,) in money)
        raise InputError(
            f"{subject}: {form.needed['currency'][0]}",
            f"is {names}, and the ledger is in USD",
            "export the bill in USD: amounts of two currencies are never compared",
        )
    found = _one(duck, "SELECT start_at FROM actuals WHERE end_at < start_at")
    if found is not None:
        raise InputError(subject, f"a row from {found} ends before it begins", "export it anew")
    if _one(duck, "SELECT 1 FROM actuals WHERE is_here") is None:
        [(first, last)] = duck.execute(
            "SELECT min(start_at)::DATE, max(start_at)::DATE FROM actuals"
        ).fetchall()
        raise InputError(
            subject, f"has rows from {first} to {last}, and none of {month}", "name its month"
        )
    _check_twice(duck, subject)


_SAME_ID = """SELECT line_id || ' of ' || min(start_at)::VARCHAR FROM actuals
    WHERE line_id != '' GROUP BY line_id, start_at, end_at, category HAVING count(*) > 1 LIMIT 1"""
_SAME_ROW = """SELECT resource || ' at ' || start_at::VARCHAR FROM (
    SELECT resource, start_at, end_at, sku, category, quantity, filed_usd, commitment_id, file
    FROM actuals WHERE resource != '' AND filed_usd != 0 AND kind = 'machine')
    GROUP BY resource, start_at, end_at, sku, category, quantity, filed_usd, commitment_id
    HAVING count(DISTINCT file) > 1 LIMIT 1"""
_OVERLAP = """SELECT resource || ' at ' || start_at::VARCHAR FROM (
    SELECT resource, start_at, max(end_at) OVER (PARTITION BY resource, sku, category
        ORDER BY start_at RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)
        AS before_at FROM (SELECT DISTINCT resource, sku, category, start_at, end_at FROM actuals
        WHERE kind = 'machine' AND resource != '')
    ) WHERE before_at > start_at LIMIT 1"""


def _check_twice(duck: duckdb.DuckDBPyConnection, subject: str) -> None:
    way_out = "name each row's file once: an hourly or a daily export, and no older copy of it"
    for query, what in (
        (_SAME_ID, "is there twice"),
        (_SAME_ROW, "is in two files"),
        (_OVERLAP, "begins before the row before it has ended"),
    ):
        found = _one(duck, query)
        if found is not None:
            raise InputError(subject, f"overlaps itself: {found} {what}", way_out)


def _one(duck: duckdb.DuckDBPyConnection, query: str, *values: object) -> Any:
    limited = query if "LIMIT" in query else f"{query} LIMIT 1"
    row = duck.execute(limited, list(values)).fetchone()
    return None if row is None else row[0]
