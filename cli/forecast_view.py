"""A forecast of demand as a table for people and as JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise

from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.forecast.types import QUANTILES
from costplan.planner.foretell import ENDS_SECONDS
from costplan.planner.foretold import Foretold, KindForecast
from costplan.planner.known_work import KnownWork
from costplan.planner.units import seconds_text
from costplan.planner.wording import counted, percent, plain

VERSION = 1
SHOWN_SHARES = (0.1, 0.5, 0.9, 0.95)
SHOWN_MINUTES = (5, 15, 30, 60, 120, 240, 480, 720, 960, 1440)
"""Of the steps that end then the table has a row."""


def forecast_view(made: Foretold) -> View:
    """The table of each kind, and what it rests on."""
    blocks: list[Block] = []
    for kind in made.kinds:
        if kind.rows is None:
            blocks.append(Line(f"{plain(kind.kind)}: nothing is foretold", "strong"))
        else:
            blocks += [Line(f"{plain(kind.kind)}: workers", "strong"), _grid(kind, made)]
        blocks.append(Facts(facts(kind)))
    return View(
        title=f"{plain(made.cluster)}: demand after {made.at:%Y-%m-%d %H:%M:%S} UTC",
        blocks=tuple(blocks),
    )


def _grid(kind: KindForecast, made: Foretold) -> Grid:
    columns = (
        Column(head="UTC"),
        Column(head="from now"),
        *(Column(head=head(share), is_number=True) for share in SHOWN_SHARES),
    )
    rows = table_rows(kind, made.at)
    plain_rows: tuple[Style, ...] = tuple("plain" for _ in rows)
    return Grid(columns=columns, rows=rows, styles=plain_rows)


def table_rows(kind: KindForecast, at: datetime) -> tuple[tuple[str, ...], ...]:
    """The steps that a person is shown: when, how far ahead, and workers by quantile."""
    rows = []
    for place, (begin, end) in enumerate(steps()):
        if kind.rows is None or end // 60 not in SHOWN_MINUTES:
            continue
        first, last = (at + timedelta(seconds=seconds) for seconds in (begin, end))
        rows.append(
            (
                f"{first:%a %H:%M}–{last:%H:%M}",
                f"{seconds_text(begin)}–{seconds_text(end)}",
                *(workers_text(kind.at(share)[place]) for share in SHOWN_SHARES),
            )
        )
    return tuple(rows)


def head(share: float) -> str:
    """What a quantile is called."""
    return "median" if share == 0.5 else f"{100 * share:g} %"


def steps() -> list[tuple[int, int]]:
    """Begin and end of each step, in seconds from the forecast's moment."""
    return list(pairwise((0, *ENDS_SECONDS)))


def workers_text(workers: float) -> str:
    """A number of workers to the tenth where it is small."""
    return f"{workers:,.1f}" if workers < 100 else f"{workers:,.0f}"


def facts(kind: KindForecast) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a forecast rests on, in words."""
    found: list[tuple[str, tuple[str, ...]]] = [("seen", (_seen_text(kind),))]
    if kind.work is not None:
        found.append(("graph", (_graph_text(kind.work),)))
    if kind.jobs:
        lines = [
            f"{plain(job.name)}: {counted(job.workers, 'worker')} from {begin:%a %H:%M} UTC for"
            f" {seconds_text(job.duration_seconds)}"
            for job, begin in kind.jobs
        ]
        found.append(("calendar", tuple(lines)))
    if kind.shares:
        lines = [
            f"{name}: {', '.join(percent(share) for share in shares)} at 1, 6 and 24 h"
            for name, shares in kind.shares.items()
        ]
        found.append(("members", tuple(lines)))
    if kind.notes:
        found.append(("notes", tuple(plain(note) for note in kind.notes)))
    return tuple(found)


def _graph_text(work: KnownWork) -> str:
    workers, full, tail = work.workers, round(work.full_seconds), round(work.tail_seconds)
    parts = [f"for {seconds_text(full)}"] if full else []
    if tail:
        parts.append(f"ever fewer until {seconds_text(full + tail)} from now")
    return f"{counted(workers, 'worker')} {', then '.join(parts) or 'that are done'}, in the median"


def _seen_text(kind: KindForecast) -> str:
    if not kind.seen_seconds:
        return "nothing was recorded of it yet"
    text = f"{seconds_text(round(kind.seen_seconds))} of demand"
    if kind.seen:
        start, last = kind.seen[0][0], kind.seen[-1][1]
        text += f" since {start:%Y-%m-%d %H:%M} UTC, {workers_text(last)} in the last whole step"
    return text


def document_text(made: Foretold) -> str:
    """The forecast as JSON: every step and quantile."""
    return (
        json.dumps(
            {
                "version": VERSION,
                "cluster": made.cluster,
                "at": made.at.isoformat(),
                "quantiles": list(QUANTILES),
                "kinds": [_document(kind, made) for kind in made.kinds],
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
    )


def _document(kind: KindForecast, made: Foretold) -> dict[str, object]:
    rows = kind.rows
    return {
        "kind": kind.kind,
        "seen_seconds": round(kind.seen_seconds, 3),
        "seen_since": kind.seen[0][0].isoformat() if kind.seen else None,
        "notes": list(kind.notes),
        "member_shares": {
            name: dict(zip(("1h", "6h", "24h"), (round(s, 4) for s in shares), strict=True))
            for name, shares in kind.shares.items()
        },
        "graph": None
        if kind.work is None
        else {
            "workers": kind.work.workers,
            "full_seconds": round(kind.work.full_seconds, 3),
            "tail_seconds": round(kind.work.tail_seconds, 3),
        },
        "calendar": [
            {
                "name": job.name,
                "workers": job.workers,
                "start": begin.isoformat(),
                "seconds": job.duration_seconds,
            }
            for job, begin in kind.jobs
        ],
        "steps": []
        if rows is None
        else [
            {
                "start": (made.at + timedelta(seconds=begin)).isoformat(),
                "end": (made.at + timedelta(seconds=end)).isoformat(),
                "workers": [row[place] for row in rows],
            }
            for place, (begin, end) in enumerate(steps())
        ],
    }
