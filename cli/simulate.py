"""`costplan simulate`: scaling policies side by side on recorded demand and prices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costplan.cli import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costplan.cli.simulate_sweep import Ran, Swept

FORMATS = ("table", "json", "md")


def simulate(  # noqa: PLR0913, PLR0917 - one parameter a flag
    scenario: Annotated[
        list[Path] | None,
        typer.Argument(metavar="BACKTEST.yaml", help="What to simulate; several are a sweep."),
    ] = None,
    policy: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="May be repeated; else all.")
    ] = None,
    demand: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded jobs, Parquet or CSV.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="MAP", help="Like submit=t0,duration=secs,gpus=n.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price list, or 'bundled'; else synced.")
    ] = None,
    spot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded availability of spot.")
    ] = None,
    spot_prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recorded changes of spot prices.")
    ] = None,
    spot_set: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Traces with this in their id.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="How many days. [default: 30]")] = None,
    skip_days: Annotated[float | None, typer.Option(help="Days of the file to leave out.")] = None,
    region: Annotated[
        str | None, typer.Option(metavar="CLOUD/REGION", help="Else where a worker is cheapest.")
    ] = None,
    gpu_shape: Annotated[
        str | None, typer.Option(metavar="SPEC", help="What a GPU needs: vcpu=4,memory=15GiB,gpu=1")
    ] = None,
    cpu_shape: Annotated[
        str | None, typer.Option(metavar="SPEC", help="What a CPU needs: vcpu=1,memory=3.5GiB")
    ] = None,
    node_shape: Annotated[
        str | None, typer.Option(metavar="SPEC", help="What a node needs: vcpu=8,memory=30GiB")
    ] = None,
    types: Annotated[
        int | None, typer.Option(help="Machine types to sell of each market. [default: 6]")
    ] = None,
    one_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="The type of policies that use one.")
    ] = None,
    tick: Annotated[
        str | None, typer.Option(metavar="TIME", help="Between two looks. [default: 5min]")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="TIME", help="Between two of a task. [default: 30min]")
    ] = None,
    result: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="A task's, in memory, or 0. [default: 256MiB]"),
    ] = None,
    boot: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of a machine, median. [default: 2min]")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Of boots and interruptions; may be repeated."),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Processes to use.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask cluster of yours to run it on.")
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table, json or md.")] = "table",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the answer there.")
    ] = None,
) -> None:
    """Run scaling policies side by side on the same demand, prices and interruptions.

    Nothing is bought: cloud and cluster are simulated, costplan's own decisions are those of the
    daemon. Equal inputs give equal bytes. Several files or seeds are a sweep: what each run says
    by itself, and each policy over the seeds.
    """
    from costplan.cli.out_file import check_out, write_out
    from costplan.cli.render import write
    from costplan.cli.simulate_sweep import asked_for, run_all
    from costplan.planner.errors import InputError

    errors.check_word("--format", output, FORMATS)
    for option, path in (("--html", html), ("--out", out)):
        if path is not None:
            check_out(path, option)
    _check_apart(html, out)
    if jobs is not None and scheduler is not None:
        raise InputError("--jobs and --scheduler", "both say where it runs", "give one of them")
    flags = _given(
        policies=policy or None,
        demand=_given(
            file=_text(demand), columns=_pairs("--columns", columns), skip_days=skip_days
        ),
        prices=_text(prices),
        spot=_text(spot),
        spot_set=spot_set,
        spot_prices=_text(spot_prices),
        days=days,
        region=region,
        shapes=_given(
            gpu=_pairs("--gpu-shape", gpu_shape),
            cpu=_pairs("--cpu-shape", cpu_shape),
            node=_pairs("--node-shape", node_shape),
        ),
        types=types,
        one_type=one_type,
        tick=tick,
        checkpoint=checkpoint,
        result=result,
        boot=boot,
    )
    asked = asked_for(scenario or [None], seed or [], flags)
    swept = run_all(asked, jobs, scheduler)
    text = _answer(swept, output, is_file=out is not None)
    if html is not None:
        from costplan.cli.simulate_page import page_text

        write_out(html, page_text(swept), "--html")
        errors.note(f"written to {html}")
    if out is None:
        write(text)
    else:
        write_out(out, text)
        errors.note(f"written to {out}")


def _check_apart(html: Path | None, out: Path | None) -> None:
    """Returns where the page and the answer do not go into one file; raises InputError."""
    from costplan.planner.errors import InputError

    if html is not None and out is not None and html.resolve() == out.resolve():
        raise InputError(f"--out {out}", "is where --html writes its page, too", "name another")


def _given(**values: Any) -> dict[str, Any]:
    """What was said: neither None nor an empty section."""
    return {name: value for name, value in values.items() if value not in (None, {})}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _pairs(option: str, text: str | None) -> dict[str, Any]:
    """'a=1,b=x' as a mapping; raises InputError."""
    import re

    from costplan.planner.errors import InputError

    found: dict[str, Any] = {}
    for part in () if text is None else text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise InputError(f"{option} {text}", f"{part!r} is not key=value", "write a=1,b=2")
        if key in found:
            raise InputError(f"{option} {text}", f"{key} is given twice", "keep one")
        is_number = re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
        found[key] = (float(value) if "." in value else int(value)) if is_number else value
    if option == "--columns":
        plural = {"gpus": "gpu", "cpus": "cpu", "nodes": "node"}
        found = {plural.get(key, key): str(value) for key, value in found.items()}
    return found


def _answer(swept: Sequence[Swept], output: str, *, is_file: bool) -> str:
    """A run by itself as it always was, several as a sweep."""
    from costplan.cli import simulate_view, sweep_view
    from costplan.cli.render import plain_text, terminal_text
    from costplan.cli.render_markdown import markdown_text

    only = only_run(swept)
    if output == "json":
        if only is None:
            return sweep_view.sweep_text(swept)
        return simulate_view.document_text(only.name, only.prepared, only.found)
    if only is None:
        view = sweep_view.sweep_view(swept)
    else:
        view = simulate_view.simulate_view(only.name, only.prepared, only.found)
    if output == "md":
        return markdown_text(view)
    return plain_text(view) if is_file else terminal_text(view)


def only_run(swept: Sequence[Swept]) -> Ran | None:
    """The run where there is one alone."""
    runs = [ran for one in swept for ran in one.runs]
    return runs[0] if len(runs) == 1 else None
