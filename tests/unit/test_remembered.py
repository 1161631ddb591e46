"""Offers and prices that are remembered for a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event, Timer

import pytest

from costplan.adapters.remembered import (
    ERROR_SECONDS,
    Remembered,
    RememberedEach,
    RememberedOffers,
    RememberedPrices,
    RememberedQuotas,
)
from costplan.adapters.sim.clock import VirtualClock
from costplan.adapters.sim.cloud import SimCloud
from costplan.adapters.sim.faults import Fault, Faults
from costplan.adapters.sim.provider import SimProvider
from costplan.planner.errors import Unreachable
from costplan.planner.types import Market, OfferKey, Quote
from costplan.planner.workload import Quota
from tests.sim.scenes import SURE, pool

START = datetime(2026, 11, 29, tzinfo=UTC)


class Clock:
    """A clock that is put where a test wants it."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def goes_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Feed:
    """A dollar for everything, asked so many times."""

    def __init__(self) -> None:
        self.asked = 0

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        self.asked += 1
        return tuple(
            Quote(
                key=key,
                usd_per_hour=Decimal(1),
                hazard_per_hour=None,
                observed_at=START,
                source="test",
            )
            for key in keys
        )


KEY = OfferKey(provider="p", region="r", zone="z", instance_type="t", market=Market.SPOT)


@pytest.fixture
def provider() -> SimProvider:
    return SimProvider(SimCloud(VirtualClock(), [pool()], fates=SURE), "c", Faults())


def test_offers_are_asked_for_again_after_a_while(provider: SimProvider) -> None:
    clock = Clock()
    remembered = RememberedOffers(provider, clock, 60.0)
    first = remembered.offers()
    clock.goes_on(59)
    assert remembered.offers() is first
    clock.goes_on(1)
    assert remembered.offers() == first
    assert provider.calls["offers"] == 2


def test_a_clock_that_was_put_back_makes_what_is_remembered_old(provider: SimProvider) -> None:
    clock = Clock()
    remembered = RememberedOffers(provider, clock, 60.0)
    remembered.offers()
    clock.goes_on(-1)
    remembered.offers()
    assert provider.calls["offers"] == 2


def test_an_error_is_passed_on_and_not_remembered(provider: SimProvider) -> None:
    remembered = RememberedOffers(provider, Clock(), 60.0)
    provider.faults.script("offers", Fault.UNREACHABLE)
    with pytest.raises(Unreachable):
        remembered.offers()
    assert len(remembered.offers()) == 1


def test_machines_and_warnings_are_never_remembered(provider: SimProvider) -> None:
    remembered = RememberedOffers(provider, Clock(), 60.0)
    for _ in range(2):
        remembered.nodes()
        remembered.notices()
    assert (provider.calls["nodes"], provider.calls["notices"]) == (2, 2)


def test_prices_are_asked_for_again_after_a_while_or_for_other_offers() -> None:
    feed, clock = Feed(), Clock()
    remembered = RememberedPrices(feed, clock, {Market.SPOT: 60.0})
    first = remembered.quotes([KEY])
    assert remembered.quotes((KEY, KEY)) == first
    other = replace(KEY, zone="y")
    assert [quote.key for quote in remembered.quotes([other])] == [other]
    assert feed.asked == 2
    clock.goes_on(60)
    remembered.quotes([other])
    assert feed.asked == 3


def test_each_market_has_a_time_of_its_own() -> None:
    feed, clock = Feed(), Clock()
    seconds = {Market.SPOT: 10.0, Market.ON_DEMAND: 60.0}
    remembered = RememberedPrices(feed, clock, seconds)
    keys = [KEY, replace(KEY, market=Market.ON_DEMAND), replace(KEY, market=Market.COMMITMENT_1Y)]
    assert {quote.key for quote in remembered.quotes(keys)} == set(keys[:2])
    clock.goes_on(10)
    remembered.quotes(keys)
    assert feed.asked == 3


class Lengths:
    """How long words are; of an empty one nothing is known."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, words: Collection[str]) -> Mapping[str, int]:
        self.asked.append(list(words))
        return {word: len(word) for word in words if word}


def test_of_many_things_some_are_read_at_a_time_and_the_oldest_first() -> None:
    clock, lengths = Clock(), Lengths()
    remembered = RememberedEach(lengths, clock, 60.0, most=2)
    words = ["a", "bb", "", "dddd"]
    assert remembered(words) == {"a": 1, "bb": 2}
    clock.goes_on(1)
    assert remembered(words) == {"a": 1, "bb": 2, "dddd": 4}
    assert remembered(words) == {"a": 1, "bb": 2, "dddd": 4}
    clock.goes_on(59)
    remembered(["", "bb"])
    clock.goes_on(1)
    remembered(words)
    assert lengths.asked == [["a", "bb"], ["", "dddd"], ["bb"], ["a", ""]]


def test_what_is_known_no_more_is_forgotten() -> None:
    clock, known = Clock(), {"a": 1}
    remembered: RememberedEach[str, int] = RememberedEach(
        lambda words: {word: known[word] for word in words if word in known}, clock, 60.0, most=2
    )
    assert remembered(["a"]) == {"a": 1}
    known.clear()
    clock.goes_on(60)
    assert remembered(["a"]) == {}


def test_quotas_are_read_again_after_a_while_and_when_they_are_forgotten() -> None:
    clock, read = Clock(), list[Quota]()

    def quotas() -> Sequence[Quota]:
        read.append(Quota(nodes=len(read)))
        return read[-1:]

    remembered = RememberedQuotas(quotas, clock, 3600.0)
    assert remembered() == remembered() == [Quota(nodes=0)]
    clock.goes_on(3599)
    assert remembered() == [Quota(nodes=0)]
    clock.goes_on(1)
    assert remembered() == [Quota(nodes=1)]
    remembered.forget()
    assert remembered() == [Quota(nodes=2)]


@pytest.mark.parametrize("error", [Unreachable("p", "quotas", "all"), KeyError("Quota")])
def test_quotas_that_cannot_be_read_are_not_asked_for_each_second(error: Exception) -> None:
    clock, asked = Clock(), list[None]()

    def refused() -> Sequence[Quota]:
        asked.append(None)
        raise error

    remembered = RememberedQuotas(refused, clock, 3600.0)
    for seconds in (0, 1, ERROR_SECONDS - 2):
        clock.goes_on(seconds)
        with pytest.raises(type(error)):
            remembered()
    assert len(asked) == 1
    clock.goes_on(1)
    with pytest.raises(type(error)):
        remembered()
    assert len(asked) == 2


def test_who_waited_for_a_failure_does_not_ask_again() -> None:
    """Each of them would wait as long again where a cloud does not answer."""
    began, fail = Event(), Event()
    asked: list[str] = []

    def read(what: str) -> str:
        asked.append(what)
        began.set()
        assert fail.wait(30)
        raise Unreachable("sim", "offers", what, f"the {len(asked)}. time")

    remembered = Remembered(read, Clock(), 60)
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(remembered, "a")
        assert began.wait(30)
        entered = Event()

        def late() -> str:
            entered.set()
            return remembered("a")

        other = threads.submit(late)
        assert entered.wait(30)
        Timer(0.2, fail.set).start()  # the other waits by then
        said = {str(future.exception(30)) for future in (one, other)}
    assert (len(asked), len(said)) == (1, 1)
    with pytest.raises(Unreachable, match=r"the 2\. time"):
        remembered("a")  # nothing is remembered
