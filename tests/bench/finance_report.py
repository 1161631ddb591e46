"""How long the report of a month takes over a million charge lines, and over ten.

    python -m tests.bench.finance_report [LINES ...]

Seconds are of the wall clock, from opening the book (a Parquet file with the month's lines) to the
HTML page on the disk, and of the CPU time of a process of its own; memory is the most that it had.
The lines are those of twenty made-up machines, copied under new names until there are enough. A
workbook is written of 100,000 lines: it takes so much longer for each line that it holds.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from costplan.adapters.finance.ask import Question, ask
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.workbook import write_workbook
from costplan.cli.statement_page import page_text
from costplan.planner.finance.statement import Period, Statement
from tests.finance.books import START, month_lines

LINES = (1_000_000, 10_000_000)
WORKBOOK_LINES = 100_000
END = datetime(2026, 11, 1, tzinfo=UTC)
PERIOD = Period(name="2026-10", start=START, end=END, until=END)


def write_lines(path: Path, lines: int) -> None:
    """A month of so many lines as Parquet."""
    with Book(memory_mib=2048) as book:
        book.add(month_lines(nodes=20, hours=30 * 24))
        ((base,),) = book.rows("SELECT count(*) FROM lines")
        copies = -(-lines // base)
        book.db.execute("SET preserve_insertion_order = false")
        book.db.execute(
            f"""COPY (SELECT l.* REPLACE (
                node_id || '-' || copy AS node_id, resource_id || '-' || copy AS resource_id,
                line_id * {copies} + copy AS line_id)
            FROM lines l, range({copies}) r(copy) LIMIT {lines})
            TO '{path}' (FORMAT parquet, COMPRESSION zstd)"""  # noqa: S608 - ours
        )


def asked(path: Path) -> tuple[Book, Statement]:
    """The book of a file and its statement."""
    book = Book()
    book.open_parquet(path)
    return book, ask(book, Question(period=PERIOD, cluster="bench"))


def one(path: Path, kind: str) -> None:
    """Makes one report and prints seconds and MiB."""
    begun = time.perf_counter()
    book, made = asked(path)
    out = path.with_suffix(f".{kind}")
    if kind == "html":
        out.write_text(page_text(made), encoding="utf-8")
    else:
        write_workbook(out, made, book)
    seconds = time.perf_counter() - begun
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    cpu = time.process_time()
    words = f"{made.total.lines:>12,} lines  {kind:5} {seconds:6.2f} s  {cpu:6.2f} s of CPU"
    print(f"{words}  {most:5,} MiB", flush=True)


def main(sizes: tuple[int, ...]) -> None:
    """Each size in a process of its own, and a workbook."""
    with tempfile.TemporaryDirectory(prefix="costplan-bench-") as folder:
        for kind, lines in (("xlsx", WORKBOOK_LINES), *(("html", size) for size in sizes)):
            path = Path(folder) / f"{lines}.parquet"
            write_lines(path, lines)
            words = [sys.executable, "-m", __spec__.name, "--one", str(path), kind]
            subprocess.run(words, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), sys.argv[3])
    else:
        main(tuple(map(int, sys.argv[1:])) or LINES)
