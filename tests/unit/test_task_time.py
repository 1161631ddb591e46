"""Task-time of a node's workers, through restarts of workers and counters."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from costplan.planner.ledger import Meter, Use
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.spans import Rate, Span
from costplan.planner.task_time import departed, finished, shared_out
from tests.fleets import NOON, after, node

NODE = node("n", workers={"w": 2})
FIRST, SECOND = NODE.workers
RATE = Rate(Decimal(1), "test", is_estimate=False)


def worked(seconds: float, joined: datetime = NOON) -> WorkerLoad:
    return WorkerLoad(
        threads=1, memory_bytes=None, resources={}, executing=0, managed_bytes=0,
        busy_seconds=seconds, joined_at=joined,
    )  # fmt: skip


def load(at: datetime = NOON, **workers: WorkerLoad) -> Load:
    names = {"first": FIRST, "second": SECOND}
    return Load(
        at=at, window_seconds=0, groups=(), workers={names[n]: w for n, w in workers.items()}
    )


def meter(**counted: float) -> Meter:
    names = {"first": FIRST, "second": SECOND}
    return Meter(
        until=NOON, busy_seconds=0, usd_per_hour=Decimal(1), rate_source="test",
        counters={names[name]: seconds for name, seconds in counted.items()},
    )  # fmt: skip


def test_what_is_above_the_meter_is_new() -> None:
    now = load(first=worked(9), second=worked(5))
    total, counters = finished(NODE, meter(first=4, second=5), now, {})
    assert total == 5
    assert counters == {FIRST: 9, SECOND: 5}


def test_a_counter_that_began_anew_counts_whole() -> None:
    total, counters = finished(NODE, meter(first=40), load(first=worked(3)), {})
    assert (total, counters) == (3, {FIRST: 3})


def test_a_worker_that_joined_anew_counts_before_and_after() -> None:
    before = load(after(50), first=worked(30), second=worked(7))
    now = load(after(60), first=worked(2, joined=after(55)))
    gone = departed(NODE, before, now, since=after(40))
    assert gone == {FIRST: before.workers[FIRST], SECOND: before.workers[SECOND]}
    total, counters = finished(NODE, meter(first=10, second=7), now, gone)
    assert total == (30 - 10) + 0 + 2
    assert counters == {FIRST: 2}


@pytest.mark.parametrize("since", [50, 51])
def test_what_the_meter_already_knows_is_not_told_again(since: float) -> None:
    before, now = load(after(50), first=worked(30)), load(after(60))
    assert departed(NODE, before, now, since=after(since)) == {}
    assert departed(NODE, before, now, since=after(49)) != {}
    assert departed(NODE, None, now, since=NOON) == departed(NODE, before, None, since=NOON) == {}


def spans(*uses: tuple[Use, float]) -> list[Span]:
    found, at = [], 0.0
    for use, seconds in uses:
        found.append(Span(after(at), after(at + seconds), use, RATE))
        at += seconds
    return found


def test_task_time_goes_to_the_spans_that_could_work_by_their_length() -> None:
    of = spans((Use.BOOT, 50), (Use.READY, 30), (Use.DRAIN, 10), (Use.END, 5))
    assert shared_out(8.0, of, is_over=False) == [0, 6, 2, 0]


def test_without_such_a_span_it_waits_and_at_the_end_goes_to_the_last() -> None:
    of = spans((Use.BOOT, 50), (Use.END, 5))
    assert shared_out(8.0, of, is_over=False) is None
    assert shared_out(8.0, of, is_over=True) == [0, 8]
    assert shared_out(8.0, [], is_over=True) is None


def test_a_worker_of_another_node_is_not_counted() -> None:
    other = replace(load(first=worked(9)), workers={"elsewhere": worked(9)})
    assert finished(NODE, meter(), other, {}) == (0, {})
