"""How soon the daemon acts with 1,000 simulated workers, from the event to the call.

    python -m tests.bench.react

The real daemon with its cadences, its store on disk and its executor; machines and scheduler are
simulated in the same process, whose time they take too, and their clock follows the wall's. Each
event comes at a random moment between two looks. Wall seconds: from work that is submitted until
the provider is asked for a machine, and from a spot notice until the worker is told to take
nothing new.
"""

from __future__ import annotations

import asyncio
import io
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costplan.adapters.sim.machines import Fates
from costplan.adapters.sim.work import Job, Stage
from costplan.adapters.sim.world import World
from costplan.adapters.store.store import Store
from costplan.cli.daemon import Daemon
from costplan.cli.logs import set_up_logs
from costplan.cli.wiring import Ports
from costplan.planner.daemon_config import (
    DaemonConfig,
    Listen,
    LogStyle,
    SchedulerAccess,
)
from costplan.planner.nodes import LaunchRequest
from costplan.planner.provider_config import ProviderChoice
from costplan.planner.types import Phase
from tests.bench.tick import grow, settings
from tests.sim.kept import Kept
from tests.sim.loops import driver_of, world_of

EVENTS = 10
JUMP_TASKS = 40_000
"""All that run have hours to go, so 42 more workers are asked for to do these in time."""
DEADLINE_SECONDS = 20.0
STEP_SECONDS = 0.02
TARGETS = {"load jump -> launch asked for": 2.0, "notice -> drain begun": 1.0}


@dataclass(slots=True)
class Watched:
    """A port of the world, and when which of its verbs were called."""

    port: Any
    called: dict[str, list[float]] = field(default_factory=dict)

    def __getattr__(self, verb: str) -> Any:
        return getattr(self.port, verb)

    def launch(self, request: LaunchRequest) -> Any:
        """Asked for a machine."""
        self.called.setdefault("launch", []).append(time.monotonic())
        return self.port.launch(request)

    def cordon(self, workers: Collection[str], token: str) -> None:
        """Told that these take nothing new."""
        self.called.setdefault("cordon", []).append(time.monotonic())
        self.port.cordon(workers, token)


def grown(path: Path) -> World:
    """A world with 1,000 busy workers, and its history in a store."""
    fates = Fates(boot_seconds=5.0, boot_spread=0.0)
    world = world_of(0, fates=fates, is_moving=False)
    kept = Kept(path, world.clock)
    grow(driver_of(world, settings(), kept))
    kept.close()
    return world


class Flow(threading.Thread):
    """Lets the world's time pass as the wall's does, until `stop` is set."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world, self.stop = world, threading.Event()

    def run(self) -> None:
        last = time.monotonic()
        while not self.stop.wait(STEP_SECONDS):
            now = time.monotonic()
            self.world.clock.advance(now - last)
            last = now


async def called(watched: Watched, verb: str, event: Callable[[], object]) -> float:
    """Wall seconds from the event to the first call of that verb."""
    before = len(watched.called.get(verb, ()))
    event()
    began = time.monotonic()
    await until(lambda: len(watched.called.get(verb, ())) > before, verb)
    return watched.called[verb][before] - began


async def until(condition: Callable[[], bool], what: str) -> None:
    """Returns once the condition holds."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > DEADLINE_SECONDS:
            raise RuntimeError(f"no {what} in {DEADLINE_SECONDS:g} seconds")
        await asyncio.sleep(STEP_SECONDS)


def is_settled(store: Store) -> bool:
    """True where every node that is left works, and none is to go."""
    alive = [n for n in store.load_state().nodes.values() if n.phase is not Phase.GONE]
    return all(n.phase is Phase.READY and n.drain is None for n in alive)


async def measured(folder: Path) -> dict[str, list[float]]:
    """Wall seconds of each event."""
    path = folder / "costplan.db"
    world = grown(path)
    store = Store.open(path, clock=world.clock)
    provider, cluster = Watched(world.provider), Watched(world.cluster)
    config = DaemonConfig(
        settings=settings(),
        scheduler=SchedulerAccess(endpoint="", token_file="", address=""),
        provider=ProviderChoice(kind="simulated", scenario="", state_dir=""),
        store_path=str(path),
        prices_file=None,
        http=Listen(host="127.0.0.1", port=0),
        log=LogStyle(format="json", level="info"),
    )
    ports = Ports(
        provider=provider,  # type: ignore[arg-type]
        prices=world.provider,
        cluster=cluster,  # type: ignore[arg-type]
        secrets=(),
        close=lambda: None,
    )
    lines = io.StringIO()
    log = set_up_logs(output="json", clock=world.clock, stream=lines)
    daemon = Daemon(config, ports, store, log, clock=world.clock)
    flow, moments = Flow(world), random.Random(0)  # noqa: S311
    found: dict[str, list[float]] = {name: [] for name in TARGETS}
    flow.start()
    running = asyncio.create_task(daemon.run())
    try:
        await until(lambda: '"event": "tick"' in lines.getvalue(), "first tick")
        for number in range(EVENTS):
            await until(lambda: is_settled(store), "fleet at rest")
            await asyncio.sleep(moments.random())  # any moment between two looks
            job = Job(
                name=f"jump{number}", stages=(Stage(prefix="jump", tasks=JUMP_TASKS, seconds=0.5),)
            )
            jump = await called(provider, "launch", lambda job=job: world.cluster.submit(job))  # type: ignore[misc]
            found["load jump -> launch asked for"].append(jump)
        for _ in range(EVENTS):
            await asyncio.sleep(1.0 + moments.random())
            nodes = store.load_state().nodes.values()
            machine = next(n.provider_id for n in nodes if n.phase is Phase.READY)
            warn = lambda machine=machine: world.cloud.interrupt(machine, in_seconds=120.0)  # noqa: E731
            found["notice -> drain begun"].append(await called(cluster, "cordon", warn))
    finally:
        daemon._stop.set()
        await running
        flow.stop.set()
        store.close()
    return found


def main() -> None:
    """Prints each figure beside its target."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measured(Path(folder)))
    print(f"{'1,000 workers, wall time':<36}{'median':>10}{'worst':>10}{'goal':>10}")
    missed = False
    for name, seconds in found.items():
        median, worst = statistics.median(seconds), max(seconds)
        missed |= worst > TARGETS[name]
        print(f"{name:<36}{median:>8.2f} s{worst:>8.2f} s{TARGETS[name]:>8.0f} s")
    if missed:
        raise SystemExit("a goal was missed")


if __name__ == "__main__":
    main()
