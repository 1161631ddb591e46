"""Machines of a kind of worker that the configuration, read anew, does not name any more, or names
with another size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costplan.planner.fleet_view import packing
from costplan.planner.load import TaskGroup
from costplan.planner.loop import Ticked
from costplan.planner.nodes import Cause
from costplan.planner.settings import WorkerKind
from costplan.planner.tick import Cordon, DrainNode
from costplan.planner.types import Phase
from tests.fleets import after, does, kind, load, machine, rented, rules, tasks
from tests.unit.test_loop import WORK, Daemon, ends, fleet, launches


def renamed() -> Daemon:
    """Two machines with a 'w' each, where there are only 'v' now."""
    daemon = fleet("a", "b")
    daemon.settings = rules(kind("v"))
    return daemon


def test_an_idle_one_goes_like_any_other() -> None:
    daemon = renamed()
    moves = [
        move for _ in range(4) if (plan := daemon.tick(passing=30).plan) for move in plan.moves
    ]
    (drain,) = moves
    assert drain.reason == "w is no kind of worker in the configuration any more"
    order = daemon.state.nodes["a"].drain
    assert order is not None
    assert order.cause is Cause.SURPLUS


def replaced(daemon: Daemon, *work: TaskGroup) -> Ticked:
    """The tick in which two machines go, as four others are there for their work."""
    asked = daemon.tick(*work)
    assert len(launches(asked)) == 4
    assert ends(asked) == []
    assert ends(daemon.tick(*work, outcomes=daemon.answer(asked))) == []
    ready = daemon.tick(*work)
    (cordon,) = ends(ready)
    assert isinstance(cordon, Cordon)
    assert cordon.node_ids == ("a", "b")
    return ready


def test_one_that_works_stays_until_others_do_its_work() -> None:
    daemon = renamed()
    replaced(daemon, WORK, tasks(running=8))
    assert [n.phase for n in daemon.nodes].count(Phase.READY) == 4


@pytest.mark.parametrize(
    "now",
    [
        kind(gib=14),
        kind(threads=2),
        kind(resources={"disk": 1.0}),
        replace(kind(gpus=1), resources={}),
    ],
    ids=["memory", "threads", "resources", "gpus"],
)
def test_workers_of_another_size_are_not_of_the_kind_that_has_their_name(now: WorkerKind) -> None:
    daemon = fleet("a", "b")
    daemon.settings = rules(replace(now, minimum=1))
    ticked = daemon.tick()
    assert ticked.needs.here == {"w": 0}
    assert packing(daemon.state.nodes["a"], {"w": now}) == (("w as it was", 1),)
    assert packing(daemon.state.nodes["a"], {"w": kind(minimum=3)}) == (("w", 1),)


def test_those_of_another_size_work_until_others_do_their_work_and_go() -> None:
    daemon, work = fleet("a", "b"), (WORK, tasks(running=8))
    daemon.settings = rules(kind(gib=14))
    ready = replaced(daemon, *work)
    assert ready.plan is not None
    assert {move.reason for move in ready.plan.moves if isinstance(move, DrainNode)} == {
        "w as it was is no kind of worker in the configuration any more"
    }
    again = daemon.tick(*work, tasks(queued=9000))  # short of 'w', of which those are none
    assert [daemon.state.nodes[name].drain is None for name in ("a", "b")] == [False, False]
    assert len(launches(again)) > 0


def test_what_an_adopted_one_runs_is_not_known_so_it_counts_as_it_is_named() -> None:
    listed = machine(rented("a"))
    daemon = Daemon(settings=rules(kind(gib=14)))
    work = load(workers={"a-0": does()}, at=after(5))
    daemon.tick(machines=(listed,), load=work)
    daemon.settings = rules(kind(gib=15))
    assert daemon.tick(machines=(listed,), load=replace(work, at=after(10))).needs.here == {"w": 1}
