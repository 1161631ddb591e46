"""The page `/costplan` on a scheduler's dashboard: spend, rate, what for, and the fleet.

It is a Bokeh application of its own on the scheduler's HTTP server, made where Dask's dashboard is
(so where Bokeh is installed and the dashboard is on). Names of spans and prefixes are shown as
text and never as markup. Like the rest of the dashboard it asks for no token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from costplan.adapters.dask.costs import Figures
from costplan.adapters.dask.plugin import CostplanPlugin
from costplan.planner.wording import counted, percent, usd
from costplan.planner.work_cost import IDLE, Line

PAGE = "/costplan"
REFRESH_MS = 10_000
MOST_LINES = 12
MOST_LABEL = 40


def shortened_name(name: str) -> str:
    """A name that leaves room for bars beside it."""
    return name if len(name) <= MOST_LABEL else f"{name[: MOST_LABEL - 1]}…"


def headline(figures: Figures) -> str:
    """'$3.42 so far, $1.08 an hour on 2 workers; $0.90 (26.3 %) of it idle'."""
    share = f" ({percent(figures.idle_usd / figures.usd)})" if figures.usd else ""
    said = (
        f"{usd(figures.usd)} so far, {usd(figures.usd_per_hour)} an hour on "
        f"{counted(figures.workers, 'worker')}; {usd(figures.idle_usd)}{share} of it idle"
    )
    if figures.told_usd is not None:
        said += f". With machines that boot or have gone: {usd(figures.told_usd)}"
    if figures.unpriced:
        said += f". Nobody has said what {counted(figures.unpriced, 'worker')} of these cost"
    return said


def columns_of(lines: Sequence[Line], whole: Decimal) -> dict[str, list[Any]]:
    """Lines as a table's columns, the dearest first; those beyond a dozen are summed."""
    shown, rest = list(lines[:MOST_LINES]), lines[MOST_LINES:]
    if rest:
        shown.append(
            Line(
                name=counted(len(rest), "other"),
                usd=sum((line.usd for line in rest), Decimal(0)),
                busy_seconds=sum(line.busy_seconds for line in rest),
                tasks=sum(line.tasks for line in rest),
            )
        )
    dear = [line.usd_per_million_rows for line in shown]
    return {
        "name": [line.name for line in shown],
        "usd": [usd(line.usd) for line in shown],
        "share": [percent(line.usd / whole) if whole else "" for line in shown],
        "seconds": [f"{line.busy_seconds:,.1f}" for line in shown],
        "tasks": [f"{line.tasks:,}" for line in shown],
        "per_million": ["" if each is None else usd(each) for each in dear],
    }


def bars_of(figures: Figures) -> dict[str, Decimal]:
    """Dollars by the name that is shown, the dearest first and what was idle last; spans that show
    the same name are one bar, or the one would hide the other."""
    found: dict[str, Decimal] = {}
    for line in figures.by_span[:MOST_LINES]:
        name = "idle (span)" if line.name == IDLE else shortened_name(line.name)
        found[name] = found.get(name, Decimal(0)) + line.usd
    return {**found, IDLE: figures.idle_usd}


def pool_columns(figures: Figures) -> dict[str, list[Any]]:
    """The fleet as a table's columns."""
    pools = figures.pools
    return {
        "type": [pool.instance_type or "(not said)" for pool in pools],
        "market": [pool.market or "(not said)" for pool in pools],
        "workers": [pool.workers for pool in pools],
        "threads": [pool.threads for pool in pools],
        "usd_per_hour": [
            "(not said)" if pool.unpriced == pool.workers else usd(pool.usd_per_hour)
            for pool in pools
        ],
    }


def add_page(scheduler: Any, plugin: CostplanPlugin) -> bool:
    """Adds the page; False where there is no dashboard: it is off, or Bokeh is not installed."""
    apps = scheduler.http_application.applications
    own = next((app for app in apps if type(app).__name__.endswith("BokehTornado")), None)
    if own is None:
        return False
    from distributed.dashboard import core
    from tornado.ioloop import IOLoop

    def page(_server: Any, _extra: Any, doc: Any) -> None:
        _fill(doc, plugin)

    make: Callable[..., Any] = core.BokehApplication
    app = make({PAGE: page}, scheduler, prefix=own.prefix)
    scheduler.http_application.add_application(app)
    app.initialize(IOLoop.current())
    app.start()
    plugin.on_close.append(app.stop)
    return True


def _fill(doc: Any, plugin: CostplanPlugin) -> None:
    """Builds the page, and has it follow what comes."""
    from bokeh.layouts import column, row
    from bokeh.models import ColumnDataSource, DataTable, Div, PreText, TableColumn

    def table(names: dict[str, str], height: int) -> tuple[Any, Any]:
        source = ColumnDataSource({name: [] for name in names})
        return source, DataTable(
            source=source,
            columns=[
                TableColumn(field=name, title=title, width=300 if place == 0 else 90)
                for place, (name, title) in enumerate(names.items())
            ],
            height=height, index_position=None, selectable=False, sizing_mode="stretch_width",
        )  # fmt: skip

    first = {"usd": "USD", "share": "share", "seconds": "task-seconds", "tasks": "tasks"}
    spans, span_table = table({"name": "span", **first, "per_million": "USD / million rows"}, 230)
    prefixes, prefix_table = table({"name": "prefix", **first}, 230)
    runs, run_table = table({"name": "run", **first}, 150)
    pools, pool_table = table(
        {"type": "machine", "market": "market", "workers": "workers", "threads": "threads",
         "usd_per_hour": "USD / hour"}, 150,
    )  # fmt: skip
    head = PreText(text="", styles={"font-size": "16px"})
    chart, bars = _chart()

    def refresh() -> None:
        figures = plugin.costs.figures()
        head.text = headline(figures)
        for source, lines in (
            (spans, figures.by_span), (prefixes, figures.by_prefix), (runs, figures.by_run)
        ):  # fmt: skip
            told = columns_of(lines, figures.usd)
            source.data = {name: told[name] for name in source.column_names}
        pools.data = pool_columns(figures)
        _draw(chart, bars, figures)

    refresh()
    doc.title = "costplan: what the work costs"
    doc.add_root(
        column(
            head,
            chart,
            row(column(Div(text="<b>By span</b>"), span_table, sizing_mode="stretch_width"),
                column(Div(text="<b>By prefix</b>"), prefix_table, sizing_mode="stretch_width"),
                sizing_mode="stretch_width"),
            row(column(Div(text="<b>Fleet</b>"), pool_table, sizing_mode="stretch_width"),
                column(Div(text="<b>By run</b>"), run_table, sizing_mode="stretch_width"),
                sizing_mode="stretch_width"),
            sizing_mode="stretch_width",
        )
    )  # fmt: skip
    doc.add_periodic_callback(refresh, REFRESH_MS)


def _chart() -> tuple[Any, Any]:
    """Bars of dollars by span, idle time among them."""
    from bokeh.models import ColumnDataSource
    from bokeh.plotting import figure

    source = ColumnDataSource({"name": [], "usd": [], "colour": []})
    chart = figure(
        y_range=[IDLE], height=220, sizing_mode="stretch_width", toolbar_location=None, tools="",
        title="Dollars by span", x_axis_label="USD",
    )  # fmt: skip
    chart.hbar(y="name", right="usd", height=0.7, color="colour", source=source)
    chart.x_range.start = 0
    return chart, source


def _draw(chart: Any, source: Any, figures: Figures) -> None:
    told = bars_of(figures)
    chart.y_range.factors = list(told)[::-1]
    source.data = {
        "name": list(told),
        "usd": [float(amount) for amount in told.values()],
        "colour": ["#bbbbbb" if name == IDLE else "#4477aa" for name in told],
    }
