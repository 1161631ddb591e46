"""`costplan prices sync`: reads what the clouds sell, and for how much, into the local store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import Cloud, CloudAccount, CloudFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress, TaskID

    from costplan.adapters.feeds.price_store import PriceStore
    from costplan.adapters.feeds.sync import Source, Synced

MOST_HISTORY_SECONDS = 3650 * 86_400
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


def sync(
    provider: Cloud = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="REGION", help="May be repeated; else the configured one."),
    ] = None,
    instance_type: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Like 'm5.*'; may be repeated; else all."),
    ] = None,
    project: CloudAccount = None,
    config: CloudFile = None,
    history: Annotated[
        str, typer.Option(metavar="AGE", help="How far back spot prices are read at first; or 0.")
    ] = "90d",
) -> None:
    """Read current prices and past spot prices from a cloud.

    They are kept on this computer, and `recommend`, `simulate` and `prices show` use them in the
    place of the bundled ones.

    Exit codes: 0 all was read, 1 something was not, 130 stopped by Ctrl-C.
    """
    from costplan.adapters.clock import utc_now
    from costplan.adapters.feeds.price_store import PriceStore, default_folder
    from costplan.cli.cloud_choice import Asked
    from costplan.cli.config_file import read_config
    from costplan.cli.logs import quiet_libraries
    from costplan.cli.price_feeds import sources
    from costplan.cli.until import parse_wait
    from costplan.planner.errors import InputError

    quiet_libraries()
    seconds = 0 if history == "0" else parse_wait("--history", history) or 0
    if seconds > MOST_HISTORY_SECONDS:
        raise InputError(f"--history {history}", "is more than ten years", "no cloud has so much")
    folder = default_folder()
    if folder is None:
        raise InputError("XDG_DATA_HOME", "is not set, and there is no home", "set it to a folder")
    asked = Asked(
        regions=tuple(dict.fromkeys(region or ())),
        project=project or "",
        file=None if config is None else read_config(config),
        clock=utc_now,
    )
    patterns = tuple(instance_type or ())
    found = sources(provider, asked, patterns)
    store = PriceStore(folder)
    store.check_writable()
    done: list[Synced] = []
    try:
        for one in _synced(found, store, patterns, seconds):
            done.append(one)
            _tell(one)
    except KeyboardInterrupt:
        kept = ", ".join(f"{one.provider} {one.region}" for one in done if one.prices) or "nothing"
        left = ", ".join(f"{one.provider} {one.region}" for one in found[len(done) :])
        what = f"stopped; read: {kept}; as it was before: {left}"
        raise errors.Ended(what, INTERRUPTED) from None
    if any(one.prices for one in done):
        errors.note(f"kept in {folder}; `costplan prices show` has them")
    failures = [
        f"{one.provider} {one.region}: {failure}" for one in done for failure in one.failures
    ]
    if failures:
        raise errors.Ended(
            f"not read, and as it was before: {'; '.join(failures)}", errors.BAD_INPUT
        )


def _synced(
    sources: Sequence[Source], store: PriceStore, patterns: Sequence[str], history_seconds: int
) -> Iterator[Synced]:
    """What came of each region, with a bar for it on a terminal."""
    import sys
    from functools import partial

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from costplan.adapters.clock import utc_now
    from costplan.adapters.feeds.sync import sync as read

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bars:
        for source in sources:
            name = f"{source.provider} {source.region}"
            bar = bars.add_task(name, total=None)
            done = read(
                source,
                store,
                patterns=patterns,
                history_seconds=history_seconds,
                now=utc_now,
                tell=partial(_move, bars, bar, name),
            )
            bars.remove_task(bar)
            yield done


def _move(bars: Progress, bar: TaskID, name: str, doing: str, step: int, steps: int) -> None:
    bars.update(bar, description=f"{name}: {doing}", completed=step, total=steps)


def _tell(one: Synced) -> None:
    """A line about a region, of what was read."""
    from costplan.cli.render import write
    from costplan.cli.wording import counted, market_text

    if not one.prices and not one.changes:
        return
    markets = ", ".join(f"{count:,} {market_text(market)}" for market, count in one.prices.items())
    write(
        f"{one.provider} {one.region}: {counted(one.types, 'machine type')}, "
        f"prices: {markets or 'none'}; {counted(one.changes, 'new past spot price')}\n"
    )
