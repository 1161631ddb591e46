"""`costplan prices`: what machines cost, and how the price list knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from costplan.adapters.feeds.price_file import PriceList
    from costplan.cli.price_query import Pool

app = typer.Typer(help="Look at prices.", no_args_is_help=True)

FORMATS = ("table", "json", "csv", "md")
SORTS = ("hour", "vcpu", "memory", "gpu")


@app.callback()
def prices() -> None:
    """Look at prices."""


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
        Path | None, typer.Option("--prices", help="Parquet or CSV price list; else bundled.")
    ] = None,
) -> None:
    """Show prices, cheapest first; every option that takes a word may be repeated."""
    from datetime import UTC, datetime

    from costplan.cli.price_query import Query, pools, select
    from costplan.planner.errors import CostplanError

    try:
        _check_word("--sort", sort, SORTS)
        _check_word("--format", output, FORMATS)
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
        now = datetime.now(UTC)
        price_list = _read(price_file, now)
        found = pools(price_list.catalogue, select(price_list.catalogue, query), sort)
        shown = found[:limit] if limit else found
        _write(price_list, shown, len(found), output, now)
    except CostplanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    from costplan.planner.errors import InputError

    if word not in known:
        raise InputError(f"{option} {word}", "is not known", "use one of " + ", ".join(known))


def _memory(text: str | None) -> int | None:
    from costplan.planner.errors import InputError
    from costplan.planner.units import parse_memory

    try:
        return None if text is None else parse_memory(text)
    except ValueError as error:
        raise InputError("--min-memory", str(error)) from error


def _read(path: Path | None, now: datetime) -> PriceList:
    if path is None:
        from costplan.adapters.feeds.bundled import bundled_prices

        return bundled_prices(now=now)
    from costplan.adapters.feeds.price_file import read_price_file

    return read_price_file(path, now=now)


def _write(
    prices: PriceList, shown: Sequence[Pool], total: int, output: str, now: datetime
) -> None:
    """Write the shown pools to standard output in the format asked for."""
    from costplan.cli import price_table

    match output:
        case "json":
            typer.echo(price_table.as_json(prices, shown, total))
        case "csv":
            typer.echo(price_table.as_csv(prices, shown))
            if len(shown) < total:
                typer.echo(f"shown {len(shown):,} of {total:,}; --limit 0 shows all", err=True)
        case "md":
            typer.echo(price_table.as_markdown(prices, shown, total, now))
        case _:
            price_table.print_table(prices, shown, total, now)
