"""Worked places: what a cluster without durations asks for, and the workers that have the room."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from costplan.planner.demand import Demand
from costplan.planner.demand_bundles import shapes_from_bundles
from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.load_source import Gang, Sample, Strategy
from costplan.planner.types import Resources, WorkerShape
from costplan.planner.units import GIB

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
CPU = {"CPU": 1.0}


def group(need: Mapping[str, float], queued: int, running: int = 0) -> TaskGroup:
    return TaskGroup(
        prefix="waiting",
        need=need,
        queued=queued,
        running=running,
        mean_task_seconds=None,
        observed_tasks=0,
    )


def sample(*groups: TaskGroup, gangs: tuple[Gang, ...] = (), **workers: WorkerLoad) -> Sample:
    load = Load(at=AT, window_seconds=0, groups=groups, workers=workers)
    return Sample(load=load, gangs=gangs)


def gang(strategy: Strategy, *parts: tuple[Mapping[str, float], int]) -> Gang:
    return Gang(name="g", strategy=strategy, parts=parts)


def unit(name: str, vcpu: int, memory_gib: int, gpus: int = 0, kinds: str = "") -> WorkerShape:
    need = Resources(vcpu_milli=vcpu * 1000, memory_bytes=memory_gib * GIB, gpus=gpus)
    return WorkerShape(name=name, count=1, need=need, gpu_kinds=tuple(kinds.split()))


def counts(demand: Demand) -> dict[str, int]:
    return {shape.name: shape.count for shape in demand.shapes}


def needs(demand: Demand) -> dict[str, tuple[int, float, int]]:
    return {
        shape.name: (shape.need.vcpu_milli, shape.need.memory_bytes / GIB, shape.need.gpus)
        for shape in demand.shapes
    }


def test_nothing_asked_is_nothing_wanted() -> None:
    empty = Demand(shapes=(), unknown=(), explanation=())
    assert shapes_from_bundles(sample()) == empty
    assert shapes_from_bundles(sample(), (unit("w", 4, 16),)) == empty


def test_each_demand_gets_its_place_and_what_is_not_known_is_said() -> None:
    """199 waiting of one CPU with 4 GiB of nobody's, 7 with a GPU, and one node with 2 in use."""
    demand = shapes_from_bundles(
        sample(
            group(CPU, 199),
            group({"CPU": 1.0, "GPU": 1.0, "memory": 8.0 * GIB}, 7),
            group({"CPU": 2.0}, 0, running=1),
        )
    )
    assert counts(demand) == {"cpu1-gpu1-memory8GiB": 7, "cpu2": 1, "cpu1": 199}
    assert needs(demand)["cpu1"] == (1000, 4.0, 0)
    assert needs(demand)["cpu1-gpu1-memory8GiB"] == (1000, 8.0, 1)
    gaps = {gap.kind: f"{gap.subject}: {gap.assumed}" for gap in demand.unknown}
    assert gaps["task duration"].startswith("206 waiting demands: a place for each at once")
    assert gaps["memory"] == "demands that name none: 4 GiB a vCPU"


def test_memory_that_nobody_names_is_as_on_the_nodes_that_are_there() -> None:
    node = WorkerLoad(threads=8, memory_bytes=16 * GIB, resources={}, executing=0, managed_bytes=0)
    assert needs(shapes_from_bundles(sample(group(CPU, 1), node=node)))["cpu1"] == (1000, 2.0, 0)


def test_parts_of_a_gpu_share_one_and_kinds_are_those_of_the_price_list() -> None:
    """10 demands of 0.3 GPU: three to one, so four GPUs, each with three demands' CPU."""
    demand = shapes_from_bundles(
        sample(group({"CPU": 2.0, "GPU": 0.3, "accelerator_type:A100-80G": 0.001}, 10))
    )
    (shape,) = demand.shapes
    assert (shape.count, shape.need.gpus, shape.need.vcpu_milli) == (4, 1, 6000)
    assert shape.gpu_kinds == ("A100-80GB",)
    assert {gap.kind for gap in demand.unknown} == {"task duration", "memory"}


def test_a_packed_gang_is_one_demand_and_others_come_apart() -> None:
    demand = shapes_from_bundles(
        sample(
            gangs=(
                gang(Strategy.STRICT_PACK, ({"CPU": 4.0}, 2), ({"CPU": 4.0, "GPU": 1.0}, 1)),
                gang(Strategy.PACK, (CPU, 5)),
                gang(Strategy.STRICT_SPREAD, (CPU, 3)),
            )
        )
    )
    assert counts(demand) == {"cpu12-gpu1": 1, "cpu1": 8}
    assert demand.least_machines == 3
    assert any("1 to be on one machine" in line for line in demand.explanation)


def test_units_are_filled_before_more_are_opened() -> None:
    """5 of 6 CPU take one unit of 16 for each two, three in all; the last has room for 10 of 1,
    and the first two for 4 each, so 199 of 1 leave 199 - 18 = 181 = 11 x 16 + 5: 12 more."""
    demand = shapes_from_bundles(
        sample(group({"CPU": 6.0}, 5), group(CPU, 199)), (unit("w", 16, 64),)
    )
    assert counts(demand) == {"w": 3 + 12}
    assert not {gap.kind for gap in demand.unknown} & {"memory", "worker"}


@pytest.mark.parametrize("waiting", [0, 1, 15, 16, 17, 31, 32, 33])
def test_units_are_as_many_as_a_division_says(waiting: int) -> None:
    demand = shapes_from_bundles(sample(group(CPU, waiting)), (unit("w", 16, 64),))
    assert sum(counts(demand).values()) == -(-waiting // 16)


def test_each_demand_goes_to_the_smallest_unit_that_holds_it() -> None:
    """The four of one CPU fit beside those that the plain unit has; the GPU unit is for GPUs."""
    asked = sample(group({"CPU": 6.0}, 1), group({"CPU": 1.0, "GPU": 1.0}, 2), group(CPU, 2))
    demand = shapes_from_bundles(asked, (unit("plain", 8, 32), unit("gpu", 8, 32, 1, "T4")))
    assert counts(demand) == {"plain": 1, "gpu": 2}


def test_a_spread_gang_has_a_unit_for_each_part() -> None:
    spread = (gang(Strategy.STRICT_SPREAD, (CPU, 3)),)
    for others, units in ((0, 3), (45, 3), (46, 4), (61, 4), (62, 5)):
        asked = sample(group(CPU, others), gangs=spread)
        demand = shapes_from_bundles(asked, (unit("w", 16, 64),))
        assert counts(demand) == {"w": units}, others
        assert demand.least_machines == 0
    two = shapes_from_bundles(sample(gangs=(*spread, *spread)), (unit("w", 16, 64),))
    assert counts(two) == {"w": 3}  # gangs may meet, their parts may not


def test_what_no_unit_holds_is_said() -> None:
    asked = sample(group(CPU, 1), gangs=(gang(Strategy.STRICT_PACK, ({"CPU": 16.0}, 2)),))
    demand = shapes_from_bundles(asked, (unit("w", 16, 64), unit("t4", 64, 64, 1, "T4")))
    assert counts(demand) == {"t4": 1, "w": 1}
    a100 = {"GPU": 1.0, "accelerator_type:A100": 0.001}
    demand = shapes_from_bundles(sample(group(a100, 2)), (unit("t4", 64, 64, 1, "T4"),))
    assert demand.shapes == ()
    (gap,) = (gap for gap in demand.unknown if gap.kind == "worker")
    assert gap.subject.startswith("2 waiting, of GPU 1, accelerator_type:A100")
