"""What the world says of our nodes: launches answered or not, machines listed, workers joined."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from costplan.planner.learn import REJOIN_SECONDS
from costplan.planner.learnt import Learnt
from costplan.planner.nodes import MachineState, Node, ProviderNode
from costplan.planner.reflect import UNLISTED_SECONDS, VANISHED_SECONDS, counted_anew, reflect
from costplan.planner.tick import ActionOutcome, Launch, Outcome, State
from costplan.planner.types import Phase
from tests.fleets import (
    LONG_AGO,
    after,
    does,
    joined,
    key,
    load,
    machine,
    node,
    readings,
    rented,
    settings,
    spot,
)

ASKED = (Phase.REQUESTED, Phase.UNCERTAIN)
WITH_MACHINE = (Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING, Phase.TERMINATING)


def seen(*nodes: Node, seconds: float = 0.0, **more: Any) -> dict[str, Node]:
    """These nodes as what is read so long after noon shows them."""
    return reflect({each.node_id: each for each in nodes}, readings(seconds, **more), settings())


def one(of: Node, seconds: float = 0.0, **more: Any) -> Node:
    """The same for one that stays the only one."""
    (found,) = seen(of, seconds=seconds, **more).values()
    return found


def asked(phase: Phase, *keys: Any) -> Node:
    """A node whose launch was sent."""
    return replace(node("n", phase=phase, keys=keys or (key(),)), launched_at=None, ready_at=None)


def answer(of: Node, outcome: Outcome, **more: Any) -> ActionOutcome:
    """What became of its launch, three seconds after noon."""
    action = Launch(node_id=of.node_id, request=of.request)
    return ActionOutcome(action=action, outcome=outcome, at=after(3), **more)


@pytest.mark.parametrize("phase", ASKED)
def test_a_yes_makes_it_boot_as_the_offer_that_it_became(phase: Phase) -> None:
    of = asked(phase, spot("a"), spot("b"))
    got = machine(of, MachineState.PENDING, key=spot("b"), launched_at=after(2))
    found = one(of, 5, outcomes=(answer(of, Outcome.DONE, machine=got),))
    assert (found.phase, found.phase_since) == (Phase.BOOTING, after(3))
    assert (found.key, found.provider_id, found.launched_at) == (spot("b"), "i-n", after(2))
    assert found.request == of.request


@pytest.mark.parametrize("phase", ASKED)
@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        (Outcome.NO_CAPACITY, Phase.GONE),
        (Outcome.QUOTA, Phase.GONE),
        (Outcome.REJECTED, Phase.GONE),
        (Outcome.UNKNOWN, Phase.UNCERTAIN),
        (Outcome.THROTTLED, None),
        (Outcome.UNREACHABLE, None),
        (Outcome.CREDENTIALS, None),
    ],
)
def test_only_a_definite_no_ends_it(phase: Phase, outcome: Outcome, ends: Phase | None) -> None:
    of = asked(phase)
    found = one(of, 5, outcomes=(answer(of, outcome, detail="why"),))
    assert found.phase is (ends or phase)
    if found.phase is not phase:
        assert "why" in found.history[-1][2]


def test_an_answer_that_comes_twice_or_late_changes_nothing() -> None:
    of = asked(Phase.REQUESTED)
    yes, no = answer(of, Outcome.DONE, machine=machine(of)), answer(of, Outcome.NO_CAPACITY)
    once = one(of, 5, outcomes=(yes,))
    assert one(of, 5, outcomes=(yes, yes)) == once
    assert one(once, 9, outcomes=(no,)) == once
    gone = one(of, 5, outcomes=(no,))
    assert one(gone, 9, outcomes=(yes,)) == gone


@pytest.mark.parametrize("phase", ASKED)
def test_a_machine_with_our_token_answers_a_launch_that_nobody_answered(phase: Phase) -> None:
    found = one(asked(phase), 5, machines=(machine(asked(phase), MachineState.PENDING),))
    assert (found.phase, found.provider_id) == (Phase.BOOTING, "i-n")


@pytest.mark.parametrize("phase", WITH_MACHINE)
def test_a_machine_of_its_token_elsewhere_is_its_own(phase: Phase) -> None:
    """A list that is made while a launch goes on names a place that refuses it a moment later."""
    of = replace(node("n", phase=phase, keys=(spot("a"), spot("b"))), provider_id="a/i-n")
    there = machine(of, key=spot("b"), provider_id="b/i-n", launched_at=after(2))
    refused = machine(of, MachineState.ENDED, provider_id="c/i-n", ended_at=after(1))
    for listed in ((there,), (there, refused), (refused, there)):
        found = one(of, 5, machines=listed)
        assert (found.key, found.provider_id, found.launched_at) == (spot("b"), "b/i-n", after(2))
        assert (found.phase, found.history) == (of.phase, of.history)


@pytest.mark.parametrize("phase", ASKED)
def test_a_launch_that_is_not_listed_may_still_come(phase: Phase) -> None:
    assert one(asked(phase), 500, machines=()).phase is phase


def test_one_that_ended_before_it_was_seen_is_accounted_for() -> None:
    of = asked(Phase.UNCERTAIN)
    ended = machine(of, MachineState.ENDED, launched_at=after(1), ended_at=after(4),
                    end_cause="reclaimed")  # fmt: skip
    found = one(of, 9, machines=(ended,))
    assert (found.phase, found.launched_at, found.ended_at) == (Phase.GONE, after(1), after(4))
    assert [phase for phase, _, _ in found.history] == [Phase.BOOTING, Phase.GONE]


@pytest.mark.parametrize("phase", WITH_MACHINE)
def test_the_clouds_word_that_it_ended_is_final(phase: Phase) -> None:
    of = rented("n", phase)
    ended = machine(of, MachineState.ENDED, ended_at=after(-7), end_cause="reclaimed")
    found = one(of, 5, machines=(ended,))
    assert (found.phase, found.ended_at) == (Phase.GONE, after(-7))
    assert found.history[-1][2] == "reclaimed"
    later = replace(ended, ended_at=after(-3))
    assert one(found, 10, machines=(later,)).ended_at == after(-3)
    assert one(found, 10, machines=()) == found


def test_what_was_seen_to_have_ended_did_not_end_later() -> None:
    """As where a cloud says only by when a machine that it takes is gone."""
    of = node("n")
    ends = [machine(of, MachineState.ENDED, ended_at=after(at), end_cause="reclaimed")
            for at in (10, 30, 8)]  # fmt: skip
    found = one(of, 10, machines=(ends[0],))
    found = one(found, 30, machines=(ends[1],))
    assert (found.phase, found.ended_at) == (Phase.GONE, after(10))
    assert one(found, 40, machines=(ends[2],)).ended_at == after(8)


def test_one_that_was_only_missed_may_have_ended_later() -> None:
    missed = replace(node("n", phase=Phase.GONE), ended_at=after(5), unlisted_since=after(5))
    late = machine(missed, MachineState.ENDED, ended_at=after(20), end_cause="failed")
    assert one(missed, 30, machines=(late,)).ended_at == after(20)


@pytest.mark.parametrize("phase", WITH_MACHINE)
def test_a_machine_missing_from_one_list_is_not_gone(phase: Phase) -> None:
    of = rented("n", phase)
    missed = one(of, 0, machines=())
    assert (missed.phase, missed.ended_at) == (phase, None)
    back = one(missed, 5, machines=(machine(of),))
    assert replace(back, unlisted_since=None) == replace(of, unlisted_since=None)
    again = one(back, 6, machines=())
    assert one(again, 6 + UNLISTED_SECONDS - 1, machines=()).phase is phase


@pytest.mark.parametrize("phase", WITH_MACHINE)
def test_a_machine_that_stays_missing_is_gone_since_it_was_missed(phase: Phase) -> None:
    missed = one(rented("n", phase), 0, machines=())
    assert one(missed, UNLISTED_SECONDS + 1, machines=None).phase is phase
    found = one(missed, UNLISTED_SECONDS, machines=())
    assert (found.phase, found.ended_at) == (Phase.GONE, after(0))
    lost = [name for name, _, _ in found.history]
    assert lost == ([] if phase is Phase.TERMINATING else [Phase.LOST]) + [Phase.GONE]


def test_a_list_that_was_begun_before_the_launch_proves_nothing() -> None:
    of = one(asked(Phase.REQUESTED), 5, outcomes=(answer(asked(Phase.REQUESTED), Outcome.DONE,
             machine=machine(asked(Phase.REQUESTED), launched_at=after(2))),))  # fmt: skip
    found = one(of, 60, machines=(), machines_at=after(1))
    assert (found.phase, found.unlisted_since) == (Phase.BOOTING, None)


def test_a_list_that_could_not_be_read_changes_nothing() -> None:
    fleet = [rented(phase, phase) for phase in WITH_MACHINE]
    assert list(seen(*fleet, seconds=900).values()) == fleet


def stranger(state: MachineState = MachineState.RUNNING, **more: Any) -> ProviderNode:
    """A machine with our tag that no journal knows."""
    return machine(rented("lost-1", ready_at=None), state, **more)


def test_a_machine_of_a_lost_store_is_taken_in_with_its_workers() -> None:
    workers = {"lost-1-0": does(1), "lost-1-1": does(), "lost-10-0": does(), "else": does()}
    (found,) = seen(machines=(stranger(),), load=load(workers=workers)).values()
    assert (found.node_id, found.provider_id, found.token) == ("lost-1", "i-lost-1", "t-lost-1")
    assert found.workers == ("lost-1-0", "lost-1-1")
    assert found.phase is Phase.READY


def test_it_has_its_workers_once_the_scheduler_tells_of_them() -> None:
    (silent,) = seen(machines=(stranger(),)).values()
    assert (silent.phase, silent.workers) == (Phase.BOOTING, ())
    found = one(silent, 5, load=load(workers={"lost-1-0": does(1), "else": does()}))
    assert (found.phase, found.workers) == (Phase.READY, ("lost-1-0",))


@pytest.mark.parametrize("state", list(MachineState))
def test_one_that_has_ended_is_not_taken_in(state: MachineState) -> None:
    more = {"ended_at": after(-1)} if state is MachineState.ENDED else {}
    found = seen(machines=(stranger(state, **more),))
    assert len(found) == (0 if state is MachineState.ENDED else 1)


def test_a_machine_of_a_launch_that_was_refused_is_a_node_of_its_own() -> None:
    of = asked(Phase.UNCERTAIN)
    gone = one(of, 5, outcomes=(answer(of, Outcome.NO_CAPACITY),))
    found = seen(gone, seconds=9, machines=(machine(of, launched_at=after(2)),))
    late = found["n-late"]
    assert found["n"] == gone
    assert (late.phase, late.provider_id, late.launched_at) == (Phase.BOOTING, "i-n", after(2))
    assert late.request == of.request
    again = seen(*found.values(), seconds=14, machines=(machine(of, launched_at=after(2)),))
    assert again == found


def test_it_is_ready_when_its_last_worker_has_joined() -> None:
    of = rented("n", Phase.BOOTING, workers={"w": 2}, ready_at=None)
    first = {"n-w-0": does(joined_at=after(10))}
    assert one(of, 20, load=load(workers=first)).phase is Phase.BOOTING
    both = {**first, "n-w-1": does(joined_at=after(14))}
    found = one(of, 20, load=load(workers=both))
    assert (found.phase, found.ready_at) == (Phase.READY, after(14))


@pytest.mark.parametrize(
    ("joined_at", "ready_at"),
    [(None, after(20)), (after(99), after(20)), (after(-99999), LONG_AGO)],
)
def test_a_workers_clock_that_is_off_does_not_move_it_out_of_its_life(
    joined_at: datetime | None, ready_at: datetime
) -> None:
    of = rented("n", Phase.BOOTING, ready_at=None)
    found = one(of, 20, load=load(workers={"n-w-0": does(joined_at=joined_at)}))
    assert found.ready_at == ready_at


def test_workers_that_are_born_again_after_a_restart_of_the_scheduler_are_waited_for() -> None:
    of = rented("n", workers={"w": 2})
    empty = one(of, 0, load=load(at=after(0), scheduler_id="b"))
    assert (empty.phase, empty.missing_since) == (Phase.READY, after(0))
    half = one(empty, 15, load=load(workers={"n-w-0": does()}, at=after(15), scheduler_id="b"))
    assert (half.phase, half.missing_since) == (Phase.READY, None)
    assert half.ready_at == of.ready_at


def test_what_one_scheduler_missed_is_not_held_against_workers_on_their_way_to_the_next() -> None:
    missed = replace(rented("n"), missing_since=after(0))
    was = State(nodes={"n": missed}, learnt=Learnt(scheduler_id="b"))
    then = readings(VANISHED_SECONDS, load=load(at=after(VANISHED_SECONDS), scheduler_id="c"))
    (found,) = counted_anew(was, then).values()
    assert found.missing_since is None
    # Until they had time to join, and no longer: then it is counted.
    for seconds, since in ((REJOIN_SECONDS - 1, None), (REJOIN_SECONDS, after(0))):
        known = replace(was, learnt=Learnt(scheduler_id="c", reborn_at=after(0)))
        later = readings(seconds, load=load(at=after(seconds), scheduler_id="c"))
        (found,) = counted_anew(known, later).values()
        assert found.missing_since == since
    # The same scheduler, or one that was never heard of before.
    for before in ("c", ""):
        same = replace(was, learnt=Learnt(scheduler_id=before))
        assert counted_anew(same, then) == was.nodes


def test_a_machine_whose_workers_stay_away_is_of_no_use() -> None:
    missed = one(rented("n"), 0, load=load(at=after(0)))
    before = one(missed, VANISHED_SECONDS - 1, load=load(at=after(VANISHED_SECONDS - 1)))
    assert before.phase is Phase.READY
    found = one(missed, VANISHED_SECONDS, load=load(at=after(VANISHED_SECONDS)))
    assert found.phase is Phase.TERMINATING


@pytest.mark.parametrize("jump", [25.0, 3600.0])
def test_one_old_sample_does_not_become_proof_by_growing_older(jump: float) -> None:
    """The scheduler was seen without workers once, and then not at all; or the clock jumped."""
    sample = load(at=after(0))
    missed = one(rented("n"), 0, load=sample)
    assert one(missed, jump, load=sample).phase is Phase.READY
    assert one(missed, jump, load=None).phase is Phase.READY


def test_workers_of_others_are_nobodys_here() -> None:
    of = rented("n", Phase.BOOTING, ready_at=None)
    assert one(of, 5, load=load(workers=joined(node("other")))).phase is Phase.BOOTING
