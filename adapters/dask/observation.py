"""What a child says of a scheduler, field by field, and the `Load` that it amounts to.

Counts are means over the samples, rounded up, so that work that came and went between two
samples still counts. Where a state of a prefix has more tasks than were looked at, what the
others need is taken to be as among those; where none was looked at, they are `unread_tasks`.
What waiting tasks need is never looked at: they are counted with their prefix's plain tasks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import UTC
from fractions import Fraction
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from costplan.planner.load import Load, TaskGroup, WorkerLoad

_Count = Annotated[int, Field(ge=0, le=2**60)]
_Amount = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
_Text = Annotated[str, Field(max_length=10_000)]
_Need = dict[_Text, _Amount]
_Sorted = tuple[tuple[str, float], ...]
_Totals = defaultdict[tuple[str, _Sorted], defaultdict[str, Fraction]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class States(_Strict):
    """Tasks of a prefix by the states of Dask's that are not over."""

    waiting: _Count
    queued: _Count
    no_worker: _Count = Field(alias="no-worker")
    processing: _Count


class Prefix(_Strict):
    """Counters of one prefix; `seconds` is what its `finished` tasks computed together."""

    states: States
    seconds: _Amount
    finished: _Count


class Sample(_Strict):
    """One reading. `seen` rows: prefix, state, need, pinned, executing, tasks."""

    prefixes: dict[_Text, Prefix]
    seen: tuple[tuple[_Text, _Text, _Need, bool, bool, _Count], ...]


class Observation(_Strict):
    """Readings over a window. Workers: threads, memory limit, resources, executing, bytes. What
    workers had given away at its start and its end, null where the scheduler does not count it."""

    at: AwareDatetime
    window_seconds: _Amount
    samples: Annotated[tuple[Sample, ...], Field(min_length=1, max_length=10_000)]
    workers: dict[_Text, tuple[_Count, _Count | None, _Need, _Count, _Count]]
    sent_bytes: tuple[_Count | None, _Count | None] = (None, None)


class Answer(_Strict):
    """What a child writes: an observation, or why there is none."""

    observation: Observation | None = None
    error: _Text | None = None


def load_of(observation: Observation) -> Load:
    """The load that an observation amounts to; groups in order of prefix and need."""
    totals: _Totals = defaultdict(lambda: defaultdict(Fraction))
    prefixes: dict[str, Prefix] = {}
    unread = 0
    for sample in observation.samples:
        prefixes |= sample.prefixes
        unread = max(unread, _add(sample, totals))
    samples = len(observation.samples)
    groups = []
    for (prefix, need), counts in sorted(totals.items()):
        finished = prefixes[prefix].finished
        means = {name: math.ceil(count / samples) for name, count in counts.items()}
        if not any(means.values()):
            continue
        groups.append(
            TaskGroup(
                prefix=prefix,
                need=dict(need),
                mean_task_seconds=prefixes[prefix].seconds / finished if finished else None,
                observed_tasks=finished,
                **{"queued": 0, "running": 0, **means},
            )
        )
    return Load(
        at=observation.at.astimezone(UTC),
        window_seconds=observation.window_seconds,
        groups=tuple(groups),
        workers={
            address: WorkerLoad(
                threads=threads,
                memory_bytes=memory or None,
                resources=resources,
                executing=executing,
                managed_bytes=managed,
            )
            for address, (threads, memory, resources, executing, managed) in sorted(
                observation.workers.items()
            )
        },
        unread_tasks=unread,
        sent_bytes_per_second=_per_second(observation),
    )


def _per_second(observation: Observation) -> float | None:
    """Bytes a second that workers gave away; None where nobody counted or the window is empty."""
    first, last = observation.sent_bytes
    if first is None or last is None or len(observation.samples) < 2:
        return None
    return max(0, last - first) / observation.window_seconds


def _add(sample: Sample, totals: _Totals) -> int:
    """Adds the tasks of a sample to totals by prefix and need; returns how many were unread."""
    looked_at: Counter[tuple[str, str]] = Counter()
    for prefix, state, _, _, _, tasks in sample.seen:
        looked_at[prefix, state] += tasks
    for prefix, state, need, pinned, executing, tasks in sample.seen:
        if prefix not in sample.prefixes or not tasks:
            continue
        states = sample.prefixes[prefix].states
        all_tasks = states.processing if state == "processing" else states.no_worker
        share = Fraction(tasks * all_tasks, looked_at[prefix, state])
        counts = totals[prefix, tuple(sorted(need.items()))]
        counts["running" if executing else "queued"] += share
        counts["pinned"] += share * pinned
        counts["unrunnable"] += share * (state == "no-worker")
    unread = 0
    for prefix, counters in sample.prefixes.items():
        states, plain = counters.states, totals[prefix, ()]
        missed = 0 if looked_at[prefix, "processing"] else states.processing
        homeless = 0 if looked_at[prefix, "no-worker"] else states.no_worker
        plain["queued"] += states.queued + missed + homeless
        plain["waiting"] += states.waiting
        plain["unrunnable"] += homeless
        unread += missed + homeless
    return unread
