"""What it takes to empty a worker, and what that costs.

Measured on Dask 2026.8: `retire_workers` moves about 0.5 GB/s and 0.3 ms a key plus 3 s to go; a
copy that takes longer than the 2 s cadence of the active memory manager is ordered again from
other workers, so that about 1.5 times the bytes are moved. A slower network is the limit instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from costplan.planner.load import Load, TaskGroup, WorkerLoad
from costplan.planner.nodes import Node

COPY_BYTES_PER_SECOND = 0.5e9
SECONDS_PER_KEY = 0.0003
LEAVE_SECONDS = 3.0
CADENCE_SECONDS = 2.0
AMPLIFICATION = 1.5


def drain_seconds(
    sole_bytes: int, sole_keys: int, *, network_bytes_per_second: float | None = None
) -> float:
    """Seconds to copy what a worker alone holds and to let it go, running tasks not counted.

    Example: 4e9 bytes in 64 keys: 4e9 / 0.5e9 x 1.5 + 64 x 0.0003 + 3 = 15.0 s.
    """
    speed = min(COPY_BYTES_PER_SECOND, network_bytes_per_second or COPY_BYTES_PER_SECOND)
    copying = sole_bytes / speed
    factor = 1.0 if copying < CADENCE_SECONDS else AMPLIFICATION
    return copying * factor + SECONDS_PER_KEY * sole_keys + LEAVE_SECONDS


def loads_of(node: Node, load: Load | None) -> tuple[WorkerLoad, ...]:
    """What the scheduler says of the node's workers; those it does not know are left out."""
    if load is None:
        return ()
    known = load.workers
    return tuple([known[name] for name in node.workers if name in known])


def node_drain_seconds(workers: Iterable[WorkerLoad]) -> float:
    """Seconds to empty a node: its workers share its network, so bytes add up."""
    sole_bytes = sole_keys = 0
    for worker in workers:
        sole_bytes += worker.sole_bytes
        sole_keys += worker.sole_keys
    return drain_seconds(sole_bytes, sole_keys)


def mean_running_seconds(groups: Iterable[TaskGroup]) -> float:
    """The mean length of the tasks that run now, by their groups; 0 where nobody knows any.

    Who looks at a moment finds long tasks more often than short ones: of tasks with mean m and
    variance v, those that are found running take m + v / m on average, and those that are overdue
    twice what they have run. Where none of a group has finished, they are taken to be half done
    when the oldest is.
    """
    tasks, total = 0, 0.0
    for group in groups:
        seconds = _found_seconds(group)
        if group.running and seconds is not None:
            tasks += group.running
            total += (group.running - group.overdue) * seconds
            total += group.overdue * max(seconds, 2 * group.overdue_seconds)
    return total / tasks if tasks else 0.0


def _found_seconds(group: TaskGroup) -> float | None:
    mean, oldest = group.mean_task_seconds, group.longest_running_seconds
    if mean is None:
        return None if oldest is None else 2 * oldest
    return mean + (group.variance_seconds2 or 0.0) / mean if mean > 0 else 0.0


def drain_usd(
    workers: Iterable[WorkerLoad], usd_per_hour: Decimal, running_seconds: float
) -> tuple[Decimal, float]:
    """Dollars and seconds of draining a node by choice: it is paid for while it empties.

    Running tasks are waited for, and none is done again. Where one stands in its run is not known,
    so what is left of it is taken for uniform on [0, m], m the mean of those that run; the last of
    k to end takes m k / (k + 1) on average.
    """
    there = tuple(workers)
    running = sum(worker.executing for worker in there)
    seconds = node_drain_seconds(there) + running_seconds * running / (running + 1)
    return usd_per_hour * Decimal(repr(seconds)) / 3600, seconds


def binding(workers: Iterable[WorkerLoad]) -> str:
    """Why a node must not be emptied by choice now, '' where nothing forbids it."""
    for worker in workers:
        if worker.gang is not None:
            return f"a worker is a member of the collective {worker.gang}"
        if worker.shuffling:
            return "a running shuffle needs it"
        if worker.actors:
            many = worker.actors
            return "an actor lives on it" if many == 1 else f"{many} actors live on it"
        if worker.long_running:
            many = worker.long_running
            return "a seceded task runs on it" if many == 1 else f"{many} seceded tasks run on it"
    return ""
