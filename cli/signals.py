"""The daemon's signals as events: TERM and INT stop it, HUP makes it read its file again.

A stop waits for no answer of a cloud.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


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


async def hurried(
    work: Coroutine[Any, Any, T], stop: asyncio.Event, give_up: Callable[[], None]
) -> T:
    """What the work comes to. Once it is to stop, `give_up` is called, and it need not wait long
    for what is left."""
    told = asyncio.ensure_future(stop.wait())
    under_way = asyncio.ensure_future(work)
    try:
        await asyncio.wait((under_way, told), return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
    if not under_way.done():
        give_up()
    return await under_way
