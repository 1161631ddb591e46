"""What the child says of a Ray cluster, field by field, and the `Sample` that it amounts to.

Ray tells which shapes wait and how many of each, but not what runs: of that it tells how much of
each node is in use. So what is in use on a node is one demand, which stays on one machine.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.load_source import Gang, Sample, Strategy
from costplan.planner.types import Gap

_Count = Annotated[int, Field(ge=0, le=2**60)]
_Some = Annotated[int, Field(ge=1, le=10**7)]
_Amount = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=1_000)]
_Need = dict[_Text, _Amount]
_Sorted = tuple[tuple[str, float], ...]
_OF_A_NODE = ("node:", "node_")
"""Resources that only say which node it is."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Node(_Strict):
    """A node that is alive, and how much of it is in use."""

    id: _Text
    status: _Text
    instance_type: _Text
    total: _Need
    used: _Need
    idle_ms: _Count


class Group(_Strict):
    """A placement group that has no place, or lost a part of it."""

    name: _Text
    strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]
    state: _Text
    bundles: list[tuple[_Need, _Some]]


class Seen(_Strict):
    """One look. `floor` is what somebody asked the autoscaler to have room for at least."""

    at: Annotated[AwareDatetime, Field(strict=False)]
    nodes: list[Node]
    demands: list[tuple[_Need, _Some]]
    floor: list[tuple[_Need, _Some]]
    gangs: list[Group]


class Answer(_Strict):
    """What a child says: exactly one of what was seen, what was drained, and an error."""

    seen: Seen | None = None
    drained: dict[_Text, _Text] | None = None
    error: _Text | None = None
    kind: Literal["", "missing", "token", "other"] = ""


def sample_of(seen: Seen) -> Sample:
    """The load and the gangs of a look; nothing in it says how long anything takes."""
    at = seen.at.astimezone(UTC)
    waiting = _counted(seen.demands)
    floor = {need: count - waiting[need] for need, count in _counted(seen.floor).items()}
    used = Counter(need for node in seen.nodes if (need := _sorted(node.used)))
    groups = [
        *(_group("waiting", need, count, 0) for need, count in sorted(waiting.items())),
        *(_group("in use", need, 0, count) for need, count in sorted(used.items())),
        *(_group("floor", need, count, 0) for need, count in sorted(floor.items()) if count > 0),
    ]
    gangs = tuple(
        Gang(name=group.name, strategy=Strategy(group.strategy), parts=tuple(group.bundles))
        for group in seen.gangs
        if group.bundles
    )
    gaps = []
    if used:
        subject = f"{used.total()} node{'s' * (used.total() != 1)}"
        assumed = "that what is in use on a node stays together: Ray does not say what it is"
        gaps.append(Gap(kind="running work", subject=subject, assumed=assumed, since=at))
    load = Load(
        at=at,
        window_seconds=0.0,
        groups=tuple(groups),
        workers={node.id: _worker(node, seen) for node in seen.nodes},
    )
    return Sample(load=load, gangs=gangs, unknown=tuple(gaps))


def _sorted(need: _Need) -> _Sorted:
    return tuple(
        sorted((n, amount) for n, amount in need.items() if amount and not n.startswith(_OF_A_NODE))
    )


def _counted(bundles: list[tuple[_Need, _Some]]) -> Counter[_Sorted]:
    counted: Counter[_Sorted] = Counter()
    for need, count in bundles:
        counted[_sorted(need)] += count
    return counted


def _group(prefix: str, need: _Sorted, queued: int, running: int) -> TaskGroup:
    return TaskGroup(
        prefix=prefix,
        need=dict(need),
        queued=queued,
        running=running,
        mean_task_seconds=None,
        observed_tasks=0,
    )


def _worker(node: Node, seen: Seen) -> WorkerLoad:
    """A node as a worker. Of a busy one nobody says how many tasks it runs: one, at least."""
    is_busy = bool(_sorted(node.used)) or not node.idle_ms
    idle_since = None
    if not is_busy:
        idle_since = seen.at.astimezone(UTC) - timedelta(milliseconds=node.idle_ms)
    memory = node.total.get("memory", 0.0) + node.total.get("object_store_memory", 0.0)
    return WorkerLoad(
        threads=int(node.total.get("CPU", 0.0)),
        memory_bytes=int(memory) or None,
        resources=dict(_sorted(node.total)),
        executing=int(is_busy),
        managed_bytes=int(node.used.get("object_store_memory", 0.0)),
        status="closing" if node.status == "DRAINING" else "running",
        idle_since=idle_since,
        instance_type=node.instance_type,
    )
