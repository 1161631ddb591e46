"""What a look at a Ray cluster amounts to, and answers that are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from costplan.adapters.ray.seen import Answer, sample_of
from costplan.adapters.ray.source import RaySource
from costplan.planner.errors import InputError
from costplan.planner.load_source import Sample, Strategy

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOTAL = {"CPU": 8.0, "memory": 2.0**34, "object_store_memory": 2.0**30, "node:10.0.0.7": 1.0}


def node(
    name: str, used: dict[str, float], idle_ms: int, status: str = "RUNNING"
) -> dict[str, Any]:
    return {
        "id": name, "status": status, "instance_type": "m5.2xlarge",
        "total": TOTAL, "used": used, "idle_ms": idle_ms,
    }  # fmt: skip


def seen(**changes: Any) -> str:
    look = {
        "at": "2026-11-01T12:00:00+00:00",
        "nodes": [
            node("busy", {"CPU": 6.0, "node:10.0.0.7": 0.001}, 0),
            node("idle", {}, 90_000),
            node("leaving", {"CPU": 6.0}, 0, "DRAINING"),
        ],
        "demands": [[{"CPU": 1.0}, 5], [{"CPU": 1.0}, 2], [{"GPU": 1.0}, 1]],
        "floor": [[{"CPU": 1.0}, 10], [{"GPU": 1.0}, 1]],
        "gangs": [
            {"name": "a1", "strategy": "STRICT_PACK", "state": "PENDING",
             "bundles": [[{"CPU": 4.0}, 2]]},
        ],
        **changes,
    }  # fmt: skip
    return json.dumps({"seen": look})


def sampled(text: str) -> Sample:
    told = Answer.model_validate_json(text).seen
    assert told is not None
    return sample_of(told)


def test_demands_of_one_shape_are_one_and_the_floor_adds_what_it_lacks() -> None:
    groups = {
        (group.prefix, tuple(group.need)): (group.queued, group.running)
        for group in sampled(seen()).load.groups
    }
    assert groups == {
        ("waiting", ("CPU",)): (7, 0),
        ("waiting", ("GPU",)): (1, 0),
        ("in use", ("CPU",)): (0, 2),
        ("floor", ("CPU",)): (3, 0),
    }


def test_nodes_are_workers_and_gangs_keep_their_strategy() -> None:
    sample = sampled(seen())
    busy, idle, leaving = (sample.load.workers[name] for name in ("busy", "idle", "leaving"))
    assert (busy.threads, busy.memory_bytes, busy.instance_type) == (8, 2**34 + 2**30, "m5.2xlarge")
    assert set(busy.resources) == {"CPU", "memory", "object_store_memory"}
    assert busy.is_busy
    assert not idle.is_busy
    assert idle.idle_since == AT - timedelta(seconds=90)
    assert leaving.status == "closing"
    (gang,) = sample.gangs
    assert (gang.strategy, gang.width) == (Strategy.STRICT_PACK, 2)
    assert [gap.kind for gap in sample.unknown] == ["running work"]


@pytest.mark.parametrize(
    "broken",
    [
        {"demands": [[{"CPU": -1.0}, 5]]},
        {"demands": [[{"CPU": 1.0}, 0]]},
        {"demands": [[{"CPU": "many"}, 1]]},
        {"gangs": [{"name": "a", "strategy": "HEAP", "state": "", "bundles": []}]},
        {"at": "2026-11-01T12:00:00"},
        {"more": 1},
    ],
)
def test_an_answer_that_is_none_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Answer.model_validate_json(seen(**broken))


@pytest.mark.parametrize(
    "address", ["ray://10.0.0.1:10001", "10.0.0.1", ":6379", "h:99999", "h:x", "head..svc:6379"]
)
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(InputError, match="is not a Ray address; write the control service's"):
        RaySource(address=address).sample()


def test_a_drain_names_nodes_by_their_ids(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--all: is not the id of a Ray node"):
        RaySource(address="127.0.0.1:1").drain(["--all"], AT)
