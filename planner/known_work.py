"""The work that the graph still holds: how many workers it keeps busy, and for how long.

No series of the past knows of it. The workers that `sizing` asks for are all busy until nothing is
queued; then the tasks that run end one after the other. Seen at any moment of its run, a task of
mean m and variance v still takes (v + m^2) / 2 m on average (the inspection paradox: long ones are
seen more often), and one that is overdue as long again as it has run; of one task alone the age is
known. So many workers become fewer over twice that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from costplan.planner.forecast.types import FloatArray
from costplan.planner.learn import boot_seconds
from costplan.planner.learnt import Learnt
from costplan.planner.load import Load, TaskGroup
from costplan.planner.settings import Settings
from costplan.planner.sizing import Question, kind_for, mean_seconds, sizes, slots_of

KNOWN_SPREAD = 0.3
"""Of the logarithm of the time that is left, where all durations were seen in this run."""
GUESSED_SPREAD = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWork:
    """`workers` of a kind are busy for `full_seconds`, and then ever fewer, evenly, for
    `tail_seconds`, in the median. The logarithm of these times is uncertain by `spread`, a
    standard deviation."""

    workers: int
    full_seconds: float
    tail_seconds: float
    spread: float

    def worker_seconds(self, seconds: FloatArray, deviations: FloatArray) -> FloatArray:
        """What is done until then (deviations, seconds), where it takes so many deviations longer
        than the median."""
        stretch = np.exp(self.spread * deviations)[:, None]
        full, tail = self.full_seconds * stretch, self.tail_seconds * stretch
        into = np.clip(seconds - full, 0.0, tail)
        fewer = into * into / np.maximum(2 * tail, 1e-9)
        return np.asarray(self.workers * (np.minimum(seconds, full) + into - fewer))


@dataclass(slots=True)
class _Left:
    """Worker-seconds that have not begun, and of what runs: worker-seconds, and workers; and what
    a task takes at least, as no number of workers makes it faster."""

    queued: float = 0.0
    running: float = 0.0
    busy: float = 0.0
    longest: float = 0.0
    is_known: bool = True


def known_work(load: Load, learnt: Learnt, settings: Settings) -> Mapping[str, KnownWork]:
    """What is left to do, by kind of worker; kinds without work are left out."""
    left: dict[str, _Left] = {}
    for group in load.groups:
        kind = kind_for(group.need, settings.kinds)
        if kind is None or not group.queued + group.running + group.waiting:
            continue
        mean, is_known = mean_seconds(group, learnt, settings.scaling)
        slots = slots_of(group.need, kind)
        of_kind = left.setdefault(kind.name, _Left())
        # What is pinned to workers that are not here is nobody's work, as in `sizing`.
        stuck = min(group.pinned, group.unrunnable, group.queued)
        of_kind.queued += (group.queued - stuck + group.waiting) * mean / slots
        each = _running_seconds(group, mean)
        overdue = group.overdue * max(each, group.overdue_seconds)
        of_kind.running += ((group.running - group.overdue) * each + overdue) / slots
        begun_all = not group.queued + group.waiting
        of_kind.longest = max(of_kind.longest, each if begun_all else mean)
        of_kind.busy += group.running / slots
        of_kind.is_known = of_kind.is_known and is_known
    asked = sizes(
        Question(
            load=load,
            kinds=settings.kinds,
            scaling=settings.scaling,
            learnt=learnt,
            staff={},
            boot_seconds=boot_seconds(learnt, settings),
            missing={},
        )
    )
    return {
        d.shape: _spread_out(left[d.shape], d.wanted)
        for d in asked.demand
        if d.wanted and d.shape in left
    }


def task_seconds_left(load: Load, learnt: Learnt, settings: Settings) -> float:
    """Task-time of what has not ended, as far as there is a kind of worker for it."""
    return sum(
        (group.queued + group.running + group.waiting)
        * mean_seconds(group, learnt, settings.scaling)[0]
        for group in load.groups
        if kind_for(group.need, settings.kinds) is not None
    )


def _spread_out(left: _Left, workers: int) -> KnownWork:
    """The work laid over its workers: what the tail does not do is done before it."""
    each = left.running / left.busy if left.busy else 0.0
    total = max((left.queued + left.running) / workers, left.longest)
    tail = min(2 * each, 2 * total)
    return KnownWork(
        workers=workers,
        full_seconds=total - tail / 2,
        tail_seconds=tail,
        spread=KNOWN_SPREAD if left.is_known else GUESSED_SPREAD,
    )


def _running_seconds(group: TaskGroup, mean: float) -> float:
    """What a running task of a group still takes, on average."""
    variance, age = group.variance_seconds2 or 0.0, group.longest_running_seconds
    if group.running == 1 and age is not None and variance < (mean / 2) ** 2:
        return max(mean - age, 0.0)
    return (variance + mean * mean) / (2 * mean)
