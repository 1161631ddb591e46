"""A backtest as one HTML file: no scripts, nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2

from costplan.adapters.backtest.outcome import KINDS, PolicyOutcome
from costplan.adapters.backtest.prepare import Prepared
from costplan.cli.simulate_view import bound_of, notes_of, regret_text, wait_text
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


def page_text(name: str, prepared: Prepared, found: Sequence[PolicyOutcome]) -> str:
    """The page; equal outcomes give equal bytes."""
    source = resources.files("costplan.cli").joinpath("simulate.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    bound = bound_of(prepared, found)
    highest = max((one.usd for one in found), default=0) or 1
    rows = [
        {
            "policy": one.policy,
            "usd": f"${one.usd:,.2f}",
            "parts": [
                (kind, f"{float(one.usd_by_kind[kind] / highest) * 100:.3f}",
                 f"${one.usd_by_kind[kind]:,.2f}")
                for kind in KINDS
            ],
            "p50": wait_text(one.wait_p50_seconds),
            "p95": wait_text(one.wait_p95_seconds),
            "late": f"{one.missed_deadlines:,}",
            "interrupted": f"{one.interruptions:,}",
            "events": f"{one.scale_events:,}",
            "regret": regret_text(one, bound),
        }
        for one in found
    ]  # fmt: skip
    top = max((max(one.machines_at, default=0) for one in found), default=0)
    queue = max((max(one.waiting_at, default=0) for one in found), default=0)
    days = prepared.backtest.seconds / 86400
    return (
        environment.from_string(source).render(
            name=plain(name),
            jobs=counted(found[0].jobs if found else 0, "job"),
            days=days_text(days),
            rows=rows,
            kinds=KINDS,
            panels=[_panel(one, top or 1, queue or 1, days) for one in found],
            notes=[plain(note) for note in notes_of(prepared, found)],
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
        )
        + "\n"
    )


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
