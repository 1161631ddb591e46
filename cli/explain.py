"""`costplan explain`: why a tick decided what it did, or what became of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile

if TYPE_CHECKING:
    from costplan.cli.view import View
    from costplan.planner.explain import Explanation


def explain(
    subject: Annotated[
        str, typer.Argument(metavar="[last|TICK|NODE]", help="A tick or a node.")
    ] = "last",
    config: ConfigFile = None,
    store: StoreFile = None,
) -> None:
    """Explain a decision, or what became of a node.

    Of a decision: moves, refusals, demand, what stayed and what was not taken, with numbers. `last`
    is the newest tick that made a plan. Of a node: its phases with their causes, and its
    cost.
    """
    from costplan.cli.cluster_store import opened
    from costplan.cli.render import terminal_text, write

    with opened(config, store, read_only=True) as cluster:
        told = cluster.explanation(subject)
    write(terminal_text(explanation_view(told)))


def explanation_view(told: Explanation) -> View:
    """An explanation as blocks for a terminal."""
    from costplan.cli.view import Facts, View

    facts = Facts(tuple((section.title, section.lines) for section in told.sections))
    return View(title=told.title, blocks=(facts,))
