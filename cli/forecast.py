"""`costplan forecast`: what the work will probably ask for in the next 24 hours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costplan.cli.cluster_options import ConfigFile, StoreFile
from costplan.cli.errors import check_word, note

if TYPE_CHECKING:
    from costplan.adapters.store.cluster import Cluster
    from costplan.planner.foretold import Foretold
    from costplan.planner.settings import Settings

FORMATS = ("table", "json", "md")


def forecast(
    config: ConfigFile = None,
    store: StoreFile = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Where the store has several.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="NAME", help="One kind of worker only.")
    ] = None,
    output: Annotated[str, typer.Option("--format", help="table, json or md.")] = "table",
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
    ] = None,
) -> None:
    """Show the demand that plans are told of: workers of each kind over the next 24 hours.

    It reads the store only: the forecast is of the moment of the last tick.
    """
    from costplan.cli.cluster_store import note_if_dead, opened
    from costplan.cli.out_file import check_out, write_out
    from costplan.cli.render import write

    check_word("--format", output, FORMATS)
    if html is not None:
        check_out(html, "--html")
    with opened(config, store, read_only=True) as there:
        made = _only(made_of(there, cluster), kind)
        note_if_dead(there, f"this is as of {made.at:%Y-%m-%d %H:%M:%S} UTC")
    if html is not None:
        from costplan.cli.forecast_page import page_text

        write_out(html, page_text(made), "--html")
        note(f"written to {html}")
    write(_text(made, output))


def made_of(there: Cluster, name: str | None) -> Foretold:
    """The forecast of a cluster in a store, as of its last tick; raises InputError."""
    from dataclasses import replace

    from costplan.adapters.forecast.boosting import member_of
    from costplan.planner.asked import STEP
    from costplan.planner.config_fields import suggestion
    from costplan.planner.errors import InputError
    from costplan.planner.foretell import load_of
    from costplan.planner.foretold import foretold
    from costplan.planner.learnt import Learnt

    known = there.store.demand_clusters()
    stored = there.store.last_tick()
    settings = there.settings()
    if stored is None or settings is None or not known:
        raise InputError(
            str(there.path),
            "nothing of demand was recorded yet, so nothing can be foretold",
            "`costplan run` records it, from its second look at the scheduler on",
        )
    name = name or (settings.cluster if settings.cluster in known else known[0])
    if name not in known:
        near = suggestion(name, known) or f"it has {', '.join(known)}"
        raise InputError(f"--cluster {name}", f"is not in {there.path}", near)
    parts = there.store.demand(name)
    if name == stored.settings.cluster:
        settings = _own(settings, stored.settings)
        state = there.state()
        load = load_of(stored.readings, state, settings)
        return foretold(parts, load, state.learnt, settings, stored.at, member_of(settings))
    # Of a cluster that is not driven any more nothing but its history is known.
    end = max(part.start for part in parts)
    bare = replace(settings, cluster=name, kinds=(), calendar=())
    return foretold(parts, None, Learnt(), bare, end + STEP)


def _own(settings: Settings, stored: Settings) -> Settings:
    """The settings of the file where they are of this cluster, else those of its last tick."""
    return settings if settings.cluster == stored.cluster else stored


def _only(made: Foretold, kind: str | None) -> Foretold:
    from dataclasses import replace

    from costplan.planner.config_fields import suggestion
    from costplan.planner.errors import InputError

    if kind is None:
        return made
    known = [each.kind for each in made.kinds]
    if kind not in known:
        near = suggestion(kind, known) or f"there are {', '.join(known)}"
        raise InputError(f"--kind {kind}", f"is no kind of worker of {made.cluster}", near)
    return replace(made, kinds=tuple(each for each in made.kinds if each.kind == kind))


def _text(made: Foretold, output: str) -> str:
    from costplan.cli.forecast_view import document_text, forecast_view
    from costplan.cli.render import terminal_text
    from costplan.cli.render_markdown import markdown_text

    if output == "json":
        return document_text(made)
    view = forecast_view(made)
    return markdown_text(view) if output == "md" else terminal_text(view)
