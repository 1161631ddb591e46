"""How far an answer is, for somebody who waits for it."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how many steps are done, and how many there are."""


def silent(doing: str, done: int, steps: int) -> None:
    """Says nothing."""


class Steps:
    """The steps of an answer, told one by one as each begins."""

    def __init__(self, tell: Tell, steps: int) -> None:
        self._tell, self._steps, self._begun = tell, steps, 0

    def begin(self, doing: str) -> None:
        """Tells that the next step begins."""
        self._tell(doing, self._begun, self._steps)
        self._begun += 1
