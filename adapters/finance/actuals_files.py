"""The files of a provider's export as one view of text: CSV, Parquet or JSON lines, also packed.

Every value is text until it is looked at: an id of twelve digits stays one, and a number that is
none is named. DuckDB reads the files in parts, so that they need not fit in memory.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.adapters.finance.actuals_columns import Format, column_of, format_of
from costplan.adapters.finance.book import quoted
from costplan.planner.errors import InputError

if TYPE_CHECKING:
    import duckdb

_KINDS = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_MOST_FILES = 10_000
_NESTING = frozenset({"project", "resource", "sku", "service", "usage"})
"""Columns of Google's export that are objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Files that were found to be of one format; `raw` has a text column for each of it."""

    format: Format
    files: tuple[Path, ...]
    sha256: str


def found_files(patterns: Sequence[str]) -> tuple[Path, ...]:
    """The files that names and patterns stand for, in order; raises InputError for none."""
    files: set[Path] = set()
    for pattern in patterns:
        is_pattern = glob.has_magic(pattern) and not Path(pattern).exists()
        names = glob.glob(pattern, recursive=True) if is_pattern else [pattern]  # noqa: PTH207 - absolute ones too
        here = [Path(name) for name in names if Path(name).is_file()]
        if not here:
            raise InputError(f"--actuals {pattern}", "there is no such file", "name the export")
        files.update(here)
    if len(files) > _MOST_FILES:
        raise InputError("--actuals", f"are {len(files):,} files", "name those of the month")
    return tuple(sorted(files))


def digest(files: Sequence[Path]) -> str:
    """What names the content of all files: the digest of their digests, in order of those."""
    each = []
    for file in files:
        with file.open("rb") as stream:
            each.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(set(each)) < len(each):
        twins = [str(file) for file, name in zip(files, each, strict=True) if each.count(name) > 1]
        raise InputError("--actuals", f"{' and '.join(twins[:2])} are the same", "name one of them")
    return hashlib.sha256("\n".join(sorted(each)).encode()).hexdigest()


def open_raw(duck: duckdb.DuckDBPyConnection, files: Sequence[Path], asked: str) -> Opened:
    """Makes the view `raw`, with the columns of the format that the files are of, and `file`.

    Raises InputError where a file is empty, cannot be read, or has not the columns.
    """
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise InputError("--actuals", f"are of kinds {' and '.join(sorted(kinds))}", "name one")
    [kind] = kinds
    empty = [file for file in files if not file.stat().st_size]
    if empty:
        raise InputError(str(empty[0]), "is empty", "export it again")
    subject = str(files[0]) if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    sha256 = digest(files)
    import duckdb

    try:
        form = _view(duck, files, kind, asked, subject)
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise InputError(subject, f"cannot be read: {first}", "export it again") from error
    return Opened(format=form, files=tuple(files), sha256=sha256)


def _kind(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes = suffixes[:-1]
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise InputError(
            str(file), "is of no kind that is read", "name a .csv, .parquet or .jsonl (also .gz)"
        )
    return kind


def _view(
    duck: duckdb.DuckDBPyConnection, files: Sequence[Path], kind: str, asked: str, subject: str
) -> Format:
    listed = "[" + ", ".join(quoted(str(file)) for file in files) + "]"
    if kind == "json":
        source = f"read_json_objects({listed}, format='auto', filename=true)"
        # All rows are looked at: exports leave a field out where it is null.
        keys = duck.execute(f"SELECT DISTINCT unnest(json_keys(json)) FROM {source}").fetchall()  # noqa: S608 - quoted
        there = {key: key for (key,) in keys}
        for outer in sorted(_NESTING & there.keys()):
            there |= _nested_json(duck, source, outer)
        form = format_of(there, asked, subject)
        made = {
            name: f"json_extract_string(json, {quoted(_json_path(column))})"
            for name, column in _columns(form, there)
        }
    else:
        options = "all_varchar=true, header=true, " if kind == "csv" else ""
        source = f"read_{kind}({listed}, {options}union_by_name=true, filename=true)"
        described = duck.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - quoted
        there = {name: name for name, *_ in described}
        for name, type_name, *_ in described:
            there |= _nested(name, type_name)
        form = format_of(there, asked, subject)
        made = {name: _cell(column, dict(described_types(described)))
                for name, column in _columns(form, there)}  # fmt: skip
    columns = ", ".join(
        f"nullif(trim({made[name]}), '') AS \"{name}\"" if name in made else f'NULL AS "{name}"'
        for name in {**form.needed, **form.known}
    )
    duck.execute(f"CREATE VIEW raw AS SELECT {columns}, filename AS file FROM {source}")  # noqa: S608 - quoted
    return form


def described_types(described: Sequence[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Names and types of a description's columns."""
    return [(row[0], row[1]) for row in described]


def _columns(form: Format, there: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    for name, names in {**form.needed, **form.known}.items():
        column = column_of(names, there)
        if column is not None:
            found.append((name, column))
    return found


def _cell(column: str, types: dict[str, str]) -> str:
    if column in types:
        name = f'"{column.replace(chr(34), chr(34) * 2)}"'
        if types[column].endswith("[]") or types[column].startswith("STRUCT"):
            return f"to_json({name})::VARCHAR"
        return f"{name}::VARCHAR"
    return ".".join(f'"{part}"' for part in column.split(".")) + "::VARCHAR"


def _nested(name: str, type_name: str) -> dict[str, str]:
    """The fields of a structured column, as `column.field`."""
    if not type_name.startswith("STRUCT("):
        return {}
    fields = [part.strip().split(" ")[0].strip('"') for part in _top(type_name[7:-1])]
    return {f"{name}.{field}": f"{name}.{field}" for field in fields}


def _top(text: str) -> list[str]:
    """The parts of a list that commas outside of brackets divide."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            parts.append(text[begin:place])
            begin = place + 1
    return [*parts, text[begin:]]


def _nested_json(duck: duckdb.DuckDBPyConnection, source: str, outer: str) -> dict[str, str]:
    """The fields of an object's members, as `member.field`."""
    rows = duck.execute(
        f"""SELECT DISTINCT unnest(json_keys(json, '$.{outer}')) FROM {source}
        WHERE json_type(json, '$.{outer}') = 'OBJECT'"""  # noqa: S608 - ours
    ).fetchall()
    return {f"{outer}.{key}": f"{outer}.{key}" for (key,) in rows}


def _json_path(column: str) -> str:
    return "$." + ".".join(f'"{part}"' for part in column.split("."))
