"""`costplan status`: what runs, what it costs, what waits and why, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, StoreFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from costplan.planner.status import Status

FORMATS = ("table", "json", "fleet")
_EVERY_SECONDS = 1.0


def status(
    config: ConfigFile = None,
    store: StoreFile = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it until Ctrl-C.")] = False,
    nodes: Annotated[bool, typer.Option("--nodes", help="Machines one by one, by id.")] = False,
    output: Annotated[
        str, typer.Option("--format", help="table, json, or fleet: for `recommend --current`.")
    ] = "table",
) -> None:
    """Show what runs, what it costs, what waits, and what is next.

    It reads the store only, so it also works while the daemon does not run.
    """
    from costplan.cli.cluster_store import opened
    from costplan.cli.render import terminal_text, write
    from costplan.cli.status_document import fleet_text, status_text
    from costplan.cli.status_view import status_view
    from costplan.planner.errors import InputError

    errors.check_word("--format", output, FORMATS)
    if watch and output != "table":
        raise InputError(f"--watch and --format {output}", "say two things", "give one of them")
    with opened(config, store, read_only=True) as cluster:
        if watch:
            _watch(cluster.status, nodes=nodes)
            return
        shown = cluster.status()
    match output:
        case "json":
            write(status_text(shown))
        case "fleet":
            write(fleet_text(shown))
        case _:
            write(terminal_text(status_view(shown, nodes=nodes)))


def _watch(read: Callable[[], Status], *, nodes: bool) -> None:
    """The status again each second on a terminal, a line whenever it changes elsewhere."""
    from threading import Event

    from rich.console import Console

    never = Event()
    try:
        if Console().is_terminal:
            _repaint(read, never.wait, nodes=nodes)
        else:
            _follow(read, never.wait)
    except KeyboardInterrupt:
        return


def _repaint(read: Callable[[], Status], wait: Callable[[float], bool], *, nodes: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from costplan.cli.render import terminal_text, write
    from costplan.cli.status_view import status_view

    console = Console(highlight=False)
    text = terminal_text(status_view(read(), nodes=nodes))
    try:
        with Live(Text.from_ansi(text), console=console, screen=True, auto_refresh=False) as live:
            while not wait(_EVERY_SECONDS):
                text = terminal_text(status_view(read(), nodes=nodes))
                live.update(Text.from_ansi(text), refresh=True)
    finally:
        # The screen is given back as it was, so what was seen last is left there.
        write(text)


def _follow(read: Callable[[], Status], wait: Callable[[float], bool]) -> None:
    from costplan.cli.render import write
    from costplan.cli.status_view import status_line

    before = ""
    while True:
        shown = read()
        line = status_line(shown)
        if line != before:
            write(f"{shown.at:%H:%M:%S} {line}\n")
        before = line
        if wait(_EVERY_SECONDS):
            return
