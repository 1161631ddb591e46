"""Says what takes long: nothing for two seconds, and then each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import Protocol

from costplan.cli.errors import note

QUIET_SECONDS = 2.0


class Told(Protocol):
    """Hears what is being done now."""

    def __call__(self, text: str, /) -> None: ...


@contextmanager
def progress(quiet_seconds: float = QUIET_SECONDS) -> Iterator[Told]:
    """What to tell the steps to, until the block ends; those of a short block are not shown."""
    lock = Lock()
    now, is_slow, is_over = "", False, False

    def told(text: str) -> None:
        nonlocal now
        with lock:
            now = text
            if is_slow:
                note(f"{text} ...")

    def slow() -> None:
        nonlocal is_slow
        with lock:
            is_slow = True
            if now and not is_over:
                note(f"{now} ...")

    timer = Timer(quiet_seconds, slow)
    timer.daemon = True
    timer.start()
    try:
        yield told
    finally:
        timer.cancel()
        with lock:
            is_over = True
