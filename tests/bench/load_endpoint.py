"""What the preload costs a scheduler: the hook of each transition, and each sample.

    python -m tests.bench.load_endpoint

Real Dask states of tasks and workers are made without processes behind them (1,000,000 tasks of
100 prefixes, 5 % need a GPU, 20 % in memory and 20 % processing on all workers alike, 1,000 held
twice). Between two samples lies a second: as many heartbeats have come as Dask lets so many
workers send, and a third of the workers has finished a task.
Beside it, in the same process, stand what Dask itself offers: `adaptive_target`, `identity` and
the body of `/json/counts.json`. Least of many runs, of CPU time, so that other processes on the
machine count as little as they can. What a hook adds is over the empty one that Dask would call.
A shared machine may be at half its speed for seconds, so there are rounds some time apart; the
slowest is printed too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import time
from collections.abc import Callable
from itertools import cycle, islice
from types import SimpleNamespace
from typing import Any

import dask
from distributed import Scheduler
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.http.scheduler.json import CountsJSON
from distributed.scheduler import WorkerState, heartbeat_interval

from costplan.adapters.dask.endpoint_wire import LoadAnswer, load_of_answer
from costplan.adapters.dask.load_sample import LoadSampler
from costplan.adapters.dask.plugin import CostplanPlugin

PREFIXES = 100
THREADS = 4
LIMITS = {1_000: 2.0, 5_000: 15.0}
HOOK_LIMIT_US = 0.5
ROUNDS = 4
HOT = 1_000  # tasks at a time; a scheduler has just touched the one that its hook is called for
LIFE = ("waiting", "processing", "memory", "released", "forgotten")


def heartbeat(worker: Any) -> None:
    """What a worker's heartbeat changes: both are new objects each time."""
    worker.metrics = {**worker.metrics}
    worker.executing = {**worker.executing}
    worker.last_seen = time.time()


def first_heartbeat(worker: Any) -> None:
    """A worker's metrics, and as many tasks that run as it has threads."""
    worker.metrics = {
        "memory": 2**30,
        "spilled_bytes": {"memory": 0, "disk": 0},
        "task_counts": {"executing": THREADS},
    }
    worker.executing = dict.fromkeys(list(worker.processing)[:THREADS], 1.5)
    heartbeat(worker)


def quiet_scheduler() -> Scheduler:
    """A scheduler whose memory manager leaves the made-up workers alone."""
    dask.config.set({"distributed.scheduler.active-memory-manager.start": False})
    return Scheduler(port=0, dashboard_address=":0", dashboard=False)


def fill(scheduler: Scheduler, workers: int, tasks: int) -> None:
    """Makes workers and tasks: a fifth in memory, a fifth processing, the others wait."""
    states = []
    for number in range(workers):
        address = f"tcp://10.{number >> 16}.{(number >> 8) & 255}.{number & 255}:4000"
        state = WorkerState(
            address=address,
            status=Status.running,
            pid=1,
            name=f"node-{number:05}-0",
            nthreads=THREADS,
            memory_limit=2**34,
            local_directory="/tmp",  # noqa: S108
            nanny=None,
            server_id=address,
            scheduler=scheduler,
        )
        state.resources = {"GPU": 1.0} if number % 10 == 0 else {}
        scheduler.workers[address] = state
        scheduler.running.add(state)
        states.append(state)
    for number in range(tasks):
        kind = ("memory", "processing", "waiting", "waiting", "waiting")[number % 5]
        task = scheduler.new_task(f"work{number % PREFIXES}-{number:032x}", None, kind)
        if number // 5 % 20 < 1:
            task.resource_restrictions = {"GPU": 1.0}
        worker = states[number // 5 % workers]
        if kind == "memory":
            task.set_nbytes(10_000)
            scheduler.add_replica(task, worker)
            if number % (tasks // 1_000) == 0:
                scheduler.add_replica(task, states[(number // 5 + 1) % workers])
        elif kind == "processing":
            worker.processing.add(task)
            task.processing_on = worker
    for state in states:
        first_heartbeat(state)
    gc.collect()
    gc.disable()  # as timeit does: its walks over a million tasks are not what is measured


def least_ms(call: Callable[[], Any], before: Callable[[], None], runs: int) -> float:
    """Least milliseconds of a call."""
    seconds = []
    for _ in range(runs):
        before()
        start = time.thread_time()
        call()
        seconds.append(time.thread_time() - start)
    return 1000 * min(seconds)


async def measure_samples(workers: int, tasks: int) -> dict[str, float]:
    """Milliseconds of a sample and of the others, and the size of an answer."""
    async with quiet_scheduler() as scheduler:
        fill(scheduler, workers, tasks)
        plugin = CostplanPlugin(scheduler, time.time)
        sampler = LoadSampler(plugin, time.time)
        states = list(scheduler.workers.values())
        turn = iter(range(10**9))
        beating, beats = cycle(states), math.ceil(workers / heartbeat_interval(workers))

        startstops = [{"action": "compute", "start": 1.0, "stop": 2.0}]
        done = [next(iter(state.has_what)).key for state in states]

        def beat() -> None:
            part = next(turn) % 3
            for state in islice(beating, beats):
                heartbeat(state)
            for state, key in zip(states[part::3], done[part::3], strict=True):
                state.nbytes += 1  # and a task has ended there
                plugin.transition(
                    key, "processing", "memory", worker=state.address, startstops=startstops
                )

        sampler.sample()
        handler = SimpleNamespace(server=scheduler, write=json.dumps)
        found = {
            "sample": least_ms(sampler.sample, beat, 41),
            "adaptive_target": least_ms(scheduler.adaptive_target, beat, 21),
            "identity": least_ms(lambda: json.dumps(scheduler.identity()), beat, 5),
            "counts.json": least_ms(lambda: CountsJSON.get(handler), beat, 3),
        }
        answer = sampler.sample()
        found["bytes"] = len(answer)
        found["client"] = least_ms(
            lambda: load_of_answer(LoadAnswer.model_validate_json(answer)), beat, 5
        )
        scheduler.workers.clear()
        scheduler.running.clear()
        scheduler.tasks.clear()
        return found


Hook = Callable[..., None]


def hook_microseconds(hooks: list[Hook], scheduler: Any, keys: list[str]) -> list[float]:
    """Mean microseconds of a transition with each hook, over the five of each task's life.

    The hooks take turns, so that all of them meet the same noise; best of fifty turns.
    """
    startstops = [{"action": "compute", "start": 1.0, "stop": 2.0}]
    message = {
        "nbytes": 1, "type": b"", "typename": "int", "worker": next(iter(scheduler.workers)),
        "startstops": startstops, "thread": 1, "metadata": {},
    }  # fmt: skip
    totals = [0.0] * len(hooks)
    for start, finish in zip(("released", *LIFE), LIFE, strict=False):
        extra = message if finish == "memory" else {}
        best = [float("inf")] * len(hooks)
        for _ in range(50):
            for place, hook in enumerate(hooks):
                began = time.thread_time()
                for key in keys:
                    hook(key, start, finish, stimulus_id="task-finished-1", **extra)
                best[place] = min(best[place], time.thread_time() - began)
        totals = [total + least for total, least in zip(totals, best, strict=True)]
    return [total / len(keys) / len(LIFE) * 1e6 for total in totals]


async def measure_hooks() -> dict[str, float]:
    """Microseconds that our hook adds to a transition, over the one that Dask calls anyway."""
    async with quiet_scheduler() as scheduler:
        fill(scheduler, 100, 100_000)
        plugin = CostplanPlugin(scheduler, time.time)
        hooks: list[Hook] = [SchedulerPlugin().transition, plugin.transition]
        tasks = list(scheduler.tasks.items())
        plain = [key for key, task in tasks if not task.resource_restrictions][:HOT]
        shaped = [key for key, task in tasks if task.resource_restrictions][:HOT]
        mixed = [key for key, _ in tasks[:HOT]]
        found = {}
        for name, keys in (("plain", plain), ("5 % GPU", mixed), ("all GPU", shaped)):
            empty, ours = hook_microseconds(hooks, scheduler, keys)
            found[name] = ours - empty
        scheduler.workers.clear()
        scheduler.running.clear()
        scheduler.tasks.clear()
        return found


def least(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The least of each figure."""
    return {name: min(each[name] for each in rounds) for name in rounds[0]}


def main() -> None:
    logging.disable(logging.INFO)  # what Dask says of itself is not what is shown
    hooks: list[dict[str, float]] = []
    samples: dict[int, list[dict[str, float]]] = {workers: [] for workers in LIMITS}
    for _ in range(ROUNDS):
        hooks.append(asyncio.run(measure_hooks()))
        for workers, found in samples.items():
            found.append(asyncio.run(measure_samples(workers, 1_000_000)))
    print(f"CPU microseconds a transition: what a hook adds to the empty one (slowest of {ROUNDS})")
    for name, added in least(hooks).items():
        print(f"  tasks: {name:10} {added:6.3f}  ({max(each[name] for each in hooks):.3f})")
    held = least(hooks)["5 % GPU"] <= HOOK_LIMIT_US
    for workers, limit in LIMITS.items():
        found = least(samples[workers])
        sample, slowest = found["sample"], max(each["sample"] for each in samples[workers])
        held &= sample <= limit
        print(f"\n{workers} workers, 1,000,000 tasks: sample {sample:.2f} ms (limit {limit:g} ms; "
              f"slowest of {ROUNDS}: {slowest:.2f} ms)")  # fmt: skip
        print(f"  {found['bytes'] / 1000:.0f} kB, read and checked in {found['client']:.1f} ms")
        for name in ("adaptive_target", "identity", "counts.json"):
            print(f"  {name:16} {found[name]:8.2f} ms  {found[name] / sample:7.2f} x the sample")
    if not held:
        raise SystemExit("a limit was missed")


if __name__ == "__main__":
    main()
