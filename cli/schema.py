"""`costplan schema`: the published forms of what commands write."""

from __future__ import annotations

import typer

from costplan.cli.errors import CommandGroup

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)


@app.callback()
def schema() -> None:
    """Print the JSON Schemas of what commands write."""


@app.command()
def plan() -> None:
    """Print the JSON Schema of what `recommend --format json` writes."""
    import json

    from costplan.cli.render import write
    from costplan.planner.plan_schema import json_schema

    write(json.dumps(json_schema(), indent=2) + "\n")
