"""A view as text for a terminal, or for a pipe, which gets neither colours nor cut lines."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from costplan.cli.view import Block, Column, Facts, Grid, Line, Style, View

PIPE_WIDTH = 120
"""Columns where the output is no terminal and COLUMNS says nothing."""

_NARROWEST = 40
_LABEL_WIDTH = 11
_BETWEEN_COLUMNS = 2
_STYLES: dict[Style, str] = {
    "plain": "",
    "strong": "bold",
    "quiet": "dim",
    "add": "green",
    "drop": "red",
    "change": "yellow",
}


def terminal_text(view: View) -> str:
    """The view for standard output as it is now: its width, and colours if it is a terminal."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isascii() and columns.isdigit() else PIPE_WIDTH
        return plain_text(view, width or PIPE_WIDTH)
    with console.capture() as captured:
        _print(view, console)
    return _trimmed(captured.get())


def plain_text(view: View, width: int = PIPE_WIDTH) -> str:
    """The view without colours, `width` columns wide."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, _NARROWEST),
        color_system=None,
        force_terminal=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    _print(view, console)
    return _trimmed(out.getvalue())


def _trimmed(text: str) -> str:
    """The text without the blanks that pad cells to their column's width."""
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _print(view: View, console: Console) -> None:
    console.print(Text(view.title, style="bold"))
    before: Block | None = None
    for block in view.blocks:
        if before is not None and not _belongs(block, before):
            console.print()
        match block:
            case Line():
                console.print(Text(block.text, style=_STYLES[block.style]))
            case Facts():
                console.print(_facts(block, console.width))
            case Grid():
                console.print(fitted(block, console))
        before = block


def _belongs(block: Block, before: Block) -> bool:
    """True where no empty line stands between the two: sentences of one kind, and a legend."""
    if not isinstance(block, Line):
        return False
    legend = isinstance(before, Grid) and block.style == "quiet"
    return legend or (isinstance(before, Line) and before.style == block.style)


def _facts(facts: Facts, width: int) -> Table:
    widest = max((len(label) for label, _ in facts.pairs), default=0)
    label_width = min(max(widest, _LABEL_WIDTH), width // 3)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, _BETWEEN_COLUMNS, 0, 0))
    table.add_column(style="dim", width=label_width, overflow="fold")
    table.add_column(overflow="fold")
    for label, lines in facts.pairs:
        for number, line in enumerate(lines):
            table.add_row("" if number else label, Text(line))
    return table


def fitted(grid: Grid, console: Console) -> Table:
    """The grid with as much in it as the console is wide; the last resort is to wrap words."""
    for fit in (_as_it_is, _without_optional, _split, _stacked):
        grid = fit(grid)
        if _width(grid) <= console.width:
            break
    return _table(grid)


def _width(grid: Grid) -> int:
    """How wide the grid is when nothing in it is wrapped."""
    heads = tuple(column.head for column in grid.columns)
    columns = zip(heads, *grid.rows, strict=True)
    widths = [max(cell_len(line) for c in cells for line in c.split("\n")) for cells in columns]
    return sum(widths) + _BETWEEN_COLUMNS * (len(widths) - 1)


def _table(grid: Grid) -> Table:
    table = Table(
        box=None, pad_edge=False, padding=(0, _BETWEEN_COLUMNS, 0, 0), header_style="bold"
    )
    for column in grid.columns:
        table.add_column(
            Text(column.head), justify="right" if column.is_number else "left", overflow="fold"
        )
    for row, style in zip(grid.rows, grid.styles, strict=True):
        table.add_row(*map(Text, row), style=_STYLES[style])
    return table


def _as_it_is(grid: Grid) -> Grid:
    return grid


def _kept(grid: Grid, keep: Callable[[Column], bool]) -> Grid:
    places = [place for place, column in enumerate(grid.columns) if keep(column)]
    return Grid(
        columns=tuple(grid.columns[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in grid.rows),
        styles=grid.styles,
    )


def _without_optional(grid: Grid) -> Grid:
    return _kept(grid, lambda column: not column.optional)


def _split(grid: Grid) -> Grid:
    rows = tuple(
        tuple(
            cell.replace(", ", "\n") if column.split else cell
            for column, cell in zip(grid.columns, row, strict=True)
        )
        for row in grid.rows
    )
    return Grid(columns=grid.columns, rows=rows, styles=grid.styles)


def _stacked(grid: Grid) -> Grid:
    """The grid with columns moved below the cells of those they name."""
    heads = [column.head for column in grid.columns]
    moves = [(place, heads.index(c.under)) for place, c in enumerate(grid.columns) if c.under]
    rows = []
    for row in grid.rows:
        cells = list(row)
        for source, target in moves:
            if cells[source]:
                cells[target] += f"\n  {cells[source]}"
        rows.append(tuple(cells))
    stacked = Grid(columns=grid.columns, rows=tuple(rows), styles=grid.styles)
    return _kept(stacked, lambda column: column.under is None)


def write(text: str) -> None:
    """Writes to standard output; a reader that has seen enough is no error.

    After a broken pipe the rest of the output goes nowhere, so that the interpreter does not
    complain when it flushes at the end.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
