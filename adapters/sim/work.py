"""The work of a simulated cluster: jobs of stages, as clients submit them, and how far they are."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from costplan.adapters.sim.clock import Alarm

Need = tuple[tuple[str, float], ...]


def _nothing() -> Mapping[str, float]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Tasks of one prefix, alike: how many, how long, what they need and leave behind.

    A task takes `seconds` in the mean, lognormal with `spread`; a `tail_share` of them takes
    `tail_seconds` instead. Stages named in `after` (by their place in the job) must be finished
    before one of these starts. Results are held until the stages after are finished, or until
    the client leaves where `kept`. A `gang` is one training over `tasks` workers at once.
    `scattered` data is put there by the client and cannot be computed again.
    """

    prefix: str
    tasks: int
    seconds: float
    spread: float = 0.0
    tail_share: float = 0.0
    tail_seconds: float = 0.0
    need: Mapping[str, float] = field(default_factory=_nothing)
    result_bytes: int = 0
    after: tuple[int, ...] = ()
    kept: bool = False
    gang: bool = False
    scattered: bool = False

    def draw_seconds(self, dice: random.Random) -> float:
        """How long one task takes."""
        if self.tail_share and dice.random() < self.tail_share:
            return self.tail_seconds
        if not self.spread:
            return self.seconds
        return self.seconds * math.exp(self.spread * dice.gauss(0.0, 1.0) - self.spread**2 / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a client submits when it connects; it leaves `stays_seconds` after the last result."""

    name: str
    stages: tuple[Stage, ...]
    stays_seconds: float = 0.0

    @property
    def tasks(self) -> int:
        """Tasks of all stages."""
        return sum(stage.tasks for stage in self.stages)


@dataclass(slots=True)
class Held:
    """Results of one batch on one worker, that nobody else has: keys, and seconds to redo."""

    keys: int = 0
    seconds: float = 0.0

    def take(self, keys: int) -> float:
        """Takes `keys` of them away; returns the seconds that those had taken."""
        share = self.seconds * keys / self.keys
        self.keys -= keys
        self.seconds -= share
        return share


@dataclass(slots=True)
class Seen:
    """What a scheduler has seen of a prefix: count, sum and sum of squares of its seconds."""

    tasks: int = 0
    seconds: float = 0.0
    squares: float = 0.0

    def add(self, seconds: float) -> None:
        """One more has finished."""
        self.tasks += 1
        self.seconds += seconds
        self.squares += seconds * seconds

    @property
    def mean(self) -> float | None:
        """Mean seconds, None before the first."""
        return self.seconds / self.tasks if self.tasks else None

    @property
    def variance(self) -> float | None:
        """Sample variance, s², None before the second."""
        if self.tasks < 2:
            return None
        return max(0.0, self.squares - self.seconds**2 / self.tasks) / (self.tasks - 1)


class Batch:
    """The tasks of one stage of one job: how many wait, run, and are done, and where."""

    __slots__ = ("children", "done", "held", "is_released", "is_running_gang", "need", "parents",
                 "queued", "ready_since", "running", "stage", "submitted", "to_redo")  # fmt: skip

    def __init__(self, stage: Stage, parents: tuple[Batch, ...], submitted: int) -> None:
        self.stage = stage
        self.need: Need = tuple(sorted(stage.need.items()))
        self.parents = parents
        self.children: list[Batch] = []
        self.submitted = submitted
        self.ready_since: int | None = None
        self.queued = 0 if stage.scattered else stage.tasks
        self.done = stage.tasks if stage.scattered else 0
        self.running: dict[Running, None] = {}
        self.held: dict[str, Held] = {}
        self.to_redo = 0
        self.is_released = False
        self.is_running_gang = False
        for parent in parents:
            parent.children.append(self)

    @property
    def is_finished(self) -> bool:
        """True while every result is there, or nobody wants them any more."""
        return self.is_released or self.done == self.stage.tasks

    @property
    def is_ready(self) -> bool:
        """True while its tasks could run, if somebody had room for them."""
        return self.queued > 0 and all(parent.is_finished for parent in self.parents)


class Running:
    """A task that runs now; its result will lie on the worker."""

    __slots__ = ("alarm", "batch", "seconds", "started", "worker")

    def __init__(self, batch: Batch, worker: str, started: int, seconds: float) -> None:
        self.batch, self.worker = batch, worker
        self.started, self.seconds = started, seconds
        self.alarm: Alarm | None = None
