"""No coming and going: a node lives a while, and is exchanged only where that pays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged
from costplan.planner.nodes import Cause, Node
from costplan.planner.standing import rates
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision

_HOUR = Decimal(3600)


class Churn:
    """Holds drains by choice to a least age, and exchanges to paying for themselves.

    A node is given up by choice `min_node_seconds` after its last worker joined (until then:
    after its launch) at the earliest. An exchange must save, within the horizon, what the drain
    and the boot of the replacement cost; a cost that nobody knows is not a small one.
    """

    name = "churn"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without drains that come too early or do not pay back."""
        if not any(is_voluntary(move) for move in plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    nodes = {node.node_id: node for node in view.snapshot.nodes}
    boots = _boots(plan, view)
    for move in plan.moves:
        refusal = None
        if isinstance(move, DrainNode) and is_voluntary(move):
            refusal = _too_young(move, nodes.get(move.node_id), view)
            if refusal is None and move.cause is Cause.DEARER:
                refusal = _not_worth_it(move, boots.get(move.node_id), plan.horizon_seconds)
        yield refusal or move


def _too_young(move: DrainNode, node: Node | None, view: GuardView) -> Refusal | None:
    least = timedelta(seconds=view.settings.safety.min_node_seconds)
    if node is None:
        return None
    since = node.ready_at or node.launched_at or node.phase_since
    age = view.snapshot.at - since
    if age >= least:
        return None
    return Refusal(
        move=move,
        decision=Decision.DEFER,
        reason=f"it is younger than {view.settings.safety.min_node_seconds} s",
        numbers={"age_seconds": f"{age.total_seconds():.0f}"},
    )


def _not_worth_it(move: DrainNode, boot_usd: Decimal | None, horizon: int) -> Refusal | None:
    if boot_usd is None:
        return Refusal(
            move=move,
            decision=Decision.DENY,
            reason="what a machine in its place costs to boot is not known",
        )
    saved = move.saving_usd_per_hour * horizon / _HOUR
    costs = move.drain_usd + boot_usd
    if saved >= costs:
        return None
    return Refusal(
        move=move,
        decision=Decision.DENY,
        reason=f"the exchange does not pay back within {horizon} s",
        numbers={
            "saves_usd": f"{saved:.6f}",
            "drain_usd": f"{move.drain_usd:.6f}",
            "boot_usd": f"{boot_usd:.6f}",
        },
    )


def _boots(plan: MovePlan, view: GuardView) -> dict[str, Decimal]:
    """Dollars of the boots that come with each exchange, by the node that goes.

    A machine that replaces several nodes is shared evenly. An exchange that names no machine is
    taken for one at the node's own rate.
    """
    hours = Decimal(view.settings.scaling.boot_seconds) / _HOUR
    boots: dict[str, Decimal] = {}
    for move in plan.moves:
        if isinstance(move, NewNode) and move.replaces:
            for node_id in move.replaces:
                share = move.usd_per_hour * hours / len(move.replaces)
                boots[node_id] = boots.get(node_id, Decimal(0)) + share
    dearer = {m.node_id for m in plan.moves if isinstance(m, DrainNode) and m.cause is Cause.DEARER}
    if dearer - boots.keys():
        known = rates(view.snapshot, view.state).usd_per_hour
        for node_id in dearer - boots.keys():
            if node_id in known:
                boots[node_id] = known[node_id] * hours
    return boots
