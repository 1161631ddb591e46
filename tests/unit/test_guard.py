"""What the guard holds policies to, and how it tells what they said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from costplan.planner.errors import InvariantBroken
from costplan.planner.guard import GuardView, Judgement, Refusal, apply, judged, verdicts
from costplan.planner.nodes import Cause
from costplan.planner.tick import DrainNode, Move, MovePlan, NewNode
from costplan.planner.types import Decision
from costplan.policies.default import default_policies
from tests.fleets import drain, key, launch, node, plan, spot, view


@dataclass(frozen=True)
class Rule:
    """A policy that is one function from moves to moves."""

    of: Callable[[tuple[Move, ...]], tuple[Move, ...]]
    name: str = "rule"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:  # noqa: ARG002
        return Judgement(moves=self.of(plan.moves))


@dataclass(frozen=True)
class Denies:
    """A policy that refuses each move that it is asked about."""

    about: Callable[[Move], bool]
    name: str = "no"

    def judge(self, plan: MovePlan, view: GuardView) -> Judgement:  # noqa: ARG002
        return judged(
            self.name,
            (
                Refusal(move=m, decision=Decision.DENY, reason="because") if self.about(m) else m
                for m in plan.moves
            ),
        )


def test_without_policies_a_plan_is_as_it_was() -> None:
    given = plan(launch(), drain("n-1"), after="7")
    assert apply((), given, view(node("n-1"))) == given


def test_each_policy_sees_what_the_one_before_it_left() -> None:
    seen: list[int] = []

    def count(moves: tuple[Move, ...]) -> tuple[Move, ...]:
        seen.append(len(moves))
        return moves

    rules = (Rule(count), Rule(lambda moves: moves[:1]), Rule(count))
    assert len(apply(rules, plan(launch(), launch("2"), launch("3")), view()).moves) == 1
    assert seen[:2] == [3, 1]


@pytest.mark.parametrize(
    ("case", "alter"),
    [
        ("adds a launch", lambda moves: (*moves, launch("9"))),
        ("doubles a launch", lambda moves: (moves[0], *moves)),
        ("changes the order", lambda moves: moves[::-1]),
        ("drains another node", lambda moves: (moves[0], drain("n-2"))),
        ("adds an offer", lambda moves: (launch("1", key(), spot()), moves[1])),
        ("takes every offer", lambda moves: (replace(moves[0], keys=()), moves[1])),
        ("adds a worker", lambda moves: (replace(moves[0], workers={"w": 2}), moves[1])),
        ("makes it cheaper", lambda moves: (replace(moves[0], usd_per_hour=Decimal(0)), moves[1])),
        ("makes it the operator's", lambda moves: (moves[0], drain("n-1", Cause.OPERATOR))),
    ],
)
def test_a_policy_that_does_more_than_trim_is_caught_by_name(
    case: str, alter: Callable[[tuple[Move, ...]], tuple[Move, ...]]
) -> None:
    given = plan(launch("1", key()), drain("n-1"))
    with pytest.raises(InvariantBroken, match="policy 'greedy'"):
        apply((Rule(alter, name="greedy"),), given, view(node("n-1")))


def test_a_policy_may_take_offers_from_a_launch() -> None:
    given = plan(launch("1", key("a"), key("b"), key("c")))
    kept = apply(
        (Rule(lambda moves: (replace(moves[0], keys=(key("a"), key("c"))),)),), given, view()
    )
    (move,) = kept.moves
    assert isinstance(move, NewNode)
    assert move.keys == (key("a"), key("c"))


def test_what_the_fleet_then_costs_follows_the_moves_that_are_left() -> None:
    """$10 an hour now: two launches of $3 and $2 and a drain of $4 were to make $11.

    Without the launch of $3 that is $8; without the drain as well, $12.
    """
    given = plan(launch("3"), launch("2"), drain("n-1", usd="4"), after="11")
    three = Denies(lambda m: isinstance(m, NewNode) and m.usd_per_hour == 3)
    drains = Denies(lambda m: isinstance(m, DrainNode))
    assert apply((three,), given, view(node("n-1"))).usd_per_hour_after == 8
    assert apply((three, drains), given, view(node("n-1"))).usd_per_hour_after == 12


def test_a_thousand_equal_refusals_are_one_verdict() -> None:
    given = plan(*[launch("1", key("a"))] * 600, *[launch("1", key("b"))] * 400)
    (verdict,) = apply((Denies(_is_launch),), given, view()).verdicts
    assert (verdict.policy, verdict.decision, verdict.reason) == ("no", Decision.DENY, "because")
    assert verdict.numbers == {
        "what": "launch",
        "moves": "1000",
        "offers": "600 aws/us-a/a/on_demand, 400 aws/us-a/b/on_demand",
    }


def test_a_verdict_names_some_nodes_and_gives_numbers_that_differ_as_a_range() -> None:
    said = verdicts(
        "p",
        [
            Refusal(
                move=drain(f"n-{n}"),
                decision=Decision.DEFER,
                reason="too young",
                numbers={"age_seconds": str(age), "least": "60"},
            )
            for n, age in enumerate((9, 30, 10, 7, 8, 9, 9))
        ],
    )
    assert [dict(verdict.numbers) for verdict in said] == [
        {
            "what": "drain (surplus)",
            "moves": "7",
            "nodes": "n-0, n-1, n-2, n-3, n-4 and 2 more",
            "age_seconds": "7 to 30",
            "least": "60",
        }
    ]


def _is_drain(move: Move) -> bool:
    return isinstance(move, DrainNode)


def _is_launch(move: Move) -> bool:
    return isinstance(move, NewNode)


@pytest.mark.parametrize("half", [_is_drain, _is_launch])
def test_an_exchange_is_done_as_a_whole_or_not_at_all(half: Callable[[Move], bool]) -> None:
    given = plan(launch(replaces=("n-1",)), drain("n-1", Cause.DEARER, usd="3"), after="8")
    kept = apply((Denies(half),), given, view(node("n-1")))
    assert kept.moves == ()
    assert kept.usd_per_hour_after == 10
    assert [verdict.decision for verdict in kept.verdicts] == [Decision.DENY, Decision.DEFER]
    assert kept.verdicts[1].reason == "what it was to be exchanged for is not done now"


def test_exchanges_that_share_a_machine_fall_together_and_others_stay() -> None:
    """One machine for n-1 and n-2, another for n-2 and n-3: without n-1 none of them is done."""
    chained = (
        launch(workers={"w": 2}, replaces=("n-1", "n-2")),
        launch(workers={"w": 2}, replaces=("n-2", "n-3")),
        *(drain(f"n-{n}", Cause.DEARER) for n in (1, 2, 3)),
    )
    apart = (launch("5", replaces=("n-4",)), drain("n-4", Cause.DEARER))
    surplus = drain("n-5")
    fleet = view(*(node(f"n-{n}", workers={"w": 2}) for n in range(1, 6)))
    first = Denies(lambda m: isinstance(m, DrainNode) and m.node_id == "n-1")
    assert apply((first,), plan(*chained, *apart, surplus), fleet).moves == (*apart, surplus)


def test_a_launch_for_more_work_too_stays_where_the_drain_does_not() -> None:
    """It brings four workers and replaces a node of one: three are for more work."""
    more = launch("4", workers={"w": 4}, replaces=("n-1",))
    kept = apply((Denies(_is_drain),), plan(more, drain("n-1", Cause.DEARER)), view(node("n-1")))
    assert kept.moves == (replace(more, replaces=()),)


def test_a_surplus_drain_is_no_half_of_an_exchange() -> None:
    given = plan(launch(), drain("n-1"))
    assert apply((Denies(_is_launch),), given, view(node("n-1"))).moves == (drain("n-1"),)


def test_the_default_policies_judge_in_the_documented_order() -> None:
    names = [policy.name for policy in default_policies()]
    assert names == [
        "trust", "freeze", "churn", "capacity_floor", "blast_radius", "quota", "budget", "spot_mix",
    ]  # fmt: skip
    said = default_policies.__doc__ or ""
    numbered = [
        line.split()[1] for line in said.splitlines() if line.strip()[:2].rstrip(".").isdigit()
    ]
    assert numbered == names


def test_the_default_policies_let_an_ordinary_plan_pass() -> None:
    given = plan(launch("1", spot()), drain("n-1"), after="2")
    assert apply(default_policies(), given, view(node("n-1"), node("n-2"))) == given
