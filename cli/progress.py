"""Says what is being done, where it takes longer than a moment."""

from __future__ import annotations

import sys
import time
from typing import Self

AFTER_SECONDS = 2.0


class Progress:
    """Hears what is done, in words, and tells it on the terminal's error side once it has taken
    two seconds. A context manager that clears its line; it says nothing where nobody watches."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._is_watched = sys.stderr.isatty()
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __call__(self, what: str) -> None:
        """What is done now."""
        seconds = time.monotonic() - self._began
        if self._is_watched and seconds >= AFTER_SECONDS:
            self._show(f"{what} ({seconds:.0f} s)")

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._show("")

    def _show(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)
