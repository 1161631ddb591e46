"""What is thought of a pool's capacity, how it fades, and what a plan makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from costplan.planner.capacity import GRANTED, REFUSED, from_answers, refused_share
from costplan.planner.learnt import Learnt
from costplan.planner.loop import Ticked, tick
from costplan.planner.nodes import MachineState, Node
from costplan.planner.settings import Settings
from costplan.planner.tick import ActionOutcome, DrainNode, Launch, NewNode, Outcome, State
from costplan.planner.types import OfferKey
from costplan.planner.workload import Interruption
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    load,
    machine,
    node,
    offers,
    quote,
    readings,
    rented,
    rules,
    spot,
    tasks,
)  # fmt: skip

USUAL = REFUSED / (GRANTED + REFUSED)


def answer(outcome: Outcome, *keys: OfferKey, of: OfferKey | None = None) -> ActionOutcome:
    """A launch of any of these that ended so, with a machine of `of`."""
    asked = node("n-1", keys=keys)
    return ActionOutcome(
        action=Launch(node_id="n-1", request=asked.request),
        outcome=outcome,
        at=NOON,
        machine=None if of is None else machine(rented("n-1", keys=(of,))),
    )


def taught(*answers: ActionOutcome, nodes: Sequence[Node] = (), **more: Any) -> Learnt:
    before = {each.node_id: each for each in nodes}
    return from_answers(Learnt(), answers, before, readings(**more))


def test_nobody_asked_is_as_usual() -> None:
    assert refused_share([spot()], Learnt(), NOON) == 0.0


def test_refusals_are_remembered_and_fade_by_half_in_an_hour() -> None:
    learnt = Learnt()
    for _ in range(3):
        learnt = from_answers(learnt, [answer(Outcome.NO_CAPACITY, spot())], {}, readings())
    for hours, left in ((0, 3.0), (1, 1.5), (2, 0.75)):
        likely = (REFUSED + left) / (GRANTED + REFUSED + left) - USUAL
        assert refused_share([spot()], learnt, after(3600 * hours)) == pytest.approx(likely)


def test_answers_of_one_moment_are_one_answer() -> None:
    no, yes = answer(Outcome.NO_CAPACITY, spot()), answer(Outcome.DONE, spot(), of=spot())
    assert taught(*[no] * 100) == taught(no)
    assert taught(*[yes] * 100, *[no] * 50) == taught(yes, no)
    many = [rented(f"n-{number}", keys=(spot(),)) for number in range(9)]
    ended = [machine(one, MachineState.ENDED, ended_at=NOON, end_cause="reclaimed") for one in many]
    assert taught(nodes=many, machines=tuple(ended)) == taught(no)


def test_a_grant_makes_up_for_refusals() -> None:
    refused = taught(answer(Outcome.NO_CAPACITY, spot()))
    both = from_answers(refused, [answer(Outcome.DONE, spot(), of=spot())], {}, readings())
    assert refused_share([spot()], both, NOON) < refused_share([spot()], refused, NOON)


def test_offers_in_front_of_the_one_that_was_had_were_refused() -> None:
    learnt = taught(answer(Outcome.DONE, spot("a"), spot("b"), of=spot("b")))
    assert refused_share([spot("a")], learnt, NOON) > 0
    assert refused_share([spot("b")], learnt, NOON) == 0


def test_a_machine_that_is_taken_away_says_that_none_are_left() -> None:
    lost = rented("n-1", keys=(spot(),))
    ended = machine(lost, MachineState.ENDED, ended_at=NOON, end_cause="reclaimed")
    learnt = taught(nodes=(lost,), machines=(ended,))
    assert refused_share([spot()], learnt, NOON) > 0
    gone = replace(lost, ended_at=NOON)
    assert taught(nodes=(gone,), machines=(ended,)) == Learnt()


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.UNREACHABLE, Outcome.UNKNOWN])
def test_an_answer_that_says_nothing_of_capacity_teaches_nothing(outcome: Outcome) -> None:
    assert taught(answer(outcome, spot())) == Learnt()


def test_all_offers_of_a_request_have_to_be_refused() -> None:
    learnt = taught(*[answer(Outcome.NO_CAPACITY, spot("a"))] * 5)
    alone, with_other = ([spot("a")], [spot("a"), spot("b")])
    assert refused_share(with_other, learnt, NOON) < 0.1 * refused_share(alone, learnt, NOON)


def planned(state: State, settings: Settings | None = None, a: str = "0.42", **more: Any) -> Ticked:
    prices = {spot(): "0.40", spot("a"): a, key(): "1", key("a"): "1"}
    read = readings(
        quotes=tuple(quote(of, usd) for of, usd in prices.items()), offers=offers(), **more
    )
    return tick(read, state, settings or rules(), default_policies(), replan=True)


def test_what_was_refused_lately_has_to_be_as_much_cheaper_as_waiting_costs() -> None:
    """It may be asked again, but is less likely to have machines than one at 17 % more."""
    wants = {"load": load(tasks(queued=4, mean=600.0)), "machines": ()}
    learnt = taught(*[answer(Outcome.NO_CAPACITY, spot())] * 4)

    def first(state: State) -> OfferKey:
        made = planned(state, a="0.47", **wants)
        assert made.plan is not None
        return next(move for move in made.plan.moves if isinstance(move, NewNode)).keys[0]

    assert first(State()) == spot()
    assert first(State(learnt=learnt)) == spot("a")


@pytest.mark.parametrize("refusals", [0, 4])
def test_an_exchange_waits_for_nothing_and_is_tried_whatever_was_refused(refusals: int) -> None:
    """What runs stays until its heir is ready, so that a refusal costs nothing."""
    there = rented("n-1", keys=(spot("a"),))
    state = State(
        nodes={"n-1": there}, learnt=taught(*[answer(Outcome.NO_CAPACITY, spot())] * refusals)
    )
    busy = load(tasks(running=4, mean=600.0), workers={n: does(4) for n in there.workers})
    made = planned(state, a="0.70", load=busy, machines=(machine(there),))
    assert made.plan is not None
    assert made.needs.short == dict.fromkeys(made.needs.short, 0)
    replaced = [move.replaces for move in made.plan.moves if isinstance(move, NewNode)]
    assert replaced == [("n-1",)]


@pytest.mark.parametrize(
    ("hint", "lost_minutes", "moves"), [(True, 30, True), (True, 5, False), (False, 30, False)]
)
def test_a_pool_in_danger_is_left_early_where_staying_costs_more_than_moving(
    hint: bool, lost_minutes: int, moves: bool
) -> None:
    """Moving costs $0.02 an hour and a boot; staying an interruption in two hours, with the work
    that is done again."""
    there = rented("n-1", keys=(spot(),))
    warned = {str(spot()): after(-60)} if hint else {}
    state = State(nodes={"n-1": there}, learnt=Learnt(hints=warned))
    seen = load(
        tasks(queued=200, running=4, mean=10.0), workers={n: does(4) for n in there.workers}
    )
    loses = replace(rules(), interruption=Interruption(lost_work_seconds=60 * lost_minutes))
    done = planned(state, loses, load=seen, machines=(machine(there),))
    assert done.plan is not None
    replaced = [move for move in done.plan.moves if isinstance(move, NewNode) and move.replaces]
    assert bool(replaced) is moves
    for move in replaced:
        assert (move.keys[0], move.replaces) == (spot("a"), ("n-1",))
    said = "its pool was said to be in danger at 11:59:00 UTC, others are worth the move"
    drains = [move for move in done.plan.moves if isinstance(move, DrainNode)]
    assert [move.reason for move in drains] == [said] * moves
