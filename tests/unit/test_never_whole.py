"""Machines whose workers never came, and those of which nobody knows who works on them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costplan.planner.learnt import Learnt
from costplan.planner.nodes import Cause, DrainOrder
from costplan.planner.reconcile import step
from costplan.planner.tick import Cordon, Retire, Terminate
from costplan.planner.types import Mode, Phase
from tests.fleets import NOON, after, does, load, machine, order, rented, runs, world
from tests.unit.test_loop import Daemon, ends
from tests.unit.test_reconcile import booting, retired, stepped


def test_one_that_is_never_whole_is_emptied_before_it_is_given_up() -> None:
    """One of its two workers never came; the other has worked meanwhile, and holds results."""
    of, action = stepped(booting(workers={"w": 2}), 900, runs("n-w-0"))
    assert (of.phase, type(action)) == (Phase.CORDONED, Cordon)
    assert of.history[-1][2] == "1 of its 2 workers did not join in 900 s"
    assert of.drain is not None
    assert of.drain.cause is Cause.BOOT_FAILED
    of, action = stepped(of, 5000, runs("n-w-0", status="paused"))
    assert (of.phase, action) == (Phase.CORDONED, None)  # what runs is waited for, however long
    of, action = stepped(of, 5010, runs("n-w-0", executing=0))
    assert (of.phase, type(action)) == (Phase.RETIRING, Retire)
    of, action = stepped(of, 5020, load(), retired(of, done=("n-w-0", "n-w-1")))
    assert (of.phase, type(action)) == (Phase.TERMINATING, Terminate)


def test_a_scheduler_that_was_just_born_again_is_joined_first() -> None:
    learnt = Learnt(reborn_at=after(899))
    for seconds, phase in ((900, Phase.BOOTING), (960, Phase.TERMINATING)):
        found, _ = step({"n": booting()}, replace(world(seconds, load()), learnt=learnt))
        assert found["n"].phase is phase


@pytest.mark.parametrize("ordered", [None, order(Cause.DOWN)])
def test_an_adopted_machine_is_kept_until_it_is_known_who_works_on_it(
    ordered: DrainOrder | None,
) -> None:
    of = replace(booting(workers={}), phase_since=NOON, drain=ordered)
    assert stepped(of, 5000, None) == (of, None)
    if ordered is None:
        assert stepped(of, 899, load()) == (of, None)
    found, action = stepped(of, 60 if ordered else 900, load())
    assert (found.phase, type(action)) == (Phase.TERMINATING, Terminate)


def test_machines_of_another_daemon_of_our_name_are_said_before_they_are_ended() -> None:
    """Two stores: what one launched, the other has never heard of. Nor its scheduler."""
    others = tuple(machine(rented(f"other-{n}", ready_at=None)) for n in range(4))
    daemon, free = Daemon(), load(at=after(5))
    ticked = daemon.tick(machines=others, load=free)
    assert ends(ticked) == []
    (gap,) = ticked.snapshot.gaps
    assert gap.kind == "strangers"
    assert gap.subject == (
        "i-other-0, i-other-1, i-other-2 and 1 more of cluster c, which this store does not know "
        "and of whose workers this scheduler has none: if another daemon drives them, stop one "
        "of the two and give it a cluster name of its own"
    )
    assert "each is ended 15min after it was found" in gap.assumed
    assert ticked.snapshot.mode is Mode.FULL
    for passing in (600.0, 299.0):
        assert ends(daemon.tick(machines=others, passing=passing)) == []
    ticked = daemon.tick(machines=others, passing=1.0)
    assert len(ends(ticked)) == 4


def test_workers_that_come_after_the_loss_of_a_store_make_theirs_a_node() -> None:
    """As those of a machine that was still booting."""
    daemon, mine = Daemon(), (machine(rented("lost-1", ready_at=None)),)
    assert [gap.kind for gap in daemon.tick(machines=mine).snapshot.gaps] == ["strangers"]
    workers = {"lost-1-0": does(1)}
    ticked = daemon.tick(machines=mine, load=load(at=after(10), workers=workers))
    assert (ticked.snapshot.gaps, ends(ticked)) == ((), [])
    assert daemon.state.nodes["lost-1"].phase is Phase.READY


def test_after_the_loss_of_a_store_no_machine_ends_while_the_scheduler_is_silent() -> None:
    daemon = Daemon()
    machines = (machine(rented("lost-1", ready_at=None)),)
    for _ in range(3):
        assert ends(daemon.tick(machines=machines, load=None)) == []
    workers = {"lost-1-0": does(1)}
    ticked = daemon.tick(machines=machines, load=load(at=after(daemon.now + 5), workers=workers))
    assert ends(ticked) == []
    assert daemon.state.nodes["lost-1"].phase is Phase.READY
