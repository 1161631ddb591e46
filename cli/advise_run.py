"""Where the futures of `costplan commitments advise` are costed, and what is seen meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from costplan.planner.advice.scenarios import Scenarios
from costplan.planner.advice.steps import Tell
from costplan.planner.advice.types import Mapper

QUIET_SECONDS = 2.0
"""What is done within this time shows no bar."""

_MOST_THREADS = 8


@contextmanager
def mapper(scenarios: int, scheduler: str | None) -> Iterator[Mapper]:
    """A `map` over the threads of this computer, for sorting and arithmetic let others run, or over
    the workers of a Dask cluster. Each number is by itself, so that the answer does not depend on
    who was first. Raises InputError where the cluster is away."""
    if scheduler is not None:
        from costplan.adapters.dask.as_client import ClusterMap, check_versions, connected

        with connected(scheduler) as client:
            check_versions(client, scheduler)
            yield ClusterMap(client, (Scenarios,))
        return
    with ThreadPoolExecutor(max(min(os.cpu_count() or 1, scenarios, _MOST_THREADS), 1)) as pool:
        yield pool.map


@contextmanager
def progress(mapped: Mapper) -> Iterator[tuple[Mapper, Tell]]:
    """The same `map`, and who hears of steps: a bar on a terminal for what takes longer than
    QUIET_SECONDS, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield mapped, lambda *_: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[futures]:,} futures costed"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    begun, bar = monotonic(), bars.add_task("", total=None, futures=0)
    costed = 0

    def look() -> None:
        if not bars.live.is_started and monotonic() - begun > QUIET_SECONDS:
            bars.start()

    def told(doing: str, done: int, steps: int) -> None:
        look()
        bars.update(bar, description=doing, completed=done, total=steps)

    def counted(function: Callable[[int], Any], numbers: Iterable[int]) -> Iterator[Any]:
        nonlocal costed
        for answer in mapped(function, numbers):
            costed += 1
            look()
            bars.update(bar, futures=costed)
            yield answer

    try:
        yield counted, told
    finally:
        bars.stop()
