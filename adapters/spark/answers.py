"""What Spark's REST interface says of an application, field by field, and the `Sample` of it.

Spark adds fields with every release, so unknown ones are passed over; those that are used are
checked. Times are milliseconds, memory of a resource profile is MiB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.load_source import Sample
from costplan.planner.types import Gap, Resources, WorkerShape
from costplan.planner.units import MIB

_Count = Annotated[int, Field(ge=0, le=2**60)]
_Amount = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=10_000)]
_DRIVER = "driver"
_OWN_PROFILE = 0
_BASIC = ("cores", "memory", "memoryOverhead", "offHeap", "pyspark.memory")
_LONGEST_NAME = 60
_LEAST_OVERHEAD_MIB, _OVERHEAD_SHARE = 384, 0.1
"""What Spark adds to an executor's heap where nothing is set (spark.executor.memoryOverhead)."""


class _Known(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Attempt(_Known):
    """One run of an application."""

    completed: bool


class Application(_Known):
    """An application that an address knows."""

    id: _Text
    name: _Text
    attempts: list[Attempt]

    @property
    def runs(self) -> bool:
        """True while an attempt is not over."""
        return any(not attempt.completed for attempt in self.attempts)


class Accelerators(_Known):
    """Addresses of one kind of device on an executor."""

    addresses: list[_Text] = []


class Executor(_Known):
    """An executor, or the driver, which is one only in local mode."""

    id: _Text
    is_active: bool = Field(alias="isActive")
    total_cores: _Count = Field(alias="totalCores")
    active_tasks: _Count = Field(alias="activeTasks")
    memory_used: _Count = Field(alias="memoryUsed")
    disk_used: _Count = Field(alias="diskUsed")
    total_duration: _Count = Field(alias="totalDuration")
    profile: _Count = Field(alias="resourceProfileId", default=0)
    resources: dict[_Text, Accelerators] = {}
    is_excluded: bool = Field(
        validation_alias=AliasChoices("isExcluded", "isBlacklisted"), default=False
    )


class Stage(_Known):
    """A stage that runs or waits for others; milliseconds are of all its tasks together."""

    stage_id: _Count = Field(alias="stageId")
    name: _Text
    tasks: _Count = Field(alias="numTasks")
    active: _Count = Field(alias="numActiveTasks")
    complete: _Count = Field(alias="numCompleteTasks")
    run_milliseconds: _Count = Field(alias="executorRunTime")
    profile: _Count = Field(alias="resourceProfileId", default=0)


class Amount(_Known):
    """How much of a resource."""

    amount: _Amount


class Profile(_Known):
    """What executors and tasks of a stage are given."""

    id: _Count
    executor: dict[_Text, Amount] = Field(alias="executorResources")
    task: dict[_Text, Amount] = Field(alias="taskResources")


class Environment(_Known):
    """Settings of an application; Spark before 3.1 has no profiles."""

    properties: list[tuple[_Text, str]] = Field(alias="sparkProperties")
    profiles: list[Profile] = Field(alias="resourceProfiles", default=[])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at an application."""

    at: datetime
    executors: Sequence[Executor]
    active: Sequence[Stage]
    pending: Sequence[Stage]
    environment: Environment


def sample_of(seen: Seen) -> Sample:
    """The load of a look, sized like a Dask cluster's: stages say how long their tasks take."""
    profiles = _filled(seen.environment.profiles)
    groups = [_group(stage, profiles.get(stage.profile), is_active=True) for stage in seen.active]
    groups += [
        _group(stage, profiles.get(stage.profile), is_active=False) for stage in seen.pending
    ]
    workers = {
        executor.id: _worker(executor, profiles.get(executor.profile), seen.at)
        for executor in _working(seen)
    }
    load = Load(at=seen.at, window_seconds=0.0, groups=tuple(groups), workers=workers)
    return Sample(
        load=load,
        starts=()
        if workers
        else tuple(_shape(profile) for profile in profiles.values() if _memory_bytes(profile)),
        unknown=tuple(_gaps(seen)),
    )


def _filled(profiles: Sequence[Profile]) -> dict[int, Profile]:
    """The profiles by id. One that a stage brings along says what it wants otherwise, and Spark
    starts its executors with the cores and memory of the application's own for the rest."""
    own = next((profile.executor for profile in profiles if profile.id == _OWN_PROFILE), {})
    basic = {name: own[name] for name in _BASIC if name in own}
    return {
        profile.id: profile.model_copy(update={"executor": {**basic, **profile.executor}})
        for profile in profiles
    }


def _is_local(seen: Seen) -> bool:
    return dict(seen.environment.properties).get("spark.master", "").startswith("local")


def _working(seen: Seen) -> list[Executor]:
    """Executors that run tasks: the driver does in local mode only."""
    return [
        executor
        for executor in seen.executors
        if executor.is_active and (executor.id != _DRIVER or _is_local(seen))
    ]


def _group(stage: Stage, profile: Profile | None, *, is_active: bool) -> TaskGroup:
    left = max(0, stage.tasks - stage.complete - stage.active)
    observed = stage.complete if stage.run_milliseconds else 0
    return TaskGroup(
        prefix=f"stage {stage.stage_id} ({stage.name[:_LONGEST_NAME]})",
        need=_task_need(profile),
        queued=left if is_active else 0,
        running=stage.active,
        waiting=0 if is_active else left,
        mean_task_seconds=stage.run_milliseconds / 1000 / observed if observed else None,
        observed_tasks=observed,
    )


def _task_need(profile: Profile | None) -> dict[str, float]:
    """What a task takes beside the one core that every task does."""
    if profile is None:
        return {}
    given = {name: one.amount for name, one in profile.task.items() if one.amount}
    cpus = given.pop("cpus", 1.0)
    return {**({"CPU": cpus} if cpus > 1 else {}), **_named(given)}


def _named(resources: Mapping[str, float]) -> dict[str, float]:
    return {"GPU" if name == "gpu" else name: amount for name, amount in resources.items()}


def _memory_bytes(profile: Profile | None) -> int | None:
    """Heap, overhead and what else an executor is given; None where Spark does not say."""
    if profile is None or "memory" not in profile.executor:
        return None
    given = {name: one.amount for name, one in profile.executor.items()}
    heap = given["memory"]
    overhead = given.get("memoryOverhead", max(_LEAST_OVERHEAD_MIB, heap * _OVERHEAD_SHARE))
    more = given.get("offHeap", 0.0) + given.get("pyspark.memory", 0.0)
    return math.ceil(heap + overhead + more) * MIB


def _worker(executor: Executor, profile: Profile | None, at: datetime) -> WorkerLoad:
    devices = {name: float(len(one.addresses)) for name, one in executor.resources.items()}
    return WorkerLoad(
        threads=executor.total_cores,
        memory_bytes=_memory_bytes(profile),
        resources={"CPU": float(executor.total_cores), **_named(devices)},
        executing=executor.active_tasks,
        managed_bytes=executor.memory_used + executor.disk_used,
        status="paused" if executor.is_excluded else "running",
        idle_since=None if executor.active_tasks else at,
        busy_seconds=executor.total_duration / 1000,
    )


def _shape(profile: Profile) -> WorkerShape:
    """An executor as Spark would start it."""
    given = {name: one.amount for name, one in profile.executor.items()}
    gpus = math.ceil(given.get("gpu", 0.0))
    return WorkerShape(
        name=f"executor{profile.id or ''}",
        count=1,
        need=Resources(
            vcpu_milli=math.ceil(given.get("cores", 1.0) * 1000),
            memory_bytes=_memory_bytes(profile) or 0,
            gpus=gpus,
        ),
    )


def _gaps(seen: Seen) -> list[Gap]:
    if not _is_local(seen):
        return []
    assumed = "executors like the driver, which runs the tasks itself in local mode"
    return [Gap(kind="executors", subject="spark.master local", assumed=assumed, since=seen.at)]
