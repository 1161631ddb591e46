"""The daemon's signals as events: TERM and INT stop it, HUP makes it read its file again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signals_as_events(stop: asyncio.Event, reload: asyncio.Event) -> Iterator[None]:
    """Sets the events of the running loop when a signal comes, until the block ends.

    A signal that comes again only sets the event again: a stop is clean, or is killed. What was
    done about a signal before is done about it again afterwards; the loop by itself would go back
    to the default, which ends a program that `nohup` started.
    """
    loop = asyncio.get_running_loop()
    events = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    before = {number: signal.getsignal(number) for number in events}
    try:
        for number, event in events.items():
            loop.add_signal_handler(number, event.set)
        yield
    finally:
        for number, was in before.items():
            if loop.remove_signal_handler(number):
                signal.signal(number, was)
