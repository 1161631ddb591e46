"""A report as one HTML file: no scripts, nothing fetched, fit for a screen, paper and a mail."""

from __future__ import annotations

from decimal import Decimal
from importlib import resources

import jinja2

from costplan.cli.report_chart import chart
from costplan.cli.report_view import market_text_of
from costplan.cli.report_wording import (
    busy_text,
    hours_text,
    instant_text,
    interruption_lines,
    notes,
    period_text,
    share_text,
    split_parts,
    verdict_text,
)
from costplan.planner.amounts import digits_for, dollars, rounded_parts
from costplan.planner.plan_document import money_text
from costplan.planner.report import Report, Row
from costplan.planner.wording import percent, plain


def page_text(report: Report) -> str:
    """The page; equal reports give equal bytes."""
    source = resources.files("costplan.cli").joinpath("report.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    digits = digits_for(report.total.usd)
    return (
        environment.from_string(source).render(
            name=plain(report.cluster) or "cluster",
            period=period_text(report),
            made_at=f"{instant_text(report.made_at)} UTC",
            spent=_mark(report.total) + dollars(report.total.usd, digits),
            exact=money_text(report.total.usd),
            verdict=verdict_text(report, digits),
            cards=_cards(report, digits),
            chart=chart(report),
            split=_split(report, digits),
            tables=_tables(report, digits),
            others=_others(report, digits),
            interruptions=interruption_lines(report.interruptions),
            notes=notes(report, digits),
            entries=f"{len(report.entries):,}",
        )
        + "\n"
    )


def _mark(row: Row) -> str:
    return "~" if row.estimated_usd else ""


def _cards(report: Report, digits: int) -> list[tuple[str, str, str]]:
    """Figures at a glance: what, how much, and of what."""
    total, cards = report.total, []
    for other in report.counterfactuals:
        if other.usd is not None and other.saved_usd is not None and other.usd > 0:
            mark = "~" if other.is_estimate or total.estimated_usd else ""
            saved = other.saved_usd
            word = "saved" if saved >= 0 else "paid more"
            of = f"{mark}{dollars(abs(saved), digits)} of {dollars(other.usd, digits)}"
            cards.append((f"{word} against {other.name}", percent(abs(saved) / other.usd), of))
    waste = dollars(report.split.waste_usd, digits)
    cards.append(("did no useful work", share_text(report.split.waste_usd, total.usd), waste))
    if total.thread_seconds > 0:
        hours = f"of {hours_text(total.thread_seconds)} thread-hours"
        cards.append(("threads busy", busy_text(total), hours))
    cards.append(("node-hours", hours_text(total.node_seconds), f"on {total.nodes:,} machines"))
    return cards


def _split(report: Report, digits: int) -> list[dict[str, str]]:
    parts, total = split_parts(report), report.total.usd
    shown = rounded_parts([usd for _, _, usd in parts], digits)
    return [
        {
            "name": name,
            "words": words,
            "usd": dollars(part, digits),
            "share": share_text(exact, total),
            "percent": f"{float(exact / total) * 100 if total > 0 else 0:.3f}",
        }
        for (name, words, exact), part in zip(parts, shown, strict=True)
    ]


def _tables(report: Report, digits: int) -> list[dict[str, object]]:
    groups = (
        ("Market", report.by_market),
        ("Type", report.by_type),
        *((("For", report.by_charge),) if len(report.by_charge) > 1 else ()),
        ("Workload", report.by_workload),
        ("Day (UTC)", report.by_day),
    )
    return [
        {
            "head": head,
            "rows": _rows(rows, report, digits),
            "total": {
                "nodes": f"{report.total.nodes:,}",
                "hours": hours_text(report.total.node_seconds),
                "busy": busy_text(report.total),
                "usd": _mark(report.total) + dollars(report.total.usd, digits),
            },
        }
        for head, rows in groups
        if len(rows) > 1 or head in ("Market", "Type")
    ]


def _rows(rows: tuple[Row, ...], report: Report, digits: int) -> list[dict[str, str]]:
    amounts = rounded_parts([row.usd for row in rows], digits)
    return [
        {
            "name": plain(market_text_of(row.name)) or "(none)",
            "nodes": f"{row.nodes:,}",
            "hours": hours_text(row.node_seconds),
            "busy": busy_text(row),
            "share": share_text(row.usd, report.total.usd),
            "usd": _mark(row) + dollars(usd, digits),
        }
        for row, usd in zip(rows, amounts, strict=True)
    ]


def _others(report: Report, digits: int) -> list[dict[str, str]]:
    """The alternatives, and beside them what was paid for the same."""
    found = []
    largest = max([report.total.usd, *(o.usd for o in report.counterfactuals if o.usd is not None)])
    for other in report.counterfactuals:
        usd = other.usd
        found.append(
            {
                "name": other.name,
                "words": other.words,
                "usd": "not known" if usd is None else _estimate(other.is_estimate, usd, digits),
                "paid": dollars(other.paid_usd, digits),
                "wide": _wide(usd, largest),
                "paid_wide": _wide(other.paid_usd, largest),
            }
        )
    return found


def _estimate(is_estimate: bool, usd: Decimal, digits: int) -> str:
    return ("~" if is_estimate else "") + dollars(usd, digits)


def _wide(usd: Decimal | None, largest: Decimal) -> str:
    return f"{float(usd / largest) * 100:.2f}" if usd and largest > 0 else "0"
