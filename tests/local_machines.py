"""Local machines in tests: a started scenario, and proof that nothing of it is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from costplan.adapters.clock import utc_now
from costplan.adapters.feeds.bundled import bundled_prices
from costplan.adapters.local.provider import LocalProvider, Workers
from costplan.adapters.local.scenario import parse_scenario
from costplan.adapters.local.stage import Stage, open_stage
from costplan.adapters.local.sweep import running_processes, sweep
from costplan.planner.catalogue import Catalogue
from costplan.planner.nodes import LaunchRequest, ProviderNode, WorkerSpec
from costplan.planner.types import OfferKey
from costplan.planner.units import MIB

DEADLINE_SECONDS = 60.0


@cache
def catalogue() -> Catalogue:
    """The bundled prices, read once."""
    return bundled_prices(now=utc_now()).catalogue


def wait_until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Returns once the condition holds; fails the test after a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        threading.Event().wait(0.02)


@contextmanager
def staged(state_dir: Path, scenario: str) -> Iterator[Stage]:
    """A scenario started now; when the block ends, no process of a machine of it may be left.

    Machines that the block leaves running are ended; what survives that fails the test.
    """
    parsed = parse_scenario(scenario, "scenario.yaml", folder=Path(__file__).parent)
    try:
        yield open_stage(state_dir, parsed, catalogue(), now=utc_now())
    finally:
        sweep(state_dir)
        assert running_processes(state_dir) == (), "machines have left processes behind"


def _sleep(name: str) -> list[str]:
    return ["sleep", "1000"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleepers(Workers):
    """Workers that join nobody and are there at once: each runs what `runs` says of its name."""

    scheduler_address: str = ""
    runs: Callable[[str], list[str]] = _sleep

    def command(self, worker: WorkerSpec, scratch: Path, nanny: str) -> list[str]:  # noqa: ARG002
        return self.runs(worker.name)


def request(name: str, key: OfferKey, *, workers: int = 1, cluster: str = "ours") -> LaunchRequest:
    """A request for one machine with so many workers of one thread."""
    return LaunchRequest(
        token=f"token-{name}",
        node_id=name,
        cluster=cluster,
        keys=(key,),
        workers=tuple(
            WorkerSpec(
                name=f"{name}-{number}",
                shape="small",
                threads=1,
                memory_bytes=512 * MIB,
                resources={},
            )
            for number in range(workers)
        ),
        tags={},
    )


def machine(provider: LocalProvider, node_id: str) -> ProviderNode:
    """The machine of a node, which must be listed once."""
    (found,) = [one for one in provider.nodes() if one.node_id == node_id]
    return found
