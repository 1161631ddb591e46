"""Checks a FOCUS file strictly: names, types, nulls, words, and rules of a row and of all rows.

One pass over the file counts every rule that is broken; another shows the first rows of those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from costplan.adapters.finance.book import quoted
from costplan.adapters.finance.focus_check_all import all_rows
from costplan.adapters.finance.focus_rules import Rule, charge_rules, reference_rules
from costplan.adapters.finance.focus_source import Source, dataset_of, open_source, version_of
from costplan.planner.finance.focus_columns import (
    X_COLUMNS,
    Column,
    Dataset,
    DataType,
    Version,
    columns_of,
    mandatory,
)
from costplan.planner.finance.focus_values import PROBLEMS, currency_problem, unit_problem

# The SQL is of the rules' own words and of names that FOCUS has.
# ruff: noqa: S608

_MOST_SHOWN = 3
_NUMBER = r"-?\d+(\.\d+)?(E-?\d+)?"
_INSTANT = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z"
_NO_WORDS = ("n/a", "na", "null", "none", "nan", "-", "undefined")
"""What stands for nothing elsewhere, in small letters: in FOCUS nothing is null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that is broken: by which rows (`row` None: by the file), and by how many."""

    rule: str
    column: str
    text: str
    count: int = 1
    row: int | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a file is and what is wrong with it; `rules` were asked."""

    path: Path
    version: Version
    dataset: Dataset
    rows: int
    rules: int
    findings: tuple[Finding, ...]


def check_focus(path: Path, version: Version | None = None) -> Checked:
    """Checks a file; InputError where it cannot be read as a table of FOCUS."""
    with open_source(path) as source:
        dataset = dataset_of(source.names)
        is_charges = dataset is Dataset.COST_AND_USAGE
        known = version or (version_of(source.names, path) if is_charges else Version.V1_4)
        columns = [column for column in columns_of(known, dataset) if column.name in source.names]
        own = [column for column in X_COLUMNS if is_charges and column.name in source.names]
        findings = list(_names(source, known, dataset))
        findings += [
            Finding(rule="type", column=name, text=f"is of type {found}, and FOCUS has {wanted}")
            for name, found, wanted in source.wrong_types([*columns, *own])
        ]
        source.make_charges([*columns, *own])
        rules = [rule for column in [*columns, *own] for rule in _column_rules(source, column)]
        rows_rules = charge_rules(known) if is_charges else reference_rules(dataset)
        rules += _askable(rows_rules, source.names, [*columns, *own])
        rows, broken = _count(source, rules)
        for rule, count in broken:
            findings += _shown(source, rule, count)
        findings += _values(source, [*columns, *own])
        if is_charges or dataset is Dataset.CONTRACT_COMMITMENT:
            for name, column, text, row, value in all_rows(source, dataset):
                findings.append(Finding(rule=name, column=column, text=text, row=row, value=value))
        if not rows:
            findings.append(Finding(rule="empty", column="", text="the file has no rows"))
    return Checked(
        path=path, version=known, dataset=dataset, rows=rows, rules=len(rules),
        findings=tuple(findings),
    )  # fmt: skip


def _names(source: Source, version: Version, dataset: Dataset) -> Iterator[Finding]:
    """What is wrong with the names of the columns."""
    known = {column.name for column in columns_of(version, dataset)}
    wanted, names = mandatory(version, dataset), source.names
    for name in sorted(wanted - set(names)):
        yield Finding(rule="missing-column", column=name, text="is missing, and every file has it")
    last_known = max((i for i, name in enumerate(names) if name in known), default=-1)
    by_small = {name.casefold(): name for name in known}
    for place, name in enumerate(names):
        if name in known:
            continue
        if not name.startswith("x_"):
            meant = by_small.get(name.casefold().replace("_", "").replace(" ", ""))
            hint = f"; is {meant} meant?" if meant else "; a name of one's own begins with x_"
            text = f"is no column of FOCUS {version}{hint}"
            yield Finding(rule="unknown-column", column=name, text=text)
        elif place < last_known:
            text = f"stands before {names[last_known]}: columns of one's own come last"
            yield Finding(rule="own-columns-last", column=name, text=text)


def _column_rules(source: Source, column: Column) -> Iterator[Rule]:
    """Rules of a column by itself, from its line of the table."""
    raw, name = f'"raw_{column.name}"', column.name
    if not column.is_nullable:
        yield Rule(name="null", column=name, text="is null", broken=f"{raw} IS NULL")
    if source.is_text(name):
        words = ", ".join(f"'{word}'" for word in _NO_WORDS)
        yield Rule(
            name="empty-text", column=name, text="is empty or blank, and not null",
            broken=f"trim({raw}) = ''",
        )  # fmt: skip
        yield Rule(
            name="stands-for-null", column=name, text="stands for nothing, which is null",
            broken=f"lower({raw}) IN ({words})",
        )  # fmt: skip
        yield Rule(
            name="spaces", column=name, text="has spaces around it",
            broken=f"{raw} <> trim({raw}) AND trim({raw}) <> ''",
        )  # fmt: skip
    if column.words:
        listed = ", ".join(quoted(word) for word in column.words)
        said = ", ".join(column.words) if len(column.words) < 12 else "those FOCUS lists"
        yield Rule(
            name="word", column=name, text=f"is none of {said}",
            broken=f"{raw} NOT IN ({listed}) AND trim({raw}) <> ''",
        )  # fmt: skip
    yield from _format_rules(source, column)


def _format_rules(source: Source, column: Column) -> Iterator[Rule]:
    raw, name = f'"raw_{column.name}"', column.name
    match column.type:
        case DataType.DECIMAL if source.is_text(name):
            yield Rule(
                name="number", column=name, text="is no plain number such as 12.5 or -1E-7",
                broken=f"NOT regexp_full_match({raw}, '{_NUMBER}')",
            )  # fmt: skip
        case DataType.DECIMAL:
            yield Rule(
                name="number", column=name, text="is not finite",
                broken=f"NOT isfinite({raw}::DOUBLE)",
            )  # fmt: skip
        case DataType.DATE_TIME if source.is_text(name):
            yield Rule(
                name="instant", column=name, text="is no instant such as 2026-10-05T10:00:00Z",
                broken=f'NOT regexp_full_match({raw}, \'{_INSTANT}\') OR "{name}" IS NULL'
                f" AND {raw} IS NOT NULL",
            )  # fmt: skip
        case DataType.DATE_TIME:
            yield Rule(
                name="instant", column=name, text="is no whole second",
                broken=f"date_trunc('second', \"{name}\") <> \"{name}\"",
            )  # fmt: skip


def _askable(rules: Iterable[Rule], names: Sequence[str], columns: Sequence[Column]) -> list[Rule]:
    """The rules all of whose columns are in the file."""
    every = {c.name for v in Version for d in Dataset for c in columns_of(v, d)}
    there = {column.name for column in columns} & set(names)
    return [
        rule for rule in rules if not (set(re.findall(r"\b[A-Z]\w+", rule.broken)) & every) - there
    ]


def _count(source: Source, rules: Sequence[Rule]) -> tuple[int, list[tuple[Rule, int]]]:
    """How many rows there are, and how many break each rule that is broken, in one pass."""
    asked = ", ".join(f"count_if({rule.broken})" for rule in rules)
    [(rows, *counts)] = source.rows(f"SELECT count(*), {asked} FROM charges")
    return rows, [(rule, n) for rule, n in zip(rules, counts, strict=True) if n]


def _shown(source: Source, rule: Rule, count: int) -> Iterator[Finding]:
    rows = source.rows(
        f'SELECT row, "raw_{rule.column}" FROM charges WHERE {rule.broken}'
        f" ORDER BY row LIMIT {_MOST_SHOWN}"
    )
    for row, value in rows:
        yield Finding(
            rule=rule.name, column=rule.column, text=rule.text, count=count, row=row,
            value=_said(value),
        )  # fmt: skip


def _values(source: Source, columns: Sequence[Column]) -> Iterator[Finding]:
    """What is wrong with values that SQL cannot judge, each different one once."""
    for column in columns:
        judge = PROBLEMS.get(column.name)
        judge = currency_problem if column.is_currency else judge
        judge = unit_problem if column.is_unit else judge
        if judge is None:
            continue
        found = source.rows(
            f'SELECT "{column.name}" AS value, count(*), min(row) FROM charges'
            f" WHERE trim(\"{column.name}\") <> '' GROUP BY value ORDER BY 3"
        )
        wrong = [(text, judge(text), count, row) for text, count, row in found]
        kind = "json" if column.type is DataType.JSON else (column.is_unit and "unit") or "currency"
        for text, problem, count, row in [each for each in wrong if each[1]][:_MOST_SHOWN]:
            yield Finding(
                rule=kind, column=column.name, text=problem or "", count=count, row=row,
                value=_said(text),
            )  # fmt: skip


def _said(value: Any) -> str | None:
    """A value as it is shown: text in quotes, cut where it is long; None is null."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else str(value)
    return json.dumps(text if len(text) <= 80 else text[:77] + "...", ensure_ascii=False)
