"""The chart of a report: dollars an hour over time, stacked by market, as shapes of an SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal

from costplan.planner.amounts import dollars
from costplan.planner.report import Report
from costplan.planner.report_timeline import Timeline, timeline
from costplan.planner.units import seconds_text
from costplan.planner.wording import counted, market_text

WIDTH, HEIGHT = 960, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 14, 30
_MOST_TICKS = 6
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle with what it says when pointed at."""

    x: str
    y: str
    width: str
    height: str
    market: str
    words: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: str
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it, in units of a view box of WIDTH by HEIGHT."""

    bars: tuple[Bar, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    markets: tuple[tuple[str, str], ...]
    left: int
    right: int
    top: int
    bottom: int
    width: int
    height: int
    bucket: str


def chart(report: Report) -> Chart:
    """The chart of a report's entries; a negative bucket, of corrections only, is not drawn."""
    line = timeline(report.entries, report.start, report.end)
    buckets = len(line.usd[0])
    heights = [
        sum(
            (max(line.usd_per_hour(m, b), Decimal(0)) for m in range(len(line.markets))), Decimal(0)
        )
        for b in range(buckets)
    ]
    step, top = _scale(max(heights))
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    digits = max(2, -step.adjusted()) if step < 1 else 0
    rows = []
    value = Decimal(0)
    while value <= top:
        y = bottom - float(value / top) * (bottom - _TOP)
        rows.append(Tick(f"{y:.1f}", f"${value:,.{digits}f}"))
        value += step
    return Chart(
        bars=tuple(_bars(line, top, right, bottom)),
        rows=tuple(rows),
        columns=tuple(_columns(line, buckets, right)),
        markets=tuple((market.value, market_text(market)) for market in line.markets),
        left=_LEFT,
        right=right,
        top=_TOP,
        bottom=bottom,
        width=WIDTH,
        height=HEIGHT,
        bucket=seconds_text(line.bucket_seconds),
    )


def _scale(highest: Decimal) -> tuple[Decimal, Decimal]:
    """A round step and a whole number of them, at most six, that reach the highest."""
    if highest <= 0:
        return Decimal(1), Decimal(1)
    size = Decimal(1).scaleb((highest / _MOST_TICKS).adjusted())
    step = next(size * n for n in (1, 2, 5, 10) if size * n * _MOST_TICKS >= highest)
    return step, step * (highest / step).to_integral_value(ROUND_CEILING)


def _bars(line: Timeline, top: Decimal, right: int, bottom: int) -> list[Bar]:
    buckets = len(line.usd[0])
    wide = (right - _LEFT) / buckets
    found = []
    for bucket in range(buckets):
        x, y = _LEFT + round(bucket * wide, 2), float(bottom)
        # Neighbours share an edge to the last digit, or a hairline shows between them.
        width = _LEFT + round((bucket + 1) * wide, 2) - x
        for place, market in enumerate(line.markets):
            rate = line.usd_per_hour(place, bucket)
            if rate <= 0:
                continue
            tall = float(rate / top) * (bottom - _TOP)
            y -= tall
            since = line.start + timedelta(seconds=bucket * line.bucket_seconds)
            nodes = line.nodes[place][bucket]
            shown = counted(round(nodes), "node") if nodes >= 0.95 else f"{nodes:.1f} nodes"
            words = f"{since:%Y-%m-%d %H:%M:%S} {market_text(market)}: {_rate(rate)}, {shown}"
            found.append(
                Bar(
                    x=f"{x:.2f}",
                    y=f"{y:.2f}",
                    width=f"{width:.2f}",
                    height=f"{tall:.2f}",
                    market=market.value,
                    words=words,
                )
            )
    return found


def _rate(usd: Decimal) -> str:
    return f"{dollars(usd, 2 if usd >= 10 else 4)}/h"


def _columns(line: Timeline, buckets: int, right: int) -> list[Tick]:
    """Round times along the axis, at most eight."""
    length = buckets * line.bucket_seconds
    step = next((size for size in _STEPS if length <= size * 8), -(-length // (8 * _DAY)) * _DAY)
    midnight = line.start.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = int((line.start - midnight).total_seconds())
    first = -(-offset // step) * step - offset
    found = []
    for seconds in range(first, length, step):
        instant = line.start + timedelta(seconds=seconds)
        x = _LEFT + (right - _LEFT) * seconds / length
        found.append(Tick(f"{x:.1f}", _clock(instant, step)))
    return found


def _clock(instant: datetime, step: int) -> str:
    if step >= _DAY:
        return f"{instant:%d %b}"
    if step < 60:
        return f"{instant:%H:%M:%S}"
    is_midnight = (instant.hour, instant.minute) == (0, 0)
    return f"{instant:%d %b}" if is_midnight else f"{instant:%H:%M}"
