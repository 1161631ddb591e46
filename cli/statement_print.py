"""A statement on paper: Typst source with the chart beside it, from the terminal's sections."""

from __future__ import annotations

import json
from collections.abc import Iterable

from costplan.cli.statement_chart import HEIGHT, WIDTH, chart
from costplan.cli.statement_text import (
    burn_text,
    burn_verdict,
    digits,
    notes,
    title_text,
    verdict_text,
    views_text,
)
from costplan.cli.statement_view import Section, sections
from costplan.cli.view import Block, Facts, Grid, Line
from costplan.planner.finance.statement import Statement

PAPER_ROWS = 40
_SHORT_ROWS = 16
CHART = "chart.svg"

_COLOURS = {
    "spot": "#1f8a70", "on_demand": "#d98324", "commitment": "#7a5195", "commitment_1y": "#4a6fa5",
    "commitment_3y": "#7a5195",
}  # fmt: skip
_HEAD = """#set document(title: {title}, date: none)
#set page(paper: "a4", margin: (x: 16mm, y: 16mm), numbering: "1 / 1")
#set text(size: 9pt, number-width: "tabular")
#set par(justify: false)
#show heading: set text(size: 11pt)
#show heading: set block(above: 14pt, below: 6pt)
#set table(stroke: (x, y) => (bottom: 0.4pt + luma(200)), inset: (x: 4pt, y: 3pt))
#show table.cell.where(y: 0): set text(weight: "bold")
"""


def paper_source(statement: Statement) -> tuple[str, dict[str, str]]:
    """The source, and the files that it names."""
    parts = [_HEAD.replace("{title}", _text(title_text(statement)))]
    parts.append(f'#text(size: 20pt, weight: "bold", {_text(title_text(statement))})\n\n')
    parts.append(f'#text(size: 11pt, weight: "bold", {_text(verdict_text(statement))})\n\n')
    parts.append(f"#text({_text(views_text(statement))})\n\n")
    legend = ", ".join(f"{words}" for _, words in chart(statement.series).legend)
    parts.append(
        f"#image({_text(CHART)}, width: 100%, alt: {_text(f'Dollars over time: {legend}')})\n"
    )
    parts += list(_budgets(statement))
    for section in sections(statement, PAPER_ROWS):
        parts += _section(section)
    for note in notes(statement):
        parts.append(f"#text(fill: luma(90), {_text(note)})\n\n")
    return "".join(parts), {CHART: chart_svg(statement)}


def _budgets(statement: Statement) -> Iterable[str]:
    shown = digits(statement)
    found = [(f"budget/{burn.name}", burn) for burn in statement.budgets]
    if statement.forecast is not None:
        found.insert(0, ("month", statement.forecast))
    for name, burn in found:
        verdict = burn_verdict(burn)
        text = f"{name}: {burn_text(burn, shown)}" + (f"; {verdict}" if verdict else "")
        yield f"#text({_text(text)})\n\n"


def _section(section: Section) -> list[str]:
    blocks = "".join(_block(block) for block in section.blocks)
    return [f"#heading({_text(section.title)})\n{blocks}"]


def _block(block: Block) -> str:
    match block:
        case Line():
            return f"#text(fill: luma(90), {_text(block.text)})\n\n"
        case Facts():
            cells = [
                f'text(weight: "bold", {_text(label)}), {_text(chr(10).join(lines))}'
                for label, lines in block.pairs
            ]
            return (
                "#block(grid(columns: (auto, 1fr), column-gutter: 10pt, row-gutter: 9pt, "
                f"{', '.join(cells)}))\n"
            )
        case Grid():
            return _grid(block)


def _grid(grid: Grid) -> str:
    align = ", ".join("right" if column.is_number else "left" for column in grid.columns)
    wide = ", ".join("auto" if column.is_number else "1fr" for column in grid.columns)
    heads = ", ".join(_text(column.head) for column in grid.columns)
    cells = [
        _text(cell) if style != "strong" else f"strong({_text(cell)})"
        for row, style in zip(grid.rows, grid.styles, strict=True)
        for cell in row
    ]
    table = (
        f"table(columns: ({wide},), align: ({align},), table.header({heads}), {', '.join(cells)})"
    )
    # A short table stays on one page, with its heading.
    return f"#block(breakable: {str(len(grid.rows) > _SHORT_ROWS).lower()}, {table})\n"


def _text(text: str) -> str:
    """A string of Typst: JSON's escapes are its own, but for those of Unicode."""
    plain = "".join(char for char in text if char == "\n" or char.isprintable())
    return json.dumps(plain, ensure_ascii=False)


def chart_svg(statement: Statement) -> str:
    """The chart by itself, with its colours and legend in it."""
    made = chart(statement.series)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -24 {WIDTH} {HEIGHT + 24}" '
        'font-size="13" font-family="Libertinus Serif">'
    ]
    for place, (css, words) in enumerate(made.legend):
        x = made.left + place * 150
        parts.append(f'<rect x="{x}" y="-18" width="11" height="11" fill="{_COLOURS[css]}"/>')
        parts.append(f'<text x="{x + 17}" y="-8" fill="#444444">{words}</text>')
    for row in made.rows:
        parts.append(
            f'<line x1="{made.left}" x2="{made.right}" y1="{row.at}" y2="{row.at}" '
            'stroke="#dddddd"/>'
            f'<text x="{made.left - 8}" y="{row.at}" dy="4" text-anchor="end" fill="#444444">'
            f"{row.words}</text>"
        )
    for bar in made.bars:
        parts.append(
            f'<rect x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}" '
            f'fill="{_COLOURS[bar.market]}"/>'
        )
    for column in made.columns:
        parts.append(
            f'<text x="{column.at}" y="{made.bottom + 20}" text-anchor="middle" fill="#444444">'
            f"{column.words}</text>"
        )
    return "".join([*parts, "</svg>"])
