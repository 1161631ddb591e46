"""The life of a node: which phase follows which, and what in the world causes it.

    INTENDED -> REQUESTED -> BOOTING -> READY -> CORDONED -> RETIRING -> TERMINATING -> GONE
                    |  ^                  ^__________|__________|
                    v  |
                 UNCERTAIN          LOST -> GONE

Nothing leaves GONE. From every other phase GONE can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from costplan.planner.errors import InvariantBroken
from costplan.planner.nodes import Node
from costplan.planner.types import Phase

EDGES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.INTENDED: frozenset(
            {
                Phase.REQUESTED,  # the intention is on disk; the launch may be sent
                Phase.GONE,  # called off before anything was sent
            }
        ),
        Phase.REQUESTED: frozenset(
            {
                Phase.BOOTING,  # the provider said yes, or lists a machine with our token
                Phase.UNCERTAIN,  # sent, and no answer came
                Phase.GONE,  # a definite no: capacity, quota, a wrong request
            }
        ),
        Phase.UNCERTAIN: frozenset(
            {
                Phase.BOOTING,  # the same request, sent again, was answered, or it is listed
                Phase.GONE,  # the same request, sent again, got a definite no
            }
        ),
        Phase.BOOTING: frozenset(
            {
                Phase.READY,  # the scheduler knows all of its workers
                Phase.CORDONED,  # ordered away with some workers there already
                Phase.TERMINATING,  # ordered away, or it never joined
                Phase.LOST,  # no longer listed
                Phase.GONE,  # listed as ended
            }
        ),
        Phase.READY: frozenset(
            {
                Phase.CORDONED,  # a drain was ordered
                Phase.TERMINATING,  # its workers are gone and do not come back
                Phase.LOST,  # no longer listed
                Phase.GONE,  # listed as ended: reclaimed, or failed
            }
        ),
        Phase.CORDONED: frozenset(
            {
                Phase.RETIRING,  # nothing runs any more, or the wait is over
                Phase.READY,  # called off
                Phase.TERMINATING,  # its workers have left
                Phase.LOST,
                Phase.GONE,
            }
        ),
        Phase.RETIRING: frozenset(
            {
                Phase.TERMINATING,  # every worker left with nothing lost, or may be discarded
                Phase.READY,  # refused, and nothing forces it
                Phase.LOST,
                Phase.GONE,
            }
        ),
        Phase.TERMINATING: frozenset(
            {
                Phase.GONE,  # listed as ended, or no longer listed
            }
        ),
        Phase.LOST: frozenset({Phase.GONE}),  # accounted for
        Phase.GONE: frozenset(),
    }
)


def enter(node: Node, phase: Phase, now: datetime, cause: str) -> Node:
    """The node in another phase, with the step in its history; raises on a step that is none."""
    if phase not in EDGES[node.phase]:
        story = " ".join(f"{p}@{at:%H:%M:%S}({why})" for p, at, why in node.history)
        raise InvariantBroken(f"{node.node_id}: {node.phase} -> {phase} ({cause}) after {story}")
    return replace(
        node,
        phase=phase,
        phase_since=now,
        history=(*node.history, (phase, now, cause)),
    )
