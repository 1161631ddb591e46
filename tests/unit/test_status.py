"""What runs and why, from a store with everything in it and from one with nothing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.planner.ledger import Meter
from costplan.planner.settings import Budget
from costplan.planner.status import LastTick, Lease, Status, status_of, task_rows
from costplan.planner.tick import State
from costplan.planner.types import Mode, Phase
from tests.fleets import NOON, after, does, key, load, plan, quote, rented, rules, spot, tasks

LEASE = Lease(holder="pid 7", expires_at=after(30))
LAST = LastTick(tick_id="t-1", at=NOON, mode=Mode.FULL, gaps=(), quotes=(quote(spot(), "0.4"),))


def shown(state: State | None = None, seconds: float = 10.0, **more: object) -> Status:
    """The status so long after noon, by a daemon that ticked at noon."""
    values = {"lease": LEASE, "last": LAST, **more}
    return status_of(state or State(), rules(), now=after(seconds), **values)  # type: ignore[arg-type]


def test_an_empty_store_is_a_fleet_of_nothing() -> None:
    found = status_of(State(), None, lease=None, last=None, now=NOON)
    assert (found.nodes, found.fleet, found.machines, found.tasks) == (0, (), (), ())
    assert (found.usd_per_hour, found.spent_usd) == (Decimal(0), Decimal(0))
    assert (found.is_alive, found.workers_joined, found.plan) == (False, None, None)
    assert (found.next_look_at, found.next_plan_at) == (None, None)
    assert all(row.limit_usd is None and row.left_usd is None for row in found.budget)


def meter(usd: str) -> Meter:
    """What a node costs."""
    return Meter(until=NOON, busy_seconds=0.0, usd_per_hour=Decimal(usd), rate_source="test")


def test_nodes_of_one_offer_in_one_phase_are_one_row() -> None:
    """a and b on demand by their meters, c on spot by the quote, d of which nobody knows."""
    nodes = {
        "a": rented("a"), "b": rented("b", workers={"w": 2}),
        "c": rented("c", Phase.BOOTING, keys=(spot(),)), "d": rented("d", keys=(key("x"),)),
        "e": rented("e", Phase.GONE), "f": rented("f", Phase.CORDONED),
        "g": rented("g", Phase.REQUESTED),
    }  # fmt: skip
    meters = {"a": meter("1"), "b": meter("1.5"), "f": meter("1")}
    found = shown(State(nodes=nodes, meters=meters))
    assert [(r.key, r.phase, r.nodes, r.workers, r.usd_per_hour) for r in found.fleet] == [
        (key(), Phase.REQUESTED, 1, 1, None),
        (key(), Phase.READY, 2, 3, Decimal("2.5")),
        (key(), Phase.CORDONED, 1, 1, Decimal(1)),
        (spot(), Phase.BOOTING, 1, 1, Decimal("0.4")),
        (key("x"), Phase.READY, 1, 1, None),
    ]
    assert (found.nodes, found.coming, found.draining) == (6, 2, 1)
    assert (found.usd_per_hour, found.unpriced_nodes) == (Decimal("3.9"), 1)
    assert (found.workers_expected, [row.node_id for row in found.machines]) == (6, list("abcdfg"))


@pytest.mark.parametrize(("seconds", "alive"), [(29, True), (30, False)])
def test_who_holds_the_lease_is_alive_and_says_when_it_looks_again(
    seconds: float, alive: bool
) -> None:
    found = shown(State(plan=plan()), seconds)
    assert found.is_alive == alive
    assert found.next_look_at == (after(1) if alive else None)
    assert found.next_plan_at == (after(60) if alive else None)


def test_without_a_plan_the_next_is_due_now() -> None:
    assert shown().next_plan_at == after(10)


def test_the_budget_is_of_the_hour_the_day_and_the_month() -> None:
    state = State(
        nodes={"a": rented("a")}, meters={"a": meter("1")},
        spent_by_day={"2024-05-14": Decimal(4), "2024-05-15": Decimal(3), "2024-04-30": Decimal(9)},
    )  # fmt: skip
    limits = replace(rules(), budget=Budget(usd_per_hour=Decimal("0.5"), usd_per_month=Decimal(9)))
    found = status_of(state, limits, lease=LEASE, last=LAST, now=NOON)
    left = {row.name: row.left_usd for row in found.budget}
    assert left["hour"] == Decimal("-0.5")
    assert left["day"] is None
    assert [row.name for row in found.budget] == ["hour", "day", "month"]


def test_tasks_by_prefix_those_with_most_to_do_first() -> None:
    seen = load(
        tasks(3, 1, mean=2.0), tasks(5, 0, mean=10.0, observed_tasks=1, need={"GPU": 1.0}),
        tasks(90, 0, mean=None, prefix="score"), tasks(0, 0, prefix="done"),
        tasks(0, 0, prefix="later", waiting=7),
    )  # fmt: skip
    rows = task_rows(seen)
    assert [(r.prefix, r.queued, r.running, r.waiting) for r in rows] == [
        ("score", 90, 0, 0), ("fit", 8, 1, 0), ("later", 0, 0, 7),
    ]  # fmt: skip
    assert [r.mean_task_seconds for r in rows] == [None, pytest.approx(2.8), 1.0]
    assert task_rows(None) == ()


def test_workers_that_joined_are_those_the_scheduler_knew() -> None:
    state = State(load=load(workers={"a": does(), "b": does()}, clients=3))
    found = shown(state)
    assert (found.workers_joined, found.clients, found.load_at) == (2, 3, NOON)
