"""`costplan down`: the whole fleet is emptied and ended."""

from __future__ import annotations

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
    from costplan.planner.loss import discard_lines, end_lines, held_by
    from costplan.planner.wording import counted, usd

    seconds = parse_wait("--timeout", timeout)
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
        file = cluster.config
    _by_itself(file, seconds)


def _until_empty(cluster: Cluster, seconds: int | None) -> None:
    from costplan.cli.waiting import wait_until
    from costplan.planner.loss import left_text

    def left() -> str:
        nodes = cluster.nodes_alive()
        return left_text(nodes, cluster.state().load) if nodes else NOTHING_LEFT

    wait_until(left, NOTHING_LEFT, subject="fleet", seconds=seconds, is_alive=cluster.is_alive)


def _by_itself(file: DaemonConfig | None, seconds: int | None) -> None:
    """Runs the loop here until no machine is left, since nobody else does; ends the command with
    NOT_YET where it was broken off or the time was over before."""
    from costplan.planner.errors import InputError

    if file is None:
        raise InputError(
            "--store",
            "no daemon runs, and ending machines takes the cluster's file",
            "give --config FILE; the request is kept",
        )
    from costplan.cli.daemon_process import run_until_down

    errors.note("no daemon runs: this command ends the machines itself")
    if not run_until_down(file, seconds):
        raise errors.Ended(
            "machines are or may be left, and no daemon runs; the request stands: "
            "`costplan down` or `costplan run` goes on with it",
            errors.NOT_YET,
        )
    typer.echo(f"fleet: {NOTHING_LEFT}")
