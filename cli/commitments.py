"""`costplan commitments`: what is bought ahead, and what an hour costs with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.advise import advise, renewals
from costplan.cli.commitments_import import import_held
from costplan.cli.errors import CommandGroup, check_word

if TYPE_CHECKING:
    from costplan.planner.held.values import Held

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")
DEFAULT_FILE = Path("commitments.yaml")
_MOST_BYTES = 64 * 2**20

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The autoscaler's file.")
]


@app.callback()
def commitments() -> None:
    """Look at commitments: reserved instances, savings plans, committed use."""


@app.command()
def bill(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Hours or machines, and commitments, in YAML or JSON."),
    ],
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Say which commitment covers what, hour by hour, at which price, and what is unused."""
    from costplan.adapters.text_file import read_text
    from costplan.cli.bill_document import document_text
    from costplan.cli.bill_view import bill_view, notes_of
    from costplan.cli.render import terminal_text, write
    from costplan.planner.commitments.bill import bill as billed
    from costplan.planner.commitments.file import GUIDE, parse_bill

    check_word("--format", output, FORMATS)
    way_out = f"see {GUIDE} for an example"
    read = parse_bill(read_text(file, absent=way_out, most_bytes=_MOST_BYTES), str(file))
    bills = billed(read.hours, read.rules)
    notes = notes_of(bills)
    if output == "json":
        write(document_text(bills, notes))
    else:
        write(terminal_text(bill_view(bills, notes)))


@app.command("list")
def list_held(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="What is held, in YAML or JSON. [what --config holds, else commitments.yaml]",
        ),
    ] = None,
    config: ConfigOption = None,
    store: Annotated[
        Path | None, typer.Option("--store", metavar="PATH", help="Its store, for what is used.")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", metavar="FILE", help="Prices that the store does not have."),
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Show what is held, what of it is used this hour and this month, and until when.

    What ends first stands at the top. Use is that of the machines of one cluster's store.
    """
    from costplan.adapters.clock import utc_now
    from costplan.cli.commitments_view import held_text, held_view
    from costplan.cli.render import terminal_text, write
    from costplan.planner.errors import InputError

    check_word("--format", output, FORMATS)
    read = _held(file, config)
    held = read.commitments
    now, used = utc_now(), None
    if config is not None or store is not None:
        from costplan.cli.commitments_use import use_of

        used = use_of(config, store, prices, read, now)
    elif prices is not None:
        raise InputError("--prices", "is for what is used", "add --store or --config")
    if output == "json":
        write(held_text(held, now, used) + "\n")
    else:
        write(terminal_text(held_view(held, now, used)))


def _held(file: Path | None, config: Path | None) -> Held:
    """What a file holds, or what a configuration that holds anything does."""
    from costplan.adapters.text_file import read_text
    from costplan.planner.commitments.file import GUIDE
    from costplan.planner.held.config import parse_held

    if file is None and config is not None:
        from costplan.cli.config_file import read_config

        found = read_config(config).settings.held
        if found.is_any:
            return found
    path = file or DEFAULT_FILE
    absent = f"see {GUIDE} for an example"
    return parse_held(read_text(path, absent=absent, most_bytes=_MOST_BYTES), str(path))


app.command("import")(import_held)
app.command()(advise)
app.command()(renewals)
