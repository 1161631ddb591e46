"""Every format of a month's report is read back, and ties to the same totals."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.finance.ask import Question, ask
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.exact import write_lines_csv
from costplan.adapters.finance.pdf import pdf_of
from costplan.adapters.finance.workbook import write_workbook
from costplan.cli.render import plain_text
from costplan.cli.render_markdown import markdown_text
from costplan.cli.statement import journal_of
from costplan.cli.statement_document import document_text, journal_csv, rows_csv
from costplan.cli.statement_page import page_text
from costplan.cli.statement_print import paper_source
from costplan.cli.statement_view import statement_view
from costplan.planner.finance.report_settings import ReportSettings
from costplan.planner.finance.savings import Before
from costplan.planner.finance.statement import Period, Statement, View
from costplan.planner.settings import Budget
from tests.finance.books import START, month_lines
from tests.finance.readers import Page, added, csv_rows, pair, sheets, shown

END = datetime(2026, 11, 1, tzinfo=UTC)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SOFFICE = shutil.which("soffice")
PDFTOTEXT = shutil.which("pdftotext")
TABLES = (("team", "workload"), ("cost_center", "charge", "purpose"))
HOSTILE = "=<script>alert(1)</script>\x07"


@pytest.fixture(scope="module")
def book() -> Iterator[Book]:
    """Six machines over five days, one of whose teams has a name that wants to be code."""
    with Book(threads=1) as made:
        lines = month_lines(nodes=6, hours=5 * 24)
        made.add(
            replace(line, owner=replace(line.owner, team=HOSTILE))
            if line.owner.team == "growth"
            else line
            for line in lines
        )
        yield made


@pytest.fixture(scope="module")
def made(book: Book) -> Statement:
    period = Period(name="2026-10", start=START, end=END, until=datetime(2026, 10, 6, tzinfo=UTC))
    budget = Budget(usd_per_month=Decimal(250), usd_per_day=Decimal(40))
    before = Before(instance_type="m5.xlarge", count=9)
    question = Question(
        period=period, cluster="trainer", tables=TABLES, budget=budget, before=before
    )
    return ask(book, question)


def test_json_and_csv_have_the_exact_totals(made: Statement) -> None:
    total = (made.total.effective_usd, made.total.billed_usd)
    document = json.loads(document_text(made))
    assert pair(document["control_totals"]) == total
    for rows in (*(t["rows"] for t in document["tables"]), document["by_purpose"]):
        assert added([pair(row) for row in rows]) == total
    for table in made.tables:
        rows, last = csv_rows(rows_csv(table, made))
        assert added([pair(row) for row in rows]) == pair(last) == total
        assert sum(int(row["lines"]) for row in rows) == int(last["lines"]) == made.total.lines


def test_every_line_is_in_the_exact_file(made: Statement, book: Book, tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    write_lines_csv(path, book, "2026-10")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == made.total.lines
    assert sum(Decimal(row["effective_usd"]) for row in rows) == made.total.effective_usd
    assert {row["team"][:2] for row in rows} == {"", "ri", "'="}


@pytest.mark.parametrize("view", tuple(View))
def test_the_journal_ties_to_the_rounded_total(book: Book, made: Statement, view: View) -> None:
    seen = ask(book, Question(period=made.period, view=view, tables=TABLES))
    rows, last = csv_rows(journal_csv(journal_of(seen, ReportSettings())))
    amounts = [Decimal(row["amount"]) for row in rows]
    assert sum(amounts) == Decimal(last["amount"]) == round(seen.usd, 2)
    assert all(amount == round(amount, 2) for amount in amounts)
    assert "rounding to cents" in rows[-1]["description"]


def test_a_page_ties_fetches_nothing_and_runs_nothing(made: Statement) -> None:
    text = page_text(made)
    page = Page(text)
    total = (made.total.effective_usd, made.total.billed_usd)
    assert shown(page.facts["amortised"]) == total[0]
    assert shown(page.facts["cash"]) == total[1]
    assert page.facts["lines"] == f"{made.total.lines:,}"
    assert shown(page.headline) == round(made.usd, 2)
    tied = 0
    for table in page.tables:
        if table[0][-2:] != ["amortised", "cash"]:
            continue
        tied += 1
        *rows, last = [tuple(map(shown, row[-2:])) for row in table[1:]]
        assert added(rows) == last == (round(total[0], 2), round(total[1], 2))  # type: ignore[arg-type]
    assert tied == 6
    assert page.fetched == []
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert not [word for word in ("url(", "@import", "NaN", "\x07") if word in text]
    assert "&lt;script&gt;" in text


def test_text_and_markdown_show_rows_that_add_up(made: Statement) -> None:
    view = statement_view(made)
    for width in (80, 120):
        text = plain_text(view, width)
        assert max(map(len, text.splitlines())) <= width
        assert "\x07" not in text
        grids = [g for g in text.split("\n\n") if g.splitlines()[0].endswith("cash $")]
        assert len(grids) >= 5
        for grid in grids:
            cells = [Decimal(row.split()[-1].replace(",", "")) for row in grid.splitlines()[1:]]
            assert sum(cells[:-1]) == cells[-1] == round(made.total.billed_usd, 2)
    marked = markdown_text(view)
    assert f"${made.total.effective_usd}" in marked
    assert "\\<script\\>" in marked


def test_a_workbook_has_numbers_that_tie(made: Statement, book: Book, tmp_path: Path) -> None:
    path = tmp_path / "report.xlsx"
    write_workbook(path, made, book)
    first = path.read_bytes()
    write_workbook(path, made, book)
    assert path.read_bytes() == first
    found = sheets(path)
    summary = {row[0]: row[1] for row in found["Summary"]}
    total = float(made.total.effective_usd)
    assert summary["amortised USD"] == pytest.approx(total, abs=1e-9)
    head, *rows, last = found["By team and workload"]
    place = head.index("amortised USD")
    assert sum(row[place] for row in rows) == pytest.approx(last[place], abs=1e-9)
    assert last[place] == pytest.approx(total, abs=1e-9)
    assert {row[0] for row in rows} == {"risk", "unattributed", HOSTILE.replace("\x07", "?")}
    head, *lines = found["Lines"]
    assert len(lines) == made.total.lines
    place = head.index("effective_usd")
    assert sum(row[place] for row in lines) == pytest.approx(total, abs=1e-9)
    assert isinstance(lines[0][head.index("start_at")], datetime)


def test_a_sheet_that_is_too_short_says_what_is_missing(
    made: Statement, book: Book, tmp_path: Path
) -> None:
    path, told = tmp_path / "short.xlsx", list[str]()
    write_workbook(path, made, book, most_lines=1000, told=told.append)
    found = sheets(path)
    assert len(found["Lines"]) == 1001
    words = {row[0]: row[2] for row in found["Summary"]}["lines"]
    assert f"the last {made.total.lines - 1000:,} are not in the sheet Lines" in words
    assert told[-1] == "1,000 of 1,000 lines in the workbook"


def test_equal_statements_are_equal_bytes(made: Statement, book: Book) -> None:
    again = ask(
        book,
        Question(
            period=made.period, cluster="trainer", tables=TABLES,
            budget=Budget(usd_per_month=Decimal(250), usd_per_day=Decimal(40)),
            before=Before(instance_type="m5.xlarge", count=9),
        ),
    )  # fmt: skip
    assert page_text(again) == page_text(made)
    assert document_text(again) == document_text(made)
    pytest.importorskip("typst", reason="PDF needs typst")
    paper = pdf_of(*paper_source(made))
    assert paper == pdf_of(*paper_source(again))
    assert paper.startswith(b"%PDF-")


@pytest.mark.skipif(PDFTOTEXT is None, reason="reading PDF needs pdftotext")
def test_paper_has_the_exact_total(made: Statement, tmp_path: Path) -> None:
    pytest.importorskip("typst", reason="PDF needs typst")
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf_of(*paper_source(made)))
    done = subprocess.run([str(PDFTOTEXT), "-layout", path, "-"], capture_output=True, check=True)
    assert f"${made.total.effective_usd}" in done.stdout.decode()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_shows_the_same_totals(made: Statement, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_text(made), encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path}/profile", "--dump-dom", path.as_uri()],
        capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    page = Page(done.stdout.decode())
    assert shown(page.facts["amortised"]) == made.total.effective_usd
    assert shown(page.headline) == round(made.usd, 2)


@pytest.mark.skipif(SOFFICE is None, reason="there is no LibreOffice here")
def test_libreoffice_opens_the_workbook_as_it_is(
    made: Statement, book: Book, tmp_path: Path
) -> None:
    path = tmp_path / "report.xlsx"
    write_workbook(path, made, book, most_lines=50)
    done = subprocess.run(
        [str(SOFFICE), f"-env:UserInstallation={(tmp_path / 'office').as_uri()}", "--headless",
         "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,"
         "false,-1", "--outdir", tmp_path, path],
        capture_output=True, check=True, timeout=240,
    )  # fmt: skip
    assert b"repair" not in done.stderr.lower()
    with (tmp_path / "report-Summary.csv").open(encoding="utf-8", newline="") as file:
        summary = {row[0]: row[1] for row in csv.reader(file) if len(row) > 1}
    assert Decimal(summary["amortised USD"]) == pytest.approx(
        made.total.effective_usd, abs=Decimal("1e-9")
    )
    with (tmp_path / "report-By team and workload.csv").open(encoding="utf-8") as file:
        assert Decimal(list(csv.reader(file))[-1][2]) == pytest.approx(
            made.usd, abs=Decimal("1e-9")
        )
