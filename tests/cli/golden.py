"""What the samples look like, as files beside this one.

After a change that is meant, `python -m tests.cli.golden` writes them anew; read the difference
before it goes in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from costplan.cli.explain import explanation_view
from costplan.cli.forecast_page import page_text as forecast_page
from costplan.cli.forecast_view import document_text as forecast_text
from costplan.cli.forecast_view import forecast_view
from costplan.cli.plan_view import view_of
from costplan.cli.render import plain_text
from costplan.cli.render_csv import csv_text
from costplan.cli.render_markdown import markdown_text
from costplan.cli.report_document import entries_csv, report_text
from costplan.cli.report_page import page_text
from costplan.cli.report_view import report_view
from costplan.cli.status_document import fleet_text, status_text
from costplan.cli.status_view import status_view
from costplan.planner.plan_document import document_text
from costplan.planner.plan_schema import json_schema
from tests.cli import forecast_samples, report_samples, samples, status_samples

FOLDER = Path(__file__).parent / "golden"


def texts() -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    plan, diffed, infeasible = samples.plan(), samples.diffed(), samples.infeasible()
    for width in (80, 120):
        yield f"plan_{width}.txt", plain_text(view_of(plan), width)
        yield f"diff_{width}.txt", plain_text(view_of(diffed), width)
        yield f"infeasible_{width}.txt", plain_text(view_of(infeasible), width)
    notes = ("tcp://10.0.0.1:8786", "any: 98 workers of 4 slots")
    yield "explain_120.txt", plain_text(view_of(plan, explain=True, notes=notes), 120)
    yield "diff.md", markdown_text(view_of(diffed))
    yield "infeasible.md", markdown_text(view_of(infeasible))
    yield "plan.csv", csv_text(plan)
    yield "infeasible.csv", csv_text(infeasible)
    yield "diff.json", document_text(diffed)
    yield "infeasible.json", document_text(infeasible)
    running, dead = status_samples.running(), status_samples.dead()
    for width in (80, 120):
        yield f"status_{width}.txt", plain_text(status_view(running), width)
        yield f"status_nodes_{width}.txt", plain_text(status_view(running, nodes=True), width)
        yield f"status_dead_{width}.txt", plain_text(status_view(dead), width)
        tick, node = status_samples.tick_explained(), status_samples.node_explained()
        yield f"explain_tick_{width}.txt", plain_text(explanation_view(tick), width)
        yield f"explain_node_{width}.txt", plain_text(explanation_view(node), width)
    yield "status.json", status_text(running)
    yield "fleet.json", fleet_text(running)
    report, short = report_samples.report(), report_samples.short()
    for width in (80, 120):
        yield f"report_{width}.txt", plain_text(report_view(report), width)
        yield f"report_short_{width}.txt", plain_text(report_view(short), width)
    yield "report.md", markdown_text(report_view(report))
    yield "report.json", report_text(report)
    yield "report.html", page_text(report)
    yield "report_short.csv", entries_csv(short)
    foretold = forecast_samples.made()
    for width in (80, 120):
        yield f"forecast_{width}.txt", plain_text(forecast_view(foretold), width)
    yield "forecast.md", markdown_text(forecast_view(foretold))
    yield "forecast.json", forecast_text(foretold)
    yield "forecast.html", forecast_page(foretold)
    yield "plan_schema.json", json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts():
        (FOLDER / name).write_text(text, encoding="utf-8")
