"""Worked sizes: what a scheduler has to do, and the workers that this asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from costplan.planner.demand import Sizing, shapes_from_load
from costplan.planner.errors import InvariantBroken
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.types import Gap, Resources, WorkerShape
from costplan.planner.units import GIB

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def group(
    queued: int,
    mean: float | None,
    *,
    running: int = 0,
    need: Mapping[str, float] | None = None,
    prefix: str = "step",
    waiting: int = 0,
    pinned: int = 0,
) -> TaskGroup:
    return TaskGroup(
        prefix=prefix,
        need=need or {},
        queued=queued,
        running=running,
        waiting=waiting,
        pinned=pinned,
        mean_task_seconds=mean,
        observed_tasks=0 if mean is None else 10,
    )


def worker(
    threads: int = 4, memory_gib: int | None = 16, resources: Mapping[str, float] | None = None
) -> WorkerLoad:
    return WorkerLoad(
        threads=threads,
        memory_bytes=None if memory_gib is None else memory_gib * GIB,
        resources=resources or {},
        executing=0,
        managed_bytes=0,
    )


def load(groups: list[TaskGroup], workers: list[WorkerLoad], unread: int = 0) -> Load:
    named = {f"tcp://10.0.0.{place}:9000": one for place, one in enumerate(workers)}
    return Load(at=AT, window_seconds=5, groups=tuple(groups), workers=named, unread_tasks=unread)


def shape(name: str, count: int, vcpu: int, memory_gib: int, gpus: int = 0) -> WorkerShape:
    need = Resources(vcpu_milli=vcpu * 1000, memory_bytes=memory_gib * GIB, gpus=gpus)
    return WorkerShape(name=name, count=count, need=need)


def test_an_idle_scheduler_asks_for_nothing() -> None:
    demand = shapes_from_load(load([group(0, 1.0)], [worker(), worker()]))
    assert demand.shapes == ()
    assert demand.unknown == ()
    assert demand.explanation == ()


@pytest.mark.parametrize(
    ("queued", "running", "mean", "workers"),
    [
        pytest.param(100, 0, 60.0, 5, id="5 tasks a slot in 300 s: 20 slots of 4"),
        pytest.param(90, 10, 60.0, 5, id="running tasks count as queued ones do"),
        pytest.param(100, 0, 200.0, 25, id="a slot finishes one of 200 s, not one and a half"),
        pytest.param(10, 0, 3600.0, 3, id="never more slots than tasks: 10 slots of 4"),
        pytest.param(1, 0, 0.01, 1, id="one short task asks for one worker"),
        pytest.param(1_000_000, 0, 0.0, 1, id="300,000 a slot, however short they seem"),
        pytest.param(1_200_001, 0, 0.0, 2, id="one task too many for one worker"),
    ],
)
def test_known_tasks_are_done_in_five_minutes(
    queued: int, running: int, mean: float, workers: int
) -> None:
    demand = shapes_from_load(load([group(queued, mean, running=running)], [worker()]))
    assert demand.shapes == (shape("any", workers, 4, 16),)
    assert demand.unknown == ()


def test_the_target_is_settable() -> None:
    demand = shapes_from_load(load([group(100, 60.0)], [worker()]), Sizing(target_seconds=60))
    assert demand.shapes == (shape("any", 25, 4, 16),)


def test_groups_of_one_class_share_workers_exactly() -> None:
    """Three thirds of a slot are one slot, not one and a rounding error."""
    thirds = [group(1, 100.0, prefix=prefix) for prefix in "abc"]
    assert shapes_from_load(load(thirds, [worker(threads=1)])).shapes == (shape("any", 1, 1, 16),)


@pytest.mark.parametrize(
    ("queued", "present", "workers"),
    [
        pytest.param(3, 2, 1, id="a slot a task"),
        pytest.param(1000, 2, 4, id="at most twice the 8 slots there now"),
        pytest.param(1000, 0, 1, id="nobody there: one worker to find out"),
    ],
)
def test_tasks_of_unknown_length_grow_by_a_factor(queued: int, present: int, workers: int) -> None:
    demand = shapes_from_load(load([group(queued, None)], [worker()] * present))
    assert demand.shapes == (shape("any", workers, 4, 16),)
    assert demand.unknown == (
        Gap(
            kind="task duration",
            subject="step",
            assumed="a slot a task, at most 2 x the slots there now",
            since=AT,
        ),
    )


def test_known_and_unknown_tasks_add_up_and_say_so() -> None:
    groups = [group(100, 60.0), group(50, None, prefix="new", waiting=7)]
    demand = shapes_from_load(load(groups, [worker()]))
    assert demand.shapes == (shape("any", 7, 4, 16),)  # 20 + min(50, 2 x 4) = 28 slots
    assert demand.explanation == (
        "any: 7 workers of 4 slots (like the workers that run now); "
        "100 tasks of known length within 300 s need 20 and "
        "50 tasks of unknown length get 8, at most 2 x the 4 there now or one worker's",
        "7 tasks wait for others and are not sized for",
    )


def test_each_need_gets_workers_of_its_own_like_those_there_are() -> None:
    workers = [worker(4, 16), worker(4, 16), worker(8, 30, {"GPU": 1})]
    groups = [group(40, 150.0), group(6, 300.0, need={"GPU": 1}, prefix="train")]
    demand = shapes_from_load(load(groups, workers))
    assert demand.shapes == (
        shape("any", 5, 4, 16),  # 2 a slot: 20 slots of 4
        shape("gpu1", 6, 8, 30, gpus=1),  # 1 a slot, and one slot a worker: its GPU
    )


def test_a_gpu_that_tasks_do_not_need_is_not_asked_for() -> None:
    demand = shapes_from_load(load([group(8, 300.0)], [worker(8, 30, {"GPU": 1})]))
    assert demand.shapes == (shape("any", 1, 8, 30),)


def test_half_a_gpu_a_task_is_two_slots_a_gpu() -> None:
    halves = group(8, 300.0, need={"GPU": 0.5})
    demand = shapes_from_load(load([halves], [worker(8, 30, {"GPU": 2})]))
    assert demand.shapes == (shape("gpu0.5", 2, 8, 30, gpus=2),)


def test_memory_limits_how_many_run_at_once() -> None:
    heavy = group(10, 300.0, need={"MEMORY": 8 * GIB})
    demand = shapes_from_load(load([heavy], [worker(4, 16, {"MEMORY": 16 * GIB})]))
    assert demand.shapes == (shape("memory8GiB", 5, 4, 16),)


@pytest.mark.parametrize(
    ("need", "expected"),
    [
        pytest.param({"GPU": 1}, shape("gpu1", 6, 8, 30, gpus=1), id="one GPU each"),
        pytest.param({"GPU": 2}, shape("gpu2", 6, 8, 30, gpus=2), id="more GPUs than it has"),
        pytest.param({"MEMORY": 8 * GIB}, shape("memory8GiB", 3, 4, 16), id="2 of 8 GiB each"),
        pytest.param({"MEMORY": 64 * GIB}, shape("memory64GiB", 6, 4, 64), id="more memory"),
    ],
)
def test_a_class_that_nobody_can_run_gets_the_template(
    need: Mapping[str, float], expected: WorkerShape
) -> None:
    demand = shapes_from_load(load([group(6, 300.0, need=need)], [worker()]))
    assert demand.shapes == (expected,)
    assert "the template, as no worker can run them" in demand.explanation[0]


def test_a_need_of_next_to_nothing_does_not_bind() -> None:
    little = group(8, 300.0, need={"GPU": 1e-300})
    demand = shapes_from_load(load([little], [worker(4, 16, {"GPU": 1e18})]))
    assert demand.shapes[0].count == 2


def test_templates_are_settable() -> None:
    sizing = Sizing(template=Resources(vcpu_milli=2000, memory_bytes=8 * GIB))
    demand = shapes_from_load(load([group(6, 300.0)], []), sizing)
    assert demand.shapes == (shape("any", 3, 2, 8),)


def test_the_most_common_worker_sets_the_shape() -> None:
    workers = [worker(16, 64), worker(4, 16), worker(4, 16)]
    assert shapes_from_load(load([group(8, 300.0)], workers)).shapes == (shape("any", 2, 4, 16),)


def test_a_resource_without_a_price_is_a_gap() -> None:
    need = {"licence/seat": 1.0}
    demand = shapes_from_load(load([group(2, 1.0, need=need)], [worker(4, 16, need)]))
    assert demand.shapes == (shape("licenceseat1", 1, 4, 16),)
    assert [(gap.kind, gap.subject, gap.assumed) for gap in demand.unknown] == [
        (
            "resource",
            "licence/seat",
            "resource licence/seat has no price; any machine is taken to have it",
        )
    ]


def test_needs_that_shorten_to_one_name_get_two_names() -> None:
    needs: list[Mapping[str, float]] = [{"a/b": 1.0}, {"a:b": 1.0}]
    demand = shapes_from_load(load([group(1, 1.0, need=need) for need in needs], []))
    assert [one.name for one in demand.shapes] == ["ab1", "ab1-2"]


def test_what_was_not_seen_is_said() -> None:
    demand = shapes_from_load(
        load([group(2, 1.0, pinned=2)], [worker(4, memory_gib=None)], unread=1)
    )
    assert demand.shapes == (shape("any", 1, 4, 16),)
    assert [(gap.kind, gap.subject) for gap in demand.unknown] == [
        ("worker memory", "1 worker without a limit"),
        ("placement", "2 tasks pinned to named workers or hosts"),
        ("restrictions", "1 task not looked at one by one"),
    ]


def test_the_same_load_in_another_order_gives_the_same_demand() -> None:
    groups = [group(9, 100.0, prefix=prefix, need={"GPU": n}) for n, prefix in enumerate("abc")]
    workers = [worker(4, 16), worker(8, 30, {"GPU": 1}), worker(8, 32)]
    forth = shapes_from_load(load(groups, workers))
    assert shapes_from_load(load(groups[::-1], workers[::-1])) == forth


def test_a_mean_of_no_observations_cannot_be_written_down() -> None:
    with pytest.raises(InvariantBroken, match="a mean needs observed tasks"):
        TaskGroup(prefix="a", need={}, queued=1, running=0, mean_task_seconds=0.5, observed_tasks=0)
