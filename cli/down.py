"""`costplan down`: the whole fleet is emptied and ended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, Discard, StoreFile, WaitFor, Yes

if TYPE_CHECKING:
    from costplan.adapters.store.cluster import Cluster
    from costplan.planner.daemon_config import DaemonConfig

NOTHING_LEFT = "no machines"


def down(
    config: ConfigFile = None,
    store: StoreFile = None,
    discard: Discard = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return when all are gone.")
    ] = True,
    timeout: WaitFor = None,
    yes: Yes = False,
) -> None:
    """End every machine, and buy none until `resume`.

    Running tasks are waited for; with --discard they are cut off. Where no daemon runs, this
    command does the daemon's work until no machine is left.
    """
    from costplan.adapters.faults import reach
    from costplan.cli.cluster_store import note_if_dead, opened
    from costplan.cli.confirm import confirm
    from costplan.cli.until import parse_wait
    from costplan.planner.errors import InputError
    from costplan.planner.loss import discard_lines, end_lines, held_by
    from costplan.planner.wording import counted, usd

    seconds = parse_wait("--timeout", timeout)
    if seconds is not None and not wait:
        raise InputError("--timeout and --no-wait", "say two things", "give one of them")
    with opened(config, store, read_only=False) as cluster:
        nodes = cluster.nodes_alive()
        shown = cluster.status()
        errors.note(f"{counted(len(nodes), 'node')} of {usd(shown.usd_per_hour)}/h end")
        if nodes:
            held = held_by(nodes, cluster.state().load)
            for line in discard_lines(held) if discard else end_lines(held):
                errors.note(line)
        confirm("End the whole fleet?", yes=yes)
        cluster.store.request_down(discard)
        reach("down.requested")
        if not wait:
            typer.echo("the fleet is ended from the daemon's next look on")
            note_if_dead(cluster, "the request is kept for the next start")
            return
        if cluster.is_alive():
            _until_empty(cluster, seconds)
            return
        file, path = cluster.config, cluster.path
    _by_itself(file, path, seconds)


def _until_empty(cluster: Cluster, seconds: int | None) -> None:
    from costplan.cli.waiting import wait_until

    wait_until(
        lambda: _left(cluster),
        NOTHING_LEFT,
        subject="fleet",
        seconds=seconds,
        is_alive=cluster.is_alive,
    )


def _left(cluster: Cluster) -> str:
    from costplan.planner.loss import left_text

    nodes = cluster.nodes_alive()
    return left_text(nodes, cluster.state().load) if nodes else NOTHING_LEFT


def _by_itself(file: DaemonConfig | None, path: Path, seconds: int | None) -> None:
    """Runs the loop here, on the store that was asked, until no machine is left, since nobody else
    does.

    Ends the command with NOT_YET where the time was over or a signal came before that.
    """
    from dataclasses import replace

    from costplan.cli.cluster_store import opened
    from costplan.planner.errors import InputError

    if file is None:
        raise InputError(
            "--store",
            "no daemon runs, and ending machines takes the cluster's file",
            "give --config FILE; the request is kept",
        )
    from costplan.cli.daemon_process import run_until_down

    errors.note("no daemon runs: this command ends the machines itself")
    if not run_until_down(replace(file, store_path=str(path)), seconds):
        with opened(None, path, read_only=True) as cluster:
            left = _left(cluster)
        left = "not seen to be gone" if left == NOTHING_LEFT else left
        raise errors.Ended(
            f"fleet: {left}, and no daemon runs; the request stands: `costplan down` or "
            "`costplan run` goes on with it",
            errors.NOT_YET,
        )
    typer.echo(f"fleet: {NOTHING_LEFT}")
