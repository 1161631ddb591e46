"""Which pools are closed after a refusal, and how many launches may be under way to the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from costplan.planner.asking import (
    FIRST,
    GRANT_SECONDS,
    MOST,
    WAIT_SECONDS,
    called_off,
    from_outcomes,
    is_on_trial,
    may_be_asked,
    window,
)
from costplan.planner.learnt import Answers, Learnt
from costplan.planner.nodes import Node
from costplan.planner.settings import Safety
from costplan.planner.tick import Action, ActionOutcome, Launch, Outcome, Terminate
from costplan.planner.types import Decision, OfferKey, Phase
from costplan.policies.quota import WithinQuota
from tests.fleets import NOON, after, key, launch, machine, node, plan, rented, rules, spot, view
from tests.judging import left, only

MINUTE = 60.0


def outcome(of: Outcome, action: Action | None = None, **more: Any) -> ActionOutcome:
    """What became of a launch of spot m.large, or else b on demand."""
    request = node("n", keys=(spot(), key("b"))).request
    asked = action or Launch(node_id="n", request=request)
    return ActionOutcome(action=asked, outcome=of, at=NOON, **more)


def launched(of: Outcome, *keys: OfferKey, got: OfferKey | None = None) -> ActionOutcome:
    """What became of a launch of any of these."""
    asked = node("n", keys=keys)
    answer = None if got is None else machine(rented("n", keys=(got,)))
    return outcome(of, Launch(node_id="n", request=asked.request), machine=answer)


NO = launched(Outcome.NO_CAPACITY, spot())
YES = launched(Outcome.DONE, spot(), got=spot())


def refused(*ended: ActionOutcome, learnt: Learnt | None = None, seconds: float = 0) -> Learnt:
    """What is known after these, so long after noon, with a default wait of 300 s."""
    return from_outcomes(learnt or Learnt(), ended, rules(), after(seconds))


@pytest.mark.parametrize("of", list(Outcome))
def test_offers_that_were_refused_are_left_alone_for_a_while(of: Outcome) -> None:
    found = refused(outcome(of)).refused
    is_no = of in (Outcome.NO_CAPACITY, Outcome.QUOTA, Outcome.REJECTED)
    until = {str(spot()): after(300), str(key("b")): after(300)}
    assert dict(found) == (until if is_no else {})


def test_as_long_as_the_cloud_asked_for_and_then_no_more() -> None:
    found = refused(outcome(Outcome.QUOTA, retry_after_seconds=900))
    assert set(found.refused.values()) == {after(900)}
    assert set(refused(outcome(Outcome.QUOTA, retry_after_seconds=1)).refused.values()) == {
        after(300)
    }
    assert refused(learnt=found, seconds=899) == found
    assert dict(refused(learnt=found, seconds=900).refused) == {}


def test_only_launches_are_refused_offers() -> None:
    ending = Terminate(node_id="n", provider_id="i-n")
    assert refused(outcome(Outcome.REJECTED, ending)) == Learnt()


def test_a_batch_refuses_once_and_each_trial_after_it_closes_the_pool_for_twice_as_long() -> None:
    learnt = refused(*[NO] * 3)
    learnt = refused(NO, NO, learnt=learnt, seconds=20)
    assert dict(learnt.refused) == {str(spot()): after(300)}
    now, waits = 300.0, []
    for _ in range(6):
        assert is_on_trial(spot(), refused(learnt=learnt, seconds=now), after(now))
        learnt = refused(NO, learnt=learnt, seconds=now)
        waits.append((learnt.refused[str(spot())] - after(now)) / timedelta(minutes=1))
        now += waits[-1] * MINUTE
    assert waits == [10, 20, 40, 60, 60, 60]


def test_a_grant_opens_a_pool_that_was_tried_again_and_not_one_that_refused_just_now() -> None:
    closed = refused(NO, YES)
    assert window(spot(), closed, NOON) == 0
    assert window(spot(), refused(YES, learnt=closed, seconds=9), after(9)) == 0
    tried = refused(learnt=closed, seconds=300)
    assert window(spot(), tried, after(300)) == 1
    again = refused(YES, learnt=tried, seconds=301)
    assert window(spot(), again, after(301)) == FIRST + 1
    assert window(spot(), refused(NO, learnt=again, seconds=302), after(302)) == 0
    assert refused(NO, learnt=again, seconds=302).answers[str(spot())].refusals == 1


def test_refusals_are_forgotten_an_hour_after_the_pool_was_opened_again() -> None:
    closed = refused(NO)
    assert window(spot(), refused(learnt=closed, seconds=3899), after(3899)) == 1
    late = refused(learnt=closed, seconds=3900)
    assert (late, window(spot(), late, after(3900))) == (Learnt(), FIRST)


def test_more_may_be_under_way_with_each_grant_for_a_minute_and_never_more_than_32() -> None:
    learnt = refused(*[YES] * 5)
    assert window(spot(), learnt, after(1)) == 10
    learnt = refused(*[YES] * 10, learnt=learnt, seconds=2)
    assert window(spot(), learnt, after(3)) == 20
    many = refused(*[YES] * 90, learnt=learnt, seconds=4)
    assert window(spot(), many, after(5)) == MOST
    assert window(spot(), many, after(4 + GRANT_SECONDS)) == FIRST


def test_an_offer_that_another_was_had_instead_of_has_refused() -> None:
    learnt = refused(launched(Outcome.DONE, spot("a"), spot("b"), spot("c"), got=spot("b")))
    assert set(learnt.refused) == {str(spot("a"))}
    assert window(spot("b"), learnt, NOON) == FIRST + 1


def test_what_an_older_state_knows_to_be_closed_stays_so() -> None:
    older = Learnt(refused={str(spot()): after(60)})
    found = refused(NO, learnt=older)
    assert dict(found.refused) == {str(spot()): after(60)}
    assert window(spot(), refused(learnt=found, seconds=60), after(60)) == 1


def test_a_pool_that_may_refuse_for_longer_than_an_hour_does() -> None:
    slow = rules(safety=Safety(refused_seconds=7200))
    assert from_outcomes(Learnt(), [NO], slow, NOON).refused == {str(spot()): after(7200)}


# What may be asked for.


def intended(number: int, *keys: OfferKey, phase: Phase = Phase.INTENDED, age: float = 0) -> Node:
    found = node(f"n-{number}", keys=keys or (spot(),), phase=phase, ready_at=None)
    return replace(found, phase_since=after(-age), attempts=0)


def fleet(*nodes: Node) -> dict[str, Node]:
    return {each.node_id: each for each in nodes}


def test_as_many_are_asked_for_as_may_be_under_way_the_earliest_first() -> None:
    many = [intended(number) for number in range(9)]
    assert may_be_asked(fleet(*many), Learnt(), NOON) == {f"n-{n}" for n in range(FIRST)}
    flying = [intended(n, phase=p) for n, p in ((0, Phase.REQUESTED), (1, Phase.UNCERTAIN))]
    assert may_be_asked(fleet(*flying, *many[2:]), Learnt(), NOON) == {"n-2", "n-3", "n-4"}
    booting = intended(0, phase=Phase.BOOTING)
    assert len(may_be_asked(fleet(booting, *many[1:]), Learnt(), NOON)) == FIRST


def test_a_launch_counts_for_each_offer_that_it_names_and_others_do_not_wait_for_it() -> None:
    both = [intended(number, spot("a"), spot("b")) for number in range(FIRST)]
    late = [intended(7, spot("b")), intended(8, spot("c"))]
    assert may_be_asked(fleet(*both, *late), Learnt(), NOON) == {
        *(each.node_id for each in both),
        "n-8",
    }


def test_an_intention_whose_pool_refuses_meanwhile_is_called_off() -> None:
    nodes = fleet(intended(0), intended(1, key("b")), intended(2, phase=Phase.REQUESTED))
    found = called_off(nodes, refused(NO), after(1))
    assert [found[n].phase for n in sorted(found)] == [
        Phase.GONE,
        Phase.INTENDED,
        Phase.REQUESTED,
    ]
    assert "has refused meanwhile" in found["n-0"].history[-1][2]


@pytest.mark.parametrize(
    ("age", "held", "why"),
    [
        (WAIT_SECONDS, "", "launches before it have no answer yet"),
        (0, "paused by the operator", "paused by the operator"),
    ],
)
def test_an_intention_is_not_kept_for_ever_nor_through_a_pause(
    age: float, held: str, why: str
) -> None:
    found = called_off(fleet(intended(0, age=age)), Learnt(), NOON, held)
    assert found["n-0"].phase is Phase.GONE
    assert found["n-0"].history[-1][2] == f"called off before it was asked for: {why}"


def test_an_intention_waits_for_its_turn() -> None:
    nodes = fleet(intended(0, age=WAIT_SECONDS - 1))
    assert called_off(nodes, Learnt(), NOON) == nodes


def test_one_launch_of_a_plan_tries_an_offer_that_refused_before() -> None:
    """The others lose it, or wait where it is all they had."""
    learnt = Learnt(answers={str(key("a")): Answers(at=NOON, refusals=1)})
    moves = (launch("1", key("a")), launch("2", key("b"), key("a")), launch("3", key("b")))
    seen = view(state={"learnt": learnt})
    assert left(WithinQuota(), moves, seen) == [
        launch("1", key("a")),
        launch("2", key("b")),
        launch("3", key("b")),
    ]
    flying = replace(node("n-1", keys=(key("a"),), phase=Phase.REQUESTED), launched_at=None)
    judgement = WithinQuota().judge(
        plan(launch("1", key("a"))), view(flying, state={"learnt": learnt})
    )
    assert judgement.moves == ()
    decision, reason, _ = only(judgement)
    assert decision is Decision.DEFER
    assert reason.endswith("refused lately, and another launch tries it first")
