"""What is done now for demand to come: bought as early as a boot is long, kept, or left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from costplan.planner.ahead import at_worth, look, steps_of
from costplan.planner.codec import decode, encode
from costplan.planner.errors import InputError
from costplan.planner.explain import Told, explain_tick
from costplan.planner.learnt import Learnt
from costplan.planner.loop import Ticked, tick
from costplan.planner.outlook import Ahead, Outlook
from costplan.planner.settings import Budget, Safety, Settings
from costplan.planner.tick import DrainNode, MovePlan, NewNode, State
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    kind,
    load,
    machine,
    quote,
    readings,
    rented,
    rules,
    spot,
    tasks,
)
from tests.outlooks import outlook

QUOTES = (quote(key(), "1"), quote(spot(), "0.4"))
HOURS = [2.0] * 48


def fleet(*names: str, **more: Any) -> State:
    """Nodes on spot that are ready, one worker each."""
    return State(nodes={name: rented(name, keys=(spot(),), **more) for name in names})


def ticked(
    foretold: Outlook | None,
    state: State,
    busy: int = 2,
    settings: Settings | None = None,
    now: float = 0.0,
    seen: Mapping[str, Any] | None = None,
    **more: Any,
) -> Ticked:
    """A tick with a plan, where the first `busy` nodes work and the others have been idle for
    ten minutes."""
    workers = {
        name: does(4) if place < busy else does(idle_since=after(now - 600))
        for place, node in enumerate(state.nodes.values())
        for name in node.workers
    }
    work = (tasks(running=4 * busy, mean=600.0),) if busy else ()
    read = readings(
        now,
        load=load(*work, workers=workers, at=after(now), **(seen or {})),
        machines=tuple(machine(node) for node in state.nodes.values()),
        quotes=QUOTES,
        outlook=foretold,
        **more,
    )
    return tick(read, state, settings or rules(), default_policies(), replan=True)


def plan_of(done: Ticked) -> MovePlan:
    """The plan of a tick that made one."""
    assert done.plan is not None
    return done.plan


def ahead_of(done: Ticked) -> Ahead:
    """What its plan did for demand to come."""
    found = plan_of(done).ahead
    assert found is not None
    return found


def bought(done: Ticked) -> list[NewNode]:
    """What is launched."""
    return [move for move in plan_of(done).moves if isinstance(move, NewNode)]


def drained(done: Ticked) -> set[str]:
    """What is let go."""
    return {move.node_id for move in plan_of(done).moves if isinstance(move, DrainNode)}


def test_what_is_foretold_is_bought_a_boot_ahead_and_not_sooner() -> None:
    """A boot is 60 s and the next plan 60 s away, so what is needed in a minute or two is bought
    now, and what is needed in half an hour is not."""
    soon = ticked(outlook([2.0] + [5.0] * 47), fleet("a", "b"))
    assert ahead_of(ticked(outlook([5.0] * 48), fleet("a", "b"))).bought == 3
    assert ahead_of(soon).bought == 0
    late = ticked(outlook([2.0] * 6 + [5.0] * 42), fleet("a", "b"))
    assert bought(late) == []
    assert ahead_of(late).demand[0].most == 5


def test_bought_ahead_says_so_with_numbers() -> None:
    done = ticked(outlook([5.0] * 48, notes=("no history",)), fleet("a", "b"))
    assert all(new.is_ahead for new in bought(done))
    assert {new.keys[0] for new in bought(done)} == {spot()}
    assert bought(done)[0].reason == (
        "ahead of demand: 5 w workers are foretold in 0s, 2 are wanted now"
    )
    told = Told(tick_id="t", at=NOON, mode=done.snapshot.mode, gaps=(), plan=done.plan, actions=())
    lines = next(s.lines for s in explain_tick(told).sections if s.title == "ahead")
    assert lines[0] == "3 nodes launched for demand to come"
    assert lines[1] == "w: 2 wanted now, at most 5"
    assert "24 steps" in lines[2]
    assert "not exceeded in 50 % of cases" in lines[2]
    assert "none costs less than" in lines[3]
    assert lines[4] == "the outlook: no history"


def test_the_bound_is_below_the_cost_and_near_it() -> None:
    found = ahead_of(ticked(outlook([5.0] * 48), fleet("a", "b")))
    assert 0 < found.bound_usd <= found.expected_usd <= found.bound_usd * Decimal("1.01")


def test_idle_nodes_are_kept_where_work_comes_back_soon_and_let_go_where_it_does_not() -> None:
    """Two minutes without work are cheaper than a boot of one and waiting; four hours are not."""
    state = fleet("a", "b", "c", "d")
    back = ticked(outlook([4.0] * 48), state)
    assert drained(back) == set()
    assert ahead_of(back).held == 2
    kept = {keep.node_id: keep.reason for keep in plan_of(back).kept}
    assert kept["c"].startswith("kept for demand to come: 4 w workers are foretold")
    gone = ticked(outlook([2.0] * 48), state)
    assert drained(gone) == {"c", "d"}
    assert ahead_of(gone).held == 0


def test_nothing_above_a_maximum_is_kept_for_demand_to_come() -> None:
    """Nodes of two workers each: a second one is four workers, and three may be."""
    state = fleet("a", "b", workers={"w": 2})
    foretold = outlook([3.0] * 48)
    for maximum, gone in ((None, set()), (4, set()), (3, {"b"})):
        done = ticked(foretold, state, busy=1, settings=rules(kind(maximum=maximum)))
        assert drained(done) == gone
        left_out = ahead_of(done).left_out
        assert left_out == ("4 w workers would be there, of which 3 may be" if gone else "")


def test_without_an_outlook_nothing_is_said_of_the_time_to_come() -> None:
    done = ticked(None, fleet("a", "b", "c"))
    assert plan_of(done).ahead is None
    assert drained(done) == {"c"}


def test_what_is_not_worth_its_price_is_not_bought() -> None:
    """A missing worker costs 1.01 of what one does: a boot is not earned back in a quarter of an
    hour, and is in four."""
    short = outlook([5.0] * 3 + [2.0] * 45)
    timid = rules(scaling={"ahead_shortage": 1.01})
    assert bought(ticked(short, fleet("a", "b"), settings=timid)) == []
    bold = rules(scaling={"ahead_shortage": 3.0})
    assert len(bought(ticked(short, fleet("a", "b"), settings=bold))) == 3


def test_an_unsure_outlook_is_bought_for_as_far_as_it_pays() -> None:
    """At 2 the median counts, at 4 what is not exceeded in three cases of four."""
    rows = tuple(tuple([n] * 48) for n in (2.0, 3.0, 6.0))
    unsure = outlook(HOURS, shares=(0.25, 0.5, 0.75), workers={"w": rows})
    for factor, new in ((2.0, 1), (4.0, 4)):
        settings = rules(scaling={"ahead_shortage": factor})
        assert len(bought(ticked(unsure, fleet("a", "b"), settings=settings))) == new


def test_looking_ahead_can_be_turned_off() -> None:
    done = ticked(
        outlook([5.0] * 48), fleet("a", "b"), settings=rules(scaling={"ahead_seconds": 0})
    )
    assert bought(done) == []
    assert plan_of(done).ahead is None


def test_where_nothing_runs_and_nothing_can_be_bought_nothing_is_planned() -> None:
    read = readings(load=load(tasks(queued=40, mean=60.0)), outlook=outlook([5.0] * 48))
    done = tick(read, State(), rules(), default_policies(), replan=True)
    assert (bought(done), ahead_of(done).bought) == ([], 0)
    assert ahead_of(done).left_out == "there is no machine to keep, and none to buy"


def test_an_outlook_that_is_over_is_not_used() -> None:
    found = ahead_of(ticked(outlook([9.0, 9.0]), fleet("a", "b"), now=600))
    assert found.bought == 0
    assert found.left_out == "the outlook ends within 2min"


def test_an_outlook_moves_on_with_the_time() -> None:
    """Five are foretold for noon to five past; ten minutes later that is over."""
    passing = outlook([5.0] + [2.0] * 47)
    assert ahead_of(ticked(passing, fleet("a", "b"), now=600)).demand[0].most == 2


def test_what_is_bought_ahead_keeps_within_the_budget() -> None:
    settings = rules(budget=Budget(usd_per_hour=Decimal("1.7")))
    state = fleet("a", "b")
    assert len(bought(ticked(outlook([50.0] * 48), state, settings=settings))) == 2
    most = rules(kind(maximum=3))
    assert len(bought(ticked(outlook([50.0] * 48), fleet("a", "b"), settings=most))) == 1


def test_a_day_budget_is_spread_over_the_day() -> None:
    """Twelve hours are left and $12: a dollar an hour. Two nodes at $0.40 leave room for none
    that is worth $0.40, but for hours; five would cost $2."""
    settings = rules(budget=Budget(usd_per_day=Decimal(12)))
    state = fleet("a", "b")
    done = ticked(outlook([50.0] * 48), state, settings=settings)
    assert len(bought(done)) == 0
    freer = rules(budget=Budget(usd_per_day=Decimal(24)))
    assert len(bought(ticked(outlook([50.0] * 48), state, settings=freer))) == 3


def test_the_last_microseconds_of_a_day_have_its_budget() -> None:
    settings = rules(budget=Budget(usd_per_day=Decimal(24)))
    for left in (1e-6, 3e-6, 5e-6):
        late = 12 * 3600 - left
        foretold = replace(outlook([50.0] * 48), at=after(late))
        assert ahead_of(ticked(foretold, fleet("a", "b"), settings=settings, now=late)).steps == 24


def test_work_that_is_there_is_launched_before_work_to_come() -> None:
    settings = rules(safety=Safety(max_launches=2))
    done = ticked(outlook([50.0] * 48), State(), busy=0, settings=settings)
    assert [new.is_ahead for new in bought(done)] == [True, True]
    read = readings(
        load=load(tasks(queued=960)), machines=(), quotes=QUOTES, outlook=outlook([50.0] * 48)
    )
    mixed = tick(read, State(), settings, default_policies(), replan=True)
    assert [new.is_ahead for new in bought(mixed)] == [False, True]


def test_a_machine_that_boots_for_long_is_asked_for_as_much_earlier() -> None:
    """Once its boots are known to take ten minutes, demand in eight minutes is bought for now."""
    later = outlook([2.0] + [5.0] * 47)
    assert bought(ticked(later, fleet("a", "b"))) == []
    state = fleet("a", "b")
    slow = replace(state.learnt, boots={str(spot()): (600.0, 600.0)})
    done = ticked(later, replace(state, learnt=slow))
    assert len(bought(done)) == 3
    assert ahead_of(done).boot_seconds == 600.0


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, -5.0])
def test_what_is_no_number_is_nothing(poison: float) -> None:
    done = ticked(outlook([poison] * 48), fleet("a", "b"))
    assert bought(done) == []
    assert drained(done) == set()


def test_an_absurd_outlook_passes_no_rule() -> None:
    settings = rules(budget=Budget(usd_per_hour=Decimal(5)), safety=Safety(max_launches=7))
    done = ticked(outlook([1e300] * 48), fleet("a", "b"), settings=settings)
    assert len(bought(done)) == 7
    assert plan_of(done).usd_per_hour_after <= 5


def test_two_ticks_on_the_same_are_the_same_and_survive_storage() -> None:
    foretold = decode(encode(outlook([5.0] * 48, notes=("a", "b")), Outlook), Outlook)
    once, twice = (ticked(foretold, fleet("a", "b", "c")) for _ in range(2))
    assert repr(once) == repr(twice)
    again = decode(encode(foretold, Outlook), Outlook)
    assert repr(ticked(again, fleet("a", "b", "c"))) == repr(once)
    stored = encode(once.plan, MovePlan)
    assert encode(decode(stored, MovePlan), MovePlan) == stored


def test_the_outlook_is_part_of_what_names_a_snapshot() -> None:
    names = {
        ticked(foretold, fleet("a", "b")).snapshot.digest
        for foretold in (None, outlook([2.0] * 48), outlook([3.0] * 48))
    }
    assert len(names) == 3


def test_steps_grow_evenly_and_fill_the_time() -> None:
    lengths = steps_of(14_340.0, 60.0)
    assert len(lengths) == 23
    assert sum(lengths) == pytest.approx(14_340.0)
    assert lengths[0] == pytest.approx(60.0)
    assert np.ptp(np.diff(lengths)) == pytest.approx(0.0, abs=1e-6)
    assert steps_of(90.0, 60.0) == [90.0]


AT_ONCE = rules(safety=Safety(max_drain_share=1.0))
BURSTS = Learnt(idle_gaps=(5.0, 5.0), bursts=(20.0, 20.0), idle_since=after(-2))


def test_in_a_pause_between_bursts_no_more_is_kept_than_they_keep_busy() -> None:
    """Bursts of 20 task-seconds and pauses of 5 s keep two threads busy enough, so half of one of
    these workers; the outlook, of means over minutes, would keep all four."""
    state, told = fleet("a", "b", "c", "d"), outlook([4.0] * 48)
    assert drained(ticked(told, state, busy=0)) == set()
    done = ticked(told, replace(state, learnt=BURSTS), busy=0, settings=AT_ONCE)
    assert len(drained(done)) == 3


def test_what_rises_above_the_bursts_is_bought_in_full() -> None:
    state = replace(fleet("a"), learnt=replace(BURSTS, idle_since=None))
    rises = outlook([1.0] + [7.0] * 47)
    assert ahead_of(ticked(rises, state, busy=1)).demand[0].most == 7


def test_work_that_goes_on_does_not_come_in_bursts_any_more() -> None:
    learnt = replace(BURSTS, idle_since=None, busy_before=-1_000.0)
    done = ticked(outlook([4.0] * 48), replace(fleet("a", "b"), learnt=learnt), busy=1)
    assert ahead_of(done).demand[0].most == 4


@pytest.mark.parametrize(("queued", "most"), [(9, 2), (11, 4)])
def test_a_long_burst_is_known_by_what_is_queued_when_it_begins(queued: int, most: int) -> None:
    """Bursts of 100 task-seconds and pauses of 5 s keep 2.7 of these workers busy enough. One of
    440 s is no burst, and that is known before a second of it is done; one of 360 s still is."""
    learnt = replace(BURSTS, bursts=(100.0, 100.0), idle_since=None)
    state = replace(fleet("a", "b", "c", "d"), learnt=learnt)
    done = ticked(outlook([4.0] * 48), state, busy=0)
    queue = load(tasks(queued, mean=40.0))
    seen = look(outlook([4.0] * 48), 60.0, replace(done.snapshot, load=queue), learnt, rules())
    assert seen is not None
    assert seen.most.tolist() == [most]


def test_nothing_is_kept_for_later_once_nobody_is_there() -> None:
    left = {"clients": 0, "clients_gone_since": after(-60)}
    gone = ticked(outlook([4.0] * 48), fleet("a", "b"), busy=0, settings=AT_ONCE, seen=left)
    assert drained(gone) == {"a", "b"}


def test_demand_by_its_worth() -> None:
    workers = np.array([4, 4, 9, 1])
    assert at_worth(workers, 2.0, 0).tolist() == [2, 2, 7, 1]
    assert at_worth(workers, 0.5, 0).tolist() == [1, 1, 6, 1]
    assert at_worth(workers, 0.0, 0).tolist() == [0, 0, 5, 0]
    assert at_worth(workers, 0.0, 3).tolist() == [3, 3, 8, 1]
    assert at_worth(workers, math.inf, 0).tolist() == workers.tolist()


def test_a_step_has_the_mean_of_what_it_spans() -> None:
    """60 s of boot, then 60 s, then what is left: 180 s at 4 and 300 s at 10 are 7.75."""
    settings = rules(scaling={"ahead_seconds": 600})
    made = ticked(outlook([4.0, 10.0]), fleet("a"), settings=settings)
    seen = look(outlook([4.0, 10.0]), 60.0, made.snapshot, Learnt(), settings)
    assert seen is not None
    spans = np.diff([0.0, *np.clip(np.cumsum(seen.seconds), 0, 300)]) / seen.seconds
    wanted = np.floor(4 * spans + 10 * (1 - spans) + 0.5)
    assert seen.workers[:, 0].tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends_seconds": (300, 300)}, "outlook.ends_seconds"),
        ({"shares": ()}, "outlook.shares"),
        ({"shares": (0.5, 0.5)}, "outlook.shares"),
        ({"shares": (1.5,)}, "outlook.shares"),
        ({"workers": {"w": ((1.0,),)}}, "outlook.workers.w"),
    ],
)
def test_an_outlook_whose_axes_do_not_agree_is_refused(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        outlook([1.0, 2.0], **wrong)
