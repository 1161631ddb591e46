"""Instants and durations as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from costplan.cli.until import parse_until, parse_wait
from costplan.planner.errors import InputError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("+30m", timedelta(minutes=30)),
        ("30m", timedelta(minutes=30)),
        ("+1h 30min", timedelta(minutes=90)),
        ("2026-03-01T12:10Z", timedelta(minutes=10)),
        ("2026-03-01T14:00+01:00", timedelta(hours=1)),
        ("2026-03-02 12:00:00Z", timedelta(days=1)),
    ],
)
def test_a_time_to_come(text: str, ahead: timedelta) -> None:
    assert parse_until("--until", text, NOW) == NOW + ahead


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorrow", "is no duration and no time; write it like"),
        ("", "is no duration and no time"),
        ("+", "is no duration and no time"),
        ("2026-03-01T12:10", "says no time zone; end it with Z"),
        ("2026-03-01T11:00Z", "is not ahead of 2026-03-01T12:00Z"),
        ("0s", "is not ahead"),
        ("90", "is no duration and no time"),
        ("-5m", "is no duration and no time"),
        ("+9999999d", "is too far ahead"),
        ("9999-12-31T23:59-12:00", "is out of range"),
    ],
)
def test_what_is_none_says_the_way_out(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_until("--until", text, NOW)


def test_a_time_to_wait() -> None:
    assert parse_wait("--timeout", None) is None
    assert parse_wait("--timeout", "2min") == 120
    with pytest.raises(InputError, match="--timeout soon"):
        parse_wait("--timeout", "soon")
