"""Calls that were throttled are held back, longer each time, and not after one that went well."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest

from costplan.adapters.easing import MOST_SECONDS, EasedPrices, Easing
from costplan.planner.errors import Throttled, Unreachable
from costplan.planner.types import Quote
from tests.fleets import after, key, quote


class Feed:
    """Answers what is next in line; says how often it was asked."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now = 0.0

    def clock(self) -> datetime:
        return after(self.now)

    def quotes(self, _: object) -> tuple[Quote, ...]:
        self.asked += 1
        error = self.answers.pop(0) if self.answers else None
        if error is not None:
            raise error
        return (quote(key(), "1"),)


def throttled(seconds: int | None = None) -> Throttled:
    return Throttled("test", "quotes", "all", seconds)


def asked_at(feed: Feed, seconds: int) -> list[int]:
    """In which of so many seconds the feed itself was asked, where each second somebody asks."""
    eased, found = EasedPrices(feed, "test", feed.clock), []
    for second in range(seconds):
        feed.now, before = float(second), feed.asked
        with suppress(Throttled, Unreachable):
            eased.quotes([key()])
        if feed.asked > before:
            found.append(second)
    return found


def test_who_is_throttled_waits_twice_as_long_each_time() -> None:
    feed = Feed(*[throttled() for _ in range(99)])
    assert asked_at(feed, 300) == [0, 2, 6, 14, 30, 62, 122, 182, 242]
    assert MOST_SECONDS == 60


def test_as_long_as_was_asked_for() -> None:
    assert asked_at(Feed(throttled(9), throttled()), 40) == [0, 9, *range(27, 40)]


def test_a_call_that_goes_well_ends_it_and_other_errors_hold_nothing_back() -> None:
    away = Unreachable("test", "quotes", "all")
    feed = Feed(throttled(), throttled(), None, throttled(), away, away)
    assert asked_at(feed, 12) == [0, 2, 6, 7, 9, 10, 11]


def test_calls_that_are_refused_together_count_once() -> None:
    feed = Feed()
    easing = Easing("test", "quotes", feed.clock)
    first, second = easing(), easing()
    first.__enter__()
    second.__enter__()
    for call, at in ((first, 0.0), (second, 0.5)):
        feed.now, error = at, throttled()
        call.__exit__(Throttled, error, None)
    feed.now = 2.0
    with easing():
        assert feed.quotes([key()])


def test_a_clock_that_was_put_back_holds_nothing_back() -> None:
    feed = Feed(throttled())
    eased = EasedPrices(feed, "test", feed.clock)
    with pytest.raises(Throttled):
        eased.quotes([key()])
    feed.now = -60.0
    assert eased.quotes([key()])
