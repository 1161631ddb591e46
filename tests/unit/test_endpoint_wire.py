"""What a hostile scheduler may send: it becomes a right load, or a refusal, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from costplan.adapters.dask.endpoint_wire import (
    DrainAnswer,
    DrainBody,
    LoadAnswer,
    load_of_answer,
)
from costplan.adapters.dask.token_file import checked_token, read_token
from costplan.planner.errors import InputError


def answer() -> dict[str, Any]:
    """A right answer of two workers, one group and one departure."""
    return {
        "version": 1,
        "scheduler_id": "Scheduler-1",
        "sample": 7,
        "at_ms": 1_700_000_000_000,
        "unread_tasks": 0,
        "clients": 1,
        "clients_gone_ms": None,
        "groups": {
            "prefix": ["train", "train"], "need": [{"GPU": 1.0}, {}], "queued": [3, 0],
            "running": [1, 2], "waiting": [0, 0], "unrunnable": [0, 0], "pinned": [1, 0],
            "mean_seconds": [2.5, None], "observed": [4, 0], "variance": [0.5, None],
            "longest_seconds": [9.0, None], "overdue": [1, 0], "overdue_seconds": [9.0, 0.0],
        },
        "workers": {
            "name": ["n2-0", "n1-0"], "threads": [4, 2], "memory": [None, 2**33],
            "joined_ms": [1_699_999_990_000] * 2, "idle_ms": [0, 1_699_999_999_500],
            "resources": [{"GPU": 1.0}, {}], "executing": [3, 0], "processing": [4, 0],
            "nbytes": [100, 50], "keys": [5, 1], "copied": {"0": [3, 60]},
            "us_per_key": [1_250_000, 1000], "busy_us": [10_000_000, 0],
            "status": {"1": "closing"}, "gang": {"0": "xgboost"}, "shuffling": [1],
        },
        "departed": {
            "name": ["n0-0"], "at_ms": [1_699_999_999_000], "expected": [False],
            "lost_keys": [2], "restarted": [1],
        },
        "totals": {"finished": 9, "erred": 1, "recomputed": 2, "restarted": 1,
                   "recomputed_ms": 5000, "busy_ms": 20_000},
    }  # fmt: skip


def read(body: dict[str, Any]) -> LoadAnswer:
    return LoadAnswer.model_validate_json(json.dumps(body))


def test_a_right_answer_is_a_load() -> None:
    load = load_of_answer(read(answer()))
    assert load.at.isoformat() == "2023-11-14T22:13:20+00:00"
    assert [(group.prefix, dict(group.need), group.queued) for group in load.groups] == [
        ("train", {}, 0),
        ("train", {"GPU": 1.0}, 3),
    ]
    assert list(load.workers) == ["n1-0", "n2-0"]
    busy, idle = load.workers["n2-0"], load.workers["n1-0"]
    assert (busy.executing, busy.recompute_seconds, busy.gang) == (3, 2.5, "xgboost")
    assert (busy.sole_keys, busy.sole_bytes) == (2, 40)
    assert (idle.sole_keys, idle.sole_bytes, idle.recompute_seconds) == (1, 50, 0.001)
    assert (busy.idle_since, busy.status, busy.memory_bytes) == (None, "running", None)
    assert (idle.status, idle.shuffling, idle.busy_seconds, idle.spilled_bytes) == (
        "closing",
        True,
        0,
        0,
    )
    assert idle.idle_since is not None
    assert idle.idle_since.isoformat() == "2023-11-14T22:13:19.500000+00:00"
    assert load.departed["n0-0"].lost_keys == 2
    assert load.totals.recomputed_seconds == 5.0


def test_what_cannot_be_is_cut_to_what_can() -> None:
    body = answer()
    body["workers"] |= {"executing": [9, 9], "copied": {"0": [6, 101]}}
    load = load_of_answer(read(body))
    busy, idle = load.workers["n2-0"], load.workers["n1-0"]
    assert (busy.executing, idle.executing) == (4, 0)  # no more than they have been given
    assert (busy.sole_keys, busy.sole_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("sample",), -1),
        (("at_ms",), 10**18),
        (("at_ms",), 1.5),
        (("scheduler_id",), "two\nlines"),
        (("scheduler_id",), ""),
        (("groups", "queued"), [1]),
        (("groups", "queued"), [1, -1]),
        (("groups", "queued"), ["1", "2"]),
        (("groups", "mean_seconds"), [None, None]),
        (("groups", "mean_seconds"), [float("nan"), None]),
        (("groups", "variance"), [float("inf"), None]),
        (("groups", "prefix"), ["a\x1b[31m", "b"]),
        (("groups", "prefix"), ["x" * 201, "b"]),
        (("groups", "need"), [{"GPU": -1.0}, {}]),
        (("workers", "name"), ["same", "same"]),
        (("workers", "threads"), []),
        (("workers", "nbytes"), [1]),
        (("workers", "nbytes"), [2**61, 0]),
        (("workers", "status"), {"2": "closing"}),
        (("workers", "status"), {"0": "on fire"}),
        (("workers", "status"), {"-1": "closing"}),
        (("workers", "gang"), {"0": "a\nb"}),
        (("workers", "copied"), {"2": [1, 1]}),
        (("workers", "copied"), {"0": [1]}),
        (("workers", "copied"), {"0": [1, -1]}),
        (("workers", "shuffling"), [2]),
        (("departed", "at_ms"), []),
        (("totals", "busy_ms"), None),
        (("surprise",), 1),
    ],
)
def test_one_wrong_field_is_refused(path: tuple[str, ...], value: Any) -> None:
    body = answer()
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, Any]:
    """A right answer in which some fields, at any depth, are something else."""
    body = answer()
    for _ in range(draw(st.integers(1, 3))):
        place: Any = body
        while True:
            name = draw(
                st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place)))
            )
            inner = place[name]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                place[name] = draw(JSON)
                break
            place = inner
    return body


@settings(max_examples=300, deadline=None)
@given(nearly_right())
def test_a_hostile_answer_is_a_load_or_a_refusal(body: dict[str, Any]) -> None:
    try:
        load = load_of_answer(read(body))
    except ValidationError:
        return
    assert all(name.isprintable() for name in load.workers)
    assert all(min(group.queued, group.running, group.waiting) >= 0 for group in load.groups)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_at_all_is_no_answer(content: bytes) -> None:
    for form in (LoadAnswer, DrainBody):
        with pytest.raises(ValidationError):
            form.model_validate_json(content)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["done", "refused", "lost", "pending", "x"]), JSON))
def test_a_hostile_drain_answer_is_checked_too(body: dict[str, Any]) -> None:
    try:
        retired = DrainAnswer.model_validate_json(json.dumps({"version": 1, **body})).retired()
    except ValidationError:
        return
    assert all(reason.isprintable() for reason in retired.refused.values())


@pytest.mark.parametrize(
    ("content", "mode", "problem"),
    [
        ("", 0o600, "holds no token"),
        ("  \n", 0o600, "holds no token"),
        ("short", 0o600, "16 to 512"),
        ("x" * 600, 0o600, "16 to 512"),
        ("with a space inside", 0o600, "visible ASCII"),
        ("ümlaut-ümlaut-ümlaut", 0o600, "visible ASCII"),
        ("a-token-of-some-length", 0o640, "mode 0640.*chmod 600"),
        ("a-token-of-some-length", 0o604, "mode 0604"),
    ],
)
def test_a_token_file_that_will_not_do(
    tmp_path: Path, content: str, mode: int, problem: str
) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(InputError, match=problem) as told:
        read_token(path)
    assert not content.strip() or content.strip() not in str(told.value)


def test_a_token_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")
    path.chmod(0o400)
    assert read_token(path) == "a-token-of-some-length"
    with pytest.raises(InputError, match="No such file"):
        read_token(tmp_path / "none")
    assert checked_token(" a-token-of-some-length ", "x") == "a-token-of-some-length"
