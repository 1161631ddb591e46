"""Reads the totals of a report back out of each format, as other programs would."""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl

Pair = tuple[Decimal, Decimal]
"""Amortised and cash dollars."""


def csv_rows(text: str) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Rows and the total of a CSV with a column `record`."""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["record"] for row in rows].count("total") == 1
    assert rows[-1]["record"] == "total"
    return rows[:-1], rows[-1]


def pair(row: dict[str, Any]) -> Pair:
    """The dollars of a CSV row or a JSON object."""
    return Decimal(row["amortised_usd"]), Decimal(row["cash_usd"])


def added(pairs: list[Pair]) -> Pair:
    """The sums of both."""
    return sum((a for a, _ in pairs), Decimal(0)), sum((c for _, c in pairs), Decimal(0))


def sheets(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The cells of a workbook by sheet."""
    book = openpyxl.load_workbook(path, read_only=True)
    return {name: list(book[name].iter_rows(values_only=True)) for name in book.sheetnames}


class Page(HTMLParser):
    """The tables, the control totals and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.facts: dict[str, str] = {}
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.headline = ""
        self._open: list[str] = []
        self._cell: list[str] | None = None
        self._label = ""
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [str(v) for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag in ("meta", "br"):
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th", "dt", "dd") or ("id", "total") in attrs:
            self._cell = []

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if self._cell is None:
            return
        text = "".join(self._cell).strip()
        match tag:
            case "td" | "th":
                self.tables[-1][-1].append(text)
            case "dt":
                self._label = text
            case "dd":
                self.facts[self._label] = text
            case "div":
                self.headline = text
            case _:
                return
        self._cell = None


def shown(text: str) -> Decimal:
    """'-$1,234.50' as a number."""
    return Decimal(re.sub(r"[$,~]", "", text))
