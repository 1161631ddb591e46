"""Where work comes from, whatever runs it: one small protocol that Dask, Ray and Spark fill."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from costplan.planner.load import Load
from costplan.planner.nodes import Retired
from costplan.planner.types import Gap, WorkerShape, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a source can say and do.

    `work_estimate`: it says how long tasks take, so workers can be sized for a time. `gangs`: it
    says which demands must be met together. `drain`: its workers can be emptied one by one.
    `resize`: workers that join or leave are all there is to its size, as nothing else scales it.
    """

    work_estimate: bool
    gangs: bool
    drain: bool
    resize: bool


class Strategy(StrEnum):
    """Where the parts of a gang go: strict ones wait for ever rather than elsewhere."""

    STRICT_PACK = "STRICT_PACK"
    PACK = "PACK"
    SPREAD = "SPREAD"
    STRICT_SPREAD = "STRICT_SPREAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """Demands that start together or not at all. A part is what it needs and how often;
    needs are by resource: CPU and GPU in units, memory in bytes."""

    name: str
    strategy: Strategy
    parts: tuple[tuple[Mapping[str, float], int], ...]

    def __post_init__(self) -> None:
        require(all(count > 0 for _, count in self.parts), "a part of no demands in", self)

    @property
    def width(self) -> int:
        """Demands in all."""
        return sum(count for _, count in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at a source: its load, the gangs that wait beside it, and what it does not say.

    `starts` are the workers that it would start, one of each, where it says that itself.
    """

    load: Load
    gangs: tuple[Gang, ...] = ()
    starts: tuple[WorkerShape, ...] = ()
    unknown: tuple[Gap, ...] = ()


class LoadSource(Protocol):
    """Something that has work and workers. Workers are named; every call may be repeated.

    Raises errors.InputError or errors.ClusterUnreachable where it cannot be asked.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can say and do."""
        ...

    def sample(self) -> Sample:
        """What waits, what runs, and where."""
        ...

    def drain(self, ids: Collection[str], deadline: datetime) -> Retired:
        """Begins, or goes on with, emptying workers by `deadline` (UTC), and says how far it is;
        waits for none. Workers that are not there are done; a source that cannot drain refuses
        each with the reason."""
        ...
