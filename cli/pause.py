"""`costplan pause` and `costplan resume`: nothing is decided for a while."""

from __future__ import annotations

from typing import Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, StoreFile


def pause(
    until: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="+30m, +2h, 2026-01-31T18:00Z. [until resumed]"),
    ] = None,
    config: ConfigFile = None,
    store: StoreFile = None,
) -> None:
    """Stop deciding until a time, or until resumed.

    Machines go on, the ledger goes on, and interruption notices are still answered; drains that
    have begun are ended.
    """
    from costplan.cli.cluster_store import note_if_dead, opened
    from costplan.cli.status_view import pause_text
    from costplan.cli.until import FOREVER, parse_until

    with opened(config, store, read_only=False) as cluster:
        now = cluster.now()
        end = FOREVER if until is None else parse_until("--until", until, now)
        cluster.store.pause(end)
        typer.echo(f"paused {pause_text(end, now)}")
        note_if_dead(cluster, "the pause is kept for the next start")


def resume(config: ConfigFile = None, store: StoreFile = None) -> None:
    """Decide again.

    Ends a pause and the hold of an applied plan, and calls off a `down`.
    """
    from costplan.cli.cluster_store import note_if_dead, opened

    with opened(config, store, read_only=False) as cluster:
        before, now = cluster.store.read_control(), cluster.now()
        ended = []
        if before.paused_until is not None:
            cluster.store.resume()
            ended += ["the pause"] if before.paused_until > now else []
        if before.down:
            cluster.store.clear_down()
            ended.append("the end of the fleet")
        applied = before.applied
        if applied is not None and before.applied_plan == applied.plan_id:
            cluster.store.clear_applied()
            held = applied.hold_until
            ended += ["the hold of the applied plan"] if held is not None and held > now else []
        if not ended:
            errors.note("nothing to resume from: it was not paused")
            return
        typer.echo(f"called off: {', '.join(ended)}")
        note_if_dead(cluster, "it decides again once it is started")
