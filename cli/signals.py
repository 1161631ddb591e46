"""The daemon's signals as events: TERM and INT stop it, HUP makes it read its file again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOP = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals_as_events(stop: asyncio.Event, reload: asyncio.Event) -> Iterator[None]:
    """Sets the events of the running loop when a signal comes, until the block ends.

    A signal that comes again only sets the event again: a stop is clean, or is killed.
    """
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []
    try:
        for number in _STOP:
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
        loop.add_signal_handler(signal.SIGHUP, reload.set)
        taken.append(signal.SIGHUP)
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
