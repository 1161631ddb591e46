"""A real scheduler with real workers in this process, and gates that their tasks wait at."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
from distributed import Client, Scheduler, Worker

from costplan.adapters.dask.endpoint import DaskEndpoint
from costplan.adapters.dask.preload import install
from costplan.planner.load import Load, TaskGroup

TOKEN = "a token that only tests know".replace(" ", "-")
DEADLINE_SECONDS = 20.0
_Value = TypeVar("_Value")
GATES: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def gated(gate: str, number: int = 0) -> bytes:
    """Waits at a gate, and is some bytes."""
    assert GATES[gate].wait(DEADLINE_SECONDS), "the gate was never opened"
    return bytes([number]) * 1000


@dataclass
class Cluster:
    """A scheduler, its workers by name, a client of it, and the endpoint under test."""

    scheduler: Scheduler
    workers: dict[str, Worker]
    client: Client
    endpoint: DaskEndpoint

    async def ask(self, call: Callable[..., _Value], *args: Any, **kwargs: Any) -> _Value:
        """What a blocking call of the endpoint returns, while the scheduler's loop goes on."""
        return await asyncio.to_thread(call, *args, **kwargs)

    async def load(self) -> Load:
        return await self.ask(self.endpoint.load)

    async def load_when(self, condition: Callable[[Load], object]) -> Load:
        """The first load for which a condition holds; fails after a deadline."""
        return await first(self.load, condition)

    async def retired(self, *names: str, force: bool = False) -> Any:
        """What has become of a drain once nothing is pending."""

        async def look() -> Any:
            return await self.ask(self.endpoint.retire, names, "drain-1", force=force)

        return await first(look, lambda retired: not retired.pending, 0.1)

    async def add_worker(self, name: str, **settings: Any) -> Worker:
        worker = Worker(
            self.scheduler.address, name=name, host="127.0.0.1", dashboard=False,
            **{"nthreads": 1, "memory_limit": 2**33, **settings},
        )  # fmt: skip
        self.workers[name] = await worker
        return worker

    async def add_claiming(self, name: str, claim: dict[str, str], **more: Any) -> Worker:
        """A worker that says of its machine what a preload would have it say."""
        said = {"costplan": lambda _: claim}
        return await self.add_worker(name, startup_information=said, **more)


async def first(
    look: Callable[[], Awaitable[_Value]],
    condition: Callable[[_Value], object],
    pause_seconds: float = 0.02,
) -> _Value:
    """The first value for which a condition holds; fails after a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        value = await look()
        if condition(value):
            return value
        assert time.monotonic() < deadline, f"it did not come true in time: {value}"
        await asyncio.sleep(pause_seconds)


@asynccontextmanager
async def cluster(**workers: dict[str, Any]) -> AsyncIterator[Cluster]:
    """A cluster of workers by name; all is closed at the end."""
    GATES.clear()
    quick = {"distributed.scheduler.active-memory-manager.interval": "200ms"}
    with dask.config.set(quick):
        async with AsyncExitStack() as stack:
            scheduler = await stack.enter_async_context(
                Scheduler(host="127.0.0.1", port=0, dashboard_address=":0", dashboard=False)
            )
            install(scheduler, TOKEN)
            url = f"http://127.0.0.1:{scheduler.http_server.port}"
            endpoint = stack.enter_context(DaskEndpoint(url, TOKEN, timeout_seconds=10))
            client = await stack.enter_async_context(Client(scheduler.address, asynchronous=True))
            made = Cluster(scheduler, {}, client, endpoint)
            try:
                for name, settings in workers.items():
                    await made.add_worker(name, **settings)
                yield made
            finally:
                for gate in GATES.values():
                    gate.set()
                for worker in made.workers.values():
                    await worker.close(executor_wait=False)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs a test, for a while at most."""
    asyncio.run(asyncio.wait_for(test, 1.5 * DEADLINE_SECONDS))


def group_of(load: Load, prefix: str, **need: float) -> TaskGroup:
    """The one group of a prefix and a need."""
    found = [group for group in load.groups if (group.prefix, dict(group.need)) == (prefix, need)]
    assert len(found) == 1, load.groups
    return found[0]
