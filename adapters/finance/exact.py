"""Charge lines of a book as a CSV file, every one and all of their columns, exact."""

from __future__ import annotations

from pathlib import Path

from costplan.adapters.finance.book import COLUMNS, Book, quoted

_INSTANT = "'%Y-%m-%dT%H:%M:%S.%fZ'"
_FORMULA = "('=', '+', '-', '@')"
_CONTROL = r"[\x00-\x1f\x7f]"


def write_lines_csv(path: Path, book: Book, month: str) -> None:
    """Writes the lines of a month in the order of time. What a column has none of is empty; a name
    that a spreadsheet would take for a formula begins with an apostrophe, and
    control characters are question marks."""
    columns = ", ".join(_column(name, kind) for name, kind in COLUMNS)
    book.db.execute(
        f"""COPY (SELECT {columns} FROM lines WHERE month = ?
            ORDER BY lines.start_at, lines.line_id)
        TO {quoted(str(path))} (FORMAT csv, HEADER true)""",  # noqa: S608 - ours
        [month],
    )


def _column(name: str, kind: str) -> str:
    text = f'lines."{name}"'
    if kind == "TIMESTAMP":
        return f'strftime({text}, {_INSTANT}) AS "{name}"'
    if kind == "VARCHAR":
        text = f"regexp_replace({text}, '{_CONTROL}', '?', 'g')"
        safe = f"CASE WHEN left({text}, 1) IN {_FORMULA} THEN '''' || {text} ELSE {text} END"
        return f'{safe} AS "{name}"'
    return text
