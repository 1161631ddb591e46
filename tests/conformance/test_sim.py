"""The simulated provider keeps the contract, on a clock that stands still unless it is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from costplan.adapters import conformance
from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.faults import READS, Fault, Faults
from costplan.adapters.sim.provider import SimProvider
from costplan.adapters.sim.steps import always
from costplan.planner.nodes import WorkerSpec
from costplan.planner.types import Market, OfferKey
from tests.sim.scenes import SURE, pool

EVERYTHING = (*READS, "launch", "terminate")


class SimWorld:
    """A simulated cloud as a world."""

    cluster = "ours"

    def __init__(self) -> None:
        pools = [pool(), pool(market=Market.SPOT), pool("sold.out", capacity=always(0))]
        self._clock = VirtualClock()
        self._cloud = SimCloud(self._clock, pools, fates=SURE)
        self._faults = Faults()
        self.keys = (pools[0].key, pools[1].key)
        self._sold_out = pools[2].key

    def make_provider(self) -> SimProvider:
        return SimProvider(self._cloud, self.cluster, self._faults)

    def make_unreachable(self) -> SimProvider:
        rates = {verb: {Fault.UNREACHABLE: 1.0} for verb in EVERYTHING}
        return SimProvider(self._cloud, self.cluster, Faults(rates=rates))

    def make_stranger(self) -> tuple[SimProvider, str]:
        return SimProvider(self._cloud, "theirs"), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:
        return (
            WorkerSpec(name=f"{node_id}-0", shape="w", threads=1, memory_bytes=1, resources={}),
        )

    def now(self) -> datetime:
        return self._clock()

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        for _ in range(1000):
            if condition():
                return
            self._clock.advance(1.0)
        raise conformance.ContractBroken(f"not within 1,000 s: {what}")

    def sold_out(self) -> OfferKey:
        return self._sold_out

    def losing_answer(self) -> OfferKey:
        self._faults.script("launch", Fault.UNKNOWN_DONE)
        return self.keys[1]

    def throttling(self) -> OfferKey:
        self._faults.script("launch", Fault.THROTTLED)
        return self.keys[0]

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        if notice_seconds is None:
            self._cloud.reclaim(provider_id)
        else:
            self._cloud.interrupt(provider_id, notice_seconds)

    def break_down(self, provider_id: str) -> None:
        self._cloud.fail(provider_id)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[conformance.World], None]) -> None:
    check(SimWorld())


def test_prices() -> None:
    world = SimWorld()
    conformance.quotes_are_of_what_was_asked(world.make_provider(), world.keys)
