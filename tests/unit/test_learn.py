"""What ticks teach the next ones."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from costplan.planner.learn import (
    MOST_BOOTS,
    MOST_GAPS,
    MOST_PREFIXES,
    boot_seconds,
    exchange_name,
    from_boots,
    from_exchanges,
    from_load,
    is_reborn,
    surplus_since,
)
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, Totals
from costplan.planner.nodes import Node
from costplan.planner.types import Phase
from tests.fleets import (
    NOON,
    after,
    does,
    key,
    launch,
    load,
    plan,
    rented,
    rules,
    tasks,
)

BUSY = {"a": does(1)}


def taught(*samples: tuple[float, Load | None], learnt: Learnt | None = None) -> Learnt:
    """What these samples teach, each read so long after noon."""
    found = learnt or Learnt()
    for seconds, sample in samples:
        found = from_load(found, sample, after(seconds))
    return found


def works(**more: Any) -> Load:
    """A cluster with something to do."""
    return load(tasks(running=1), workers=BUSY, **more)


def idles(**more: Any) -> Load:
    """A cluster with nothing to do."""
    return load(workers={"a": does()}, **more)


def test_durations_are_the_newest_of_each_prefix_and_outlive_a_restart() -> None:
    old = Learnt(durations=MappingProxyType({"fit": (3, 9.0), "score": (5, 2.0)}))
    found = taught((0, load(tasks(mean=4.0), tasks(mean=None, prefix="new"))), learnt=old)
    assert dict(found.durations) == {"fit": (9, 4.0), "score": (5, 2.0)}
    assert taught((5, load()), (9, None), learnt=found) == found


def test_the_oldest_prefixes_are_forgotten_first() -> None:
    many = {f"p{n}": (1, 1.0) for n in range(MOST_PREFIXES)}
    found = taught((0, load(tasks(mean=2.0))), learnt=Learnt(durations=MappingProxyType(many)))
    assert len(found.durations) == MOST_PREFIXES
    assert "p0" not in found.durations
    assert found.durations["fit"] == (9, 2.0)


def test_a_pause_is_from_the_end_of_the_work_to_its_return() -> None:
    found = taught((0, works()), (10, idles()), (15, idles()), (40, works()), (45, works()))
    assert (found.idle_gaps, found.idle_since) == ((30.0,), None)


def test_a_burst_is_what_was_done_between_two_pauses() -> None:
    """100 s by the first pause and 130 s by the second; then a scheduler that counts anew."""
    done = [Totals(busy_seconds=seconds) for seconds in (100.0, 130.0, 7.0)]
    found = Learnt()
    for place, totals in enumerate(done):
        at = 100 * place
        found = taught((at, works()), (at + 10, idles(totals=totals)), learnt=found)
    assert found.bursts == (100.0, 30.0, 7.0)
    assert found.busy_before == 7.0


def test_only_the_last_pauses_are_kept() -> None:
    found = Learnt()
    for n in range(MOST_GAPS + 5):
        found = taught((100 * n, idles()), (100 * n + 1 + n, works()), learnt=found)
    assert found.idle_gaps == tuple(float(n + 1) for n in range(5, MOST_GAPS + 5))


def test_a_session_that_ends_is_no_pause() -> None:
    found = taught((0, idles()), (10, idles(clients=0)), (5000, works()))
    assert (found.idle_gaps, found.idle_since) == ((), None)


def test_a_cluster_without_workers_and_one_that_is_not_known_do_not_pause() -> None:
    assert taught((0, load())).idle_since is None
    assert taught((0, idles()), (60, None)).idle_since == NOON


def test_a_clock_that_goes_back_teaches_no_pause() -> None:
    """A pause below zero would make it never worth while to keep anybody."""
    found = taught((3600, idles()), (0, works()))
    assert (found.idle_gaps, found.idle_since) == ((), None)


@pytest.mark.parametrize(("seen", "seconds"), [((), 60.0), ((9.0,), 9.0), ((5.0, 300.0, 7.0), 7.0)])
def test_a_boot_takes_what_half_of_them_took(seen: tuple[float, ...], seconds: float) -> None:
    assert boot_seconds(Learnt(boot_seconds=seen), rules()) == seconds


def boots(was: Node | None, now: Node, learnt: Learnt | None = None) -> tuple[float, ...]:
    """The boots known after a node went from one to the other."""
    before = {} if was is None else {"n": was}
    return from_boots(learnt or Learnt(), before, {"n": now}).boot_seconds


def test_a_boot_is_from_the_launch_to_the_last_worker_once() -> None:
    booting = replace(rented("n", Phase.BOOTING, ready_at=None), launched_at=NOON)
    ready = replace(booting, ready_at=after(45))
    assert boots(booting, ready) == (45.0,)
    assert boots(ready, ready) == ()
    assert boots(booting, booting) == ()
    assert boots(None, ready) == ()
    full = Learnt(boot_seconds=(1.0,) * MOST_BOOTS)
    assert boots(booting, ready, full) == (*(1.0,) * (MOST_BOOTS - 1), 45.0)


def test_a_surplus_is_since_it_began_without_a_break() -> None:
    found = surplus_since(Learnt(), {"w": True, "v": False}, after(1))
    found = surplus_since(found, {"w": True, "v": True}, after(2))
    assert dict(found.surplus_since) == {"w": after(1), "v": after(2)}
    found = surplus_since(found, {"w": False, "v": True}, after(3))
    found = surplus_since(found, {"w": True, "v": True}, after(4))
    assert dict(found.surplus_since) == {"w": after(4), "v": after(2)}


def test_a_surplus_does_not_last_until_a_clock_that_was_set_back_is_there_again() -> None:
    found = surplus_since(Learnt(), {"w": True}, after(3600))
    assert dict(surplus_since(found, {"w": True}, after(5)).surplus_since) == {"w": after(5)}


def test_exchanges_are_remembered_for_two_horizons() -> None:
    """Of half an hour: what was exchanged at noon is known until one o'clock."""
    there = {"n-0": rented("n-0", keys=(key("a"),))}
    made = plan(launch("1", key("b"), replaces=("n-0", "n-gone")), launch("1", key("c")))
    name = exchange_name(key("a"), key("b"))
    found = from_exchanges(Learnt(), made, there, rules(), NOON)
    assert dict(found.exchanged) == {name: NOON}
    assert from_exchanges(found, plan(), there, rules(), after(3599)) is found
    assert not from_exchanges(found, plan(), there, rules(), after(3600)).exchanged


def test_a_scheduler_that_is_another_one_has_been_born_again_for_a_minute() -> None:
    def heard(seconds: float, name: str, learnt: Learnt) -> Learnt:
        return from_load(learnt, replace(works(), scheduler_id=name), after(seconds))

    first = heard(0, "one", Learnt())
    assert not is_reborn(first, after(0))
    again = heard(10, "two", heard(5, "one", first))
    assert is_reborn(again, after(10))
    assert is_reborn(heard(60, "two", again), after(69))
    assert not is_reborn(again, after(70))
    assert from_load(again, None, after(20)) is again
