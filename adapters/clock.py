"""The clock. Nothing else reads it: every other module is told what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """This instant, aware UTC."""
    return datetime.now(UTC)
