"""Calls that come again and again, on APScheduler, whatever becomes of the system's clock.

APScheduler keeps wall times. Set on by months, as on a machine that booted without the time, it
would count every call that it missed; set back by an hour, it would wait for that hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger


class Again(IntervalTrigger):  # type: ignore[misc]
    """At once, and then each interval; what was missed is not made up for."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next call after one that was due at an instant, None before the first."""
        if previous_fire_time is None:
            return now
        following: datetime = previous_fire_time + self.interval
        return following if following > now else now + self.interval


class Cadence:
    """Calls each of `every` at once and then each so many seconds, one at a time each."""

    def __init__(self, every: Mapping[Callable[[], Awaitable[None]], float]) -> None:
        self._jobs = AsyncIOScheduler(timezone="UTC")
        for call, seconds in every.items():
            self._jobs.add_job(_unless_cancelled, _again(seconds), [call], id=call.__name__,
                               coalesce=True, max_instances=1, misfire_grace_time=None)  # fmt: skip

    def start(self) -> None:
        """From now on."""
        self._jobs.start()

    def start_over(self, every: Mapping[Callable[[], Awaitable[None]], float]) -> None:
        """All calls are due now, and then each so many seconds: for who waited in vain, too."""
        for call, seconds in every.items():
            self._jobs.reschedule_job(call.__name__, trigger=_again(seconds))

    def stop(self) -> None:
        """No more calls; what is under way goes on until the loop ends."""
        if self._jobs.running:
            self._jobs.shutdown(wait=False)


async def _unless_cancelled(call: Callable[[], Awaitable[None]]) -> None:
    """A call that ends with its loop is no error, of which APScheduler would print a traceback."""
    with suppress(asyncio.CancelledError):
        await call()


def _again(seconds: float) -> Again:
    return Again(seconds=seconds, timezone="UTC")
