"""An answer as blocks of text, before a renderer makes it a terminal's or Markdown's.

The same blocks go to both, so that what a person reads in a terminal is what stands in a
pull request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Style = Literal["plain", "strong", "quiet", "add", "drop", "change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a grid, and what may become of it where the terminal is narrow.

    First `optional` columns go, then ', ' in `split` columns becomes a line break, then columns
    move below the cell of the column that `under` names.
    """

    head: str
    is_number: bool = False
    optional: bool = False
    split: bool = False
    under: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table; every row has a cell for every column and one of `styles`."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    styles: tuple[Style, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels with one line of text or more each."""

    pairs: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence that stands by itself."""

    text: str
    style: Style = "plain"


Block = Grid | Facts | Line


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A title and what follows it."""

    title: str
    blocks: tuple[Block, ...]
