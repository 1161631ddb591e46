"""Local machines in tests: a started scenario, and proof that nothing of it is left behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from costplan.adapters.clock import utc_now
from costplan.adapters.feeds.bundled import bundled_prices
from costplan.adapters.local.folders import (
    LOCK,
    SUPERVISOR,
    machines_folder,
    read_json,
    signal_process,
)
from costplan.adapters.local.provider import LocalProvider, Workers
from costplan.adapters.local.scenario import parse_scenario
from costplan.adapters.local.stage import Stage, open_stage
from costplan.adapters.local.sweep import running_processes, sweep
from costplan.planner.catalogue import Catalogue
from costplan.planner.nodes import LaunchRequest, MachineState, ProviderNode, WorkerSpec
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


OFFERS = """
scenario: machines
boot: 0.05
grace: 0.5
offers:
  - {type: small, markets: [on_demand, spot], vcpu: 1, memory: 1 GiB, usd_per_hour: 0.36}
  - {type: gpu, vcpu: 1, memory: 1 GiB, usd_per_hour: 1, gpus: 1, gpu_kind: T4}
"""


@contextmanager
def site(folder: Path, more: str = "") -> Iterator[tuple[Stage, LocalProvider]]:
    """A scenario of these offers and a provider of it, whose machines run sleeping workers."""
    with staged(folder / "state", OFFERS + more) as stage:
        yield stage, LocalProvider(stage, "ours", Sleepers(), utc_now)


def keys(stage: Stage) -> list[OfferKey]:
    """On demand, spot, and the one with a GPU."""
    return list(stage.offers)


def folder_of(stage: Stage, node: ProviderNode) -> Path:
    return machines_folder(stage.state_dir) / node.provider_id


def launched(provider: LocalProvider, key: OfferKey, names: Sequence[str]) -> list[ProviderNode]:
    """Machines of these names, in this order, once all of them run."""
    for name in names:
        provider.launch(request(name, key))
    wait_until(lambda: all(machine(provider, n).state is MachineState.RUNNING for n in names))
    return [machine(provider, name) for name in names]


def ended(provider: LocalProvider, name: str) -> ProviderNode:
    """The machine of a node, once it has ended."""
    wait_until(lambda: machine(provider, name).state is MachineState.ENDED, f"{name} ends")
    return machine(provider, name)


def kill_supervisor(folder: Path) -> None:
    supervisor = read_json(folder / SUPERVISOR)
    assert supervisor is not None
    assert signal_process(supervisor["pid"], supervisor["ticks"], signal.SIGKILL)


def looks_again(folder: Path) -> None:
    """Returns when the supervisor has begun another look at its machine."""
    before = (folder / LOCK).stat().st_mtime_ns
    wait_until(lambda: (folder / LOCK).stat().st_mtime_ns > before, "it looks again")
