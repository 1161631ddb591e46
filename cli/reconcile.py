"""`costplan reconcile`: the ledger against what the provider billed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile, Yes
from costplan.cli.errors import CHANGES_ADVISED, check_word, note

if TYPE_CHECKING:
    from costplan.adapters.finance.book import Book
    from costplan.adapters.finance.issuing import SinceIssued
    from costplan.planner.finance.actuals import Reconciliation, WantedByKey
    from costplan.planner.finance.terms import Terms

FORMATS = ("table", "json", "csv", "html")


def reconcile(  # noqa: PLR0913, PLR0917 - options
    actuals: Annotated[
        list[str],
        typer.Option("--actuals", metavar="FILE", help="The export; a pattern, or several."),
    ],
    month: Annotated[str, typer.Option("--month", metavar="MONTH", help="Like 2026-10.")],
    config: ConfigFile = None,
    store: StoreFile = None,
    actuals_format: Annotated[
        str,
        typer.Option("--actuals-format", help="auto, aws-cur-2.0, focus, gcp or azure."),
    ] = "auto",
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="USD", help="So much an hour may differ.")
    ] = "0.000001",
    output: Annotated[
        str, typer.Option("--format", help="table, json, html, or csv: every machine and hour.")
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there.")
    ] = None,
    restate: Annotated[
        bool, typer.Option("--restate", help="Add corrections, so that the ledger agrees.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --restate: only say what it would add.")
    ] = False,
    yes: Yes = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="2 where a machine's time differs.")
    ] = False,
) -> None:
    """Compare a month of the ledger with the provider's bill, machine by machine and hour by hour.

    It reads exports of AWS (CUR 2.0, FOCUS 1.0 and 1.2), Google Cloud and Azure, and changes
    nothing without --restate.
    """
    from costplan.cli.out_file import check_out

    check_word("--format", output, FORMATS)
    if out is not None:
        check_out(out)
    _check_format(actuals_format)
    path, terms = _opened(config, store, month)
    asked = _Asked(path, terms, actuals, month, actuals_format, _tolerance(tolerance))
    made, since, wanted = _compared(asked, output, out)
    if restate:
        _restate(asked, made, wanted, is_dry=dry_run, yes=yes)
    elif since is not None and output == "table":
        _say_since(since)
    if detailed_exitcode and made.differs:
        raise typer.Exit(CHANGES_ADVISED)


def _check_format(name: str) -> None:
    from costplan.adapters.finance.actuals_columns import FORMAT_NAMES

    check_word("--actuals-format", name, FORMAT_NAMES)


def _tolerance(text: str) -> Decimal:
    from decimal import InvalidOperation

    from costplan.planner.errors import InputError

    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"--tolerance {text}", "is no number", "write dollars: 0.01") from error
    if not usd.is_finite() or not 0 <= usd < 10**6:
        raise InputError(f"--tolerance {text}", "is no amount", "write dollars: 0.01")
    return usd


def _opened(config: Path | None, store: Path | None, month: str) -> tuple[Path, Terms | None]:
    from costplan.cli.book_terms import book_terms
    from costplan.cli.cluster_store import opened
    from costplan.planner.ledger_months import month_bounds

    end = month_bounds(month)[1]
    with opened(config, store, read_only=True) as cluster:
        return cluster.path, book_terms(cluster, min(cluster.now(), end))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is compared with what."""

    path: Path
    terms: Terms | None
    actuals: list[str]
    month: str
    form: str
    tolerance_usd: Decimal


def _compared(
    asked: _Asked, output: str, out: Path | None
) -> tuple[Reconciliation, SinceIssued | None, WantedByKey]:
    from costplan.adapters.finance.actuals import import_actuals
    from costplan.adapters.finance.issuing import since_issued
    from costplan.adapters.finance.open_book import open_book
    from costplan.adapters.finance.reconcile import reconcile as reconciled
    from costplan.adapters.finance.reconcile import wanted
    from costplan.cli.progress import Progress
    from costplan.planner.ledger_months import month_bounds

    start, end = month_bounds(asked.month)
    path, terms, month = asked.path, asked.terms, asked.month
    with Progress() as told:
        with open_book(path, start=start, end=end, terms=terms, progress=told) as book:
            source = import_actuals(book.db, asked.actuals, month, form=asked.form, progress=told)
            made = reconciled(book, source, month, tolerance_usd=asked.tolerance_usd, progress=told)
            text = _text(book, made, output, is_file=out is not None)
            changes = wanted(book, made.source.grain)
        since = since_issued(path, month, terms, told)
    _tell(text, out)
    return made, since, changes


def _tell(text: str, out: Path | None) -> None:
    from costplan.cli.out_file import write_out
    from costplan.cli.render import write

    if out is None:
        write(text)
    else:
        write_out(out, text)
        note(f"written to {out}")


def _text(book: Book, made: Reconciliation, output: str, *, is_file: bool) -> str:
    from costplan.cli import reconcile_document as document
    from costplan.cli.reconcile_view import reconcile_view
    from costplan.cli.render import plain_text, terminal_text

    match output:
        case "json":
            return document.json_text(made)
        case "csv":
            from costplan.adapters.finance.reconcile import pairs

            return document.csv_text(pairs(book, only_differing=False))
        case "html":
            from costplan.cli.reconcile_page import page_text

            return page_text(made)
    view = reconcile_view(made)
    return plain_text(view) if is_file else terminal_text(view)


def _restate(
    asked: _Asked, made: Reconciliation, wanted: WantedByKey, *, is_dry: bool, yes: bool
) -> None:
    from costplan.adapters.clock import utc_now
    from costplan.adapters.finance.issuing import since_issued
    from costplan.adapters.finance.restating import restate
    from costplan.cli.confirm import confirm
    from costplan.cli.progress import Progress
    from costplan.cli.reconcile_view import restated_text

    now, path = utc_now(), asked.path
    with Progress() as progress:
        found = restate(path, made, wanted, now, is_dry=True, progress=progress)
    note(restated_text(found))
    if is_dry:
        return
    if found.entries:
        confirm("add these corrections?", yes=yes)
    with Progress() as progress:
        done = restate(path, made, wanted, now, is_dry=False, progress=progress)
        since = since_issued(path, made.month, asked.terms, progress)
    if done.entries:
        note(f"added: {restated_text(done)}")
    if since is not None:
        _say_since(since)


def _say_since(since: SinceIssued) -> None:
    from costplan.cli.reconcile_view import since_lines

    for line in since_lines(since):
        note(line)
