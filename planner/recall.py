"""Drains by choice that are taken back, because the work came back first or no heir comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costplan.planner.fleet_view import packing
from costplan.planner.nodes import Cause, DrainOrder, Node
from costplan.planner.settings import WorkerKind
from costplan.planner.types import Phase

_STILL_THERE = (Phase.READY, Phase.CORDONED)


def recalled(
    nodes: Mapping[str, Node], short: Mapping[str, int], kinds: Mapping[str, WorkerKind]
) -> dict[str, Node]:
    """The nodes, those without their order that were surplus and cover what is `short` now.

    Workers by kind. A node that is being retired goes: its workers may have left already.
    """
    found, left = dict(nodes), {kind: count for kind, count in short.items() if count > 0}
    going = [
        node
        for node in nodes.values()
        if node.drain is not None
        and node.drain.cause is Cause.SURPLUS
        and node.drain.must_end_by is None
        and node.phase in _STILL_THERE
    ]
    for node in sorted(going, key=lambda n: (n.phase is not Phase.READY, n.node_id)):
        brings = [(kind, count) for kind, count in packing(node, kinds) if left.get(kind, 0) > 0]
        if not brings:
            continue
        for kind, count in brings:
            left[kind] -= count
        found[node.node_id] = replace(node, drain=None)
    return found


def keep_without_heirs(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The nodes, those without their order that nothing is coming for any more: they stay, and
    nothing is planned in their place."""
    return {
        node_id: replace(node, drain=None)
        if node.phase is Phase.READY and node.drain is not None and is_heirless(node.drain, nodes)
        else node
        for node_id, node in nodes.items()
    }


def is_heirless(order: DrainOrder, nodes: Mapping[str, Node]) -> bool:
    """True where a node that was to take its place is gone, or goes too."""
    heirs = [nodes.get(node_id) for node_id in order.after]
    return any(h is None or h.phase is Phase.GONE or h.drain is not None for h in heirs)
