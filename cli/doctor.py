"""`costplan doctor`: whether everything that a run needs is there, without changing anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from costplan.planner.daemon_config import DaemonConfig
    from costplan.planner.doctor import Finding

FORMATS = ("table", "json")


def doctor(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The autoscaler's file.")
    ] = Path("costplan.yaml"),
    timeout: Annotated[
        float, typer.Option(min=1, help="How long checks may take, in seconds.")
    ] = 60.0,
    output: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
) -> None:
    """Check all that `costplan run` needs, from credentials to the store.

    Nothing is changed; it may be run beside the daemon.

    Exit codes: 0 no problem, 1 at least one.
    """
    from costplan.adapters.clock import utc_now
    from costplan.cli.doctor_view import doctor_view, document_text
    from costplan.cli.logs import quiet_libraries
    from costplan.cli.render import terminal_text, write
    from costplan.planner.doctor import Health

    errors.check_word("--format", output, FORMATS)
    quiet_libraries()
    at = utc_now()
    found = _findings(config, timeout)
    if output == "json":
        write(document_text(found, at))
    else:
        write(terminal_text(doctor_view(found)))
    if any(one.health is Health.PROBLEM for one in found):
        raise typer.Exit(errors.BAD_INPUT)


def _findings(path: Path, seconds: float) -> Sequence[Finding]:
    """What all checks find, those without a configuration where there is none."""
    from costplan.adapters.checks import run_checks
    from costplan.adapters.clock import utc_now
    from costplan.cli.config_file import read_config
    from costplan.cli.doctor_checks import cluster_checks, extras_findings
    from costplan.planner.doctor import not_checked, ok, problem, settled
    from costplan.planner.errors import InputError

    file: DaemonConfig | None = None
    try:
        file = read_config(path)
    except InputError as error:
        way_out = "costplan init writes one" if not path.exists() else error.remedy
        head = problem("configuration", f"{error.subject}: {error.problem}", way_out)
    else:
        head = ok("configuration", f"{path}: cluster {file.settings.cluster}")
    extras = extras_findings(None if file is None else file.provider)
    if file is None:
        rest = not_checked("the rest", "needs a configuration that can be read")
        return (head, *extras, rest)
    return settled((head, *extras, *run_checks(cluster_checks(file, utc_now), seconds)))
