"""Times in which people want no change: the operator's pause, and the daily freeze windows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from costplan.planner.guard import GuardView, Judgement, Refusal, is_voluntary, judged
from costplan.planner.nodes import Cause
from costplan.planner.settings import Freeze
from costplan.planner.tick import DrainNode, Move, MovePlan
from costplan.planner.types import Decision

_STANDS_IN_A_PAUSE = (Cause.NOTICE, Cause.OPERATOR, Cause.DOWN)
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class Frozen:
    """Holds the plan to the pause and to the freeze windows (daily, UTC, start in and end out).

    A pause allows the drains that a cloud's notice or the operator's own word orders, nothing
    else. A window allows everything but drains by choice, and so nothing that only replaces.
    """

    name = "freeze"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """The moves that the clock and the operator allow."""
        now, until = view.snapshot.at, view.state.control.paused_until
        if until is not None and now < until:
            return judged(self.name, _paused(plan, until))
        for window in view.settings.safety.freezes:
            if is_in(window, now):
                return judged(self.name, _frozen(plan, window))
        return Judgement(moves=plan.moves)


def is_in(window: Freeze, now: datetime) -> bool:
    """True where a UTC instant lies in the window, which may go over midnight."""
    minute = now.hour * 60 + now.minute
    if window.start_minute <= window.end_minute:
        return window.start_minute <= minute < window.end_minute
    return minute >= window.start_minute or minute < window.end_minute


def _paused(plan: MovePlan, until: datetime) -> Iterator[Move | Refusal]:
    when = "resumed" if until >= _FOR_EVER else f"{until:%Y-%m-%d %H:%M:%S} UTC"
    for move in plan.moves:
        if isinstance(move, DrainNode) and move.cause in _STANDS_IN_A_PAUSE:
            yield move
        else:
            yield Refusal(
                move=move,
                decision=Decision.DEFER,
                reason=f"paused by the operator until {when}",
                numbers={"until": when},
            )


def _frozen(plan: MovePlan, window: Freeze) -> Iterator[Move | Refusal]:
    start, end = _clock(window.start_minute), _clock(window.end_minute)
    why = f" ({window.reason})" if window.reason else ""
    for move in plan.moves:
        if is_voluntary(move):
            yield Refusal(
                move=move,
                decision=Decision.DEFER,
                reason=f"changes are frozen from {start} to {end} UTC{why}",
                numbers={"from": start, "to": end},
            )
        else:
            yield move


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
