"""What may be done with what is known: all, only the floor, or nothing; and at which prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged, launches
from costplan.planner.price_trust import doubts
from costplan.planner.standing import is_staying, workers_by_kind
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision, Gap, Mode, OfferKey

_MOST_GAPS = 3


class Trust:
    """Holds the plan to the snapshot's mode.

    `full` allows every move. `hold` allows drains that something forces, and launches up to the
    minimum of each kind of worker. `observe` allows nothing. The gaps are named.

    Offers whose price cannot be trusted (`price_trust.py`) are struck from launches.
    """

    name = "trust"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves that the mode allows."""
        wanted = {key for move in launches(plan.moves) for key in move.keys}
        quotes, now = view.snapshot.quotes, view.snapshot.at
        doubted = doubts(wanted, quotes, view.settings, now)
        if view.snapshot.mode is Mode.FULL and not doubted:
            return Judgement(moves=plan.moves)
        first = judged(self.name, _priced(plan.moves, doubted))
        if view.snapshot.mode is Mode.FULL:
            return first
        then = judged(self.name, _sorted_out(first.moves, view))
        return Judgement(moves=then.moves, verdicts=(*first.verdicts, *then.verdicts))


def _priced(moves: Sequence[Move], doubted: Mapping[OfferKey, str]) -> Iterator[Move | Refusal]:
    """Launches without the offers whose price is doubted."""
    for move in moves:
        why = (
            [doubted[key] for key in move.keys if key in doubted]
            if isinstance(move, NewNode)
            else []
        )
        if not isinstance(move, NewNode) or not why:
            yield move
            continue
        left = tuple(key for key in move.keys if key not in doubted)
        decision = Decision.TRIM if left else Decision.DEFER
        numbers = {"offers_struck": str(len(why)), "offers_asked": str(len(move.keys))}
        yield Refusal(move=move, decision=decision, reason=why[0], numbers=numbers)
        if left:
            yield replace(move, keys=left)


def _sorted_out(moves: Sequence[Move], view: GuardView) -> Iterator[Move | Refusal]:
    mode, gaps = view.snapshot.mode, view.snapshot.gaps
    missing = _missing(moves, view)
    for move in moves:
        if mode is Mode.HOLD and _is_safe(move, missing):
            yield move
            if isinstance(move, NewNode):
                for kind, count in move.workers.items():
                    missing[kind] = missing.get(kind, 0) - count
        else:
            yield Refusal(
                move=move,
                decision=Decision.DEFER,
                reason=f"mode {mode} ({_named(gaps)})",
                numbers={"mode": str(mode), "gaps": str(len(gaps))},
            )


def _missing(moves: Sequence[Move], view: GuardView) -> dict[str, int]:
    """Workers of each kind below its minimum once what must be drained is."""
    forced = {m.node_id for m in moves if isinstance(m, DrainNode) and not is_voluntary(m)}
    staying = workers_by_kind(
        node for node in view.snapshot.nodes if is_staying(node) and node.node_id not in forced
    )
    return {kind.name: kind.minimum - staying[kind.name] for kind in view.settings.kinds}


def _is_safe(move: Move, missing: dict[str, int]) -> bool:
    """True of a drain that something forces, and of a launch for a kind below its minimum."""
    if isinstance(move, DrainNode):
        return not is_voluntary(move)
    return not move.replaces and any(missing.get(kind, 0) > 0 for kind in move.workers)


def _named(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return "something is not known"
    named = "; ".join(f"{gap.kind}: {gap.subject}" for gap in gaps[:_MOST_GAPS])
    more = len(gaps) - _MOST_GAPS
    return f"{named}; and {more} more" if more > 0 else named
