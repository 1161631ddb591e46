"""`costplan`: the program that a person starts.

Nothing heavy is imported here or at the top of a command's file, so that help answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from costplan.cli import (
    apply,
    budget,
    commitments,
    deliveries,
    doctor,
    down,
    drain,
    explain,
    focus,
    forecast,
    init,
    ledger,
    pause,
    prices,
    recommend,
    reconcile,
    reload,
    replay,
    report,
    run,
    schema,
    simulate,
    status,
)
from costplan.cli.errors import CommandGroup

app = typer.Typer(
    name="costplan",
    cls=CommandGroup,
    no_args_is_help=True,
    # Help in rich's boxes takes three times as long to come.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"costplan {version('costplan')}")
        raise typer.Exit


@app.callback()
def costplan(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The cheapest fleet of cloud machines that still gets a Dask workload done in time."""


app.command()(init.init)
app.command()(doctor.doctor)
app.command()(recommend.recommend)
app.command()(apply.apply)
app.command()(run.run)
app.command()(status.status)
app.command()(explain.explain)
app.command()(forecast.forecast)
app.command()(pause.pause)
app.command()(pause.resume)
app.command()(drain.drain)
app.command()(down.down)
app.command()(reload.reload)
app.command()(replay.replay)
app.command()(report.report)
app.command()(reconcile.reconcile)
app.command()(simulate.simulate)
app.add_typer(budget.app, name="budget")
app.add_typer(commitments.app, name="commitments")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(ledger.app, name="ledger")
app.add_typer(prices.app, name="prices")
app.add_typer(schema.app, name="schema")
app.add_typer(focus.app, name="focus")


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    app()


if __name__ == "__main__":
    main()
