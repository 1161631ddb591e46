"""How much of a budget is burnt, where it will stand at its end, and when it will be passed.

The rest of a period is foretold from whole days: each day to come is taken for the median of the
last four of its weekday where there are two at least, else for the mean of the last seven days. The
band is where four of five such sums would lie if days went on to scatter as they did: 1.2816
standard deviations of a day, times the root of n + n²/m for n days to come and m days seen (the
second term is what is not known of the mean itself).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from costplan.planner.finance.anomalies import median
from costplan.planner.units import whole_cents

SEEN_DAYS = 28
_RECENT_DAYS = 7
_SAME_WEEKDAYS = 4
_FOUR_OF_FIVE = Decimal("1.2816")
_ZERO = Decimal(0)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """A budget at an instant. Without `limit_usd` it is a forecast alone.

    `forecast_usd` is at the end of the period, with its band; None where no whole day was seen.
    `passed_on` is the day on which the limit was passed or, where `is_passed` is false, is
    expected to be; None where it is not.
    """

    name: str
    start: datetime
    end: datetime
    burnt_usd: Decimal
    limit_usd: Decimal | None
    forecast_usd: Decimal | None = None
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None
    passed_on: date | None = None
    basis: str = ""

    @property
    def is_passed(self) -> bool:
        """True where more is burnt than there is."""
        return self.limit_usd is not None and self.burnt_usd > self.limit_usd

    @property
    def will_pass(self) -> bool:
        """True where it is foretold to end above its limit."""
        return (
            self.limit_usd is not None
            and self.forecast_usd is not None
            and self.forecast_usd > self.limit_usd
        )


def burn(
    name: str,
    days: Mapping[date, Decimal],
    period: tuple[datetime, datetime],
    now: datetime,
    limit_usd: Decimal | None,
    whole_from: date | None = None,
) -> Burn:
    """A budget of a period of whole days, from dollars by UTC day, those before it too.

    Days before `whole_from` are burnt, and say nothing of days to come: the ledger began in them.
    """
    start, end = period
    until = min(now, end)
    inside = [day for day in sorted(days) if start.date() <= day < end.date()]
    burnt = sum((days[day] for day in inside), _ZERO)
    passed = _passed(days, inside, limit_usd)
    seen = _seen(days, until, whole_from)
    left = _left_days(until, end)
    if not left or not seen:
        over = burnt if until >= end else None
        return Burn(
            name=name, start=start, end=end, burnt_usd=burnt, limit_usd=limit_usd,
            forecast_usd=over, low_usd=over, high_usd=over, passed_on=passed,
            basis="" if until >= end else "no whole day was seen yet",
        )  # fmt: skip
    expected = [(day, part * _typical(day, seen)) for day, part in left]
    total = burnt + sum((usd for _, usd in expected), _ZERO)
    reach = _reach(sum((part for _, part in left), _ZERO), [usd for _, usd in seen])
    return Burn(
        name=name, start=start, end=end, burnt_usd=burnt, limit_usd=limit_usd,
        forecast_usd=whole_cents(total),
        low_usd=whole_cents(max(burnt, total - reach)),
        high_usd=whole_cents(total + reach),
        passed_on=passed or _will_pass(burnt, expected, limit_usd),
        basis=f"{len(seen)} whole days",
    )  # fmt: skip


def _passed(
    days: Mapping[date, Decimal], inside: Sequence[date], limit: Decimal | None
) -> date | None:
    burnt = _ZERO
    for day in inside:
        burnt += days[day]
        if limit is not None and burnt > limit:
            return day
    return None


def _seen(
    days: Mapping[date, Decimal], until: datetime, whole_from: date | None
) -> list[tuple[date, Decimal]]:
    """Whole days before `until`, at most four weeks and none before the first with lines."""
    if not days:
        return []
    first = max(whole_from or min(days), until.date() - SEEN_DAYS * _DAY)
    length = (until.date() - first).days
    every = [first + number * _DAY for number in range(length)]
    return [(day, days.get(day, _ZERO)) for day in every]


def _left_days(until: datetime, end: datetime) -> list[tuple[date, Decimal]]:
    """Days to come with how much of each: the first is what is left of today."""
    found = []
    at = until
    while at < end:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        stop = min(midnight, end)
        found.append(
            (at.date(), Decimal((stop - at) // timedelta(microseconds=1)) / 86_400_000_000)
        )
        at = stop
    return found


def _typical(day: date, seen: Sequence[tuple[date, Decimal]]) -> Decimal:
    same = [usd for each, usd in seen if each.weekday() == day.weekday()][-_SAME_WEEKDAYS:]
    if len(same) >= 2:
        return median(same)
    recent = [usd for _, usd in seen[-_RECENT_DAYS:]]
    return sum(recent, _ZERO) / len(recent)


def _reach(left: Decimal, seen: Sequence[Decimal]) -> Decimal:
    """Half the band's width; of one day seen nothing is known of scatter, so it is the whole."""
    mean = sum(seen, _ZERO) / len(seen)
    if len(seen) == 1:
        return mean * left
    variance = sum(((usd - mean) ** 2 for usd in seen), _ZERO) / (len(seen) - 1)
    return _FOUR_OF_FIVE * variance.sqrt() * (left + left * left / len(seen)).sqrt()


def _will_pass(
    burnt: Decimal, expected: Sequence[tuple[date, Decimal]], limit: Decimal | None
) -> date | None:
    for day, usd in expected:
        burnt += usd
        if limit is not None and burnt > limit:
            return day
    return None
