"""Days that cost far more or less than days like them, and what explains it.

A day is held against its likes: other days of its weekday where there are at least three, else
all other days of the last four weeks. Its band is their median and four times their spread (the
median absolute deviation, scaled to a standard deviation), at least a tenth of the median and a
dollar, so that a quiet cluster does not cry over cents. A median is not moved by the odd day
itself, which a mean would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

LEAST_LIKES = 3
LEAST_DAYS = 5
WINDOW_DAYS = 56
_NEAR_DAYS = 28
_SPREADS = 4
_TO_DEVIATION = Decimal("1.4826")
"""The median absolute deviation of a normal distribution is its standard deviation over this."""

_LEAST_SHARE, _LEAST_USD = Decimal("0.1"), Decimal(1)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The value of a dimension that explains most: its dollars that day, its usual ones, and the
    `share` of what the day is off by that it accounts for."""

    dimension: str
    name: str
    usd: Decimal
    usual_usd: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A day outside [`low_usd`, `high_usd`]; `likes` says which days it was held against."""

    day: date
    usd: Decimal
    usual_usd: Decimal
    low_usd: Decimal
    high_usd: Decimal
    likes: str
    cause: Cause | None

    @property
    def off_usd(self) -> Decimal:
        """How far it is from the usual, below zero where it cost less."""
        return self.usd - self.usual_usd


By = Mapping[date, Decimal]


def anomalies(
    days: By, parts: Mapping[str, Mapping[str, By]], judged: Iterable[date]
) -> tuple[Anomaly, ...]:
    """Those of the days `judged` that are outside their band, oldest first.

    `days` has dollars of whole days, those before the period too; a day without lines between
    the first and the last is zero. `parts` are the same dollars by dimension and name.
    """
    if not days:
        return ()
    filled = _filled(days)
    found = []
    for day in sorted(judged):
        if day not in filled:
            continue
        likes, words = _likes(day, filled)
        if not likes:
            continue
        usual, low, high = _band([filled[like] for like in likes])
        usd = filled[day]
        if low <= usd <= high:
            continue
        found.append(
            Anomaly(
                day=day, usd=usd, usual_usd=usual, low_usd=low, high_usd=high, likes=words,
                cause=_cause(day, likes, usd - usual, parts),
            )
        )  # fmt: skip
    return tuple(found)


def _filled(days: By) -> dict[date, Decimal]:
    first, last = min(days), max(days)
    length = (last - first).days + 1
    every = (first + timedelta(days=number) for number in range(length))
    return {day: days.get(day, _ZERO) for day in every}


def _likes(day: date, days: By) -> tuple[list[date], str]:
    """The days to hold a day against, and what they are; none where there are too few."""
    near = [d for d in days if d != day and abs((d - day).days) <= WINDOW_DAYS]
    same = [d for d in near if d.weekday() == day.weekday()]
    if len(same) >= LEAST_LIKES:
        return same, f"{len(same)} other {day:%A}s"
    near = [d for d in near if abs((d - day).days) <= _NEAR_DAYS]
    return (near, f"{len(near)} other days") if len(near) >= LEAST_DAYS else ([], "")


def _band(amounts: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    usual = median(amounts)
    spread = median([abs(usd - usual) for usd in amounts]) * _TO_DEVIATION
    reach = max(spread * _SPREADS, abs(usual) * _LEAST_SHARE, _LEAST_USD)
    return usual, usual - reach, usual + reach


def median(amounts: Sequence[Decimal]) -> Decimal:
    """The middle one, or the mean of the two in the middle; of nothing it raises IndexError."""
    ordered = sorted(amounts)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _cause(
    day: date, likes: Sequence[date], off: Decimal, parts: Mapping[str, Mapping[str, By]]
) -> Cause | None:
    """The name that accounts for more of what is off than it usually does of the dollars.

    A dimension of one name explains all and says nothing, so it is left out.
    """
    best: tuple[Decimal, Cause] | None = None
    for dimension, names in parts.items():
        if len(names) < 2:
            continue
        usual = {
            name: median([by.get(like, _ZERO) for like in likes]) for name, by in names.items()
        }
        whole = sum(usual.values(), _ZERO)
        for name in sorted(names):
            usd = names[name].get(day, _ZERO)
            share = (usd - usual[name]) / off
            surprise = share - (usual[name] / whole if whole > 0 else _ZERO)
            if share > 0 and (best is None or surprise > best[0]):
                cause = Cause(
                    dimension=dimension, name=name, usd=usd, usual_usd=usual[name], share=share
                )
                best = surprise, cause
    return None if best is None else best[1]
