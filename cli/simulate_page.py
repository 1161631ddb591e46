"""A backtest as one HTML file: no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources

import jinja2

from costplan.adapters.backtest.outcome import KINDS, PolicyOutcome
from costplan.cli.simulate_sweep import Ran, Swept
from costplan.cli.simulate_view import bound_of, regret_text, wait_text
from costplan.cli.sweep_view import count_text, notes_of_all, regret_cells, summaries
from costplan.planner.wording import counted, days_text, plain

WIDTH, HEIGHT = 960, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 10, 24
_MOST_POINTS = 480


@dataclass(frozen=True, slots=True)
class Panel:
    """Machines over time of one policy: the points of a line and of what waits, its own highest
    and those that are the height of every panel, and the axis of time."""

    policy: str
    machines: str
    waiting: str
    own_machines: str
    own_waiting: str
    most_machines: str
    most_waiting: str
    days: tuple[tuple[str, str], ...]


def page_text(swept: Sequence[Swept]) -> str:
    """The page of a run, or of a sweep; equal outcomes give equal bytes.

    Of a scenario under several seeds the first is drawn over time, to keep the page small.
    """
    source = resources.files("costplan.cli").joinpath("simulate.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    runs = [ran for one in swept for ran in one.runs]
    is_sweep = len(runs) > 1
    return (
        environment.from_string(source).render(
            title=_title(swept),
            scenarios=[_scenario(one, is_sweep=is_sweep) for one in swept],
            kinds=KINDS,
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
        )
        + "\n"
    )


def _title(swept: Sequence[Swept]) -> str:
    runs = [ran for one in swept for ran in one.runs]
    if len(runs) > 1:
        return f"{counted(len(swept), 'scenario')}, {counted(len(runs), 'run')}, simulated"
    (ran,) = runs
    jobs = counted(ran.found[0].jobs if ran.found else 0, "job")
    return f"{plain(ran.name)}: {jobs} over {days_text(_days(ran))}, simulated"


def _days(ran: Ran) -> float:
    return ran.prepared.backtest.seconds / 86400


def _scenario(one: Swept, *, is_sweep: bool) -> dict[str, object]:
    """What the page says of a scenario: over its seeds, of each run, and the first over time."""
    first = one.runs[0]
    top = max((max(each.machines_at, default=0) for each in first.found), default=0)
    queue = max((max(each.waiting_at, default=0) for each in first.found), default=0)
    return {
        "before": f"{plain(one.name)}: " if is_sweep else "",
        "seeds": len(one.runs),
        "summary": _summary_rows(one) if len(one.runs) > 1 else [],
        "runs": [
            {"before": f"{plain(ran.name)}, seed {ran.seed}: " if is_sweep else "",
             "rows": _rows(ran)}
            for ran in one.runs
        ],
        "drawn": f"{plain(one.name)}, seed {first.seed}: " if is_sweep else "",
        "panels": [_panel(each, top or 1, queue or 1, _days(first)) for each in first.found],
        "notes": [plain(note) for note in notes_of_all(one)],
    }  # fmt: skip


def _rows(ran: Ran) -> list[dict[str, object]]:
    bound = bound_of(ran.prepared, ran.found)
    highest = max((one.usd for one in ran.found), default=Decimal(0))
    return [
        {
            "policy": one.policy,
            "usd": f"${one.usd:,.2f}",
            "parts": _parts(one.usd_by_kind, highest),
            "p50": wait_text(one.wait_p50_seconds),
            "p95": wait_text(one.wait_p95_seconds),
            "late": f"{one.missed_deadlines:,}",
            "interrupted": f"{one.interruptions:,}",
            "events": f"{one.scale_events:,}",
            "regret": regret_text(one, bound),
        }
        for one in ran.found
    ]


def _summary_rows(swept: Swept) -> list[dict[str, object]]:
    found = summaries(swept)
    highest = max((one.usd[0] for one in found), default=Decimal(0))
    return [
        {
            "policy": one.policy,
            "parts": _parts(one.usd_by_kind, highest),
            "cells": [
                *(f"${usd:,.2f}" for usd in one.usd),
                *regret_cells(one),
                *(
                    text(value)
                    for name, text in (("wait_p95_seconds", wait_text),
                                       ("missed_deadlines", count_text))
                    for value in (one.figures[name].mean, one.figures[name].least,
                                  one.figures[name].most)
                ),
            ],
        }
        for one in found
    ]  # fmt: skip


def _parts(usd_by_kind: Mapping[str, Decimal], highest: Decimal) -> list[tuple[str, str, str]]:
    """The pieces of a bar: kind, per cent of the dearest, dollars."""
    whole = highest or 1
    return [
        (kind, f"{float(usd_by_kind[kind] / whole) * 100:.3f}", f"${usd_by_kind[kind]:,.2f}")
        for kind in KINDS
    ]


def _panel(one: PolicyOutcome, top: int, queue: int, days: float) -> Panel:
    """The highest of each slot of time is drawn, so that no peak is lost."""
    end = max(days * 86400, *one.at_seconds)
    size = max(1, -(-len(one.at_seconds) // _MOST_POINTS))
    picked = range(0, len(one.at_seconds), size)

    def line(values: Sequence[int], most: int) -> str:
        points = []
        for start in picked:
            x = _LEFT + (WIDTH - _RIGHT - _LEFT) * one.at_seconds[start] / end
            share = max(values[start : start + size]) / most
            y = HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * share
            points.append(f"{x:.1f},{y:.1f}")
        return " ".join(points)

    step = next((n for n in (1, 2, 5, 7, 14, 30, 90, 365) if days <= n * 10), 365)
    if days <= 2:
        hours = next(h for h in (1, 3, 6) if days * 24 <= h * 10)
        marks = [(h / 24, f"{h} h") for h in range(0, int(days * 24) + 1, hours)]
    else:
        marks = [(float(d), f"day {d}") for d in range(0, int(days) + 1, step)]
    return Panel(
        policy=one.policy,
        machines=line(one.machines_at, top),
        waiting=line(one.waiting_at, queue),
        own_machines=f"{max(one.machines_at, default=0):,}",
        own_waiting=f"{max(one.waiting_at, default=0):,}",
        most_machines=f"{top:,}",
        most_waiting=f"{queue:,}",
        days=tuple(
            (f"{_LEFT + (WIDTH - _RIGHT - _LEFT) * day * 86400 / end:.1f}", words)
            for day, words in marks
        ),
    )
