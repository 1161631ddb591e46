"""What runs inside a scheduler for a moment: reads counters, changes nothing.

The text of this file is sent as it stands, so it imports nothing but the standard library, works
on every Python and `distributed` since 2022, and is all there is to review. It touches each
prefix that has work, each worker, and at most `SCANNED_TASKS` tasks: about 10 ms of the
scheduler's time, whatever the number of tasks.
"""

import json
from collections import Counter
from itertools import islice
from typing import Any

SCANNED_TASKS = 5_000
MOST = 1e18
_Row = tuple[str, str, tuple[tuple[str, float], ...], bool, bool]
PENDING = ("waiting", "queued", "no-worker", "processing")


def read_load(dask_scheduler: Any = None) -> str:
    """JSON of the work there is by prefix, of what scanned tasks need, and of the workers.

    Needs are not kept in any counter, so tasks are looked at: the same share of each worker's
    processing tasks, and the tasks that no worker may run. Queued tasks are left out, as Dask
    queues only tasks without restrictions.
    """
    workers = list(dask_scheduler.workers.values())
    each = SCANNED_TASKS // (len(workers) + 1) + 1
    seen: Counter[_Row] = Counter()
    for task in islice(dask_scheduler.unrunnable, SCANNED_TASKS):
        seen[_row(task, "no-worker", executing=False)] += 1
    for worker in workers:
        for task in islice(worker.processing, each):
            seen[_row(task, "processing", executing=task in worker.executing)] += 1
    return json.dumps(
        {
            "prefixes": {
                prefix.name: _prefix(prefix)
                for prefix in dask_scheduler.task_prefixes.values()
                if any(prefix.states.get(state) for state in PENDING)
            },
            "seen": [
                [prefix, state, dict(need), pinned, executing, count]
                for (prefix, state, need, pinned, executing), count in sorted(seen.items())
            ],
            "workers": {
                worker.address: [
                    worker.nthreads,
                    worker.memory_limit or None,
                    _amounts(worker.resources),
                    len(worker.executing),
                    worker.nbytes,
                ]
                for worker in workers
            },
            "sent_bytes": _sent_bytes(dask_scheduler),
        }
    )


def _sent_bytes(scheduler: Any) -> int | None:
    """Bytes of results that workers gave away since the scheduler started, as their heartbeats
    said; None where this `distributed` does not count them."""
    counters = getattr(scheduler, "cumulative_worker_metrics", None)
    if counters is None:
        return None
    sent = [
        amount
        for name, amount in counters.items()
        if isinstance(name, tuple) and name[0] == "get-data" and name[-1] == "bytes"
    ]
    return int(sum(sent))


def _row(task: Any, state: str, *, executing: bool) -> _Row:
    need = task.resource_restrictions
    pinned = bool(task.worker_restrictions or task.host_restrictions)
    needs = tuple(sorted(_amounts(need).items())) if need else ()
    return task.prefix.name, state, needs, pinned, executing


def _amounts(resources: Any) -> dict[str, float]:
    """Resources as JSON has them: Dask takes infinity and less than nothing, too."""
    return {str(name): min(max(0.0, float(of)), MOST) for name, of in resources.items()}


def _prefix(prefix: Any) -> dict[str, Any]:
    """Counts by state, and the seconds that finished tasks computed; 0 finished where unknown."""
    seconds = prefix.all_durations.get("compute", 0.0)
    finished = prefix.state_counts.get("memory", 0) if seconds > 0 else 0
    return {
        "states": {state: prefix.states.get(state, 0) for state in PENDING},
        "seconds": seconds if finished else 0.0,
        "finished": finished,
    }
