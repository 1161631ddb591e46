"""Who is kept although the work does not ask for them, and who is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import pytest

from costplan.planner.fleet_view import assets
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load
from costplan.planner.needs import Needs, needs
from costplan.planner.nodes import Cause, Node
from costplan.planner.settings import Settings
from costplan.planner.types import Offer, Phase
from tests.fleets import (
    LONG_AGO,
    NOON,
    after,
    does,
    joined,
    key,
    kind,
    load,
    offers,
    quote,
    rented,
    rules,
    tasks,
)

PRICES = (quote(key(), "1"),)


def needed(
    seen: Load | None,
    *fleet: Node,
    seconds: float = 0.0,
    learnt: Learnt | None = None,
    settings: Settings | None = None,
    prices: Any = PRICES,
    on_offer: Sequence[Offer] | None = None,
) -> Needs:
    """What is needed of these nodes so long after noon; boots take 60 s."""
    wanted, now = settings or rules(), after(seconds)
    there = assets(fleet, seen, prices, {}, wanted, now)
    sold = offers() if on_offer is None else on_offer
    return needs(seen, there, sold, learnt or Learnt(), wanted, now)


def idle(*fleet: Node, since: datetime = NOON, **more: Any) -> Load:
    """These nodes with nothing to do since then."""
    workers = {name: does(idle_since=since) for each in fleet for name in each.workers}
    return load(workers=workers, **more)


ONE = rented("n")


def test_a_busy_fleet_keeps_its_work_where_everything_is_sold_out() -> None:
    """Nothing can be bought, and what is here is not too much for 2,880 s of work."""
    fleet = [rented(f"n{number}") for number in range(3)]
    workers = {name: does(4) for node in fleet for name in node.workers}
    busy = load(tasks(queued=2868, running=12), at=after(600), workers=workers)
    found = needed(busy, *fleet, seconds=600, on_offer=())
    (demand,) = found.demand
    assert demand.wanted >= 3
    assert demand.work_seconds == 2880
    assert not demand.is_surplus
    assert found.target["w"] >= 3


@pytest.mark.parametrize(("seconds", "kept"), [(0, 1), (89, 1), (90, 0), (600, 0)])
def test_an_idle_worker_is_kept_for_a_boot_and_a_half(seconds: float, kept: int) -> None:
    found = needed(idle(ONE, at=after(seconds)), ONE, seconds=seconds)
    assert (found.target, found.here) == ({"w": kept}, {"w": 1})
    assert found.is_met == bool(kept)
    if kept:
        assert found.kept["n"] == f"idle for {seconds:.0f} s, kept for 90 s"


def test_idle_workers_go_one_after_the_other() -> None:
    """By 90 ln(1 + 1.718 u) s, with shares u of 0.38, 0.76, 0.15 and 0.53."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in range(1, 5)]
    for seconds, left in (
        (19, {1, 2, 3, 4}),
        (21, {1, 2, 4}),
        (50, {2, 4}),
        (70, {2}),
        (90, set()),
    ):
        kept = needed(idle(*fleet, at=after(seconds)), *fleet, seconds=seconds).kept
        assert {int(name.split("-")[1]) for name in kept} == left


@pytest.mark.parametrize(("maximum", "left"), [(None, {1, 2}), (2, {1, 2}), (1, {2}), (0, set())])
def test_above_a_maximum_nobody_is_kept(maximum: int | None, left: set[int]) -> None:
    """As after a scaling down: a machine that is idle for a second only goes as well."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in (1, 2)]
    lower = rules(kind(maximum=maximum))
    found = needed(idle(*fleet, at=after(1)), *fleet, seconds=1, settings=lower)
    assert {int(name.split("-")[1]) for name in found.kept} == left
    assert found.target == {"w": len(left)}
    for why in found.let_go.values():
        assert why == "idle for 1 s, and more w workers are here than may be"


def test_one_that_must_stay_counts_towards_a_maximum() -> None:
    """It refused to be drained; of one that may be here, the other one goes."""
    stays = replace(rented("cluster-00001-abcd"), refused_until=after(300))
    fleet = (stays, rented("cluster-00002-abcd"))
    seen = idle(*fleet, at=after(1))
    found = needed(seen, *fleet, seconds=1, settings=rules(kind(maximum=1)))
    assert set(found.kept) == {"cluster-00001-abcd"}
    assert "than may be" in found.let_go["cluster-00002-abcd"]


def test_no_more_are_kept_through_pauses_than_work_enough() -> None:
    """Bursts of 800 s, pauses of 50 s, and 4 threads each: two are busy for 800 of 1,200 s."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in range(1, 5)]
    learnt = Learnt(idle_gaps=(50.0,), bursts=(800.0,), idle_since=NOON)
    found = needed(idle(*fleet), *fleet, seconds=1, learnt=learnt)
    assert found.target == {"w": 2}
    assert set(found.kept) == {"cluster-00002-abcd", "cluster-00004-abcd"}
    assert "fewer are enough" in found.let_go["cluster-00001-abcd"]
    assert needed(idle(*fleet[:1]), *fleet[:1], seconds=1, learnt=learnt).target == {"w": 1}


@pytest.mark.parametrize(("seconds", "stay"), [(1, 1), (118, 1), (119, 0)])
def test_a_few_stay_through_pauses_that_all_would_not(seconds: float, stay: int) -> None:
    """Bursts of 900 s, boots of 60 s: 10 new threads are done when 6 would be that stay, each of
    which is worth 100 s so. A worker has 4; another one is worth 90 s, and pauses are of 95 s."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in range(1, 5)]
    soon = rules(scaling={"target_seconds": 60})
    learnt = Learnt(idle_gaps=(95.0,) * 3, bursts=(900.0,) * 3, idle_since=NOON)
    found = needed(idle(*fleet), *fleet, seconds=seconds, learnt=learnt, settings=soon)
    assert found.target == {"w": stay}


def test_pauses_that_were_learnt_are_kept_through() -> None:
    learnt = Learnt(idle_gaps=(40.0,) * 5, boot_seconds=(45.0,))
    assert needed(idle(ONE), ONE, seconds=67, learnt=learnt).target == {"w": 1}
    assert needed(idle(ONE), ONE, seconds=68, learnt=learnt).target == {"w": 0}


@pytest.mark.parametrize(
    ("clients", "gone", "seconds", "target"),
    [
        (0, NOON, 29, 1),  # 30 s of patience with a client that connects again
        (0, NOON, 30, 0),
        (0, None, 30, 1),  # nobody knows since when
        (1, NOON, 30, 1),
        (None, None, 30, 1),
    ],
)
def test_nobody_is_kept_for_clients_that_are_gone(
    clients: int | None, gone: datetime | None, seconds: float, target: int
) -> None:
    seen = replace(idle(ONE), clients=clients, clients_gone_since=gone)
    assert needed(seen, ONE, seconds=seconds).target == {"w": target}


def test_the_last_client_does_not_take_a_minimum_with_it() -> None:
    seen = idle(ONE, clients=0, clients_gone_since=LONG_AGO)
    floor = rules(kind(minimum=1))
    assert needed(seen, ONE, seconds=900, settings=floor).target == {"w": 1}


@pytest.mark.parametrize("minimum", [0, 1, 5])
def test_without_a_load_what_is_here_stays_and_the_floor_is_wanted(minimum: int) -> None:
    found = needed(None, ONE, rented("m"), seconds=9e6, settings=rules(kind(minimum=minimum)))
    assert found.target == {"w": max(2, minimum)}
    assert found.short == {"w": max(0, minimum - 2)}


BOUND: tuple[dict[str, Any], ...] = (
    {"gang": "round-1"}, {"shuffling": True}, {"actors": 1}, {"long_running": 1},
)  # fmt: skip


@pytest.mark.parametrize("bound", BOUND)
def test_one_member_of_a_collective_keeps_its_whole_node(bound: dict[str, Any]) -> None:
    """However long the other worker of it and all other nodes have been idle."""
    two, other = rented("a", workers={"w": 2}), rented("b")
    seen = replace(idle(two, other), workers={**joined(two, other), "a-w-0": does(0, **bound)})
    found = needed(seen, two, other, seconds=6000)
    assert list(found.kept) == ["a"]
    assert found.target == {"w": 2}


def test_what_comes_and_what_has_no_price_stays() -> None:
    coming = replace(rented("c", Phase.BOOTING, ready_at=None), launched_at=NOON)
    assert needed(load(), coming, seconds=900).kept == {"c": "it is still coming"}
    unpriced = needed(idle(ONE), ONE, seconds=900, prices=())
    assert unpriced.kept == {"n": "its price is not known"}


def test_who_refused_is_asked_again_later() -> None:
    refused = replace(ONE, refused_until=after(300))
    assert needed(idle(refused), refused, seconds=299).target == {"w": 1}
    assert needed(idle(refused), refused, seconds=300).target == {"w": 0}


@pytest.mark.parametrize("cause", list(Cause))
def test_who_is_told_to_leave_does_not_count(cause: Cause) -> None:
    going = rented("n", cause=cause)
    found = needed(load(tasks(running=4, mean=100.0), workers=joined(going, executing=4)), going)
    assert found.here == {"w": 0}
    assert found.short == {"w": 1}


def long_surplus(seconds: float) -> Learnt:
    """More than enough workers since so long before noon."""
    return Learnt(surplus_since=MappingProxyType({"w": after(-seconds)}))


def test_busy_nodes_are_let_go_only_after_a_long_surplus_and_not_below_what_is_useful() -> None:
    """Three busy nodes, a task each, of which one node could run all in time."""
    fleet = [rented(name) for name in "abc"]
    seen = load(tasks(running=3, mean=10.0), workers=joined(*fleet, executing=1))
    assert needed(seen, *fleet, learnt=long_surplus(89)).target == {"w": 3}
    assert needed(seen, *fleet, learnt=long_surplus(90)).target == {"w": 1}
    wide = load(tasks(running=12, mean=1.0), workers=joined(*fleet, executing=4))
    assert needed(wide, *fleet, learnt=long_surplus(9000)).target == {"w": 3}


def test_busy_nodes_go_one_after_the_other_as_idle_ones_do() -> None:
    """Four busy nodes, a task each: after 21 s the third one, after 36 s the first one too."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in range(1, 5)]
    seen = load(tasks(running=4, mean=10.0), workers=joined(*fleet, executing=1))
    told = [(0, {1, 2, 3, 4}), (21, {1, 2, 4}), (50, {2, 4}), (90, set())]
    for seconds, left in told:
        kept = needed(seen, *fleet, learnt=long_surplus(seconds)).kept
        assert {int(name.split("-")[1]) for name in kept} == left


def test_no_more_go_than_have_nothing_to_run() -> None:
    """Of four nodes two are enough to run what is there side by side, and one would do in time."""
    fleet = [rented(f"cluster-{n:05d}-abcd") for n in range(1, 5)]
    seen = load(tasks(running=8, mean=1.0), workers=joined(*fleet, executing=2))
    assert needed(seen, *fleet, learnt=long_surplus(9000)).target == {"w": 2}


def test_a_kind_that_no_machine_holds_is_not_wanted_and_it_is_said_why() -> None:
    gpu = kind("gpu", gpus=1)
    waits = tasks(queued=5, unrunnable=5, need={"GPU": 1.0})
    found = needed(load(waits), settings=rules(kind(), gpu))
    assert (found.target, found.is_met) == ({"w": 0, "gpu": 0}, True)
    (waiting,) = found.waiting
    assert waiting.reason == "no machine that may be bought now has 1 GPU for a gpu worker"
