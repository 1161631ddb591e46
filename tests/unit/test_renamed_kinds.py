"""Machines of a kind of worker that the configuration, read anew, does not name any more."""

from __future__ import annotations

from costplan.planner.nodes import Cause
from costplan.planner.tick import Cordon
from costplan.planner.types import Phase
from tests.fleets import kind, rules, tasks
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


def test_one_that_works_stays_until_others_do_its_work() -> None:
    daemon, work = renamed(), (WORK, tasks(running=8))
    asked = daemon.tick(*work)
    assert len(launches(asked)) == 4
    assert ends(asked) == []
    assert ends(daemon.tick(*work, outcomes=daemon.answer(asked))) == []
    ready = daemon.tick(*work)
    (cordon,) = ends(ready)
    assert isinstance(cordon, Cordon)
    assert cordon.node_ids == ("a", "b")
    assert [n.phase for n in daemon.nodes].count(Phase.READY) == 4
