"""When a line of cron fires, in UTC, by APScheduler's own reckoning.

Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday, or sun to
sat). Cron fires on days that meet either of its two day fields where both are given, which nobody
expects: a line may give one of them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from costplan.planner.errors import InputError

_FIELDS = ("minute", "hour", "day", "month", "day_of_week")
_EXAMPLE = 'write it like "0 6 3 * *": at 06:00 UTC on the third of each month'
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_FIRES = 10_000
_FROM, _YEARS = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=8 * 366)
"""A line that never fires in eight years, such as 30 February, never does."""


def check_cron(line: str) -> str:
    """The line with single spaces; raises InputError, whose subject is the line, where it is
    none."""
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise InputError(repr(line), "is not five fields", _EXAMPLE)
    if fields[2] != "*" and fields[4] != "*":
        raise InputError(repr(line), "gives a day of the month and one of the week", "give one")
    try:
        first = _trigger(" ".join(fields)).get_next_fire_time(None, _FROM)
    except ValueError as error:
        raise InputError(repr(line), "is no line of cron", _EXAMPLE) from error
    if first is None or first > _FROM + _YEARS:
        raise InputError(repr(line), "never fires", _EXAMPLE)
    return " ".join(fields)


def fires(line: str, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """The instants in (after, until] at which a line fires; of very many the newest 10,000."""
    trigger, found = _trigger(line), []
    at = _next(trigger, after)
    while at is not None and at <= until:
        found.append(at)
        at = _next(trigger, at)
        if len(found) >= 2 * _MOST_FIRES:
            found = found[-_MOST_FIRES:]
    return tuple(found[-_MOST_FIRES:])


def next_fire(line: str, after: datetime) -> datetime | None:
    """The first instant after another at which a line fires."""
    return _next(_trigger(line), after)


def _next(trigger: Any, after: datetime) -> datetime | None:
    at = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
    return None if at is None else at.astimezone(UTC)


@lru_cache(maxsize=64)
def _trigger(line: str) -> Any:
    from apscheduler.triggers.cron import CronTrigger

    fields = dict(zip(_FIELDS, line.split(), strict=True))
    # APScheduler counts days of the week from Monday, cron from Sunday: names mean one thing.
    week = ",".join(_week_part(part) for part in fields.pop("day_of_week").split(","))
    return CronTrigger(**fields, day_of_week=week, timezone=UTC)


def _week_part(part: str) -> str:
    """A part of the last field with names for its numbers, and a range by its days."""
    match = re.fullmatch(r"([0-7])-([0-7])", part)
    if match is None:
        return re.sub(r"^[0-7]$", lambda day: _DAYS[int(day.group())], part)
    first, last = int(match.group(1)), int(match.group(2))
    if first > last:
        raise ValueError(part)
    return ",".join(dict.fromkeys(_DAYS[first : last + 1]))
