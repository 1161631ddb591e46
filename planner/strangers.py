"""Machines with our tag that no journal knows and none of whose workers the scheduler knows.

After the loss of a store, with its scheduler, they are ours and of no use. Where two daemons of one
cluster name have a store each, they are the other's, and at work there: nobody can tell from the
machines, so it is said for as long as a boot may take before they are ended. What everybody has
forgotten ends itself sooner.
"""

from __future__ import annotations

from collections.abc import Iterable

from costplan.planner.load import Load
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.types import Gap, Phase
from costplan.planner.units import seconds_text

_MOST_NAMED = 3


def strangers(nodes: Iterable[Node], load: Load | None, settings: Settings) -> tuple[Gap, ...]:
    """What there is to be said of them: nothing where there are none, or nobody can know yet."""
    if load is None:
        return ()
    found = [
        node
        for node in nodes
        if node.phase is Phase.BOOTING and node.drain is None and not node.workers
    ]
    if not found:
        return ()
    named = ", ".join(node.provider_id or node.node_id for node in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED:,} more" if len(found) > _MOST_NAMED else ""
    limit = seconds_text(settings.scaling.boot_timeout_seconds)
    return (
        Gap(
            kind="strangers",
            subject=f"{named}{more} of cluster {settings.cluster}, which this store does not know "
            "and of whose workers this scheduler has none: if another daemon drives them, stop one "
            "of the two and give it a cluster name of its own",
            assumed=f"that they are left of a store that was lost: each is ended {limit} after it "
            "was found, unless its workers come",
            since=min(node.phase_since for node in found),
        ),
    )
