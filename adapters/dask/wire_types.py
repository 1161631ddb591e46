"""What fields on the wire may be: bounded numbers, and names that can be printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_NAME = 200
MAX_AMOUNT = 1e18
MAX_RESOURCES = 100
"""Of a worker, or that a task needs."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = 4_102_444_800_000  # the year 2100


def printable(text: str) -> str:
    """The text, where all of it can be printed."""
    if not text.isprintable():
        raise ValueError("has characters that cannot be printed")
    return text


Count = Annotated[int, Field(ge=0, le=2**60)]
InstantMs = Annotated[int, Field(ge=0, le=_LAST_MS)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(printable)]
MaybeName = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(printable)]


def instant(milliseconds: int) -> datetime:
    """The instant of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)
