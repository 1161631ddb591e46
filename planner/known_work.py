"""The work that the graph still holds: how many workers it keeps busy, and for how long.

No series of the past knows of it. Of a group's unfinished tasks, those that run have run for a
while: the oldest one's time is known, and the others are taken to have begun evenly since then.
All of it takes the workers that `sizing` asks for, and at least as long as its longest task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from costplan.planner.learn import boot_seconds
from costplan.planner.load import Load, TaskGroup
from costplan.planner.settings import Settings
from costplan.planner.sizing import Question, kind_for, mean_seconds, sizes, slots_of
from costplan.planner.tick import Learnt

KNOWN_SPREAD = 0.3
"""Of the logarithm of the time that is left, where all durations were seen in this run."""
GUESSED_SPREAD = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWork:
    """`workers` of a kind are busy for `seconds` more, in the median; the logarithm of that time
    is uncertain by `spread` (a standard deviation)."""

    workers: int
    seconds: float
    spread: float

    def seconds_at(self, deviations: float) -> float:
        """How long, so many standard deviations from the median."""
        return self.seconds * math.exp(self.spread * deviations)


@dataclass(slots=True)
class _Left:
    worker_seconds: float = 0.0
    longest: float = 0.0
    is_known: bool = True


def known_work(load: Load, learnt: Learnt, settings: Settings) -> Mapping[str, KnownWork]:
    """What is left to do, by kind of worker; kinds without work are left out."""
    left: dict[str, _Left] = {}
    for group in load.groups:
        kind = kind_for(group.need, settings.kinds)
        tasks = group.queued + group.running + group.waiting
        if kind is None or not tasks:
            continue
        mean, is_known = mean_seconds(group, learnt, settings.scaling)
        running = group.running * _running_seconds(group, mean)
        others = tasks - group.running
        of_kind = left.setdefault(kind.name, _Left())
        of_kind.worker_seconds += (others * mean + running) / slots_of(group.need, kind)
        of_kind.longest = max(of_kind.longest, mean if others else _running_seconds(group, mean))
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
        d.shape: KnownWork(
            workers=d.wanted,
            seconds=max(left[d.shape].worker_seconds / d.wanted, left[d.shape].longest),
            spread=KNOWN_SPREAD if left[d.shape].is_known else GUESSED_SPREAD,
        )
        for d in asked.demand
        if d.wanted and d.shape in left
    }


def _running_seconds(group: TaskGroup, mean: float) -> float:
    """What a running task of a group still takes, on average."""
    oldest = mean if group.longest_running_seconds is None else group.longest_running_seconds
    age = oldest if group.running == 1 and group.longest_running_seconds is not None else oldest / 2
    return max(mean - age, 0.0)
