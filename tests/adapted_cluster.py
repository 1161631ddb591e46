"""Clusters of workers in this process for tests of `CostAwareAdaptive`: machines that boot when
they are told to, fail to start, or have names of their own, and tasks that wait at gates."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dask
from distributed import Client, Scheduler, SpecCluster, Worker
from distributed.deploy.spec import ProcessInterface

DEADLINE_SECONDS = 30.0
GATES: defaultdict[str, threading.Event] = defaultdict(threading.Event)
RUNS: Counter[object] = Counter()
"""How often each task has begun, by its number."""

QUICK = {
    "distributed.scheduler.active-memory-manager.interval": "200ms",
    "distributed.scheduler.worker-saturation": 1.1,
    "distributed.admin.tick.limit": "1h",
}


def gated(gate: str, number: object = 0) -> bytes:
    """Waits at a gate, and is some bytes."""
    RUNS[number] += 1
    assert GATES[gate].wait(DEADLINE_SECONDS), "the gate was never opened"
    return f"{number}".encode() * 100


def number(value: int, seconds: float = 0.0) -> int:
    """Sleeps, and is a number."""
    RUNS[value] += 1
    time.sleep(seconds)
    return value


@dataclass
class World:
    """What the machines of a cluster do. `fails` launches from now on come to nothing; a machine
    boots while `booted` is not set; with `alias` workers have names of their own."""

    booted: asyncio.Event = field(default_factory=asyncio.Event)
    fails: int = 0
    alias: bool = False
    launches: int = 0
    alive: set[str] = field(default_factory=set)


class Machine(ProcessInterface):  # type: ignore[misc]
    """A machine with one worker in this process."""

    def __init__(self, scheduler: str, name: object, world: World, **options: Any) -> None:
        super().__init__(scheduler, name)
        self.name = f"vm-{id(self)}" if world.alias else name
        self._scheduler, self._world, self._options = scheduler, world, options
        self.worker: Worker | None = None

    async def start(self) -> None:
        """Returns when it has booted and its worker has joined."""
        world = self._world
        world.launches += 1
        world.alive.add(str(self.name))
        if world.fails:
            world.fails -= 1
            world.alive.discard(str(self.name))
            raise RuntimeError("there is no capacity")
        await world.booted.wait()
        options = {"nthreads": 1, "memory_limit": 2**33, **self._options}
        self.worker = await Worker(
            self._scheduler, name=self.name, host="127.0.0.1", dashboard=False, **options
        )
        await super().start()

    async def close(self) -> None:
        """Ends the worker at once, as stock SpecCluster does."""
        self._world.alive.discard(str(self.name))
        if self.worker is not None:
            await self.worker.close(executor_wait=False)
        await super().close()


def spec(world: World, **options: Any) -> dict[str, Any]:
    """The specification of a machine."""
    return {"cls": Machine, "options": {"world": world, **options}}


@asynccontextmanager
async def adapted(
    world: World, count: int = 0, **options: Any
) -> AsyncIterator[tuple[SpecCluster, Client]]:
    """A cluster of so many machines at first, and a client of it; all gates open at the end."""
    GATES.clear()
    RUNS.clear()
    world.booted.set()
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": ":0"},
    }
    with dask.config.set(QUICK):
        async with (
            SpecCluster(
                workers={at: spec(world, **options) for at in range(count)},
                scheduler=scheduler,
                worker=spec(world, **options),
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            try:
                yield cluster, client
            finally:
                for gate in GATES.values():
                    gate.set()
                world.booted.set()
                world.fails = 0


async def until(condition: Callable[[], object], what: Callable[[], object] = lambda: "") -> None:
    """Returns when a condition holds; fails after a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true in time: {what()}"
        await asyncio.sleep(0.01)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs a test, for a while at most."""
    asyncio.run(asyncio.wait_for(test, 2 * DEADLINE_SECONDS))
