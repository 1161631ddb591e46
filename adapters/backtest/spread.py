"""Policies run side by side, on one scenario or several, under one seed or several: over the cores
of this machine, or over a Dask cluster."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.managers import SyncManager
from queue import Queue
from threading import Thread
from types import MappingProxyType
from typing import Any

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.run import Backtest, simulate

Progress = Callable[[int, str, float], None]
Task = tuple[int, str]
"""The place of a run, and the name of a policy."""
_SHARE = 0.01
_LOOK_SECONDS = 0.2


def _read_only(items: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(items)


def _packed(view: Mapping[Any, Any]) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    return _read_only, (dict(view),)


# The settings' read-only mappings go to another process as read-only mappings.
copyreg.pickle(MappingProxyType, _packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Policies to simulate on one backtest under one seed; seeds of a scenario share a backtest."""

    backtest: Backtest
    seed: int
    policies: tuple[str, ...]


def spread(
    runs: Sequence[Run],
    *,
    processes: int | None,
    scheduler: str | None,
    progress: Progress,
) -> tuple[tuple[PolicyOutcome, ...], ...]:
    """What becomes of each policy of each run, in order; it does not depend on where they ran.

    Each policy of each run is a task of its own. `progress` is told of shares that are done, by
    place of the run and name of the policy. With `scheduler` its workers run them: it must be a
    cluster of the user's own with the same version of costplan, since Dask runs what it is sent.
    Raises InputError where it is away.
    """
    tasks = [(place, name) for place, run in enumerate(runs) for name in run.policies]
    most = min(processes or os.cpu_count() or 1, len(tasks))
    if scheduler is not None:
        from costplan.adapters.backtest.dask_spread import on_dask

        found = on_dask(runs, tasks, scheduler, progress)
    elif most == 1:
        found = {
            (place, name): seeded(
                runs[place].backtest, runs[place].seed, name, partial(progress, place, name)
            )
            for place, name in tasks
        }
    else:
        found = _in_processes(runs, tasks, most, progress)
    return tuple(
        tuple(found[place, name] for name in run.policies) for place, run in enumerate(runs)
    )


def seeded(
    backtest: Backtest, seed: int, policy: str, progress: Callable[[float], None] | None = None
) -> PolicyOutcome:
    """What becomes of one policy under a seed."""
    run = replace(backtest, seed=seed)
    return simulate(run, policy) if progress is None else simulate(run, policy, progress)


def _in_processes(
    runs: Sequence[Run], tasks: Sequence[Task], processes: int, progress: Progress
) -> dict[Task, PolicyOutcome]:
    context = get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_end_with_parent)
    with (
        manager,
        ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as pool,
    ):
        told = manager.Queue()
        running = {
            pool.submit(_simulated, runs[task[0]].backtest, runs[task[0]].seed, task, told): task
            for task in tasks
        }
        left = set(running)
        while left:
            done, left = wait(left, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            while not told.empty():
                (place, name), share = told.get()
                progress(place, name, share)
            for ended in done:
                ended.result()
                progress(*running[ended], 1.0)
        return {task: done.result() for done, task in running.items()}


def _end_with_parent() -> None:
    """Has this process end as soon as the one that started it has, also where that was killed;
    else it would simulate on, and then wait for its next task for ever."""

    def watch() -> None:
        if (parent := parent_process()) is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _simulated(
    backtest: Backtest, seed: int, task: Task, told: Queue[tuple[Task, float]]
) -> PolicyOutcome:
    """What becomes of a policy; `told` gets the share that is done, each hundredth of it."""
    last = 0.0

    def progress(share: float) -> None:
        nonlocal last
        if share - last >= _SHARE:
            last = share
            told.put((task, share))

    return seeded(backtest, seed, task[1], progress)
