"""The least number of workers of each kind that stay, whatever it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged
from costplan.planner.nodes import Cause
from costplan.planner.standing import is_staying, workers_by_kind
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision


class CapacityFloor:
    """Holds drains by choice to the minimum of each kind.

    Ready and coming workers count, of nodes that nothing has told to leave; drains that
    something forces count as done. An exchange counts the workers of the machines that come for
    it, since neither is done without the other; other launches do not count, for they may fail.
    """

    name = "capacity_floor"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without drains that would take a kind below its minimum."""
        if not any(is_voluntary(move) for move in plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    minimum = {kind.name: kind.minimum for kind in view.settings.kinds}
    nodes = {node.node_id: node for node in view.snapshot.nodes if is_staying(node)}
    forced = {
        move.node_id
        for move in plan.moves
        if isinstance(move, DrainNode) and not is_voluntary(move)
    }
    left = workers_by_kind(node for node in nodes.values() if node.node_id not in forced)
    brought = _brought(plan)
    for move in plan.moves:
        node = nodes.get(move.node_id) if isinstance(move, DrainNode) else None
        if not isinstance(move, DrainNode) or not is_voluntary(move) or node is None:
            yield move
            continue
        comes = brought.get(move.node_id, Counter()) if move.cause is Cause.DEARER else Counter()
        net = workers_by_kind((node,)) - comes
        short = next((k for k in sorted(net) if left[k] - net[k] < minimum.get(k, 0)), None)
        if short is None:
            left.subtract(net)
            yield move
        else:
            yield _refusal(move, short, left[short], minimum[short])


def _brought(plan: MovePlan) -> dict[str, Counter[str]]:
    """Workers that come for each node that is exchanged for one machine or more of its own.

    A machine that replaces several nodes is counted for none: one of the drains may be refused.
    """
    brought: dict[str, Counter[str]] = {}
    for move in plan.moves:
        if isinstance(move, NewNode) and len(move.replaces) == 1:
            brought.setdefault(move.replaces[0], Counter()).update(move.workers)
    return brought


def _refusal(move: DrainNode, kind: str, left: int, minimum: int) -> Refusal:
    return Refusal(
        move=move,
        decision=Decision.DENY,
        reason=f"at least {minimum} {kind!r} workers stay",
        numbers={"kind": kind, "workers": str(left), "minimum": str(minimum)},
    )
