"""A step of every node towards what is wanted of it, for every phase and whatever is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.nodes import Cause, DrainOrder, Node, Retired
from costplan.planner.reconcile import REFUSED_SECONDS, World, step
from costplan.planner.tick import (
    Action,
    ActionOutcome,
    Cordon,
    Launch,
    Outcome,
    Retire,
    Terminate,
    Uncordon,
)
from costplan.planner.types import Phase
from tests.fleets import (
    DRAIN,
    NOON,
    after,
    going,
    joined,
    load,
    node,
    order,
    rented,
    runs,
    world,
)

BOUND = ({"gang": "round-1"}, {"shuffling": True}, {"actors": 1}, {"long_running": 1})
FORCED = (Cause.NOTICE, Cause.OPERATOR, Cause.DOWN)


def stepped(
    of: Node, seconds: float, seen: Load | None, *outcomes: ActionOutcome
) -> tuple[Node, Action | None]:
    """The node one step on, and what is to be done for it."""
    nodes, actions = step({of.node_id: of}, world(seconds, seen, *outcomes))
    assert len(actions) <= 1
    return nodes[of.node_id], next(iter(actions), None)


def retired(of: Node, **more: Any) -> ActionOutcome:
    """What the scheduler says of its retirement."""
    action = Retire(node_ids=(of.node_id,), workers=of.workers, token=DRAIN)
    said = Retired(**{"done": (), "refused": {}, **more})
    return ActionOutcome(action=action, outcome=Outcome.DONE, at=NOON, retired=said)


# -- launching ------------------------------------------------------------------------------------


def test_an_intention_is_asked_for_once_and_again_with_the_same_request() -> None:
    asked, first = stepped(node("n", phase=Phase.INTENDED), 1, None)
    again, second = stepped(asked, 2, None)
    assert isinstance(first, Launch)
    assert first == second
    assert (asked.phase, again.phase) == (Phase.REQUESTED, Phase.REQUESTED)
    assert (asked.attempts, again.attempts) == (1, 2)
    assert first.request == node("n").request


def test_what_is_uncertain_is_sent_again_letter_for_letter_and_never_as_another() -> None:
    of = node("n", phase=Phase.UNCERTAIN)
    found, action = stepped(of, 3600, load())
    assert action == Launch(node_id="n", request=of.request)
    assert found.phase is Phase.UNCERTAIN


def test_an_intention_that_is_called_off_is_never_sent() -> None:
    found, action = stepped(going(Phase.INTENDED), 1, None)
    assert (found.phase, action) == (Phase.GONE, None)


def test_what_was_sent_is_never_forgotten_though_it_is_not_wanted_any_more() -> None:
    """Only an answer tells whether there is a machine to end."""
    for phase in (Phase.REQUESTED, Phase.UNCERTAIN):
        found, action = stepped(going(phase), 1, load())
        assert found.phase is phase
        assert isinstance(action, Launch)
    ended, action = stepped(going(Phase.BOOTING), 5, load())
    assert (ended.phase, action) == (Phase.TERMINATING, Terminate(node_id="n", provider_id="i-n"))


def booting(**more: Any) -> Node:
    """A machine that was launched at noon."""
    return replace(rented("n", Phase.BOOTING, ready_at=None, **more), launched_at=NOON)


@pytest.mark.parametrize(
    ("seconds", "seen", "ends"),
    [
        (899, load(), False),
        (900, load(), True),
        (9000, None, False),  # who does not know who joined does not know that it did not
    ],
)
def test_a_machine_that_never_joins_is_given_up(
    seconds: float, seen: Load | None, ends: bool
) -> None:
    found, action = stepped(booting(), seconds, seen)
    assert (found.phase is Phase.TERMINATING) == ends
    assert (action is not None) == ends


def test_a_machine_that_boots_is_left_alone() -> None:
    assert stepped(booting(), 60, load()) == (booting(), None)


def test_one_that_is_ordered_away_with_workers_there_is_emptied() -> None:
    of = replace(booting(workers={"w": 2}), drain=order())
    found, action = stepped(of, 60, runs("n-w-0"))
    assert found.phase is Phase.CORDONED
    assert isinstance(action, Cordon)


def test_a_machine_that_is_ending_is_ended_until_it_is_gone() -> None:
    for second in (1, 2):
        _, action = stepped(rented("n", Phase.TERMINATING), second, None)
        assert action == Terminate(node_id="n", provider_id="i-n")
    for phase in (Phase.GONE, Phase.LOST):
        assert stepped(rented("n", phase), 1, load())[1] is None


def test_what_no_cloud_has_named_is_not_ended() -> None:
    assert stepped(node("n", phase=Phase.TERMINATING), 1, load())[1] is None


# -- draining -------------------------------------------------------------------------------------


def test_a_drain_from_order_to_end() -> None:
    """Cordoned; waited for while a task runs; retired once none does; ended once they left."""
    of, action = stepped(going(Phase.READY), 1, runs("n-w-0"))
    assert (of.phase, type(action)) == (Phase.CORDONED, Cordon)
    of, action = stepped(of, 100, runs("n-w-0", status="paused"))
    assert (of.phase, action) == (Phase.CORDONED, None)
    of, action = stepped(of, 110, runs("n-w-0", executing=0))
    assert (of.phase, type(action)) == (Phase.RETIRING, Retire)
    of, action = stepped(of, 115, runs("n-w-0", executing=0), retired(of, pending=("n-w-0",)))
    assert (of.phase, type(action)) == (Phase.RETIRING, Retire)
    of, action = stepped(of, 120, load(), retired(of, done=("n-w-0",)))
    assert (of.phase, type(action)) == (Phase.TERMINATING, Terminate)


def test_a_worker_that_takes_tasks_all_the_same_is_cordoned_again() -> None:
    _, action = stepped(going(Phase.CORDONED), 5, runs("n-w-0"))
    assert isinstance(action, Cordon)


def test_many_victims_go_in_one_call() -> None:
    nodes = {n: replace(rented(n), drain=order()) for n in ("a", "b", "c")}
    found, actions = step(nodes, world(1, load(workers=joined(*nodes.values()))))
    (cordon,) = actions
    assert isinstance(cordon, Cordon)
    assert (cordon.node_ids, len(cordon.workers)) == (("a", "b", "c"), 3)
    assert {each.phase for each in found.values()} == {Phase.CORDONED}


@pytest.mark.parametrize("phase", [Phase.READY, Phase.CORDONED, Phase.RETIRING])
@pytest.mark.parametrize("cause", list(Cause))
def test_nothing_is_let_go_on_a_load_that_is_not_known(phase: Phase, cause: Cause) -> None:
    found, action = stepped(going(phase, order(cause)), 50_000, None)
    assert not isinstance(action, Terminate | Retire)
    assert found.phase in (phase, Phase.CORDONED)


@pytest.mark.parametrize("phase", [Phase.CORDONED, Phase.RETIRING])
def test_an_operator_who_lets_results_go_needs_no_scheduler(phase: Phase) -> None:
    found, action = stepped(going(phase, order(Cause.DOWN, 0, discard=True)), 1, None)
    assert (found.phase, type(action)) == (Phase.TERMINATING, Terminate)


@pytest.mark.parametrize("bound", BOUND)
@pytest.mark.parametrize("cause", [Cause.SURPLUS, Cause.DEARER])
def test_what_binds_a_node_calls_a_drain_by_choice_off_before_it_begins(
    bound: dict[str, Any], cause: Cause
) -> None:
    found, action = stepped(going(Phase.READY, order(cause)), 1, runs("n-w-0", **bound))
    assert (found.phase, found.drain, action) == (Phase.READY, None, None)


@pytest.mark.parametrize("bound", BOUND)
def test_a_collective_that_begins_during_a_drain_is_waited_for_and_then_kept(
    bound: dict[str, Any],
) -> None:
    seen = runs("n-w-0", executing=0, status="paused", **bound)
    assert stepped(going(Phase.CORDONED), 599, seen) == (going(Phase.CORDONED), None)
    found, action = stepped(going(Phase.CORDONED), 600, seen)
    assert (found.phase, found.drain) == (Phase.READY, None)
    assert isinstance(action, Uncordon)
    assert found.refused_until == after(600 + REFUSED_SECONDS)


def test_by_choice_what_runs_is_never_broken_off() -> None:
    found, action = stepped(going(Phase.CORDONED), 600, runs("n-w-0", executing=1))
    assert isinstance(action, Uncordon)
    assert found.history[-1][2].startswith("a task still runs after the wait")
    two, _ = stepped(going(Phase.CORDONED), 600, runs("n-w-0", executing=2))
    assert "2 tasks still run" in two.history[-1][2]


def test_who_takes_the_whole_fleet_down_waits_on() -> None:
    found, action = stepped(going(Phase.CORDONED, order(Cause.DOWN)), 9999, runs("n-w-0"))
    assert found.phase is Phase.CORDONED
    assert not isinstance(action, Retire | Uncordon)


@pytest.mark.parametrize("bound", [{}, *BOUND])
def test_a_machine_that_its_cloud_takes_is_emptied_whatever_runs_once_the_wait_is_over(
    bound: dict[str, Any],
) -> None:
    taken = order(Cause.NOTICE, wait=90, must_end_by=after(120))
    seen = runs("n-w-0", **bound)
    assert stepped(going(Phase.CORDONED, taken), 89, seen)[0].phase is Phase.CORDONED
    found, action = stepped(going(Phase.CORDONED, taken), 90, seen)
    assert found.phase is Phase.RETIRING
    assert isinstance(action, Retire)
    assert action.is_forced


def test_a_replacement_is_waited_for() -> None:
    of = going(Phase.READY, order(Cause.DEARER, after=("heir",)))
    seen = load(workers=joined(of))
    for phase in (Phase.INTENDED, Phase.REQUESTED, Phase.UNCERTAIN, Phase.BOOTING):
        found, _ = step({"n": of, "heir": rented("heir", phase)}, world(1, seen))
        assert found["n"] == of
    found, _ = step({"n": of, "heir": rented("heir")}, world(1, seen))
    assert found["n"].phase is Phase.CORDONED


@pytest.mark.parametrize(
    "heir", [None, rented("heir", Phase.GONE), rented("heir", cause=Cause.NOTICE)]
)
def test_without_its_heir_a_node_stays(heir: Node | None) -> None:
    of = going(Phase.READY, order(Cause.DEARER, after=("heir",)))
    nodes = {"n": of} if heir is None else {"n": of, "heir": heir}
    found, _ = step(nodes, world(1, load(workers=joined(*nodes.values()))))
    assert (found["n"].phase, found["n"].drain) == (Phase.READY, None)


def test_a_drain_that_was_called_off_gives_the_workers_back() -> None:
    of = rented("n", Phase.CORDONED)
    found, action = stepped(of, 1, load(workers=joined(of)))
    assert (found.phase, action) == (
        Phase.READY, Uncordon(node_ids=("n",), workers=("n-w-0",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ordered", "ends"),
    [
        (order(), Uncordon),
        (order(Cause.OPERATOR), Retire),
        (order(Cause.DOWN), Retire),
        (order(Cause.OPERATOR, discard=True), Terminate),
        (order(Cause.NOTICE, must_end_by=after(900)), Retire),
    ],
)
def test_a_refusal_stands_where_nothing_forces_it(ordered: DrainOrder, ends: type) -> None:
    of = going(Phase.RETIRING, ordered)
    no = retired(of, refused={"n-w-0": "nowhere to put 3 results"})
    found, action = stepped(of, 10, runs("n-w-0", executing=0), no)
    assert isinstance(action, ends)
    if ends is not Retire:
        assert "nowhere to put 3 results" in found.history[-1][2]


def test_half_of_a_node_that_left_is_not_the_node() -> None:
    of = going(Phase.RETIRING, workers={"w": 2})
    half = retired(of, done=("n-w-0",), pending=("n-w-1",))
    found, action = stepped(of, 10, runs("n-w-1", executing=0), half)
    assert (found.phase, type(action)) == (Phase.RETIRING, Retire)
    lost = retired(of, done=("n-w-0",), lost=("n-w-1",))
    found, action = stepped(of, 10, None, lost)
    assert (found.phase, type(action)) == (Phase.TERMINATING, Terminate)
    assert "1 lost on the way" in found.history[-1][2]


def test_a_retirement_that_did_not_get_through_proves_nothing() -> None:
    of = going(Phase.RETIRING)
    failed = replace(retired(of, done=("n-w-0",)), outcome=Outcome.UNREACHABLE)
    assert stepped(of, 10, None, failed) == (of, None)
    other = retired(rented("m"), done=("m-w-0",))
    assert stepped(of, 10, None, other) == (of, None)


@pytest.mark.parametrize("cause", FORCED)
def test_what_must_go_does_not_ask_for_leave(cause: Cause) -> None:
    bound = runs("n-w-0", gang="round-1")
    found, action = stepped(going(Phase.READY, order(cause)), 1, bound)
    assert (found.phase, type(action)) == (Phase.CORDONED, Cordon)


def test_a_node_that_is_called_back_is_said_to_be_until_the_scheduler_heard_it() -> None:
    """The daemon may die between its decision and the call: the workers would never work again."""
    of = replace(going(Phase.CORDONED, order()), drain=None)
    back, action = stepped(of, 10, runs("n-w-0"))
    assert (back.phase, back.is_called_back, type(action)) == (Phase.READY, True, Uncordon)
    again, action = stepped(back, 11, runs("n-w-0"))
    assert (again, type(action)) == (back, Uncordon)
    assert isinstance(action, Uncordon)
    lost = ActionOutcome(action=action, outcome=Outcome.UNREACHABLE, at=NOON)
    assert stepped(back, 12, runs("n-w-0"), lost)[1] == action
    heard = ActionOutcome(action=action, outcome=Outcome.DONE, at=NOON)
    found, nothing = stepped(back, 12, runs("n-w-0"), heard)
    assert (found.is_called_back, nothing) == (False, None)
    gone, cordon = stepped(replace(back, drain=order()), 13, runs("n-w-0"))
    assert (gone.phase, gone.is_called_back, type(cordon)) == (Phase.CORDONED, False, Cordon)


# -- a scheduler that was born again --------------------------------------------------------------


def reborn(seen: World, at: float = 5) -> World:
    """The same with a scheduler that has been another one since some second."""
    return replace(seen, learnt=Learnt(scheduler_id="two", reborn_at=after(at)))


@pytest.mark.parametrize("phase", [Phase.CORDONED, Phase.RETIRING])
def test_workers_that_are_not_back_yet_have_not_left(phase: Phase) -> None:
    """The machine is ended only once they had time to join the new scheduler."""
    one = replace(rented("n-1", phase=phase), drain=order(Cause.OPERATOR))
    seen = load(workers={})
    waits, actions = step({"n-1": one}, reborn(world(10, seen)))
    assert (waits["n-1"], actions) == (one, ())
    ends, actions = step({"n-1": one}, reborn(world(70, seen)))
    assert ends["n-1"].phase is Phase.TERMINATING
    assert isinstance(actions[0], Terminate)


@pytest.mark.parametrize("phase", [Phase.CORDONED, Phase.RETIRING])
def test_a_drain_by_choice_is_off_where_the_scheduler_was_born_again(phase: Phase) -> None:
    """It gives the workers tasks, between any look and the call that would remove them."""
    of = going(phase)
    seen = reborn(world(30, runs("n-w-0", executing=0)))
    nodes, (action,) = step({of.node_id: of}, seen)
    assert (nodes[of.node_id].phase, type(action)) == (Phase.READY, Uncordon)
    assert nodes[of.node_id].refused_until == after(30 + 60), "asked again when all are back"
    forced = going(phase, order(Cause.NOTICE, must_end_by=after(900)))
    nodes, _ = step({forced.node_id: forced}, seen)
    assert nodes[forced.node_id].phase is Phase.RETIRING


def test_a_node_that_joined_the_new_scheduler_goes_as_always() -> None:
    """As after a start under a name that was used a minute ago: nothing is on its way back."""
    young = replace(going(Phase.CORDONED), ready_at=after(10))
    seen = world(30, runs("n-w-0", executing=0))
    nodes, (action,) = step({young.node_id: young}, reborn(seen))
    assert (nodes[young.node_id].phase, type(action)) == (Phase.RETIRING, Retire)
    nodes, (action,) = step({young.node_id: young}, reborn(world(30, load(workers={}))))
    assert (nodes[young.node_id].phase, type(action)) == (Phase.TERMINATING, Terminate)


def test_by_choice_nothing_is_taken_for_idle_by_a_look_from_before_the_cordon() -> None:
    """Tasks may have come between the look and the cordon; what must go does not wait for that."""
    of = going(Phase.CORDONED)
    seen = replace(world(30, runs("n-w-0", executing=0)), is_seen=True)
    nodes, actions = step({of.node_id: of}, seen)
    assert (nodes[of.node_id], actions) == (of, ())
    nodes, (action,) = step({of.node_id: of}, replace(seen, is_seen=False))
    assert (nodes[of.node_id].phase, type(action)) == (Phase.RETIRING, Retire)
    forced = going(Phase.CORDONED, order(Cause.NOTICE, must_end_by=after(900)))
    nodes, _ = step({forced.node_id: forced}, seen)
    assert nodes[forced.node_id].phase is Phase.RETIRING


def test_who_lets_results_go_does_not_wait_for_workers_to_come_back() -> None:
    drain = order(Cause.OPERATOR, discard=True)
    one = replace(rented("n-1", phase=Phase.CORDONED), drain=drain)
    ends, _ = step({"n-1": one}, reborn(world(10, load(workers={}))))
    assert ends["n-1"].phase is Phase.TERMINATING
