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
    """Refuses a file without rows, and ids that something took for numbers."""
    [(rows,)] = duck.execute("SELECT count(*) FROM texts").fetchall()
    if not rows:
        raise InputError(subject, "has no rows", "export the month again")
    for name in ("account", "resource"):
        query = f"""SELECT {name} FROM texts WHERE (contains({name}, '.') OR contains({name}, '+'))
            AND regexp_matches({name}, $1)"""  # noqa: S608 - ours
        found = _one(duck, query, _AS_NUMBER)
        if found is not None:
            raise InputError(
                f"{subject}: {form.needed[name][0]}",
                f"{found!r} is an id that was read as a number",
                "export it anew, and do not save it from a spreadsheet: its last digits are lost",
            )
    if form.provider == "aws":
        found = _one(
            duck,
            """SELECT account FROM (SELECT DISTINCT account FROM texts)
            WHERE NOT regexp_full_match(account, '[0-9]{12}')""",
        )
        if found is not None:
            raise InputError(
                f"{subject}: {form.needed['account'][0]}",
                f"{found!r} is no account of AWS, which has 12 digits",
                "export it anew: as a number it loses leading zeros",
            )


_VALUES = (
    # Of a row's text, its value, what it is called, what it has to be, whether it must be there.
    ("start_text", "start_at", "start", "time", True),
    ("end_text", "end_at", "end", "time", False),
    ("filed", "filed_usd", "cost", "number", True),
    ("rated", "rated_usd", "cost", "number", False),
    ("effective", "effective_usd", "cost", "number", False),
    ("quantity", "quantity", "quantity", "number", False),
)


def check_values(duck: duckdb.DuckDBPyConnection, form: Format, subject: str) -> None:
    """Refuses text that is no time or number where one must be: counted first, and looked for only
    where one is missing."""
    values = ", ".join(f"count({value})" for _, value, *_ in _VALUES)
    texts = ", ".join("count(*)" if must else f"count({text})" for text, *_, must in _VALUES)
    [have] = duck.execute(f"SELECT {values} FROM actuals").fetchall()  # noqa: S608 - ours
    [want] = duck.execute(f"SELECT {texts} FROM texts").fetchall()  # noqa: S608 - ours
    for (text, _, column, what, must), here, there in zip(_VALUES, have, want, strict=True):
        if here < there:
            value = instant(text) if what == "time" else f"TRY_CAST({text} AS DECIMAL(38,12))"
            empty = "true" if must else f"{text} IS NOT NULL"
            query = f"SELECT coalesce({text}, '') FROM texts WHERE {value} IS NULL AND {empty}"  # noqa: S608
            found = _one(duck, query)
            raise InputError(
                f"{subject}: {form.needed[column][0]}", f"{found!r} is no {what}", "export it anew"
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


_MAY_HAVE_IDS = """SELECT count(*) > count(DISTINCT hash(line_id, start_at, end_at, category))
    FROM actuals WHERE line_id != ''"""
_MAY_BE_FILES = "SELECT count(DISTINCT file) > 1 FROM actuals"
_MAY_OVERLAP = """SELECT count(DISTINCT epoch_us(end_at) - epoch_us(start_at)) > 1 OR bool_or(
    epoch_us(start_at) % greatest(epoch_us(end_at) - epoch_us(start_at), 1) != 0)
    FROM actuals WHERE kind = 'machine'"""
"""What is quickly asked before what takes long. Rows of one length on its marks do not overlap."""

_SAME_ID = """SELECT line_id || ' of ' || min(start_at)::VARCHAR FROM actuals
    WHERE line_id != '' GROUP BY line_id, start_at, end_at, category HAVING count(*) > 1 LIMIT 1"""
_SAME_ROW = """SELECT resource || ' at ' || start_at::VARCHAR FROM (
    SELECT resource, start_at, end_at, sku, category, quantity, filed_usd, commitment_id, file
    FROM actuals WHERE resource != '' AND kind = 'machine'
    AND (filed_usd != 0 OR rated_usd != 0 OR effective_usd != 0))
    GROUP BY resource, start_at, end_at, sku, category, quantity, filed_usd, commitment_id
    HAVING count(DISTINCT file) > 1 LIMIT 1"""
_OVERLAP = """SELECT resource || ' at ' || start_at::VARCHAR FROM (
    SELECT resource, start_at, max(end_at) OVER (PARTITION BY resource, sku, category
        ORDER BY start_at RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)
        AS before_at FROM (SELECT DISTINCT resource, sku, category, start_at, end_at FROM actuals
        WHERE kind = 'machine' AND resource != '' AND filed_usd >= 0 AND coalesce(quantity, 0) >= 0)
    ) WHERE before_at > start_at LIMIT 1"""
"""What takes back, as a correction does, lies over what it takes back."""


def _check_twice(duck: duckdb.DuckDBPyConnection, subject: str) -> None:
    way_out = "name each row's file once: an hourly or a daily export, and no older copy of it"
    for may_be, query, what in (
        (_MAY_HAVE_IDS, _SAME_ID, "is there twice"),
        (_MAY_BE_FILES, _SAME_ROW, "is in two files"),
        (_MAY_OVERLAP, _OVERLAP, "begins before the row before it has ended"),
    ):
        found = _one(duck, query) if _one(duck, may_be) else None
        if found is not None:
            raise InputError(subject, f"overlaps itself: {found} {what}", way_out)


def _one(duck: duckdb.DuckDBPyConnection, query: str, *values: object) -> Any:
    limited = query if "LIMIT" in query else f"{query} LIMIT 1"
    row = duck.execute(limited, list(values)).fetchone()
    return None if row is None else row[0]
