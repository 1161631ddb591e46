"""Advice as one HTML file with the frontier as a picture: no scripts, nothing fetched."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import jinja2

from costplan.cli.advise_view import advice_view, dollars
from costplan.cli.view import Facts, Grid
from costplan.planner.advice.advise import Advice

WIDTH, HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 90, 20, 40


@dataclass(frozen=True, slots=True)
class _Mark:
    x: str
    y: str
    text: str
    is_nothing: bool


def page_text(made: Advice) -> str:
    """The page; equal advice gives equal bytes."""
    source = resources.files("costplan.cli").joinpath("advise.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    view = advice_view(made)
    marks, ticks = _marks(made)
    return (
        environment.from_string(source).render(
            title=view.title,
            blocks=[
                {
                    "kind": "grid" if isinstance(each, Grid) else
                    "facts" if isinstance(each, Facts) else "line",
                    "block": each,
                }
                for each in view.blocks
            ],
            marks=marks,
            line=" ".join(f"{mark.x},{mark.y}" for mark in marks if not mark.is_nothing),
            ticks=ticks,
            width=WIDTH,
            height=HEIGHT,
            left=_LEFT,
            right=WIDTH - _RIGHT,
            top=_TOP,
            bottom=HEIGHT - _BOTTOM,
        )
        + "\n"
    )  # fmt: skip


def _marks(made: Advice) -> tuple[list[_Mark], dict[str, str]]:
    """Expected cost to the right, the bad end upwards; the ends of both axes in dollars."""
    means = [point.mean_usd for point in made.frontier]
    tails = [point.tail_usd for point in made.frontier]

    def place(value: float, values: list[float], start: float, end: float) -> str:
        span = max(values) - min(values)
        share = (value - min(values)) / span if span else 0.5
        return f"{start + (end - start) * share:.1f}"

    # Weights that come to the same purchase are one mark.
    weights: dict[tuple[float, float], list[str]] = {}
    for point in made.frontier:
        name = "nothing" if point.risk_weight is None else f"{point.risk_weight:g}"
        weights.setdefault((point.mean_usd, point.tail_usd), []).append(name)
    marks = [
        _Mark(
            place(mean, means, _LEFT, WIDTH - _RIGHT),
            place(tail, tails, HEIGHT - _BOTTOM, _TOP),
            ", ".join(names),
            names == ["nothing"],
        )
        for (mean, tail), names in weights.items()
    ]
    ticks = {
        "least_mean": dollars(min(means)),
        "most_mean": dollars(max(means)),
        "least_tail": dollars(min(tails)),
        "most_tail": dollars(max(tails)),
    }
    return marks, ticks
