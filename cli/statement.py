"""The report of a month: from the options of `costplan report` to the file that was asked for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from costplan.adapters.finance.ask import Question, ask
from costplan.adapters.finance.book import Book
from costplan.adapters.finance.issuing import last_billed
from costplan.adapters.finance.ledger_changes import issued_from, months_of
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.planned import add_plans
from costplan.adapters.store.cluster import Cluster
from costplan.adapters.whole_file import replaced
from costplan.cli import errors, report_focus
from costplan.cli.book_terms import book_terms
from costplan.cli.out_file import write_out
from costplan.cli.progress import Progress
from costplan.cli.render import plain_text, terminal_text, write
from costplan.cli.render_markdown import markdown_text
from costplan.cli.report_wording import interruption_lines
from costplan.cli.statement_document import document_text, journal_csv, rows_csv
from costplan.cli.statement_page import page_text
from costplan.cli.statement_view import statement_view
from costplan.planner.accrual import running_usd, unpriced
from costplan.planner.charges import whole_meters
from costplan.planner.errors import InputError
from costplan.planner.finance.anomalies import WINDOW_DAYS
from costplan.planner.finance.dimensions import DEFAULT, LINE, dimensions
from costplan.planner.finance.journal import Cost, Journal, journal
from costplan.planner.finance.report_settings import ReportSettings
from costplan.planner.finance.statement import Aside, Period, Statement, Table, View
from costplan.planner.report import interruptions_of
from costplan.planner.settings import Budget
from costplan.planner.spending import month_end
from costplan.planner.wording import counted

BINARY = ("xlsx", "pdf")
FORMATS = ("table", "html", "xlsx", "csv", "journal", "json", "md", "pdf")
_JOURNAL = ("cost_center", "charge", "purpose")
_CHUNK = 1 << 20
Told = Callable[[str], None]
_MONTH = re.compile(r"\d{4}-\d{2}")


class EmptyMonth(InputError):
    """There is nothing to report of a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks for; `month` is None for this one so far."""

    month: str | None
    by: str | None
    view: str
    output: str
    out: Path | None


def report_month(cluster: Cluster, asked: Asked) -> None:
    """Writes the report of a month in the format and to the place that were asked for."""
    errors.check_word("--format", asked.output, (*FORMATS, *report_focus.FORMATS))
    errors.check_word("--view", asked.view, tuple(View))
    tables = () if asked.by is None else (dimensions(asked.by),)
    _check(asked, tables)
    now = cluster.now()
    period = period_of(asked.month, now)
    with Progress() as told:
        question = question_of(cluster, period, View(asked.view), tables, journal_of=asked.output)
        with book_of(cluster, period, told) as book:
            if asked.output in report_focus.FORMATS and asked.out is not None:
                _write_focus(book, cluster, period, asked.output, asked.out)
                return
            if tables == ((LINE,),):
                _write_lines(book, period, asked.out)
                return
            made = ask(book, question, told)
            reports = cluster.config.reports if cluster.config else ReportSettings()
            _write(made, book, asked, reports, told)


def period_of(month: str | None, now: datetime) -> Period:
    """The month of this name, or that of `now`; raises InputError where there is none yet."""
    name = f"{now:%Y-%m}" if month is None else month
    try:
        first = date.fromisoformat(f"{name}-01" if _MONTH.fullmatch(name) else "")
    except ValueError as error:
        raise InputError(f"--month {name}", "is no month", "write it like 2026-10") from error
    start = datetime(first.year, first.month, 1, tzinfo=UTC)
    end = month_end(start)
    if start > now:
        this = f"this month is {now:%Y-%m}"
        raise InputError(f"--month {name}", "has not begun", this)
    return Period(name=name, start=start, end=end, until=min(now, end))


@contextmanager
def book_of(cluster: Cluster, period: Period, told: Told = lambda _: None) -> Iterator[Book]:
    """The lines of a period and of eight weeks before it at least, and what plans expected."""
    with opened_book(cluster, period, told) as book:
        if not book.rows("SELECT 1 FROM lines WHERE month = ? LIMIT 1", period.name):
            raise EmptyMonth(
                str(cluster.path),
                f"the ledger has no entries of {period.name}, so there is nothing to report",
                "entries come with the first machine that `costplan run` starts, a quarter of an "
                "hour later at most",
            )
        stretches = cluster.store.plans(period.start, period.until)
        if stretches:
            add_plans(book, stretches, period.until)
        yield book


def opened_book(cluster: Cluster, period: Period, told: Told = lambda _: None) -> Book:
    """The lines of a period and of the weeks that it is held against; where it has corrections of
    months before these, from there on."""
    start = period.start - timedelta(days=WINDOW_DAYS)
    return open_book(
        cluster.path,
        start=min(start, issued_from(cluster.path, period.name) or start),
        end=period.end,
        terms=book_terms(cluster, period.until),
        progress=told,
    )


def question_of(
    cluster: Cluster,
    period: Period,
    view: View = View.AMORTISED,
    tables: tuple[tuple[str, ...], ...] = (),
    *,
    journal_of: str = "",
) -> Question:
    """What is asked of the book of a cluster."""
    settings = cluster.settings()
    wanted = tables or (DEFAULT,)
    if journal_of == "journal":
        wanted = (_JOURNAL,)
    elif journal_of == "xlsx":
        wanted = tuple(dict.fromkeys([*tables, ("team",), ("workload",)]))
    return Question(
        period=period,
        cluster="" if settings is None else settings.cluster,
        view=view,
        tables=wanted,
        budget=Budget() if settings is None else settings.budget,
        before=None if cluster.config is None else cluster.config.reports.before,
        aside=_aside(cluster, period),
        actual_usd=last_billed(cluster.path, period.name),
    )


def _aside(cluster: Cluster, period: Period) -> Aside:
    """What the store knows beside the lines. What has run up and has no entry yet may be of a month
    that is over, too: no daemon looked since."""
    nodes = cluster.store.nodes(including_gone=True, since=period.start)
    seen = interruptions_of(nodes, period.start, period.until)
    state, settings = cluster.state(), cluster.settings()
    meters = state.meters
    if settings is not None:
        meters = whole_meters(meters, state.nodes, settings.extras)
    gaps = [
        gap
        for gap in unpriced(state.nodes, state.meters)
        if gap.since is not None and gap.since < period.until
    ]
    running = counted(len(gaps), "running node")
    words = f"{running} without a known price: what they cost is in no figure here"
    return Aside(
        running_usd=running_usd(state.nodes, meters, period.until, period.start),
        gaps=(words,) if gaps else (),
        interruptions=interruption_lines(seen),
    )


def _check(asked: Asked, tables: tuple[tuple[str, ...], ...]) -> None:
    if asked.output in report_focus.FORMATS:
        report_focus.check_out(asked.output, asked.out)
        if tables:
            raise InputError(
                "--by", "is not for FOCUS files, which have every charge", "leave it out"
            )
    if asked.output in BINARY and asked.out is None:
        way_out = f"name one: --out report.{asked.output}"
        raise InputError(f"--format {asked.output}", "is written to a file", way_out)
    if asked.output == "pdf":
        from costplan.adapters.finance.pdf import check_typst

        check_typst()
    if tables == ((LINE,),) and asked.output != "csv":
        raise InputError(f"--by {LINE}", "is a CSV of every charge line", "add --format csv")
    if tables and asked.output == "journal":
        raise InputError(
            "--by", "is fixed for a journal: by cost centre, account and purpose", "leave it out"
        )


def _write_focus(book: Book, cluster: Cluster, period: Period, output: str, out: Path) -> None:
    """The month as FOCUS files; a correction of a month that is closed is one of an invoice."""
    settings = cluster.settings()
    report_focus.write_report(
        book,
        report_focus.Exported(
            output=output,
            month=period.name,
            closed=frozenset(row.month for row in months_of(cluster.path) if row.closed_at),
            commitments=() if settings is None else settings.held.commitments,
        ),
        out,
    )


def _write(made: Statement, book: Book, asked: Asked, reports: ReportSettings, told: Told) -> None:
    match asked.output:
        case "xlsx":
            from costplan.adapters.finance.workbook import write_workbook

            told("writing the workbook")
            _write_at(asked.out, lambda path: write_workbook(path, made, book, told=told))
            return
        case "pdf":
            from costplan.adapters.finance.pdf import pdf_of
            from costplan.cli.statement_print import paper_source

            told("setting the pages")
            _put(pdf_of(*paper_source(made)), asked.out)
            return
        case "journal":
            entries = journal_of(made, reports)
            _put(journal_csv(entries), asked.out)
            _note_accounts(entries)
            return
    _put(_text(made, asked.output, is_file=asked.out is not None), asked.out)


def _text(made: Statement, output: str, *, is_file: bool) -> str:
    match output:
        case "json":
            return document_text(made)
        case "csv":
            return rows_csv(made.tables[0], made)
        case "html":
            return page_text(made)
    view = statement_view(made)
    if output == "md":
        return markdown_text(view)
    return plain_text(view) if is_file else terminal_text(view)


def journal_of(made: Statement, reports: ReportSettings) -> Journal:
    """The journal of a statement that has a table by cost centre, charge and purpose."""
    table: Table = next(t for t in made.tables if t.dimensions == _JOURNAL)
    costs = []
    for row in table.rows:
        center, charge, purpose = row.names
        usd = row.sums.usd(made.view)
        if usd:
            costs.append(Cost(cost_center=center, charge=charge, purpose=purpose, usd=usd))
    what = f"costplan {made.cluster or 'cluster'}, {made.view.value}"
    return journal(costs, reports.accounts, period=made.period.name, what=what)


def _note_accounts(made: Journal) -> None:
    missing = sum(1 for entry in made.entries if not entry.account and entry.amount_usd)
    if missing:
        entries = "1 entry has" if missing == 1 else f"{missing} entries have"
        errors.note(f"note: {entries} no account; set reports.gl_accounts (docs/report.md)")


def _put(content: str | bytes, out: Path | None) -> None:
    if out is not None:
        write_out(out, content)
        errors.note(f"written to {out}")
    elif isinstance(content, str):
        write(content)


def _write_lines(book: Book, period: Period, out: Path | None) -> None:
    """Every line as CSV: to a file as a whole, to standard output piece by piece."""
    from costplan.adapters.finance.exact import write_lines_csv

    _write_at(out, lambda path: write_lines_csv(path, book, period.name))


def _write_at(out: Path | None, make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="costplan-") as folder:
        place: AbstractContextManager[Path] = nullcontext(Path(folder) / "report")
        if out is not None:
            place = replaced(out.resolve())
        try:
            with place as path:
                make(path)
                if out is None:
                    with path.open(encoding="utf-8") as file:
                        while text := file.read(_CHUNK):
                            write(text)
        except OSError as error:
            raise InputError(f"--out {out}", f"cannot be written: {error.strerror}") from error
    if out is not None:
        errors.note(f"written to {out}")
