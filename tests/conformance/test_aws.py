"""The AWS provider keeps the contract, over HTTP, against a rig around moto."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from costplan.adapters import conformance
from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.provider import AwsProvider
from costplan.adapters.clock import utc_now
from costplan.planner.nodes import WorkerSpec
from costplan.planner.types import Market, OfferKey
from tests.emulators.aws.account import ZONES, Account, key, startup
from tests.emulators.aws.cloud import Fault
from tests.emulators.aws.fixtures import account, served

__all__ = ["account", "served"]

DEADLINE_SECONDS = 30.0
LAUNCHES = ("RunInstances", "CreateFleet")


class AwsWorld:
    """An account as a world. EC2 tells whole seconds, and so does this clock.

    Offers of two markets are asked for by a call each, offers of one market by a fleet.
    """

    cluster = "ours"

    def __init__(self, account: Account, *, markets: tuple[Market, Market]) -> None:
        self.account, self._cloud = account, account.rig.cloud
        first, second = markets
        self.keys = (key("m5.large", market=first), key("m5.large", ZONES[1], second))
        self._market = first
        self._settings = account.with_queue(account.make_queue("ours"), notice_seconds=2)
        self._theirs = replace(
            self._settings, cluster="theirs", queue_url=account.make_queue("theirs")
        )

    def make_provider(self) -> AwsProvider:
        return self.account.provider(self._settings)

    def make_unreachable(self) -> AwsProvider:
        settings = replace(self._settings, endpoint_url="http://127.0.0.1:9")
        return AwsProvider(settings, startup, utc_now, Clients(settings))

    def make_stranger(self) -> tuple[AwsProvider, str]:
        return self.account.provider(self._theirs), "theirs"

    def workers(self, node_id: str) -> tuple[WorkerSpec, ...]:  # noqa: ARG002
        return ()

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise conformance.ContractBroken(f"never: {what}")
            threading.Event().wait(0.05)

    def sold_out(self) -> OfferKey:
        self._cloud.capacity["c5.large", ZONES[0], "spot"] = 0
        self._cloud.capacity["c5.large", ZONES[0], "on-demand"] = 0
        return key("c5.large", market=self._market)

    def losing_answer(self) -> OfferKey:
        for operation in LAUNCHES:
            self._cloud.faults.append(Fault(operation=operation, is_lost=True))
        return key("c5.xlarge", market=self._market)

    def throttling(self) -> OfferKey:
        for operation in LAUNCHES:
            fault = Fault(operation=operation, code="RequestLimitExceeded", status=503)
            self._cloud.faults.append(fault)
        return key("m5.xlarge", market=self._market)

    def reclaim(self, provider_id: str, notice_seconds: float | None) -> None:
        if notice_seconds is None:
            self._cloud.reclaim(provider_id)
        else:
            self._cloud.interrupt(provider_id, notice_seconds)

    def break_down(self, provider_id: str) -> None:
        self._cloud.fail(provider_id)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_contract(account: Account, check: Callable[[conformance.World], None]) -> None:
    check(AwsWorld(account, markets=(Market.SPOT, Market.ON_DEMAND)))


OF_SEVERAL_OFFERS = [
    check
    for check in conformance.CHECKS
    if check.__name__
    in ("the_next_offer_is_taken_after_a_refusal", "an_unclear_answer_stops_the_launch")
]


@pytest.mark.parametrize("market", [Market.SPOT, Market.ON_DEMAND])
@pytest.mark.parametrize("check", OF_SEVERAL_OFFERS, ids=lambda check: check.__name__)
def test_contract_of_a_fleet(
    account: Account, check: Callable[[conformance.World], None], market: Market
) -> None:
    check(AwsWorld(account, markets=(market, market)))
    assert account.rig.made()["ec2:CreateFleet"] > 0
    assert account.rig.made()["ec2:RunInstances"] == 0
