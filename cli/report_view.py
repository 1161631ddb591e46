"""A report in words and tables, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from costplan.cli.report_wording import (
    busy_text,
    hours_text,
    interruption_lines,
    notes,
    period_text,
    share_text,
    split_parts,
    verdict_text,
)
from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View
from costplan.planner.amounts import digits_for, dollars, rounded_parts
from costplan.planner.report import Report, Row
from costplan.planner.report_savings import Counterfactual
from costplan.planner.wording import counted, market_text, plain

_MOST_ROWS = 12


def report_view(report: Report) -> View:
    """The whole report; workloads and days have a table where there are several."""
    digits = digits_for(report.total.usd)
    mark = "~" if report.total.estimated_usd else ""
    name = plain(report.cluster) or "the cluster"
    spent = f"{mark}{dollars(report.total.usd, digits)}"
    blocks: list[Block] = [
        Facts(tuple(_facts(report))),
        Line(verdict_text(report, digits), "strong"),
        split_grid(report, digits),
        rows_grid("market", report.by_market, report, market_text_of),
        rows_grid("type", report.by_type, report),
    ]
    if len(report.by_charge) > 1:
        blocks.append(rows_grid("for", report.by_charge, report))
    if len(report.by_workload) > 1:
        blocks.append(rows_grid("workload", report.by_workload, report))
    if len(report.by_day) > 1:
        blocks.append(rows_grid("day (UTC)", report.by_day, report))
    others = tuple((other.name, _against(other, digits)) for other in report.counterfactuals)
    blocks.append(Facts(others))
    blocks += [Line(note, "quiet") for note in notes(report, digits)]
    return View(title=f"{name}: {spent} spent, {period_text(report)}", blocks=tuple(blocks))


def market_text_of(name: str) -> str:
    """'on_demand' as people write it."""
    from costplan.planner.types import Market

    return market_text(Market(name)) if name in tuple(Market) else name


def _facts(report: Report) -> Iterable[tuple[str, tuple[str, ...]]]:
    total = report.total
    yield "workload", (", ".join(plain(row.name) or "(none)" for row in report.by_workload[:4]),)
    yield (
        "machines",
        (f"{counted(total.nodes, 'node')}, {hours_text(total.node_seconds)} node-hours",),
    )
    if total.thread_seconds > 0:
        hours = hours_text(total.thread_seconds)
        yield "busy", (f"{busy_text(total)} of {hours} thread-hours, ready or draining",)
    yield "waste", (f"{share_text(report.split.waste_usd, total.usd)} of the dollars",)
    yield "interrupted", interruption_lines(report.interruptions)
    number = len(report.entries)
    yield "ledger", ("1 entry" if number == 1 else f"{number:,} entries",)


def split_grid(report: Report, digits: int) -> Grid:
    """What the dollars did; the cells add up to the total as shown."""
    parts = split_parts(report)
    shown = rounded_parts([usd for _, _, usd in parts], digits)
    rows = [
        (name, words, share_text(exact, report.total.usd), f"{part:,.{digits}f}")
        for (name, words, exact), part in zip(parts, shown, strict=True)
    ]
    total = ("total", "", "100 %", f"{sum(shown):,.{digits}f}")
    styles: list[Style] = ["plain"] * len(rows)
    return Grid(
        columns=(
            Column(head="dollars for"),
            Column(head=""),
            Column(head="share", is_number=True),
            Column(head="$", is_number=True),
        ),
        rows=(*rows, total),
        styles=(*styles, "strong"),
    )


def rows_grid(
    head: str,
    rows: Sequence[Row],
    report: Report,
    name: Callable[[str], str] = plain,
) -> Grid:
    """One way to split the total; the cells of dollars add up to the total as shown."""
    digits = digits_for(report.total.usd)
    amounts = rounded_parts([row.usd for row in rows], digits)
    shown = [
        (
            name(row.name) or "(none)",
            f"{row.nodes:,}",
            hours_text(row.node_seconds),
            busy_text(row),
            share_text(row.usd, report.total.usd),
            f"{'~' if row.estimated_usd else ''}{usd:,.{digits}f}",
        )
        for row, usd in zip(rows, amounts, strict=True)
    ]
    shown = _at_most(shown, amounts, report, digits)
    total = report.total
    mark = "~" if total.estimated_usd else ""
    last = (
        "total",
        f"{total.nodes:,}",
        hours_text(total.node_seconds),
        busy_text(total),
        "100 %",
        f"{mark}{sum(amounts, Decimal(0)):,.{digits}f}",
    )
    styles: list[Style] = ["plain"] * len(shown)
    return Grid(
        columns=(
            Column(head=head),
            Column(head="nodes", is_number=True),
            Column(head="node-hours", is_number=True),
            Column(head="busy", is_number=True),
            Column(head="share", is_number=True, optional=True),
            Column(head="$", is_number=True),
        ),
        rows=(*shown, last),
        styles=(*styles, "strong"),
    )


_Cells = tuple[str, str, str, str, str, str]


def _at_most(
    shown: list[_Cells], amounts: Sequence[Decimal], report: Report, digits: int
) -> list[_Cells]:
    """The first rows, and one for all others."""
    if len(shown) <= _MOST_ROWS:
        return shown
    rest = sum(amounts[_MOST_ROWS - 1 :], Decimal(0))
    share = share_text(rest, report.total.usd)
    others = len(shown) - _MOST_ROWS + 1
    row = (f"{others} others", "", "", "", share, f"{rest:,.{digits}f}")
    return [*shown[: _MOST_ROWS - 1], row]


def _against(other: Counterfactual, digits: int) -> tuple[str, ...]:
    saved = other.saved_usd
    if other.usd is None or saved is None:
        return (f"not known. {other.words}",)
    mark = "~" if other.is_estimate else ""
    paid = f"{mark}{dollars(other.usd, digits)} instead of {dollars(other.paid_usd, digits)}"
    share = f" ({share_text(abs(saved), other.usd)})" if other.usd > 0 else ""
    word = "saved" if saved >= 0 else "more paid"
    return (f"{paid}: {dollars(abs(saved), digits)}{share} {word}", other.words)
