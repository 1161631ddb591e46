"""`costplan prices`: what machines cost, and how the price list knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import price_sync
from costplan.cli.errors import CommandGroup, check_word

if TYPE_CHECKING:
    from datetime import datetime

    from costplan.adapters.feeds.price_file import PriceList
    from costplan.cli.price_query import Pool

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json", "csv", "md")
SORTS = ("hour", "vcpu", "memory", "gpu")


@app.callback()
def prices() -> None:
    """Look at prices, and read them from the clouds."""


@app.command()
def show(  # noqa: PLR0913, PLR0917 - one parameter a flag
    provider: Annotated[list[str] | None, typer.Option(help="Cloud: aws, gcp, azure.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Region, like us-east-1.")] = None,
    zone: Annotated[list[str] | None, typer.Option(help="Zone, like us-east-1a.")] = None,
    family: Annotated[
        list[str] | None, typer.Option(help="Family or pattern: m5, c6*, n2-standard, Dsv3.")
    ] = None,
    instance_type: Annotated[
        list[str] | None, typer.Option("--type", help="Instance type or pattern, like 'm5.*'.")
    ] = None,
    gpu: Annotated[list[str] | None, typer.Option(help="GPU kind, like T4.")] = None,
    market: Annotated[list[str] | None, typer.Option(help="on_demand, spot, ...")] = None,
    arch: Annotated[list[str] | None, typer.Option(help="x86_64 or arm64.")] = None,
    min_vcpu: Annotated[float | None, typer.Option(help="At least so many vCPU.")] = None,
    max_vcpu: Annotated[float | None, typer.Option(help="At most so many vCPU.")] = None,
    min_memory: Annotated[str | None, typer.Option(help="At least so much: '16 GiB'.")] = None,
    sort: Annotated[
        str, typer.Option(help="Cheapest first by hour, vcpu, memory or gpu (GPU machines only).")
    ] = "hour",
    limit: Annotated[int, typer.Option(min=0, help="Rows to show; 0 shows all.")] = 20,
    output: Annotated[str, typer.Option("--format", help="table, json, csv or md.")] = "table",
    price_file: Annotated[
        Path | None, typer.Option("--prices", help="Price list, or 'bundled'; else synced.")
    ] = None,
) -> None:
    """Show prices, cheapest first; every option that takes a word may be repeated."""
    from costplan.adapters.clock import utc_now
    from costplan.cli.price_query import Query, pools, select
    from costplan.cli.price_source import read_prices

    check_word("--sort", sort, SORTS)
    check_word("--format", output, FORMATS)
    _check_vcpu(min_vcpu, max_vcpu)
    query = Query(
        providers=tuple(provider or ()),
        regions=tuple(region or ()),
        zones=tuple(zone or ()),
        families=tuple(family or ()),
        types=tuple(instance_type or ()),
        gpus=tuple(gpu or ()),
        markets=tuple(market or ()),
        arch=tuple(arch or ()),
        min_vcpu=min_vcpu,
        max_vcpu=max_vcpu,
        min_memory_bytes=_memory(min_memory),
    )
    now = utc_now()
    price_list = read_prices(price_file, now=now)
    found = pools(price_list.catalogue, select(price_list.catalogue, query), sort)
    shown = found[:limit] if limit else found
    _write(price_list, shown, len(found), output, now)


app.command("sync")(price_sync.sync)


def _check_vcpu(least: float | None, most: float | None) -> None:
    """Returns where some machine may lie between them; raises InputError otherwise."""
    from math import isnan

    from costplan.planner.errors import InputError

    for option, count in (("--min-vcpu", least), ("--max-vcpu", most)):
        if count is not None and (isnan(count) or count < 0):
            raise InputError(f"{option} {count:g}", "is no number of vCPU", "write it like 4")
    if least is not None and most is not None and least > most:
        problem = f"is more than --max-vcpu {most:g}, so no machine has so many"
        raise InputError(f"--min-vcpu {least:g}", problem, "change one of them")


def _memory(text: str | None) -> int | None:
    from costplan.planner.errors import InputError
    from costplan.planner.units import parse_memory

    try:
        return None if text is None else parse_memory(text)
    except ValueError as error:
        raise InputError("--min-memory", str(error)) from error


def _write(
    prices: PriceList, shown: Sequence[Pool], total: int, output: str, now: datetime
) -> None:
    """Write the shown pools to standard output in the format asked for."""
    from costplan.cli import price_table
    from costplan.cli.render import write

    match output:
        case "json":
            write(price_table.as_json(prices, shown, total) + "\n")
        case "csv":
            write(price_table.as_csv(prices, shown) + "\n")
            if len(shown) < total:
                typer.echo(f"shown {len(shown):,} of {total:,}; --limit 0 shows all", err=True)
        case "md":
            write(price_table.as_markdown(prices, shown, total, now) + "\n")
        case _:
            price_table.print_table(prices, shown, total, now)
