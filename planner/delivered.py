"""How the deliveries of a cluster stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Reports and alerts that wait, and of them those whose last try failed.

    `failing_title`, `problem` and `next_try_at` are of the one of these that is tried next.
    """

    waiting: int = 0
    failing: int = 0
    failing_title: str = ""
    problem: str = ""
    next_try_at: datetime | None = None
    last_sent_at: datetime | None = None
