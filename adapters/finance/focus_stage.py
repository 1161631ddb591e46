"""The lines of a book where ranges of them are cheap to read, as the view `book_lines`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from costplan.adapters.finance.book import Book, quoted


@contextmanager
def staged(book: Book, month: str | None) -> Iterator[None]:
    """Makes `book_lines` for the block: of those issued in a month, or of all.

    A table, or Parquet files, are read where they are. A view that is computed would be so anew
    for each range: it is computed once, into a file that goes away with the block.
    """
    lines = "SELECT * FROM lines"
    if month is not None:
        lines += f" WHERE month = {quoted(month)}"
    if _is_stored(book):
        book.db.execute(f"CREATE OR REPLACE TEMP VIEW book_lines AS {lines}")
        try:
            yield
        finally:
            book.db.execute("DROP VIEW book_lines")
        return
    with tempfile.TemporaryDirectory(prefix="costplan-") as folder:
        file = quoted(str(Path(folder) / "lines.parquet"))
        book.db.execute(f"COPY ({lines}) TO {file} (FORMAT parquet)")
        book.db.execute(
            f"CREATE OR REPLACE TEMP VIEW book_lines AS SELECT * FROM read_parquet({file})"  # noqa: S608 - quoted
        )
        try:
            yield
        finally:
            book.db.execute("DROP VIEW book_lines")


def _is_stored(book: Book) -> bool:
    found = book.rows("SELECT sql FROM duckdb_views() WHERE view_name = 'lines' AND NOT internal")
    return not found or (" JOIN " not in found[0][0].upper() and "read_parquet(" in found[0][0])
