"""A forecast of demand as one HTML file: no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources

import jinja2

from costplan.cli.forecast_view import SHOWN_SHARES, facts, head, steps, table_rows
from costplan.planner.asked import STEP
from costplan.planner.foretell import ENDS_SECONDS
from costplan.planner.foretold import Foretold, KindForecast
from costplan.planner.wording import plain

WIDTH, HEIGHT = 960, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 14, 30
BANDS = ((0.05, 0.95), (0.1, 0.9), (0.25, 0.75))
MOST_BACK = timedelta(days=3)
_AHEAD = timedelta(seconds=ENDS_SECONDS[-1])
_HOURS = (1, 3, 6, 12, 24)


@dataclass(frozen=True, slots=True)
class Chart:
    """The past as lines, one between two gaps, the fan as areas, and the axes."""

    past: tuple[str, ...]
    bands: tuple[tuple[str, str], ...]
    median: str
    now: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]


def page_text(made: Foretold) -> str:
    """The page; equal forecasts give equal bytes."""
    source = resources.files("costplan.cli").joinpath("forecast.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return (
        environment.from_string(source).render(
            cluster=plain(made.cluster),
            at=f"{made.at:%Y-%m-%d %H:%M:%S}",
            kinds=[
                {
                    "name": plain(kind.kind),
                    "chart": None if kind.rows is None else _chart(kind, made.at),
                    "rows": table_rows(kind, made.at),
                    "facts": facts(kind),
                }
                for kind in made.kinds
            ],
            heads=[head(share) for share in SHOWN_SHARES],
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
        )
        + "\n"
    )


def _chart(kind: KindForecast, at: datetime) -> Chart:
    """As much of the past as there is, three days at most, and a day ahead."""
    seen = [each for each in kind.seen if each[0] >= at - MOST_BACK]
    start = min((begin for begin, _ in seen), default=at)
    length = at + _AHEAD - start
    highest = max([mean for _, mean in seen] + [max(kind.at(BANDS[0][1]))])
    step, most = _scale(highest)

    def x(instant: datetime) -> float:
        return _LEFT + (WIDTH - _RIGHT - _LEFT) * ((instant - start) / length)

    def y(workers: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * workers / most

    # Stairs: a number is the mean of its step, and a job that is due does not begin before it does.
    edges = [x(at + timedelta(seconds=second)) for step in steps() for second in step]

    def stairs(share: float) -> list[float]:
        return [value for value in kind.at(share) for _ in range(2)]

    def line(values: Sequence[float], places: Sequence[float]) -> str:
        pairs = zip(places, values, strict=True)
        return " ".join(f"{place:.1f},{y(value):.1f}" for place, value in pairs)

    bands = [
        (f"band{100 * (high - low):.0f}",
         f"{line(stairs(low), edges)} {line(stairs(high)[::-1], edges[::-1])}")
        for low, high in BANDS
    ]  # fmt: skip
    marks = [step * n for n in range(round(most / step) + 1)]
    return Chart(
        past=tuple(
            line([mean for _, mean in run], [x(begin + STEP / 2) for begin, _ in run])
            for run in _unbroken(seen)
        ),
        bands=tuple(bands),
        median=line(stairs(0.5), edges),
        now=f"{x(at):.1f}",
        rows=tuple((f"{y(mark):.1f}", f"{mark:,g}") for mark in marks),
        columns=tuple((f"{x(mark):.1f}", words) for mark, words in _times(start, at + _AHEAD)),
    )


def _unbroken(seen: Sequence[tuple[datetime, float]]) -> list[list[tuple[datetime, float]]]:
    """The past cut where a step is missing."""
    found: list[list[tuple[datetime, float]]] = []
    for each in seen:
        if found and each[0] - found[-1][-1][0] == STEP:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _scale(highest: float) -> tuple[float, float]:
    """A round step, and a whole number of them, at most six, that reach the highest."""
    size = 1.0
    while size * 60 < highest:
        size *= 10
    step = next(size * n for n in (1, 2, 5, 10) if size * n * 6 >= highest)
    count = 1
    while step * count < highest:
        count += 1
    return step, step * count


def _times(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Round hours between two moments, at most ten."""
    hours = next((h for h in _HOURS if (end - start) / timedelta(hours=h) <= 10), _HOURS[-1])
    mark = start.replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while mark < end:
        if mark >= start:
            found.append((mark, f"{mark:%a}" if mark.hour == 0 else f"{mark:%H:%M}"))
        mark += timedelta(hours=hours)
    return found
