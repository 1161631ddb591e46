"""Workers that are needed together: a block of code for which they are there, all the time."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self

from costplan.adapters.dask.adaptive_options import ArgumentError

POLL_SECONDS = 0.05


class Gangs:
    """The blocks that are open. The widest counts."""

    def __init__(self) -> None:
        self._open: list[Gang] = []

    def add(self, gang: Gang) -> None:
        """A block that begins."""
        self._open.append(gang)

    def discard(self, gang: Gang) -> None:
        """A block that ends; one that never began is none."""
        if gang in self._open:
            self._open.remove(gang)

    def width(self) -> int:
        """Workers of the widest block, 0 where none is open."""
        return max((gang.workers for gang in self._open), default=0)


class Gang:
    """One block, for `with` or `async with`.

    Raises ArgumentError where so many workers may never be there, and TimeoutError where they are
    not there in time; then they are no longer wanted.
    """

    def __init__(self, adaptive: Any, gangs: Gangs, workers: int, timeout: float) -> None:
        if type(workers) is not int or workers < 1:
            raise ArgumentError("workers", f"{workers!r} is no number of workers")
        self.workers = workers
        self._adaptive, self._gangs, self._timeout = adaptive, gangs, timeout

    def __enter__(self) -> Self:
        self._adaptive.cluster.sync(self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        self._gangs.discard(self)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gangs.discard(self)

    async def _begin(self) -> None:
        """Returns when the workers are there."""
        adaptive = self._adaptive
        most, by = adaptive.most_workers()
        if most is not None and self.workers > most:
            raise ArgumentError("workers", f"a gang of {self.workers} is above {by}")
        self._gangs.add(self)
        try:
            deadline = time.monotonic() + self._timeout
            await adaptive.adapt()
            while len(adaptive.observed) < self.workers:
                if time.monotonic() > deadline:
                    there = len(adaptive.observed)
                    raise TimeoutError(
                        f"of a gang of {self.workers} workers {there} are there after "
                        f"{self._timeout:g} s"
                    )
                await asyncio.sleep(POLL_SECONDS)
        except BaseException:
            self._gangs.discard(self)
            raise
