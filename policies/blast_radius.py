"""How much may change at once, so that a wrong decision is a small one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged
from costplan.planner.nodes import Node
from costplan.planner.standing import EMPTYING
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision, Phase


class BlastRadius:
    """Holds a tick to `max_launches`, and drains by choice to a share of the ready nodes.

    At most `max_drain_share` of the nodes that work or are being emptied by choice, and at least
    one, are emptied at once; those that began earlier count. A node that is not ready yet takes
    no work with it and does not count.
    """

    name = "blast_radius"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The first moves of the plan that are within the limits."""
        return judged(self.name, _sorted_out(plan, view))


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    safety = view.settings.safety
    emptying = sum(_is_emptied_by_choice(node) for node in view.snapshot.nodes)
    ready = {n.node_id for n in view.snapshot.nodes if n.phase is Phase.READY and n.drain is None}
    all_ready = emptying + len(ready)
    most = max(1, int(Decimal(repr(safety.max_drain_share)) * all_ready))
    launched = 0
    for move in plan.moves:
        if isinstance(move, NewNode):
            launched += 1
            if launched > safety.max_launches:
                yield Refusal(
                    move=move,
                    decision=Decision.DEFER,
                    reason=f"at most {safety.max_launches} machines are asked for at once",
                    numbers={"max_launches": str(safety.max_launches)},
                )
                continue
        elif is_voluntary(move) and move.node_id in ready:
            if emptying >= most:
                yield _refusal(move, most, all_ready, safety.max_drain_share)
                continue
            emptying += 1
        yield move


def _is_emptied_by_choice(node: Node) -> bool:
    return (
        node.drain is not None
        and node.drain.is_voluntary
        and (node.phase is Phase.READY or node.phase in EMPTYING)
    )


def _refusal(move: DrainNode, most: int, ready: int, share: float) -> Refusal:
    return Refusal(
        move=move,
        decision=Decision.DEFER,
        reason=f"at most {most} of {ready} ready nodes are emptied at once",
        numbers={"max_drain_share": str(share), "ready": str(ready), "at_once": str(most)},
    )
