"""The flags that say which cluster or cloud a command is about, the same for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The autoscaler's file. [costplan.yaml]"),
]
StoreFile = Annotated[
    Path | None,
    typer.Option("--store", metavar="PATH", help="Its store, where there is no file."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Discard = Annotated[
    bool, typer.Option("--discard", help="Do not wait: results that nobody else holds may go.")
]
WaitFor = Annotated[
    str | None, typer.Option("--timeout", metavar="DURATION", help="Wait at most so long.")
]
Cloud = Annotated[
    str | None,
    typer.Option(metavar="CLOUD", help="aws, gcp or azure; else that of the configuration."),
]
CloudAccount = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Google's project, or Azure's subscription; else the configured one."
    ),
]
CloudFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="An autoscaler's file, for region and credentials."),
]
