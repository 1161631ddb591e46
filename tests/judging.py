"""What a policy leaves of moves, and what it says, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from costplan.planner.guard import GuardView, Judgement, Policy
from costplan.planner.tick import Move
from costplan.planner.types import Decision
from tests.fleets import plan


def left(policy: Policy, moves: Sequence[Move], seen: GuardView) -> list[Move]:
    """The moves that it allows of these."""
    return list(policy.judge(plan(*moves), seen).moves)


def causes(moves: Sequence[Move]) -> list[str]:
    """'launch', or why the node is drained, of each move."""
    return [getattr(move, "cause", "launch") for move in moves]


def only(judgement: Judgement) -> tuple[Decision, str, dict[str, str]]:
    """The decision, reason and numbers of the only verdict."""
    (verdict,) = judgement.verdicts
    return verdict.decision, verdict.reason, dict(verdict.numbers)
