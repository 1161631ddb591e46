"""What may be done of what was planned: policies trim, defer or deny moves, and never add one.

Each policy sees what the one before it left. A replacement and the drain that it goes with are
one deal: where a policy takes one of them away, the other goes too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Protocol

from costplan.planner.errors import InvariantBroken
from costplan.planner.nodes import VOLUNTARY, Cause, Node
from costplan.planner.settings import Settings
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode, Snapshot, State
from costplan.planner.types import Decision, Verdict

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardView:
    """What a policy may look at besides the plan."""

    snapshot: Snapshot
    state: State
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The moves that may be done, in the plan's order, and what is said of the others."""

    moves: tuple[Move, ...]
    verdicts: tuple[Verdict, ...] = ()


class Policy(Protocol):
    """One rule. Its moves are some of the plan's in their order; a launch may lose offers."""

    name: str

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:
        """What may be done, and why not the rest; the same plan and view give the same answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A move that is not done (or loses offers), why, and the numbers of the reason."""

    move: Move
    decision: Decision
    reason: str
    numbers: Mapping[str, str] = field(default_factory=dict)


def apply(policies: Sequence[Policy], plan: MovePlan, view: GuardView) -> MovePlan:
    """The plan that all policies leave, with their verdicts and what the fleet then costs.

    They judge again until nothing changes, so that each of them has allowed all of what is
    left, and what is safe does not depend on their order.

    Raises InvariantBroken, which names the policy, where one adds or alters a move.
    """
    asked = plan.moves
    while True:
        before = plan.moves
        for policy in policies:
            plan = _judged_by(policy, plan, view)
        if plan.moves == before:
            break
    if plan.moves == asked:
        return plan
    return replace(plan, usd_per_hour_after=_usd_per_hour_after(plan, asked))


def _judged_by(policy: Policy, plan: MovePlan, view: GuardView) -> MovePlan:
    judgement = policy.judge(plan, view)
    _check_only_trimmed(policy.name, plan.moves, judgement.moves)
    moves, broken = _whole_deals(plan.moves, judgement.moves, view.snapshot.nodes)
    said = (*judgement.verdicts, *verdicts(policy.name, broken))
    new = tuple(verdict for verdict in said if verdict not in plan.verdicts)
    if not new and moves == plan.moves:
        return plan
    return replace(plan, moves=moves, verdicts=(*plan.verdicts, *new))


def verdicts(policy: str, refusals: Iterable[Refusal]) -> tuple[Verdict, ...]:
    """One verdict for all moves that are refused for one reason: 1,000 equal ones are one.

    Their numbers say how many `moves` and of what; where a number differs it is a range.
    """
    groups: dict[tuple[Decision, str, str], list[Refusal]] = {}
    for refusal in refusals:
        what = _what(refusal.move)
        groups.setdefault((refusal.decision, what, refusal.reason), []).append(refusal)
    return tuple(
        Verdict(
            policy=policy,
            decision=decision,
            reason=reason,
            numbers=MappingProxyType(_numbers(what, group)),
        )
        for (decision, what, reason), group in groups.items()
    )


def judged(policy: str, sorted_out: Iterable[Move | Refusal]) -> Judgement:
    """The judgement of a policy that yields each move that may be done and each refusal.

    A launch that loses offers is yielded as both: what is left of it, and why not the rest.
    """
    answers = tuple(sorted_out)
    return Judgement(
        moves=tuple(each for each in answers if not isinstance(each, Refusal)),
        verdicts=verdicts(policy, (each for each in answers if isinstance(each, Refusal))),
    )


def launches(moves: Iterable[Move]) -> tuple[NewNode, ...]:
    """The moves that start a machine."""
    return tuple(move for move in moves if isinstance(move, NewNode))


def missing_workers(plan: MovePlan) -> dict[str, int]:
    """Workers by kind that are wanted and that the plan does not bring."""
    bought = Counter[str]()
    for move in launches(plan.moves):
        bought.update(move.workers)
    short = {d.shape: d.wanted - d.present - d.coming - bought[d.shape] for d in plan.demand}
    return {kind: count for kind, count in short.items() if count > 0}


def drains(moves: Iterable[Move]) -> tuple[DrainNode, ...]:
    """The moves that end one."""
    return tuple(move for move in moves if isinstance(move, DrainNode))


def is_voluntary(move: Move) -> bool:
    """True of a drain that nothing forces."""
    return isinstance(move, DrainNode) and move.cause in VOLUNTARY


def _what(move: Move) -> str:
    match move:
        case NewNode():
            return "launch"
        case DrainNode():
            return f"drain ({move.cause})"


def _numbers(what: str, group: Sequence[Refusal]) -> dict[str, str]:
    numbers = {"what": what, "moves": str(len(group))}
    moves = [refusal.move for refusal in group]
    if drained := [move.node_id for move in drains(moves)]:
        numbers["nodes"] = _listed(drained)
    if firsts := Counter(move.keys[0] for move in launches(moves)):
        numbers["offers"] = _listed([f"{count} {key}" for key, count in firsts.most_common()])
    for key in {key: None for refusal in group for key in refusal.numbers}:
        numbers[key] = _range([r.numbers[key] for r in group if key in r.numbers])
    return numbers


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _MOST_NAMED} more" if len(words) > _MOST_NAMED else ""
    return ", ".join(words[:_MOST_NAMED]) + more


def _range(values: Sequence[str]) -> str:
    """The value, or the least and the most where they differ."""
    if len(set(values)) == 1:
        return values[0]
    try:
        ordered = sorted(values, key=Decimal)
    except InvalidOperation:
        ordered = sorted(values)
    return f"{ordered[0]} to {ordered[-1]}"


def _check_only_trimmed(policy: str, before: Sequence[Move], after: Sequence[Move]) -> None:
    """Returns where every move of `after` is one of `before`, in order, with no offer added."""
    left = iter(before)
    for move in after:
        if not any(_is_trimmed(move, given) for given in left):
            raise InvariantBroken(
                f"policy {policy!r} may only take moves away in the plan's order, "
                f"and answers {len(before)} moves with one that is not among them: {move}"
            )


def _is_trimmed(move: Move, given: Move) -> bool:
    if move is given or move == given:
        return True
    if not isinstance(move, NewNode) or not isinstance(given, NewNode) or not move.keys:
        return False
    left = iter(given.keys)
    return all(key in left for key in move.keys) and replace(move, keys=given.keys) == given


def _whole_deals(
    before: Sequence[Move], after: Sequence[Move], nodes: Sequence[Node]
) -> tuple[tuple[Move, ...], tuple[Refusal, ...]]:
    """The moves without halves of a deal, and those halves.

    A drain for a better price stands with every launch that replaces its node, and the other
    way round; taking one half away may break the next deal. A launch that brings more workers
    than it replaces is for more work too: it stays, and replaces what is still drained.
    """
    moves, broken = tuple(after), list[Refusal]()
    if len(before) == len(after):
        return moves, ()
    given_drains, given_launches = _dearer(before), _replaced(before)
    runs = {node.node_id: len(node.request.workers) for node in nodes}
    reason = "what it was to be exchanged for is not done now"
    while True:
        gone = (given_drains - _dearer(moves)) | {*(given_launches - _replaced(moves))}
        left = list[Move]()
        for move in moves:
            if not _is_part_of(move, gone):
                left.append(move)
            elif isinstance(move, NewNode) and _brings_more(move, runs):
                still = tuple(node_id for node_id in move.replaces if node_id not in gone)
                left.append(replace(move, replaces=still))
            else:
                broken.append(Refusal(move=move, decision=Decision.DEFER, reason=reason))
        if tuple(left) == moves:
            return moves, tuple(broken)
        moves = tuple(left)


def _brings_more(move: NewNode, runs: Mapping[str, int]) -> bool:
    replaced = sum(runs.get(node_id, 0) for node_id in move.replaces)
    return sum(move.workers.values()) > replaced


def _is_part_of(move: Move, gone: set[str]) -> bool:
    """True of a launch that replaces one of these nodes, and of the drain that it goes with."""
    if isinstance(move, NewNode):
        return not gone.isdisjoint(move.replaces)
    return move.cause is Cause.DEARER and move.node_id in gone


def _dearer(moves: Iterable[Move]) -> set[str]:
    return {move.node_id for move in drains(moves) if move.cause is Cause.DEARER}


def _replaced(moves: Iterable[Move]) -> Counter[str]:
    return Counter(node_id for move in launches(moves) for node_id in move.replaces)


def _usd_per_hour_after(plan: MovePlan, asked: Sequence[Move]) -> Decimal:
    """What the fleet costs an hour once the moves that are left are done."""
    return plan.usd_per_hour_after - _more_usd_per_hour(asked) + _more_usd_per_hour(plan.moves)


def _more_usd_per_hour(moves: Iterable[Move]) -> Decimal:
    """What moves add to the rate of the fleet."""
    return sum(
        (
            move.usd_per_hour if isinstance(move, NewNode) else -move.saving_usd_per_hour
            for move in moves
        ),
        Decimal(0),
    )
