"""Task-time that the workers of a node finished since its meter was read last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from costplan.planner.ledger import Meter
from costplan.planner.load import Load, WorkerLoad
from costplan.planner.nodes import Node
from costplan.planner.spans import WORKING, Span


def departed(
    node: Node, before: Load | None, load: Load | None, since: datetime
) -> Mapping[str, WorkerLoad]:
    """Workers that are no longer there or joined anew, by name, as they were seen last.

    A `before` that is no newer than `since` has nothing to tell that is not known already.
    """
    if load is None or before is None or before.at <= since:
        return {}
    there = ((name, before.workers.get(name)) for name in node.workers)
    return {name: last for name, last in there if last is not None and _has_left(name, last, load)}


def anyone_left(before: Load, load: Load | None) -> bool:
    """True where a worker of `before` is no longer there, or joined anew."""
    workers = before.workers.items()
    return load is not None and any(_has_left(name, last, load) for name, last in workers)


def _has_left(name: str, last: WorkerLoad, load: Load) -> bool:
    now = load.workers.get(name)
    return now is not last and (now is None or now.joined_at != last.joined_at)


def finished(
    node: Node, meter: Meter, load: Load, gone: Mapping[str, WorkerLoad]
) -> tuple[float, Mapping[str, float]]:
    """Task-time above what the meter has counted, and the counters of the workers now."""
    total = sum(_above(worker, meter, name) for name, worker in sorted(gone.items()))
    counters = {}
    for name in node.workers:
        worker = load.workers.get(name)
        if worker is not None:
            total += worker.busy_seconds if name in gone else _above(worker, meter, name)
            counters[name] = worker.busy_seconds
    return total, counters


def shared_out(seconds: float, spans: Sequence[Span], *, is_over: bool) -> list[float] | None:
    """Task-time by time over the spans in which the workers could work.

    Where there is no such span it waits for one (None), and at the end of a life it goes to the
    last span.
    """
    takers = [span.use in WORKING for span in spans]
    if not any(takers):
        if not is_over or not spans:
            return None
        takers[-1] = True
    whole = sum(span.seconds for span, takes in zip(spans, takers, strict=True) if takes)
    return [
        seconds * span.seconds / whole if takes else 0.0
        for span, takes in zip(spans, takers, strict=True)
    ]


def _above(worker: WorkerLoad, meter: Meter, name: str) -> float:
    """A counter that is below what was counted has begun anew."""
    counted = meter.counters.get(name, 0.0)
    return worker.busy_seconds - (counted if counted <= worker.busy_seconds else 0.0)
