"""A reconciliation as one HTML file: no scripts, nothing fetched, fit for a screen and paper."""

from __future__ import annotations

from importlib import resources

import jinja2

from costplan.cli.reconcile_view import (
    FOREIGN_HEADS,
    KIND_HEADS,
    WORST_HEADS,
    cause_pairs,
    foreign_rows,
    kind_rows,
    state_heads,
    state_row,
    tie_pairs,
    verdict,
    worst_row,
)
from costplan.planner.finance.actuals import Reconciliation


def page_text(made: Reconciliation) -> str:
    """The page; equal reconciliations give equal bytes."""
    source = resources.files("costplan.cli").joinpath("reconcile.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    tables = [
        ("Machines", state_heads(made.source.grain), [state_row(each) for each in made.states], 1),
        ("Beside machines", KIND_HEADS, kind_rows(made), 1),
        ("Machines of others, not judged", FOREIGN_HEADS, foreign_rows(made), 2),
        ("The largest differences", WORST_HEADS, [worst_row(pair) for pair in made.worst], 3),
    ]
    return (
        environment.from_string(source).render(
            month=made.month,
            format=made.source.format,
            grain=made.source.grain,
            verdict=verdict(made),
            tables=[table for table in tables if table[2]],
            causes=cause_pairs(made.causes),
            tie=tie_pairs(made),
        )
        + "\n"
    )
