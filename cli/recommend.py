"""`costplan recommend`: the cheapest fleet for a workload, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from costplan.adapters.feeds.price_file import PriceList
    from costplan.planner.plan import Infeasible, Recommendation
    from costplan.planner.workload import Workload

FORMATS = ("table", "json", "csv", "md")


def recommend(  # noqa: PLR0913, PLR0917 - one parameter a flag
    workload_file: Annotated[
        Path | None, typer.Argument(metavar="WORKLOAD.yaml", help="What to run, and the rules.")
    ] = None,
    worker: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="Like vcpu=4,memory=16GiB,count=400; may be repeated."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Size for a Dask scheduler's work."),
    ] = None,
    sample_seconds: Annotated[
        float | None, typer.Option(help="How long to look at the scheduler. [default: 5]")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Size for what a Ray cluster's tasks ask for."),
    ] = None,
    spark: Annotated[
        str | None, typer.Option(metavar="URL", help="Size for a Spark application's stages.")
    ] = None,
    spark_app: Annotated[
        str | None, typer.Option(metavar="ID", help="Which application, where there are several.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Token for --ray or --spark.")
    ] = None,
    tls_ca: Annotated[Path | None, typer.Option(metavar="PEM", help="CA of the cluster.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="PEM", help="Certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="PEM", help="Its key.")] = None,
    price_file: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="Price list, or 'bundled'; else synced."),
    ] = None,
    max_price_age: Annotated[
        str, typer.Option(metavar="AGE", help="How old the newest prices of a cloud may be.")
    ] = "30d",
    current: Annotated[
        Path | None, typer.Option(metavar="JSON", help="What runs now: the answer is a diff.")
    ] = None,
    commitments: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is held already: it is used first.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When the job must be done, like 8h: spot while it can."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--format", help="table, json, csv or md. [default: table]")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the plan here (as JSON) and show the table."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Also say what is behind it.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 where changes are advised.")
    ] = False,
) -> None:
    """Recommend the cheapest fleet for a workload.

    The workload is a file, --worker flags, or what a Dask, Ray or Spark cluster has to do.

    Exit codes: 0 done, 1 bad input, 2 changes advised (with --detailed-exitcode),
    3 no fleet does, 4 prices too old.
    """
    from costplan.adapters.clock import utc_now
    from costplan.cli import demand_source, price_source
    from costplan.cli.fleet_file import read_fleet
    from costplan.cli.out_file import check_out
    from costplan.cli.until import parse_wait
    from costplan.planner.where import check_place, check_where

    if output is not None:
        errors.check_word("--format", output, FORMATS)
    source = demand_source.Source(
        file=workload_file,
        workers=tuple(worker or ()),
        scheduler=scheduler,
        sample_seconds=sample_seconds,
        tls_ca=tls_ca,
        tls_cert=tls_cert,
        tls_key=tls_key,
        ray=ray,
        spark=spark,
        spark_app=spark_app,
        token_file=token_file,
    )
    demand_source.check_source(source)
    most_seconds = price_source.parse_age(max_price_age)
    deadline_seconds = parse_wait("--deadline", deadline)
    if deadline_seconds is not None:
        demand_source.check_deadline(source)
    if out is not None:
        check_out(out)
    asked = demand_source.written(source)
    if asked is not None:
        asked = demand_source.with_commitments(asked, source, commitments)
    running = None if current is None else read_fleet(current)
    now = utc_now().replace(microsecond=0)
    prices = price_source.read_prices(price_file, now=now)
    # Looking takes seconds, so it comes after everything that may be wrong.
    if asked is None:
        asked = demand_source.without_unpriced_traffic(
            demand_source.observed(source), prices.catalogue
        )
        asked = demand_source.with_commitments(asked, source, commitments)
    if asked.workload is None:
        for line in asked.notes[1:]:
            errors.note(line)
        errors.note(f"{asked.name}: nothing is queued or running, so no workers are needed")
        return
    check_where(prices.catalogue, asked.workload.where, asked.name)
    check_place(prices.catalogue, asked.workload, asked.name)
    if deadline_seconds is not None:
        from costplan.planner.recommend_deadline import checked_deadline

        checked_deadline(asked.workload, deadline_seconds)
    _check_age(prices, asked.workload, now, most_seconds, is_own=price_source.is_file(price_file))

    from costplan.planner.plan import Infeasible
    from costplan.planner.recommend import recommend as answer_for

    def solved(workload: Workload) -> Recommendation | Infeasible:
        return answer_for(
            prices.catalogue,
            workload,
            price_name=prices.name,
            price_digest=prices.digest,
            price_gaps=(*prices.gaps, *asked.gaps),
            created_at=now,
            current=running,
        )

    answer = solved(asked.workload)
    if deadline_seconds is not None and not isinstance(answer, Infeasible):
        from costplan.planner.recommend_deadline import with_deadline

        answer = with_deadline(answer, deadline_seconds, prices.catalogue, solved)
    notes = (*asked.notes, *demand_source.too_few_machines(asked, answer))
    _write(answer, output, out, explain=explain, notes=notes)
    _end(answer, detailed=detailed_exitcode)


def _check_age(
    prices: PriceList, workload: Workload, now: datetime, most_seconds: int, *, is_own: bool
) -> None:
    """Returns where prices are young enough; a named file that is not ends the command.

    The bundled prices cannot be newer than the release, so they warn and serve, and so do those
    that were synced.
    """
    from costplan.cli.price_source import newest_by_provider, too_old

    newest = newest_by_provider(prices.catalogue, workload.where)
    problem = too_old(newest, now=now, most_seconds=most_seconds)
    if problem and not is_own:
        errors.note(
            f"warning: {prices.name}: {problem}\n"
            "warning: good for comparing machines; for money that matters run "
            "`costplan prices sync`, or give --prices FILE"
        )
    elif problem:
        raise errors.Ended(
            f"{prices.name}: {problem}; refresh the file, or raise --max-price-age", errors.TOO_OLD
        )


def _write(
    answer: Recommendation | Infeasible,
    output: str | None,
    out: Path | None,
    *,
    explain: bool,
    notes: Sequence[str],
) -> None:
    """The answer to standard output; with a file the answer goes there and the table is shown."""
    from costplan.cli.out_file import write_out
    from costplan.cli.render import plain_text, terminal_text, write

    if out is None and output in ("json", "csv"):
        write(_data_text(answer, output))
        return

    from costplan.cli.plan_view import view_of
    from costplan.cli.render_markdown import markdown_text

    view = view_of(answer, explain=explain, notes=notes)
    if out is None:
        write(markdown_text(view) if output == "md" else terminal_text(view))
        return
    match output:
        case "md":
            text = markdown_text(view)
        case "table":
            text = plain_text(view)
        case _:
            text = _data_text(answer, output or "json")
    write_out(out, text)
    write(terminal_text(view))
    errors.note(f"written to {out}")


def _data_text(answer: Recommendation | Infeasible, output: str) -> str:
    if output == "csv":
        from costplan.planner.plan import Recommendation as Fleet

        if isinstance(answer, Fleet) and answer.deadline is not None:
            errors.note("note: CSV has the fleet only; --format json has the deadline, too")
        if isinstance(answer, Fleet) and answer.place is not None:
            what = "CSV has machines only; --format json has disks, addresses and bytes, too"
            errors.note(f"note: {what}")
        if isinstance(answer, Fleet) and answer.held is not None:
            errors.note("note: CSV has prices without commitments; --format json has both")
        from costplan.cli.render_csv import csv_text

        return csv_text(answer)
    from costplan.planner.plan_document import document_text

    return document_text(answer)


def _end(answer: Recommendation | Infeasible, *, detailed: bool) -> None:
    """Ends with the exit code that the answer stands for."""
    from costplan.planner.plan import Infeasible

    if isinstance(answer, Infeasible):
        raise typer.Exit(errors.INFEASIBLE)
    if detailed and (answer.diff is None or not answer.diff.is_empty):
        raise typer.Exit(errors.CHANGES_ADVISED)
