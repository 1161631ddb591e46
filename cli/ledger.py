"""`costplan ledger`: what is done to the ledger by hand, without ever changing an entry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile, Yes
from costplan.cli.errors import CommandGroup, check_word, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costplan.adapters.store.months import MonthRow

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")


@app.callback()
def ledger() -> None:
    """Close months, note their reports, move them to files, and charge time at better prices."""


@app.command()
def months(
    config: ConfigFile = None,
    store: StoreFile = None,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """List the months of the ledger: entries, dollars, and whether they are closed and archived."""
    from costplan.adapters.finance.ledger_changes import months_of
    from costplan.cli.ledger_view import months_document, months_view
    from costplan.cli.render import terminal_text, write

    check_word("--format", output, FORMATS)
    rows = months_of(_path(config, store))
    write(months_document(rows) if output == "json" else terminal_text(months_view(rows)))


@app.command()
def close(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Like 2026-10.")],
    config: ConfigFile = None,
    store: StoreFile = None,
    yes: Yes = False,
) -> None:
    """Close a month for good: what is learnt of it later is issued in a later month."""
    from costplan.adapters.clock import utc_now
    from costplan.adapters.finance.ledger_changes import close as closed
    from costplan.cli.confirm import confirm
    from costplan.cli.ledger_view import month_text

    path = _path(config, store)
    confirm(f"close {month} for good?", yes=yes)
    note(f"closed: {month_text(closed(path, month, utc_now()))}")


@app.command()
def issue(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="Like 2026-10.")],
    config: ConfigFile = None,
    store: StoreFile = None,
) -> None:
    """Note that a month's report goes out: `costplan reconcile` says what changed of it since."""
    from costplan.adapters.clock import utc_now
    from costplan.adapters.finance.issuing import issue as issued
    from costplan.adapters.finance.issuing import since_issued
    from costplan.cli.book_terms import book_terms
    from costplan.cli.cluster_store import opened
    from costplan.cli.ledger_view import issued_text
    from costplan.cli.progress import Progress
    from costplan.cli.reconcile_view import since_lines
    from costplan.planner.ledger_months import month_bounds

    end = month_bounds(month)[1]
    with opened(config, store, read_only=True) as cluster:
        path, terms = cluster.path, book_terms(cluster, min(cluster.now(), end))
    with Progress() as progress:
        before = since_issued(path, month, terms, progress)
        row = issued(path, month, utc_now(), terms)
    for line in [] if before is None else since_lines(before):
        note(line)
    note(f"issued: {issued_text(row)}")


@app.command()
def archive(
    month: Annotated[
        str | None, typer.Argument(metavar="[MONTH]", help="Like 2026-10; without it all closed.")
    ] = None,
    config: ConfigFile = None,
    store: StoreFile = None,
) -> None:
    """Move closed months out of the store, to a Parquet file each beside it."""
    from costplan.adapters.clock import utc_now
    from costplan.adapters.finance.archive import archive_month
    from costplan.adapters.finance.ledger_changes import months_of
    from costplan.cli.ledger_view import month_text
    from costplan.cli.progress import Progress

    path = _path(config, store)
    wanted = [month] if month is not None else _due(months_of(path))
    for each in wanted:
        with Progress() as progress:
            row = archive_month(path, each, utc_now(), progress)
        note(f"archived: {month_text(row)}")


@app.command()
def reprice(
    prices: Annotated[
        Path, typer.Option("--prices", metavar="FILE", help="Better prices, in CSV.")
    ],
    config: ConfigFile = None,
    store: StoreFile = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would change.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Charge time anew at better prices: what was charged is taken back, and charged again."""
    from costplan.adapters.clock import utc_now
    from costplan.adapters.finance.better_prices import read_better_prices
    from costplan.adapters.finance.ledger_changes import reprice as repriced
    from costplan.cli.confirm import confirm
    from costplan.cli.ledger_view import repriced_text, unmet_text
    from costplan.cli.progress import Progress

    path, better, now = _path(config, store), read_better_prices(prices), utc_now()
    with Progress() as progress:
        made = repriced(path, better, now, is_dry=True, progress=progress)
    if unmet := unmet_text(made):
        note(f"note: {unmet}")
    if len(made.unmet) == len(better):
        return
    note(repriced_text(made))
    if dry_run or not made.entries:
        return
    confirm("add these corrections?", yes=yes)
    with Progress() as progress:
        done = repriced(path, better, now, is_dry=False, progress=progress)
    note(f"added: {repriced_text(done)}")


def _due(rows: Sequence[MonthRow]) -> list[str]:
    from costplan.planner.errors import InputError

    due = [row.month for row in rows if row.closed_at is not None and not row.is_archived]
    if not due:
        open_months = [row.month for row in rows if row.closed_at is None]
        way_out = "all that is closed is archived"
        if open_months:
            way_out += f"; to close one: costplan ledger close {open_months[0]}"
        raise InputError("the ledger", "has nothing to archive", way_out)
    return due


def _path(config: Path | None, store: Path | None) -> Path:
    from costplan.cli.cluster_store import opened

    with opened(config, store, read_only=True) as cluster:
        return cluster.path
