"""`costplan report`: what was spent, for whom, what of it did no work, and what was saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile
from costplan.cli.errors import check_word, note

if TYPE_CHECKING:
    from datetime import datetime

    from costplan.adapters.store.cluster import Cluster
    from costplan.planner.report import Books, Report

FORMATS = ("table", "json", "csv", "html", "md")
"""Of any stretch of time; a month has more."""

_WHEN = "like 2026-05-04, 2026-05-04T12:00Z, or 24h for so long ago"


def report(  # noqa: PLR0913, PLR0917 - one parameter a flag
    config: ConfigFile = None,
    store: StoreFile = None,
    month: Annotated[
        str | None, typer.Option("--month", metavar="YYYY-MM", help="A month. [this one so far]")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by", metavar="NAMES", help="Like team,workload or tag:model; line: every charge."
        ),
    ] = None,
    view: Annotated[
        str | None, typer.Option("--view", help="amortised or cash dollars. [amortised]")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"Instead of a month: {_WHEN}.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Its end.")] = None,
    output: Annotated[
        str,
        typer.Option(
            "--format",
            help="table, html, xlsx, csv, journal, json, md, pdf, focus-1.2 or focus-1.4"
            " (of a month).",
        ),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there.")
    ] = None,
) -> None:
    """Show what a month cost, for whom, the waste, and what was saved against doing it simply.

    It reads the store only, so it also works while the daemon does not run. With --from or --to it
    looks closely at any stretch of time.
    """
    from costplan.cli.cluster_store import opened
    from costplan.cli.out_file import check_out

    is_stretch = start is not None or end is not None
    if is_stretch:
        _check_stretch(output, month=month, by=by, view=view)
    if out is not None and not output.startswith("focus-"):
        check_out(out)
    with opened(config, store, read_only=True) as cluster:
        if is_stretch:
            _write_stretch(cluster, start, end, output, out)
            return
        from costplan.cli.statement import Asked, report_month

        report_month(
            cluster,
            Asked(month=month, by=by, view=view or "amortised", output=output, out=out),
        )


def _check_stretch(output: str, **others: str | None) -> None:
    """Raises InputError where something is asked that only a month has."""
    from costplan.planner.errors import InputError

    for name, value in others.items():
        if value is not None:
            way_out = "use one or the other"
            raise InputError(f"--{name} {value}", "does not go with --from and --to", way_out)
    check_word("--format", output, FORMATS)


def _write_stretch(
    cluster: Cluster, start: str | None, end: str | None, output: str, out: Path | None
) -> None:
    from costplan.cli.out_file import write_out
    from costplan.cli.render import write

    now = cluster.now()
    since, until = _period(start, end, now)
    made = _made(cluster, since, until, now)
    text = _text(made, output, is_file=out is not None)
    if out is None:
        write(text)
    else:
        write_out(out, text)
        note(f"written to {out}")


def _made(cluster: Cluster, start: datetime | None, end: datetime | None, now: datetime) -> Report:
    from costplan.planner.errors import InputError
    from costplan.planner.report import summarise

    made = summarise(_books(cluster, start, end, now), now, start=start, end=end)
    if made is None:
        when = "" if start is None and end is None else " in this time"
        raise InputError(
            str(cluster.path),
            f"the ledger has no entries{when}, so there is nothing to report",
            "entries come with the first machine that `costplan run` starts, a quarter of an "
            "hour later at most",
        )
    return made


def _books(cluster: Cluster, start: datetime | None, end: datetime | None, now: datetime) -> Books:
    """What the store has for the report, and what has run up in its time and has no entry yet."""
    from costplan.planner.accrual import running_usd, unpriced
    from costplan.planner.charges import whole_meters
    from costplan.planner.report import Books

    state, tick = cluster.state(), cluster.store.last_tick()
    settings, meters = cluster.settings(), state.meters
    if settings is not None:
        meters = whole_meters(meters, state.nodes, settings.extras)
    until = now if end is None else min(end, now)
    running = running_usd(state.nodes, meters, until, start)
    return Books(
        entries=cluster.store.entries(start, end),
        nodes=cluster.store.nodes(including_gone=True),
        settings=settings,
        offers=tick.readings.offers if tick else (),
        quotes=tick.readings.quotes if tick else (),
        totals=state.load.totals if state.load else None,
        running_usd=running,
        gaps=unpriced(state.nodes, state.meters),
    )


def _text(made: Report, output: str, *, is_file: bool) -> str:
    match output:
        case "json":
            from costplan.cli.report_document import report_text

            return report_text(made)
        case "csv":
            from costplan.cli.report_document import entries_csv

            return entries_csv(made)
        case "html":
            from costplan.cli.report_page import page_text

            return page_text(made)
    from costplan.cli.render import plain_text, terminal_text
    from costplan.cli.render_markdown import markdown_text
    from costplan.cli.report_view import report_view

    view = report_view(made)
    if output == "md":
        return markdown_text(view)
    return plain_text(view) if is_file else terminal_text(view)


def _period(
    start: str | None, end: str | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    from costplan.planner.errors import InputError

    since = None if start is None else _instant("--from", start, now)
    until = None if end is None else _instant("--to", end, now)
    if since is not None and since >= (until or now):
        raise InputError(f"--from {start}", "is not before the end", "name an earlier begin")
    return since, until


def _instant(option: str, text: str, now: datetime) -> datetime:
    """A day's midnight UTC, an instant with its zone, or so long before now."""
    from datetime import UTC, date, datetime, time, timedelta

    from costplan.planner.errors import InputError
    from costplan.planner.units import parse_seconds

    subject, text = f"{option} {text}", text.strip()
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=parse_seconds(text.removeprefix("-")))
    except (ValueError, OverflowError):
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(subject, "is no day and no time", f"write it {_WHEN}") from error
    if instant.tzinfo is None:
        raise InputError(subject, "says no time zone", "end it with Z for UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise InputError(subject, "is out of range", f"write it {_WHEN}") from error
