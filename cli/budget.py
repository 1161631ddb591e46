"""`costplan budget`: what of it is burnt, and where it will stand at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile
from costplan.cli.errors import CommandGroup, check_word

if TYPE_CHECKING:
    from costplan.planner.finance.budgets import Burn

app = typer.Typer(cls=CommandGroup, no_args_is_help=True)

FORMATS = ("table", "json")
PASSED, WILL_PASS = 3, 2


@app.callback()
def budget() -> None:
    """Look at the budget of a cluster."""


@app.command()
def status(
    config: ConfigFile = None,
    store: StoreFile = None,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    detailed: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode", help="End with 2 where one will be passed, 3 where one is."
        ),
    ] = False,
) -> None:
    """Show what is burnt of each budget, its forecast, and when it will be passed."""
    from costplan.cli.budget_status import burns_of
    from costplan.cli.budget_view import budget_text, budget_view, is_over
    from costplan.cli.cluster_store import opened
    from costplan.cli.render import terminal_text, write

    check_word("--format", output, FORMATS)
    with opened(config, store, read_only=True) as cluster:
        burns, rate = burns_of(cluster)
    if output == "json":
        write(budget_text(burns, rate))
    else:
        write(terminal_text(budget_view(burns, rate)))
    code = _exit_code(burns, is_rate_passed=is_over(rate))
    if detailed and code:
        raise typer.Exit(code)


def _exit_code(burns: tuple[Burn, ...], *, is_rate_passed: bool) -> int:
    if is_rate_passed or any(burn.is_passed for burn in burns):
        return PASSED
    return WILL_PASS if any(burn.will_pass for burn in burns) else 0
