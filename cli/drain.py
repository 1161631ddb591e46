"""`costplan drain`: a node is emptied and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli import errors
from costplan.cli.cluster_options import ConfigFile, Discard, StoreFile, WaitFor, Yes

if TYPE_CHECKING:
    from costplan.adapters.store.cluster import Cluster


def drain(  # noqa: PLR0913, PLR0917 - one parameter a flag
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its id, as in `status --nodes`.")],
    config: ConfigFile = None,
    store: StoreFile = None,
    discard: Discard = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it is gone.")] = False,
    timeout: WaitFor = None,
    yes: Yes = False,
) -> None:
    """Empty a node and end it.

    Running tasks are waited for and results that only it holds are copied first; with --discard
    they may be lost.
    """
    from costplan.cli.cluster_store import note_if_dead, opened
    from costplan.cli.confirm import confirm
    from costplan.cli.until import parse_wait
    from costplan.planner.errors import InputError
    from costplan.planner.loss import discard_lines, drain_lines, held_by
    from costplan.planner.tick import DrainRequest
    from costplan.planner.types import Phase

    seconds = parse_wait("--timeout", timeout)
    if seconds is not None and not wait:
        raise InputError("--timeout", "says how long to wait, and nothing is", "add --wait")
    with opened(config, store, read_only=False) as cluster:
        found = cluster.find_node(node)
        if found.phase is Phase.GONE:
            raise InputError(node, f"is gone since {found.phase_since:%Y-%m-%d %H:%M:%S} UTC")
        if wait and not cluster.is_alive():
            raise InputError("--wait", "no daemon runs, so nothing would happen", "start it")
        held = held_by([found], cluster.state().load)
        for line in discard_lines(held) if discard else drain_lines(held):
            errors.note(line)
        confirm(f"Drain {found.node_id}?", yes=yes)
        request = DrainRequest(node_id=found.node_id, requested_at=cluster.now(), discard=discard)
        cluster.store.request_drain(request)
        typer.echo(f"{found.node_id} is drained from the daemon's next look on")
        note_if_dead(cluster, "the request is kept for the next start")
        if wait:
            _until_gone(cluster, found.node_id, seconds)


def _until_gone(cluster: Cluster, node_id: str, seconds: int | None) -> None:
    from costplan.cli.waiting import wait_until
    from costplan.planner.types import Phase

    def phase() -> str:
        return str(cluster.find_node(node_id).phase)

    wait_until(phase, str(Phase.GONE), subject=node_id, seconds=seconds, is_alive=cluster.is_alive)
