"""What a scheduler's answer amounts to, and answers that are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from costplan.adapters.child import child_environment
from costplan.adapters.dask.sample import load_from_answer, sample
from costplan.planner.errors import InputError
from costplan.planner.load import Load, TaskGroup, WorkerLoad

ADDRESS = "tcp://127.0.0.1:8786"


def prefix(
    processing: int = 0, queued: int = 0, no_worker: int = 0, waiting: int = 0, finished: int = 0
) -> dict[str, Any]:
    states = {"waiting": waiting, "queued": queued, "no-worker": no_worker}
    return {
        "states": {**states, "processing": processing},
        "seconds": 1.5 * finished,
        "finished": finished,
    }


def answer(*samples: dict[str, Any], **changes: Any) -> bytes:
    observation = {
        "at": "2026-11-01T12:00:00+00:00",
        "window_seconds": 5.0,
        "samples": list(samples),
        "workers": {"tcp://10.0.0.1:9000": [4, 2**34, {"GPU": 1.0}, 2, 77]},
    }
    return json.dumps({"observation": {**observation, **changes}}).encode()


def loaded(*samples: dict[str, Any]) -> Load:
    return load_from_answer(answer(*samples), ADDRESS)


def test_bytes_that_workers_gave_away_are_a_rate() -> None:
    one = {"prefixes": {}, "seen": []}

    def rate(*samples: dict[str, Any], sent: list[int | None]) -> float | None:
        return load_from_answer(answer(*samples, sent_bytes=sent), ADDRESS).sent_bytes_per_second

    assert rate(one, one, sent=[100, 600]) == 100.0
    assert rate(one, one, sent=[600, 100]) == 0.0  # the scheduler began anew
    assert rate(one, sent=[100, 100]) is None  # one look has no rate
    assert rate(one, one, sent=[None, None]) is None


def test_states_and_what_was_seen_become_groups_by_need() -> None:
    load = loaded(
        {
            "prefixes": {
                "fit": prefix(processing=6, queued=90, no_worker=3, waiting=5, finished=4)
            },
            "seen": [
                ["fit", "processing", {"GPU": 1}, False, True, 1],
                ["fit", "processing", {"GPU": 1}, True, False, 3],
                ["fit", "processing", {}, False, True, 2],
                ["fit", "no-worker", {"licence": 1}, False, False, 3],
            ],
        }
    )
    common: dict[str, Any] = {"prefix": "fit", "mean_task_seconds": 1.5, "observed_tasks": 4}
    assert load == Load(
        at=datetime(2026, 11, 1, 12, tzinfo=UTC),
        window_seconds=5.0,
        groups=(
            TaskGroup(need={}, queued=90, running=2, waiting=5, **common),
            TaskGroup(need={"GPU": 1}, queued=3, running=1, pinned=3, **common),
            TaskGroup(need={"licence": 1}, queued=3, running=0, unrunnable=3, **common),
        ),
        workers={
            "tcp://10.0.0.1:9000": WorkerLoad(
                threads=4,
                memory_bytes=2**34,
                resources={"GPU": 1.0},
                executing=2,
                managed_bytes=77,
            )
        },
    )


def test_tasks_beyond_those_looked_at_are_taken_to_be_like_them() -> None:
    seen = [
        ["fit", "processing", {"GPU": 1}, False, False, 25],
        ["fit", "processing", {}, False, True, 75],
    ]
    load = loaded({"prefixes": {"fit": prefix(processing=1000)}, "seen": seen})
    assert [(g.need, g.queued, g.running) for g in load.groups] == [
        ({}, 0, 750),
        ({"GPU": 1}, 250, 0),
    ]
    assert load.unread_tasks == 0


def test_tasks_of_a_prefix_that_nobody_looked_at_are_counted_and_said_so() -> None:
    load = loaded({"prefixes": {"fit": prefix(processing=7, no_worker=2)}, "seen": []})
    (group,) = load.groups
    assert (group.need, group.queued, group.unrunnable) == ({}, 9, 2)
    assert load.unread_tasks == 9


def test_counts_are_means_over_the_samples_rounded_up() -> None:
    load = loaded(
        {"prefixes": {"fit": prefix(queued=10)}, "seen": []},
        {"prefixes": {"fit": prefix(queued=5)}, "seen": []},
        {"prefixes": {}, "seen": []},
    )
    (group,) = load.groups
    assert group.queued == 5  # (10 + 5 + 0) / 3
    assert (group.mean_task_seconds, group.observed_tasks) == (None, 0)
    two = loaded({"prefixes": {"fit": prefix(queued=1)}, "seen": []}, {"prefixes": {}, "seen": []})
    assert two.groups[0].queued == 1


def test_a_scheduler_without_work_has_no_groups() -> None:
    assert loaded({"prefixes": {}, "seen": []}).groups == ()


GOOD = {"prefixes": {"fit": prefix(queued=1)}, "seen": []}


@pytest.mark.parametrize(
    ("told", "message"),
    [
        pytest.param(b"Traceback (most", "the answer is not one: Invalid JSON", id="no JSON"),
        pytest.param(b"[]", "the answer is not one: ", id="a list"),
        pytest.param(b"{}", "cannot be read: no reason given", id="nothing"),
        pytest.param(b'{"error": "no"}', "cannot be read: no;", id="an error"),
        pytest.param(b'{"error": "\\u001b[2J"}', "cannot be read: no reason", id="an escape code"),
        pytest.param(b'{"observation": {}}', "observation.at: Field required", id="no fields"),
        pytest.param(answer(GOOD, extra=1), "observation.extra: Extra inputs", id="a new field"),
        pytest.param(answer(), "observation.samples: Tuple should have at least", id="no sample"),
        pytest.param(answer(GOOD, window_seconds="5"), "window_seconds: Input", id="text"),
        pytest.param(answer(GOOD, window_seconds=float("nan")), "not one: ", id="not a number"),
        pytest.param(answer(GOOD, at="2026-11-01T12:00:00"), "observation.at: ", id="no zone"),
        pytest.param(
            answer(GOOD, workers={"a": [-1, 1, {}, 0, 0]}), "workers.a.0: ", id="negative threads"
        ),
        pytest.param(
            answer({"prefixes": {}, "seen": [["fit", "processing", {}, False, False, 0.5]]}),
            "samples.0.seen.0.5: ",
            id="half a task",
        ),
    ],
)
def test_an_answer_that_is_none_is_refused(told: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_from_answer(told, ADDRESS)
    assert str(caught.value).startswith(f"{ADDRESS}: ")
    assert message in str(caught.value)


def test_a_seen_prefix_that_has_no_counters_is_left_out() -> None:
    stray = ["ghost", "processing", {}, False, False, 3]
    load = loaded({"prefixes": {"fit": prefix(queued=1)}, "seen": [stray]})
    assert [group.prefix for group in load.groups] == ["fit"]


def test_a_child_gets_no_credentials() -> None:
    ours = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "HOME": "/root",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GOOGLE_APPLICATION_CREDENTIALS": "x",
        "AZURE_CLIENT_SECRET": "x",
        "COSTPLAN_TOKEN": "x",
    }
    assert child_environment("/tmp/empty", ours) == {  # noqa: S108
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "HOME": "/tmp/empty",  # noqa: S108
        "TMPDIR": "/tmp/empty",  # noqa: S108
    }


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.1:8786", "is not a tcp:// or tls:// address"),
        ("http://10.0.0.1:8787", "is not a tcp:// or tls:// address"),
        ("tcp://10.0.0.1", "is not host and port"),
        ("tcp://:8786", "is not host and port"),
        ("tcp://10.0.0.1:8786/status", "is not host and port"),
        ("tcp://10.0.0.1:70000", "is not an address"),
        ("tcp://[::1:8786", "is not an address"),
        ("tcp://scheduler..svc:8786", "is not an address"),
        ("tls://10.0.0.1:8786", "needs TLS files"),
    ],
)
def test_an_address_that_cannot_be_looked_at_is_refused(address: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        sample(address)
    assert str(caught.value).startswith(f"{address}: {message}")


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 601])
def test_a_window_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(InputError, match="cannot sample for"):
        sample(ADDRESS, seconds)
