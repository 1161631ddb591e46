"""Virtual time: a clock that stands still until it is told to go on, and alarms that ring then.

Time is counted in whole microseconds, as `datetime` does, so that a bill can be exact.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MICROS = 1_000_000
START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday at midnight: where simulations start unless told otherwise."""


class Alarm:
    """Something that happens at an instant, once, unless it is called off before."""

    __slots__ = ("_do", "due_micros")

    def __init__(self, due_micros: int, do: Callable[[], None]) -> None:
        self.due_micros = due_micros
        self._do: Callable[[], None] | None = do

    def cancel(self) -> None:
        """It will not ring; what it would have done is let go of at once."""
        self._do = None

    def ring(self) -> None:
        """Does what is to be done, unless it was called off."""
        if self._do is not None:
            self._do()


class VirtualClock:
    """Says what time it is, and moves on when told to. `lock` guards all that lives by it."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self.lock = threading.RLock()
        self.micros = 0
        self._alarms: list[tuple[int, int, Alarm]] = []
        self._order = itertools.count()

    def __call__(self) -> datetime:
        """This instant, aware UTC."""
        return self.instant(self.micros)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self.micros / MICROS

    def instant(self, micros: int) -> datetime:
        """The instant that lies so many microseconds after the start."""
        return self.start + timedelta(microseconds=micros)

    def after(self, seconds: float, do: Callable[[], None]) -> Alarm:
        """An alarm `seconds` from now; those of one instant ring in the order they were set."""
        due = self.micros + max(0, round(seconds * MICROS))
        alarm = Alarm(due, do)
        heapq.heappush(self._alarms, (due, next(self._order), alarm))
        return alarm

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass: everything due until then happens, in order, the end included."""
        with self.lock:
            until = self.micros + round(seconds * MICROS)
            while self._alarms and self._alarms[0][0] <= until:
                due, _, alarm = heapq.heappop(self._alarms)
                self.micros = due
                alarm.ring()
            self.micros = until
