"""Dollars of work: what machines cost, shared out by what was computed on them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.ledger import Meter
from costplan.planner.work import WorkRow
from costplan.planner.work_cost import NO_SPAN, NO_VALUE, NodeCost, cost_of_work, shared_out
from costplan.planner.work_nodes import node_finder, worker_rates
from tests.fleets import NOON, node

HOUR = timedelta(hours=1)


def cost(node_id: str = "n", usd: str = "1", threads: int = 4, hours: int = 1) -> NodeCost:
    return NodeCost(
        node_id=node_id, start=NOON, end=NOON + hours * HOUR, usd=Decimal(usd), threads=threads
    )


def row(seconds: float, span: str = "", node_id: str = "n", **more: Any) -> WorkRow:
    values: dict[str, Any] = {"prefix": "fit", "tasks": 1, **more}
    path = tuple(span.split("/")) if span else ()
    return WorkRow(
        start=NOON, end=NOON + HOUR, node_id=node_id, span=path, busy_seconds=seconds, **values
    )


def test_the_worked_example_of_the_model() -> None:
    found = cost_of_work([cost()], [row(3_600, "train"), row(7_200, "etl", prefix="read")])
    assert [(line.name, line.usd) for line in found.by_span] == [
        ("etl", Decimal("0.5")), ("train", Decimal("0.25")),
    ]  # fmt: skip
    assert [(line.name, line.usd) for line in found.by_prefix] == [
        ("read", Decimal("0.5")), ("fit", Decimal("0.25")),
    ]  # fmt: skip
    assert (found.usd, found.idle_usd) == (Decimal(1), Decimal("0.25"))


def test_each_node_has_its_own_price() -> None:
    costs = [cost("cheap", "0.10", threads=1), cost("dear", "1.00", threads=1), cost("idle", "2")]
    rows = [row(1_800, "train", "cheap"), row(1_800, "train", "dear"), row(900, "train", "lost")]
    found = cost_of_work(costs, rows)
    (train,) = found.by_span
    assert (train.usd, train.busy_seconds, train.tasks) == (Decimal("0.55"), 4_500, 3)
    assert found.idle_usd == Decimal("0.05") + Decimal("0.50") + 2


def test_more_work_than_time_leaves_nothing_idle() -> None:
    found = cost_of_work([cost(threads=1)], [row(5_400, "a"), row(1_800, "b")])
    assert {line.name: line.usd for line in found.by_span} == {
        "a": Decimal("0.75"), "b": Decimal("0.25"),
    }  # fmt: skip
    assert found.idle_usd == 0


def test_tags_and_rows_are_told_for_what_they_were_said_of() -> None:
    rows = [
        row(7_200, "train/folds", tags={"run": "r1", "team": "risk"}),
        row(3_600, "etl", tags={"run": "r2"}),
        row(0, "etl", "", prefix="", tasks=0, rows=2_500_000),
    ]
    found = cost_of_work([cost()], rows)
    assert {line.name: line.usd for line in found.by_tag["run"]} == {
        "r1": Decimal("0.5"), "r2": Decimal("0.25"), NO_VALUE: Decimal(0),
    }  # fmt: skip
    assert {line.name: line.usd for line in found.by_tag["team"]}["risk"] == Decimal("0.5")
    etl = next(line for line in found.by_span if line.name == "etl")
    assert (etl.rows, etl.usd_per_million_rows) == (2_500_000, Decimal("0.1"))
    assert [line.name for line in found.by_span] == ["train / folds", "etl"]
    assert [line.name for line in cost_of_work([cost()], [row(1)]).by_span] == [NO_SPAN]


@given(
    st.integers(0, 10**15),
    st.integers(0, 10**12),
    st.lists(st.integers(0, 10**11), max_size=12),
)
def test_shares_and_the_idle_part_are_the_whole(pico: int, thread_us: int, busy: list[int]) -> None:
    parts, idle = shared_out(pico, thread_us, dict(enumerate(busy)))
    assert sum(parts.values()) + idle == pico
    assert idle >= 0
    whole = max(thread_us, sum(busy))
    for place, us in enumerate(busy):
        exact = pico * us / whole if whole else 0
        assert parts[place] == pytest.approx(exact, abs=1 + exact * 1e-12)


def test_workers_share_their_nodes_rate_and_are_known_by_name() -> None:
    there = node("fraud-00007-ab12", workers={"w": 3})
    meter = Meter(until=NOON, busy_seconds=0.0, usd_per_hour=Decimal("0.1"), rate_source="test")
    rates = worker_rates({there.node_id: there}, {there.node_id: meter})
    assert [rate.worker for rate in rates] == sorted(there.workers)
    assert sum(rate.usd_per_hour for rate in rates) == Decimal("0.1")
    node_of = node_finder({there.node_id: there}, "fraud")
    assert node_of(there.workers[0]) == there.node_id
    # One that is long gone is known by its name; what only looks like one of ours is not.
    assert node_of("fraud-00003-0f0f-2") == "fraud-00003-0f0f"
    assert node_of("fraud-annas-laptop") == node_of("other-00003-0f0f-2") == ""
