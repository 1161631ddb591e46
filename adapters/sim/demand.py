"""Work for a simulated cluster: seeded streams of jobs, lazily made, in order of arrival."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from costplan.adapters.sim.work import Job, Stage

_DAY = 86400.0
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A client that comes with a job, `at_seconds` from the start."""

    at_seconds: float
    job: Job


def _dice(kind: str, seed: int) -> random.Random:
    return random.Random(f"{kind}/{seed}")  # noqa: S311 - not for secrets


def bursts(
    seed: int, *, tasks: int = 200, seconds: float = 10.0, gap_seconds: float = 600.0
) -> Iterator[Arrival]:
    """Maps of many tasks, reduced to one result; gaps between them are exponential."""
    dice, at = _dice("bursts", seed), 0.0
    for number in count(1):
        at += dice.expovariate(1.0 / gap_seconds)
        width = max(1, round(tasks * dice.uniform(0.5, 1.5)))
        stages = (
            Stage(prefix="map", tasks=width, seconds=seconds, spread=0.3, result_bytes=20 * _MIB),
            Stage(prefix="reduce", tasks=max(1, width // 20), seconds=seconds / 2, after=(0,)),
        )
        yield Arrival(at_seconds=at, job=Job(name=f"burst-{number}", stages=stages))


def diurnal(
    seed: int, *, peak_jobs_per_hour: float = 60.0, tasks: int = 40, seconds: float = 20.0
) -> Iterator[Arrival]:
    """Small jobs, many at noon and a tenth of that at midnight (thinned Poisson arrivals)."""
    dice, at, number = _dice("diurnal", seed), 0.0, 0
    while True:
        at += dice.expovariate(peak_jobs_per_hour / 3600.0)
        share = 0.55 - 0.45 * math.cos(2 * math.pi * at / _DAY)
        if dice.random() < share:
            number += 1
            stage = Stage(prefix="score", tasks=tasks, seconds=seconds, spread=0.5)
            yield Arrival(at_seconds=at, job=Job(name=f"score-{number}", stages=(stage,)))


def gangs(
    seed: int, *, width: int = 8, seconds: float = 300.0, gap_seconds: float = 1800.0
) -> Iterator[Arrival]:
    """Trainings over `width` workers at once, on features that are kept for it."""
    dice, at = _dice("gangs", seed), 0.0
    for number in count(1):
        at += dice.expovariate(1.0 / gap_seconds)
        stages = (
            Stage(
                prefix="features",
                tasks=width * 8,
                seconds=8.0,
                spread=0.2,
                result_bytes=100 * _MIB,
                kept=True,
            ),
            Stage(prefix="train", tasks=width, seconds=seconds, spread=0.1, after=(0,), gang=True),
        )
        job = Job(name=f"training-{number}", stages=stages, stays_seconds=30.0)
        yield Arrival(at_seconds=at, job=job)


def gpu(
    seed: int, *, tasks: int = 12, seconds: float = 120.0, gap_seconds: float = 3600.0
) -> Iterator[Arrival]:
    """Tasks that need a GPU each."""
    dice, at = _dice("gpu", seed), 0.0
    for number in count(1):
        at += dice.expovariate(1.0 / gap_seconds)
        stage = Stage(prefix="embed", tasks=tasks, seconds=seconds, spread=0.2, need={"GPU": 1.0})
        yield Arrival(at_seconds=at, job=Job(name=f"embed-{number}", stages=(stage,)))


def long_tail(
    seed: int, *, tasks: int = 300, seconds: float = 5.0, gap_seconds: float = 2400.0
) -> Iterator[Arrival]:
    """Short tasks, one in a hundred of which takes sixty times as long."""
    dice, at = _dice("long tail", seed), 0.0
    for number in count(1):
        at += dice.expovariate(1.0 / gap_seconds)
        stage = Stage(
            prefix="search",
            tasks=tasks,
            seconds=seconds,
            tail_share=0.01,
            tail_seconds=60 * seconds,
        )
        yield Arrival(at_seconds=at, job=Job(name=f"search-{number}", stages=(stage,)))


def merged(*streams: Iterable[Arrival]) -> Iterator[Arrival]:
    """All arrivals of the streams, in order."""
    return heapq.merge(*streams, key=lambda arrival: arrival.at_seconds)


def mixed(seed: int) -> Iterator[Arrival]:
    """A bit of everything but GPUs, as a busy team has it."""
    return merged(bursts(seed), diurnal(seed), gangs(seed), long_tail(seed))


def until(seconds: float, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
    """Those that come before then."""
    for arrival in arrivals:
        if arrival.at_seconds >= seconds:
            return
        yield arrival
