"""The fleet as the planner sees it: what counts, what it costs, what may go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.drain import drain_usd
from costplan.planner.fleet_view import Asset, assets, fleet_usd_per_hour, packing, staffing
from costplan.planner.ledger import Meter
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Cause, Node
from costplan.planner.standing import is_staying, possible_keys, rates
from costplan.planner.types import Phase, Quote
from tests.fleets import NOON, after, key, node, quote, rules, spot, view


def does(**more: Any) -> WorkerLoad:
    values: dict[str, Any] = {
        "threads": 4, "memory_bytes": None, "resources": {}, "executing": 0, "managed_bytes": 0,
    }  # fmt: skip
    return WorkerLoad(**(values | more))


def seen(
    *nodes: Node, load: dict[str, WorkerLoad] | None = None, quotes: tuple[Quote, ...] = ()
) -> tuple[Asset, ...]:
    meters = {
        "metered": Meter(until=NOON, busy_seconds=0, usd_per_hour=Decimal(3), rate_source="test")
    }
    at = None if load is None else Load(at=NOON, window_seconds=0, groups=(), workers=load)
    return assets(nodes, at, quotes, meters, rules(), NOON)


def worker(of: Node, place: int = 0) -> str:
    return of.workers[place]


@pytest.mark.parametrize(
    ("phase", "counts"),
    [
        (Phase.INTENDED, True), (Phase.BOOTING, True), (Phase.READY, True),
        (Phase.CORDONED, True), (Phase.RETIRING, False), (Phase.TERMINATING, False),
        (Phase.LOST, False), (Phase.GONE, False),
    ],
)  # fmt: skip
def test_what_works_or_will_counts(phase: Phase, *, counts: bool) -> None:
    assert bool(seen(node("a", phase=phase))) == counts


def test_a_node_that_was_told_to_leave_does_not_count() -> None:
    assert seen(node("a", cause=Cause.SURPLUS)) == ()


def test_nodes_come_in_the_order_of_their_ids_with_what_they_cost() -> None:
    on_spot = node("b", keys=(spot(),))
    found = seen(node("metered"), on_spot, node("a"), quotes=(quote(spot(), "2"),))
    assert [(each.node.node_id, each.usd_per_hour) for each in found] == [
        ("a", None),
        ("b", Decimal(2)),
        ("metered", Decimal(3)),
    ]
    assert found[0].pinned == "its price is not known"
    dear = found[1].expected_usd_per_hour
    assert dear is not None
    assert dear > 2  # interruptions make work be done again
    assert found[2].expected_usd_per_hour == 3.0


def test_nodes_of_one_offer_share_what_it_is_expected_to_cost_and_unquoted_ones_do_not() -> None:
    one, two = node("a", keys=(spot(),)), node("metered", keys=(spot("b"),))
    found = seen(one, replace(one, node_id="c"), two, quotes=(quote(spot(), "2"),))
    assert found[0].expected_usd_per_hour == found[1].expected_usd_per_hour
    assert found[2].expected_usd_per_hour == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({"gang": "xgboost"}, "a worker is a member of the collective xgboost"),
        ({"shuffling": True}, "a running shuffle needs it"),
        ({"actors": 2}, "2 actors live on it"),
        ({"long_running": 1}, "a seceded task runs on it"),
        ({"executing": 3}, ""),
    ],
)
def test_why_a_node_must_stay(held: dict[str, Any], reason: str) -> None:
    one = node("metered")
    assert seen(one, load={worker(one): does(**held)})[0].pinned == reason


def test_one_that_is_coming_or_has_refused_stays() -> None:
    assert seen(node("metered", phase=Phase.BOOTING))[0].pinned == "it is still coming"
    refused = replace(node("metered"), refused_until=after(60))
    assert "refused to be drained" in seen(refused)[0].pinned
    over = replace(node("metered"), refused_until=after(-1))
    assert seen(over)[0].pinned == ""


def idle(*since: datetime | None) -> float | None:
    one = node("metered", workers={"w": len(since)})
    load = {
        name: does(idle_since=at, executing=0 if at else 1)
        for name, at in zip(one.workers, since, strict=True)
    }
    return seen(one, load=load)[0].idle_seconds


def test_a_node_is_idle_since_its_last_worker_ran_out_of_work() -> None:
    assert idle(after(-30), after(-10)) == 10
    assert idle(after(-30), None) is None
    assert idle(after(5)) == 0  # never before it began
    assert seen(node("metered"), load={})[0].idle_seconds is None


def test_draining_costs_what_the_node_does_meanwhile() -> None:
    one = node("metered")
    held = does(sole_bytes=4 * 10**9, sole_keys=64)
    found = seen(one, load={worker(one): held})[0]
    usd, seconds = drain_usd([held], Decimal(3), 0.0)
    assert (found.drain_usd, found.drain_seconds) == (usd, seconds)
    assert found.drain_usd == pytest.approx(Decimal(3) * Decimal(repr(seconds)) / 3600)


def test_workers_are_counted_by_kind() -> None:
    assert packing(node("a", workers={"w": 2, "gpu": 1}), {}) == (("gpu", 1), ("w", 2))
    fleet = seen(
        node("a", workers={"w": 2}),
        replace(node("b", phase=Phase.BOOTING), launched_at=after(-20)),
        replace(node("c", phase=Phase.BOOTING), launched_at=after(-200)),
    )
    found = staffing(fleet, 60.0, NOON)
    assert (found["w"].ready, found["w"].coming, found["w"].coming_seconds) == (2, 2, 20.0)
    assert staffing((), 60.0, NOON) == {}


def test_the_fleet_costs_what_is_quoted_or_was_last_known_of_all_that_is_alive() -> None:
    nodes = (node("metered"), node("b", keys=(spot(),)), node("gone", phase=Phase.GONE), node("x"))
    meters = {
        "metered": Meter(until=NOON, busy_seconds=0, usd_per_hour=Decimal(3), rate_source="t")
    }
    assert fleet_usd_per_hour(nodes, (quote(spot(), "2"),), meters) == 5


def test_until_the_cloud_answers_a_node_is_taken_for_the_dearest_it_may_become() -> None:
    asked = node("a", phase=Phase.REQUESTED, keys=(spot(), key()))
    assert possible_keys(asked) == (spot(), key())
    quotes = (quote(spot(), "1"), quote(key(), "4"))
    at = view(asked, usd=None, quotes=quotes)
    assert rates(at.snapshot, at.state).usd_per_hour == {"a": 4}
    booting = replace(asked, phase=Phase.BOOTING)
    at = view(booting, usd=None, quotes=quotes)
    assert rates(at.snapshot, at.state).total == 1
    at = view(asked, usd=None, quotes=quotes[:1])
    assert rates(at.snapshot, at.state).unknown == ("a",)


def test_who_was_told_to_leave_brings_no_workers() -> None:
    nodes = (node("a", workers={"w": 2}), node("b", cause=Cause.SURPLUS),
             node("c", phase=Phase.BOOTING))  # fmt: skip
    assert [is_staying(each) for each in nodes] == [True, False, True]
