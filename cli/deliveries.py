"""`costplan deliveries`: reports and alerts that are sent of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile
from costplan.cli.errors import CommandGroup, check_word, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from costplan.adapters.store.outbox import Outbox

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")
NOT_SENT = 3

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Of `costplan deliveries list`.")]


@app.callback()
def deliveries() -> None:
    """Look at reports and alerts that are delivered, send them now, or drop them."""


@app.command("list")
def list_(
    config: ConfigFile = None,
    store: StoreFile = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what is not sent yet.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Show what waits, what was sent where, and why what failed did; newest first."""
    from costplan.adapters.store.outbox import Outbox
    from costplan.cli.cluster_store import opened
    from costplan.cli.deliveries_view import deliveries_text, deliveries_view
    from costplan.cli.render import terminal_text, write

    check_word("--format", output, FORMATS)
    with (
        opened(config, store, read_only=True) as cluster,
        Outbox.open(cluster.path, read_only=True) as outbox,
    ):
        found, now = outbox.listed(waiting_only=waiting, limit=limit), cluster.now()
    if output == "json":
        write(deliveries_text(found))
    else:
        write(terminal_text(deliveries_view(found, now)))


@app.command()
def retry(ids: Ids, config: ConfigFile = None, store: StoreFile = None) -> None:
    """Have what failed tried again at once, by the daemon or by `costplan deliveries run`."""
    from costplan.adapters.store.outbox import Outbox

    _change(ids, config, store, Outbox.retry, "to be tried again")


@app.command()
def drop(ids: Ids, config: ConfigFile = None, store: StoreFile = None) -> None:
    """Give up on what waits: it is not sent, nor made again."""
    from costplan.adapters.store.outbox import Outbox

    _change(ids, config, store, Outbox.drop, "dropped")


def _change(
    ids: list[int],
    config: Path | None,
    store: Path | None,
    change: Callable[[Outbox, Iterable[int], datetime], int],
    done: str,
) -> None:
    from costplan.adapters.store.outbox import Outbox
    from costplan.cli.cluster_store import opened
    from costplan.cli.deliveries_view import deliveries_count

    with opened(config, store, read_only=True) as cluster, Outbox.open(cluster.path) as outbox:
        count = change(outbox, ids, cluster.now())
        typer.echo(f"{deliveries_count(count)} {done}")


@app.command()
def run(config: ConfigFile = None) -> None:
    """Write and send what is due now, and end; with 3 where something failed.

    The daemon does this by itself. Two never do it at the same time.
    """
    from costplan.cli.cluster_store import DEFAULT_CONFIG, opened
    from costplan.cli.deliver_round import deliver

    file = config or DEFAULT_CONFIG
    with opened(file, None, read_only=True) as cluster:
        done = deliver(cluster, file, note)
    typer.echo(f"{done.sent} sent, {done.failed} failed")
    if done.failed or done.is_blind:
        raise typer.Exit(NOT_SENT)
