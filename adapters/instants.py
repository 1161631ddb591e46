"""Instants as text: as clouds write them, as documents have them, and as the store keeps them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_of(text: str) -> datetime:
    """An instant that a cloud wrote, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def utc_or_none(text: str | None) -> datetime | None:
    """The same, None where it wrote nothing."""
    return utc_of(text) if text else None


def zulu_text(at: datetime) -> str:
    """ISO 8601 of UTC, with Z: '2026-10-01T12:00:00Z'."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def sorting_text(at: datetime) -> str:
    """ISO 8601 of UTC with all six places of a second, so that it sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
