"""No coming and going: a node lives a while, and is exchanged only where that pays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged, launches
from costplan.planner.learn import (
    boot_seconds,
    boots_of_offer,
    exchange_name,
    no_return_seconds,
)
from costplan.planner.nodes import Cause, Node
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision

_HOUR = Decimal(3600)


class Churn:
    """Holds drains by choice to a least age, and exchanges to paying for themselves.

    A node is given up by choice `min_node_seconds` after its last worker joined (until then:
    after its launch) at the earliest. An exchange must save, within the horizon, in price and in
    interruptions that are expected, what its drains and the boots of the machines in their place
    cost. And nodes are not exchanged for an offer that they, or their like, were exchanged from a
    moment ago (twice the horizon).
    """

    name = "churn"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves without drains that come too early or do not pay back."""
        if not any(is_voluntary(move) for move in plan.moves):
            return Judgement(moves=plan.moves)
        return judged(self.name, _sorted_out(plan, view))


@dataclass(slots=True, kw_only=True)
class _Deal:
    """Drains for a better price with the launches in their place, which only go together."""

    drains: list[DrainNode]
    launches: list[NewNode]

    def numbers(self, view: GuardView, horizon_seconds: int, runs: int) -> dict[str, Decimal]:
        """Dollars that the deal saves within the horizon and costs, as `runs` workers are
        replaced: of a launch that brings more, only their part counts.

        A drain that names no launch is taken for an exchange at its own saving.
        """
        brought = sum(sum(launch.workers.values()) for launch in self.launches)
        rate = sum((launch.usd_per_hour for launch in self.launches), Decimal(0))
        part = rate * runs / brought if 0 < runs < brought else rate
        saved = sum((drain.saving_usd_per_hour for drain in self.drains), Decimal(0))
        risk = sum((drain.risk_usd_per_hour for drain in self.drains), Decimal(0))
        new = sum((launch.risk_usd_per_hour for launch in self.launches), Decimal(0))
        risk -= new * runs / brought if 0 < runs < brought else new
        return {
            "saves_usd": (saved + risk - part) * horizon_seconds / _HOUR,
            "drain_usd": sum((drain.drain_usd for drain in self.drains), Decimal(0)),
            "boot_usd": self._boot_usd(view, saved) * (part / rate if rate else 1),
        }

    def _boot_usd(self, view: GuardView, saved: Decimal) -> Decimal:
        """What the machines in their place cost until they work, by the boots of their offers."""
        learnt, settings = view.state.learnt, view.settings
        if not self.launches:
            return saved * Decimal(repr(boot_seconds(learnt, settings))) / _HOUR
        return sum(
            (
                launch.usd_per_hour
                * Decimal(repr(boots_of_offer(learnt, settings, str(launch.keys[0]))))
                / _HOUR
                for launch in self.launches
            ),
            Decimal(0),
        )


def _sorted_out(plan: MovePlan, view: GuardView) -> Iterator[Move | Refusal]:
    nodes = {node.node_id: node for node in view.snapshot.nodes}
    losses = _losses(plan, view, nodes)
    back = _back(plan, view, nodes)
    for move in plan.moves:
        refusal = None
        if isinstance(move, DrainNode) and is_voluntary(move):
            refusal = _too_young(move, nodes.get(move.node_id), view)
            if refusal is None and move.node_id in losses:
                refusal = Refusal(
                    move=move,
                    decision=Decision.DENY,
                    reason=f"the exchange does not pay back within {plan.horizon_seconds} s",
                    numbers=losses[move.node_id],
                )
            elif refusal is None and move.node_id in back:
                at = back[move.node_id]
                refusal = Refusal(
                    move=move,
                    decision=Decision.DENY,
                    reason="it would be exchanged back for what it was exchanged from",
                    numbers={"exchanged_at": f"{at:%Y-%m-%d %H:%M:%S} UTC"},
                )
        yield refusal or move


def _too_young(move: DrainNode, node: Node | None, view: GuardView) -> Refusal | None:
    if node is None:
        return None
    least = view.settings.safety.min_node_seconds
    age = view.snapshot.at - (node.ready_at or node.launched_at or node.phase_since)
    if age >= timedelta(seconds=least):
        return None
    return Refusal(
        move=move,
        decision=Decision.DEFER,
        reason=f"it is younger than {least} s",
        numbers={"age_seconds": f"{age.total_seconds():.0f}"},
    )


def _losses(
    plan: MovePlan, view: GuardView, nodes: Mapping[str, Node]
) -> dict[str, Mapping[str, str]]:
    """The numbers of each exchange that does not pay back, by the nodes that it would end."""
    losses: dict[str, Mapping[str, str]] = {}
    for deal in _deals(plan):
        there = [drain.node_id for drain in deal.drains if drain.node_id in nodes]
        runs = sum(len(nodes[node_id].request.workers) for node_id in there)
        numbers = deal.numbers(view, plan.horizon_seconds, runs)
        if numbers["saves_usd"] < numbers["drain_usd"] + numbers["boot_usd"]:
            shown = {name: f"{usd:.6f}" for name, usd in numbers.items()}
            losses |= {drain.node_id: shown for drain in deal.drains}
    return losses


def _back(plan: MovePlan, view: GuardView, nodes: Mapping[str, Node]) -> dict[str, datetime]:
    """Nodes whose exchange undoes one of a moment ago, and when that was."""
    oldest = view.snapshot.at - timedelta(seconds=no_return_seconds(view.settings))
    done = {n: at for n, at in view.state.learnt.exchanged.items() if at > oldest}
    found: dict[str, datetime] = {}
    for move in launches(plan.moves) if done else ():
        for node_id in move.replaces:
            node = nodes.get(node_id)
            at = None if node is None else done.get(exchange_name(move.keys[0], node.key))
            if at is not None:
                found[node_id] = at
    return found


def _deals(plan: MovePlan) -> list[_Deal]:
    """The exchanges of a plan, apart: two that share a node or a machine are one."""
    deals = {
        move.node_id: _Deal(drains=[move], launches=[])
        for move in plan.moves
        if isinstance(move, DrainNode) and move.cause is Cause.DEARER
    }
    for move in plan.moves:
        if not isinstance(move, NewNode):
            continue
        named = [node_id for node_id in move.replaces if node_id in deals]
        for node_id in named:
            joined, other = deals[named[0]], deals[node_id]
            if other is not joined:
                joined.drains += other.drains
                joined.launches += other.launches
                deals |= {drain.node_id: joined for drain in other.drains}
        if named:
            deals[named[0]].launches.append(move)
    return list({id(deal): deal for deal in deals.values()}.values())
