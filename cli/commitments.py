"""`costplan commitments`: what is bought ahead, and what an hour costs with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costplan.cli.advise import advise, renewals
from costplan.cli.errors import CommandGroup, check_word

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")
_MOST_BYTES = 64 * 2**20


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
        Path, typer.Option("--file", metavar="FILE", help="What is held, in YAML or JSON.")
    ] = Path("commitments.yaml"),
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Show what is held, what an hour of it costs, and until when, what ends first at the top."""
    from costplan.adapters.clock import utc_now
    from costplan.adapters.text_file import read_text
    from costplan.cli.commitments_view import held_text, held_view
    from costplan.cli.render import terminal_text, write
    from costplan.planner.commitments.file import GUIDE, parse_commitments

    check_word("--format", output, FORMATS)
    way_out = f"see {GUIDE} for an example"
    held = parse_commitments(read_text(file, absent=way_out, most_bytes=_MOST_BYTES), str(file))
    now = utc_now()
    write(held_text(held, now) + "\n" if output == "json" else terminal_text(held_view(held, now)))


app.command()(advise)
app.command()(renewals)
