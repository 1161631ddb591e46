"""The charts of a statement as shapes of an SVG: dollars over time, and bars that compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from costplan.cli.report_chart import Bar, Tick
from costplan.cli.statement_text import name_text
from costplan.planner.amounts import dollars
from costplan.planner.finance.statement import Series
from costplan.planner.units import seconds_text

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 30
_MOST_ROWS, _MOST_COLUMNS = 6, 10
_DAY = 86_400
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bars over time in a view box of WIDTH by HEIGHT; `legend` has a class and words of each."""

    bars: tuple[Bar, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    legend: tuple[tuple[str, str], ...]
    zero: str
    title: str
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Dollars from `low` to `high` over `length` units from `start` on."""

    low: Decimal
    high: Decimal
    start: float
    length: float

    def at(self, usd: Decimal) -> float:
        """Where an amount is."""
        return self.start + float((usd - self.low) / (self.high - self.low)) * self.length


def css_class(market: str) -> str:
    """The class of a market's bars."""
    known = ("spot", "on_demand", "commitment_1y", "commitment_3y")
    return market if market in known else "commitment"


def chart(series: Series) -> Chart:
    """Stacked bars; what is below zero (corrections, refunds) hangs below the line."""
    buckets = series.buckets
    tops = [_sum(usd for _, usd in each.by_market if usd > 0) for each in buckets]
    depths = [_sum(usd for _, usd in each.by_market if usd < 0) for each in buckets]
    step = _step(max([*tops, _ZERO]) - min([*depths, _ZERO]))
    high = max(step, step * (max(tops) / step).to_integral_value(ROUND_CEILING))
    low = step * (min([*depths, _ZERO]) / step).to_integral_value(ROUND_FLOOR)
    bottom = float(HEIGHT - _BOTTOM)
    scale = Scale(low=low, high=high, start=bottom, length=_TOP - bottom)
    markets = sorted({market for each in buckets for market, _ in each.by_market}, reverse=True)
    return Chart(
        bars=tuple(_bars(series, markets, scale)),
        rows=tuple(_rows(low, high, step, scale)),
        columns=tuple(_columns(series)),
        legend=tuple((css_class(market), name_text("market", market)) for market in markets),
        zero=f"{scale.at(_ZERO):.1f}",
        title="Dollars a day"
        if series.bucket_seconds == _DAY
        else f"Dollars every {seconds_text(series.bucket_seconds)}",
    )


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, _ZERO)


def _step(span: Decimal) -> Decimal:
    """A round step of which at most six cover the span."""
    if span <= 0:
        return Decimal(1)
    size = Decimal(1).scaleb((span / _MOST_ROWS).adjusted())
    return next(size * n for n in (1, 2, 5, 10) if size * n * _MOST_ROWS >= span)


def _rows(low: Decimal, high: Decimal, step: Decimal, scale: Scale) -> list[Tick]:
    digits = max(2, -step.adjusted()) if step < 1 else 0
    found, value = [], low
    while value <= high:
        found.append(Tick(f"{scale.at(value):.1f}", dollars(value, digits)))
        value += step
    return found


def _bars(series: Series, markets: Sequence[str], scale: Scale) -> list[Bar]:
    wide = (WIDTH - _RIGHT - _LEFT) / len(series.buckets)
    gap = min(2.0, wide * 0.15)
    found = []
    for place, bucket in enumerate(series.buckets):
        x = _LEFT + place * wide + gap / 2
        up = down = _ZERO
        spent = dict(bucket.by_market)
        for market in markets:
            usd = spent.get(market, _ZERO)
            if not usd:
                continue
            base = up if usd > 0 else down
            y0, y1 = scale.at(base), scale.at(base + usd)
            up, down = (base + usd, down) if usd > 0 else (up, base + usd)
            words = f"{_when(bucket.start, series)}: {name_text('market', market)} "
            found.append(
                Bar(
                    x=f"{x:.2f}", y=f"{min(y0, y1):.2f}", width=f"{wide - gap:.2f}",
                    height=f"{abs(y1 - y0):.2f}", market=css_class(market),
                    words=words + dollars(usd, 2 if abs(usd) >= 1 else 4),
                )
            )  # fmt: skip
    return found


def _when(start: datetime, series: Series) -> str:
    return f"{start:%a %d %b}" if series.bucket_seconds >= _DAY else f"{start:%d %b %H:%M}"


def _columns(series: Series) -> list[Tick]:
    """Every so many buckets what they are."""
    number = len(series.buckets)
    every = next(n for n in (1, 2, 5, 7, 10, 14, 20, 50, number) if n * _MOST_COLUMNS >= number)
    wide = (WIDTH - _RIGHT - _LEFT) / number
    found = []
    for place in range(0, number, every):
        start = series.buckets[place].start
        words = f"{start:%d %b}" if series.bucket_seconds >= _DAY else f"{start:%H:%M}"
        found.append(Tick(f"{_LEFT + (place + 0.5) * wide:.1f}", words))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """A bar that compares: from `left` for `width` per cent."""

    name: str
    css: str
    usd: str
    left: str
    width: str


def waterfall(steps: Sequence[tuple[str, Decimal, str]], digits: int) -> tuple[Compare, ...]:
    """From the first amount over its changes to the last: what a step adds is drawn where it
    adds it. A step is its name, its dollars and its class; the ends begin at nothing."""
    levels, at = [], _ZERO
    for place, (_, usd, _) in enumerate(steps):
        is_end = place in (0, len(steps) - 1)
        begin = _ZERO if is_end else at
        at = usd if is_end else at + usd
        levels.append((min(begin, at), max(begin, at)))
    low = min(level for level, _ in levels)
    high = max(level for _, level in levels)
    scale = Scale(low=low, high=high if high > low else low + 1, start=0.0, length=100.0)
    return tuple(
        Compare(
            name=name, css=css, usd=dollars(usd, digits), left=f"{scale.at(begin):.2f}",
            width=f"{scale.at(end) - scale.at(begin):.2f}",
        )
        for (name, usd, css), (begin, end) in zip(steps, levels, strict=True)
    )  # fmt: skip
