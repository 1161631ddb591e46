"""The least number of workers of each kind that stay, whatever it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged, launches
from costplan.planner.nodes import Cause, Node
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
    rooms = [(move, Counter(move.workers)) for move in launches(plan.moves) if move.replaces]
    for move in plan.moves:
        node = nodes.get(move.node_id) if isinstance(move, DrainNode) else None
        if not isinstance(move, DrainNode) or not is_voluntary(move) or node is None:
            yield move
            continue
        net = workers_by_kind((node,))
        if move.cause is Cause.DEARER:
            net -= _take_room(node, rooms)
        short = next((k for k in sorted(net) if left[k] - net[k] < minimum.get(k, 0)), None)
        if short is None:
            left.subtract(net)
            yield move
        else:
            yield _refusal(move, short, left[short], minimum[short])


def _take_room(node: Node, rooms: Sequence[tuple[NewNode, Counter[str]]]) -> Counter[str]:
    """Workers that come in this node's place; each of them comes in the place of one only."""
    left, comes = workers_by_kind((node,)), Counter[str]()
    for launch, room in rooms:
        if node.node_id in launch.replaces:
            taken = left & room
            room.subtract(taken)
            comes += taken
            left -= taken
    return comes


def _refusal(move: DrainNode, kind: str, left: int, minimum: int) -> Refusal:
    return Refusal(
        move=move,
        decision=Decision.DENY,
        reason=f"at least {minimum} {kind!r} workers stay",
        numbers={"kind": kind, "workers": str(left), "minimum": str(minimum)},
    )
