"""A view as GitHub Markdown."""

from __future__ import annotations

import re

from costplan.cli.view import Facts, Grid, Line, View

_SPECIAL = re.compile(r"([\\|<>&*`~\[\]])")


def markdown_text(view: View) -> str:
    """The view as a heading, tables and lists."""
    parts = [f"### {_escaped(view.title)}"]
    for block in view.blocks:
        match block:
            case Line():
                text = _escaped(block.text)
                parts.append(f"**{text}**" if block.style == "strong" else text)
            case Facts():
                parts.append(_facts(block))
            case Grid():
                parts.append(_grid(block))
    return "\n\n".join(part for part in parts if part) + "\n"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _facts(facts: Facts) -> str:
    lines = []
    for label, values in facts.pairs:
        if len(values) == 1:
            lines.append(f"- **{_escaped(label)}**: {_escaped(values[0])}")
            continue
        lines.append(f"- **{_escaped(label)}**:")
        lines += [f"  - {_escaped(value)}" for value in values]
    return "\n".join(lines)


def _grid(grid: Grid) -> str:
    heads = [_escaped(column.head) for column in grid.columns]
    rule = ["---:" if column.is_number else "---" for column in grid.columns]
    body = [[_escaped(cell) for cell in row] for row in grid.rows]
    for row, style in zip(body, grid.styles, strict=True):
        if style == "strong":
            row[:] = [f"**{cell}**" if cell else "" for cell in row]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *body))
