"""How much may change at once, so that a wrong decision is a small one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged
from costplan.planner.nodes import Node
from costplan.planner.standing import EMPTYING
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision, Phase


class BlastRadius:
    """Holds a tick to `max_launches`, and drains by choice to a share of the ready nodes.

    At most `max_drain_share` of the nodes that work or are being emptied by choice, and at least
    one, are emptied at once; those that began earlier count. The same holds for the nodes of each
    zone and `max_zone_drain_share`. A node that is not ready yet takes
    no work with it and does not count.
    """

    name = "blast_radius"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The first moves of the plan that are within the limits."""
        few = len(plan.moves) <= view.settings.safety.max_launches
        if few and not any(is_voluntary(move) for move in plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


@dataclass(slots=True, kw_only=True)
class _Share:
    """How many of some nodes may be emptied at once, and how many are."""

    most: int
    ready: int
    emptying: int
    where: str
    rule: str
    share: float


def _share(nodes: Iterable[Node], share: float, rule: str, where: str) -> _Share:
    there = tuple(nodes)
    emptying = sum(map(_is_emptied_by_choice, there))
    ready = emptying + sum(map(_is_ready, there))
    most = max(1, int(Decimal(repr(share)) * ready))
    return _Share(most=most, ready=ready, emptying=emptying, where=where, rule=rule, share=share)


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    safety, nodes = view.settings.safety, view.snapshot.nodes
    ready = {node.node_id: node for node in nodes if _is_ready(node)}
    everywhere = _share(nodes, safety.max_drain_share, "max_drain_share", "")
    zones: dict[str, list[Node]] = {}
    for node in nodes:
        zones.setdefault(_zone(node), []).append(node)
    of_zone = {
        name: _share(there, safety.max_zone_drain_share, "max_zone_drain_share", f" in {name}")
        for name, there in zones.items()
    }
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
            shares = (everywhere, of_zone[_zone(ready[move.node_id])])
            full = next((share for share in shares if share.emptying >= share.most), None)
            if full is not None:
                yield _refusal(move, full)
                continue
            for share in shares:
                share.emptying += 1
        yield move


def _zone(node: Node) -> str:
    return f"{node.key.provider}/{node.key.zone or node.key.region}"


def _is_ready(node: Node) -> bool:
    return node.phase is Phase.READY and node.drain is None


def _is_emptied_by_choice(node: Node) -> bool:
    return (
        node.drain is not None
        and node.drain.is_voluntary
        and (node.phase is Phase.READY or node.phase in EMPTYING)
    )


def _refusal(move: DrainNode, full: _Share) -> Refusal:
    return Refusal(
        move=move,
        decision=Decision.DEFER,
        reason=f"at most {full.most} of {full.ready} ready nodes{full.where} are emptied at once",
        numbers={full.rule: str(full.share), "ready": str(full.ready), "at_once": str(full.most)},
    )
