"""An instant as a person writes it: so long from now, or a time in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from costplan.planner.errors import InputError
from costplan.planner.units import parse_seconds

FOREVER = datetime.max.replace(tzinfo=UTC)
_WAY_OUT = "write it like +30m, +2h, or 2026-01-31T18:00Z"


def parse_until(option: str, text: str, now: datetime) -> datetime:
    """The instant that '+30m', '2h' or '2026-01-31T18:00Z' means, in UTC.

    Raises InputError where it is neither, names no zone, or is not ahead.
    """
    subject = f"{option} {text}"
    stripped = text.strip()
    try:
        until = now + timedelta(seconds=parse_seconds(stripped.removeprefix("+")))
    except ValueError:
        until = _instant(subject, stripped)
    except OverflowError as error:
        raise InputError(subject, "is too far ahead", "leave it out for: until resumed") from error
    if until <= now:
        raise InputError(subject, f"is not ahead of {now:%Y-%m-%dT%H:%MZ}", _WAY_OUT)
    return until


def _instant(subject: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(subject, "is no duration and no time", _WAY_OUT) from error
    if instant.tzinfo is None:
        raise InputError(subject, "says no time zone", "end it with Z for UTC")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise InputError(subject, "is out of range", _WAY_OUT) from error


def parse_wait(option: str, text: str | None) -> int | None:
    """Whole seconds of a duration, None where there is none; raises InputError otherwise."""
    if text is None:
        return None
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise InputError(f"{option} {text}", str(error)) from error
