"""What is left of machines that have ended by themselves: it is paid for until it is ended too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costplan.planner.nodes import Node, ProviderNode
from costplan.planner.tick import Terminate


def clear_away(
    machines: Sequence[ProviderNode], nodes: Mapping[str, Node]
) -> tuple[Terminate, ...]:
    """Ends what is left of machines that have ended by themselves, whether or not a node is known
    for them, in the order of their ids."""
    by_id = {node.provider_id: node_id for node_id, node in nodes.items()}
    return tuple(
        Terminate(
            node_id=by_id.get(machine.provider_id) or machine.node_id or machine.provider_id,
            provider_id=machine.provider_id,
        )
        for machine in sorted(machines, key=lambda one: one.provider_id)
        if machine.remains
    )
