"""Policies run side by side: over the cores of this machine, or over a Dask cluster."""

from __future__ import annotations

import copyreg
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context
from queue import Queue
from types import MappingProxyType
from typing import Any

from costplan.adapters.backtest.outcome import PolicyOutcome
from costplan.adapters.backtest.run import Backtest, simulate

Progress = Callable[[str, float], None]
_SHARE = 0.01
_LOOK_SECONDS = 0.2


def _read_only(items: dict[Any, Any]) -> Mapping[Any, Any]:
    return MappingProxyType(items)


def _packed(view: Mapping[Any, Any]) -> tuple[Callable[..., Any], tuple[dict[Any, Any]]]:
    return _read_only, (dict(view),)


# The settings' read-only mappings go to another process as read-only mappings.
copyreg.pickle(MappingProxyType, _packed)


def spread(
    backtest: Backtest,
    policies: Sequence[str],
    *,
    processes: int | None,
    scheduler: str | None,
    progress: Progress,
) -> tuple[PolicyOutcome, ...]:
    """What becomes of each policy, in order; the answer does not depend on where they ran.

    With `scheduler` its workers run them: it must be a cluster of the user's own with the same
    version of costplan, since Dask runs what it is sent. Raises InputError where it is away.
    """
    if scheduler is not None:
        from costplan.adapters.backtest.dask_spread import on_dask

        return on_dask(backtest, policies, scheduler, progress)
    most = min(processes or os.cpu_count() or 1, len(policies))
    if most == 1:
        return tuple(simulate(backtest, name, partial(progress, name)) for name in policies)
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(most, mp_context=context) as pool:
        told = manager.Queue()
        running = {pool.submit(_simulated, backtest, name, told): name for name in policies}
        left = set(running)
        while left:
            done, left = wait(left, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            while not told.empty():
                progress(*told.get())
            for ended in done:
                ended.result()
                progress(running[ended], 1.0)
        found = {name: done.result() for done, name in running.items()}
    return tuple(found[name] for name in policies)


def _simulated(backtest: Backtest, policy: str, told: Queue[tuple[str, float]]) -> PolicyOutcome:
    """What becomes of a policy; `told` gets the share that is done, each hundredth of it."""
    last = 0.0

    def progress(share: float) -> None:
        nonlocal last
        if share - last >= _SHARE:
            last = share
            told.put((policy, share))

    return simulate(backtest, policy, progress)
