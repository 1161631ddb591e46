"""What `dask scheduler --preload costplan.adapters.dask.preload` loads.

    dask scheduler --preload costplan.adapters.dask.preload --costplan-token-file /etc/token

Without a token there are no routes, and the scheduler starts all the same. Who adapts the cluster
with `CostAwareAdaptive` needs none: Dask's own messages are answered in any case, and the page
`/costplan` and the figures on `/metrics`, which ask for no token, are there.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import click

from costplan.adapters.dask.plugin import CostplanPlugin
from costplan.adapters.dask.routes import handlers
from costplan.adapters.dask.session import session_of, show_costs
from costplan.adapters.dask.token_file import checked_token, read_token
from costplan.planner.errors import InputError

logger = logging.getLogger("distributed.costplan")


def install(scheduler: Any, token: str) -> CostplanPlugin:
    """The plugin that a scheduler now runs; its HTTP server answers to the token from here on.

    For a scheduler in this process, as with LocalCluster; a second call changes nothing. Raises
    InputError where the token is none.
    """
    token = checked_token(token, "token")
    session = session_of(scheduler)
    show_costs(scheduler)
    if not session.plugin.has_routes:
        session.plugin.has_routes = True
        routes = handlers(token, session.sampler, session.drains, time.time)
        scheduler.http_application.add_handlers(".*", routes)
    return session.plugin


@click.command()
@click.option(
    "--costplan-token-file", envvar="COSTPLAN_TOKEN_FILE", type=click.Path(path_type=Path)
)
@click.option("--costplan-token", envvar="COSTPLAN_TOKEN", hidden=True)
def dask_setup(
    scheduler: Any, costplan_token_file: Path | None, costplan_token: str | None
) -> None:
    """Serves load and drains to a daemon that shows the token in a file (or in COSTPLAN_TOKEN), and
    to the sessions of people who adapt the cluster by Dask's own messages."""
    show_costs(scheduler)
    try:
        if costplan_token_file is not None:
            token = read_token(costplan_token_file)
        elif costplan_token is not None:
            token = checked_token(costplan_token, "COSTPLAN_TOKEN")
        else:
            logger.info("costplan: no routes for a daemon, as no token is given")
            return
    except InputError as error:
        logger.error("costplan: no routes, so no daemon can see this scheduler: %s", error)
        return
    install(scheduler, token)
    server = getattr(scheduler, "http_server", None)
    logger.info("costplan: serving load and drains on port %s", getattr(server, "port", "?"))
