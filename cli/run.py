"""`costplan run`: the daemon that holds a cluster on the cheapest fleet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The autoscaler's file.")
    ] = Path("costplan.yaml"),
) -> None:
    """Hold a running Dask cluster on the cheapest fleet that does its work in time.

    Runs until SIGTERM or SIGINT and leaves the fleet as it is; `costplan down` ends it. SIGHUP
    reads the file again.
    """
    from costplan.cli.config_file import read_config
    from costplan.cli.daemon_process import run_daemon

    run_daemon(config, read_config(config))
