"""What workers claim and schedulers tell of work is believed only where it can be true."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from costplan.adapters.dask import work_book
from costplan.adapters.dask.counters import Counters
from costplan.adapters.dask.kinds import Kind, Tracker
from costplan.adapters.dask.machine_claim import Machine, machine_of
from costplan.adapters.dask.span_marks import (
    MOST_MARK,
    NO_LABEL,
    OTHER_LABEL,
    ROWS_TOPIC,
    label_of,
    mark_of,
)
from costplan.adapters.dask.work_book import (
    MOST_KEPT_WINDOWS,
    MOST_LABELS,
    MOST_OPEN_CELLS,
    WorkBook,
)
from costplan.adapters.dask.work_wire import MAX_CELLS, RatesBody, WorkAnswer, batch_of, encoded


def worker(name: str = "a", resources: dict[str, float] | None = None, **extra: Any) -> Any:
    """What a scheduler has of a worker, as far as it is looked at here."""
    return SimpleNamespace(
        name=name, has_what={}, resources=resources or {}, extra=extra, nthreads=2,
        address=f"tcp://{name}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("resources", "claim", "machine"),
    [
        ({}, None, Machine()),
        ({"spot": 4, "zone-us-1a": 4, "type-m5.large": 4, "GPU": 1}, None,
         Machine("m5.large", "spot", "us-1a")),
        ({"type-m5.large": 4}, {"type": "c7i.large", "market": "on_demand"},
         Machine("c7i.large", "on_demand")),
        ({}, {"type": 7, "market": "gift", "usd_per_hour": "-1"}, Machine()),
        ({}, {"type": "x", "usd_per_hour": "nan"}, Machine("x")),
        ({}, {"type": "x", "usd_per_hour": "0.048"},
         Machine("x", pico_per_hour=48_000_000_000)),
        ({}, ["m5.large"], Machine()),
    ],
)  # fmt: skip
def test_what_a_worker_says_of_its_machine(
    resources: dict[str, float], claim: Any, machine: Machine
) -> None:
    assert machine_of(worker(resources=resources, costplan=claim)) == machine


def test_a_long_or_unprintable_name_is_cut_as_all_names_are() -> None:
    said = machine_of(worker(costplan={"type": "m5\n" + "x" * 500}))
    assert len(said.instance_type) <= 200
    assert said.instance_type.isprintable()


@pytest.mark.parametrize(
    "mark",
    ["{", "[]", '[["a"]]', '[[],{}]', '[["a\\n"],{}]', '[["a"],{"t":1}]', '[["a"],[]]', 7, None,
     "x" * (MOST_MARK + 1), {"name": ()}, {"name": "abc"}, {"name": 5}, "[" * 5_000],
)  # fmt: skip
def test_a_mark_that_is_none_is_no_span(mark: Any) -> None:
    assert label_of(mark) is None
    assert WorkBook(0.0).label(mark) is NO_LABEL


def test_spans_beyond_their_number_are_others() -> None:
    book = WorkBook(0.0)
    marks = [mark_of((f"s{place}",), {}) for place in range(MOST_LABELS + 1)]
    labels = [book.label(mark) for mark in marks]
    assert labels[-1] is OTHER_LABEL
    assert len(set(labels)) == MOST_LABELS + 1
    assert book.label(marks[0]) is labels[0]


def booked(book: WorkBook, tracker: Tracker, kind: Kind, seconds: float) -> None:
    """Books one task, as the scheduler's hook does."""
    cell = book.cell(tracker, kind, {"costplan_span": mark_of(("train",), {"run": "1"})})
    if not cell.new_tasks:
        book.fresh.append(cell)
    cell.new_tasks += 1
    cell.new_us += round(seconds * 1e6)
    cell.new_squares += seconds * seconds


def test_windows_are_let_go_of_and_what_is_missed_is_counted() -> None:
    book, tracker, kind = WorkBook(0.0), Tracker(worker(), 0.0), Kind("fit", ())
    for number in range(MOST_KEPT_WINDOWS + 5):
        booked(book, tracker, kind, 2.0)
        book.close_window(10.0 * (number + 1))
        book.close_window(10.0 * (number + 1) + 1)  # it is too young, and has nothing
    assert [book.windows[0].number, len(book.windows)] == [6, MOST_KEPT_WINDOWS]
    body = encoded(list(book.windows), "s", is_more=False, missed=5)
    batch = batch_of(WorkAnswer.model_validate_json(body))
    assert (batch.missed, batch.windows[-1].number) == (5, MOST_KEPT_WINDOWS + 5)
    (row,) = batch.windows[0].work
    assert (row.worker, row.span, dict(row.tags), row.busy_seconds, row.tasks) == (
        "a", ("train",), {"run": "1"}, 2.0, 1,
    )  # fmt: skip
    (lane,) = book.lanes.values()
    assert lane.mean_and_variance() == (2.0, 0.0)
    assert lane.observed == MOST_KEPT_WINDOWS + 5


def test_a_window_of_more_than_an_answer_takes_is_several() -> None:
    book = WorkBook(0.0)
    trackers = [Tracker(worker(f"w{number}"), 0.0) for number in range(1_001)]
    kinds = [Kind(f"k{number}", ()) for number in range(MAX_CELLS // 1_000)]
    for tracker in trackers:
        for kind in kinds:
            booked(book, tracker, kind, 1.0)
    label = book.label(mark_of(("train",), {"run": "1"}))
    book.report(ROWS_TOPIC, {"span": mark_of(("train",), {"run": "1"}), "rows": 5})
    book.close_window(60.0)
    cells = [len(window.cells) for window in book.windows]
    assert (sum(cells), max(cells)) == (MAX_CELLS + 1, MOST_OPEN_CELLS)
    assert [dict(window.rows) for window in book.windows] == [{label: 5}, *[{}] * (len(cells) - 1)]
    body = encoded(list(book.windows), "s", is_more=False, missed=0)
    batch = batch_of(WorkAnswer.model_validate_json(body))
    assert sum(each.tasks for window in batch.windows for each in window.work) == 1_001 * len(kinds)


def test_tasks_of_many_kinds_booked_together_are_no_kind_s_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work_book, "MOST_CELLS", 1)
    book, tracker = WorkBook(0.0), Tracker(worker(costplan={"type": "m5.large"}), 0.0)
    for seconds in (1.0, 10.0, 100.0):
        booked(book, tracker, Kind(f"takes {seconds}", ()), seconds)
    book.flush()
    assert [(lane.prefix, lane.mean_and_variance()[0]) for lane in book.lanes.values()] == [
        ("takes 1.0", 1.0)
    ]


def answer(**changes: Any) -> str:
    """The body of an answer, with changes to its window."""
    window = {
        "number": 1, "start_ms": 0, "end_ms": 5, "worker": [0], "label": [0], "prefix": [0],
        "busy_us": [1], "tasks": [1], **changes,
    }  # fmt: skip
    return json.dumps(
        {"version": 1, "scheduler_id": "s", "is_more": False, "missed": 0, "workers": ["a"],
         "prefixes": ["fit"], "spans": [["train"]], "tags": [{}], "windows": [window]}
    )  # fmt: skip


def test_an_answer_that_contradicts_itself_is_refused() -> None:
    assert WorkAnswer.model_validate_json(answer())
    for wrong in (
        {"worker": [1]}, {"label": [1]}, {"prefix": [3]}, {"busy_us": [1, 2]}, {"tasks": [-1]},
        {"end_ms": -1}, {"start_ms": 6}, {"number": 0}, {"rows": [1]},
        {"rows_label": [1], "rows": [1]}, {"more": 1}, {"busy_us": [1.5]},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            WorkAnswer.model_validate_json(answer(**wrong))
    for usd in ("-1", "nan", "1e30", "abc", ""):
        with pytest.raises(ValidationError):
            RatesBody(version=1, worker=["a"], usd_per_hour=[usd])
    with pytest.raises(ValidationError, match="differ in length"):
        RatesBody(version=1, worker=["a"], usd_per_hour=[])


def test_a_worker_that_leaves_hands_on_what_it_has_done() -> None:
    scheduler = SimpleNamespace(workers={}, tasks={})
    counters = Counters(scheduler, 0.0)
    tracker, kind = Tracker(worker(), 0.0), Kind("fit", ())
    booked(counters.book, tracker, kind, 1.0)
    counters.book.left(tracker, 30.0)
    counters.book.close_window(60.0)
    assert [row[3:] for row in counters.book.windows[0].cells] == [(1_000_000, 1)]
