"""The local provider keeps the contract, with real processes and real deaths."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from costplan.adapters import conformance
from costplan.adapters.clock import utc_now
from costplan.adapters.local.events import announce
from costplan.adapters.local.folders import SUPERVISOR, machines_folder, read_json, signal_process
from costplan.adapters.local.prices import LocalPrices
from costplan.adapters.local.provider import LocalProvider, Workers
from costplan.adapters.local.stage import Stage
from costplan.planner.nodes import WorkerSpec
from costplan.planner.types import OfferKey
from tests.local_machines import staged, wait_until

SCENARIO = """
scenario: conformance
boot: 0.1
offers:
  - {type: m5.large, markets: [on_demand, spot], vcpu: 2, memory: 8 GiB, usd_per_hour: 0.1}
  - {type: sold.out, vcpu: 2, memory: 8 GiB, usd_per_hour: 0.01, capacity: 0}
  - {type: losing, vcpu: 2, memory: 8 GiB, usd_per_hour: 0.01}
  - {type: throttling, vcpu: 2, memory: 8 GiB, usd_per_hour: 0.01}
launches:
  - {launch: 1, offer: losing/*, outcome: lost_answer}
  - {launch: 1, offer: throttling/*, outcome: throttled}
"""


class LocalWorld:
    """The local provider's folder as a world; its machines run no workers."""

    cluster = "ours"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._sold = {key.instance_type: key for key in reversed(stage.offers)}
        self.keys = tuple(key for key in stage.offers if key.instance_type == "m5.large")

    def _provider(self, stage: Stage, cluster: str) -> LocalProvider:
        workers = Workers(scheduler_address="tcp://127.0.0.1:1")
        return LocalProvider(stage, cluster, workers, utc_now)

    def make_provider(self) -> LocalProvider:
        return self._provider(self._stage, self.cluster)

    def make_unreachable(self) -> LocalProvider:
        return self._provider(replace(self._stage, outages=((0.0, 1e6),)), self.cluster)

    def make_stranger(self) -> tuple[LocalProvider, str]:
        return self._provider(self._stage, "theirs"), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:  # noqa: ARG002
        return ()

    def now(self) -> datetime:
        return utc_now()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, what)

    def sold_out(self) -> OfferKey:
        return self._sold["sold.out"]

    def losing_answer(self) -> OfferKey:
        return self._sold["losing"]

    def throttling(self) -> OfferKey:
        return self._sold["throttling"]

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        folder = machines_folder(self._stage.state_dir) / provider_id
        announce(folder, "test", "reclaim", notice_seconds, utc_now())

    def break_down(self, provider_id: str) -> None:
        folder = machines_folder(self._stage.state_dir) / provider_id
        supervisor = read_json(folder / SUPERVISOR)
        assert supervisor is not None
        assert signal_process(supervisor["pid"], supervisor["ticks"], signal.SIGKILL)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    with staged(tmp_path / "state", SCENARIO) as stage:
        yield LocalWorld(stage)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_contract(world: LocalWorld, check: Callable[[conformance.World], None]) -> None:
    check(world)


def test_prices(tmp_path: Path) -> None:
    with staged(tmp_path, SCENARIO) as stage:
        conformance.quotes_are_of_what_was_asked(LocalPrices(stage, utc_now), [*stage.offers])
