"""A FOCUS file of anybody, Parquet or CSV, as a table that rules can be asked of.

Every known column is there twice: `raw_NAME` as it stands in the file, and `NAME` in the type that
it should have, null where it is not of it. What FOCUS does not know stays out.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from costplan.adapters.finance.book import quoted
from costplan.planner.errors import InputError
from costplan.planner.finance.focus_columns import Column, Dataset, DataType, Version, columns_of

if TYPE_CHECKING:
    import duckdb

# The SQL is of names that FOCUS has and of quoted paths.
# ruff: noqa: S608

_KINDS = {
    DataType.STRING: ("VARCHAR",),
    DataType.JSON: ("VARCHAR", "JSON"),
    DataType.DECIMAL: ("DECIMAL", "DOUBLE", "FLOAT"),
    DataType.DATE_TIME: ("VARCHAR", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"),
}
"""What a Parquet column of a type may be."""
_SMALL_BYTES = 2**20
_TYPED = {DataType.DECIMAL: "DECIMAL(38,15)", DataType.DATE_TIME: "TIMESTAMP"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that is open: `types` are DuckDB's of each column, in the file's order."""

    path: Path
    db: duckdb.DuckDBPyConnection
    types: tuple[tuple[str, str], ...]
    scan: str
    staged: TemporaryDirectory[str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the file."""
        return tuple(name for name, _ in self.types)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()
        if self.staged is not None:
            self.staged.cleanup()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer of a query; InputError where a row of the file cannot be read."""
        import duckdb

        try:
            return self.db.execute(sql).fetchall()
        except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as e:
            raise _unreadable(self.path, e) from e

    def is_text(self, name: str) -> bool:
        """Whether the column is text in the file, whatever it should be."""
        return dict(self.types)[name] == "VARCHAR"

    def make_charges(self, columns: Sequence[Column]) -> None:
        """Makes the table `charges` of the columns that are in the file, and `row`, from 1 on."""
        made = [f'"{column.name}" AS "raw_{column.name}"' for column in columns]
        made += [f'{self._typed(column)} AS "{column.name}"' for column in columns]
        row = "file_row_number + 1" if "read_parquet" in self.scan else "row_number() OVER ()"
        # A small file is read once; of a large one what a question is of, each time anew.
        is_small = self.path.stat().st_size < _SMALL_BYTES
        kind = "TEMP TABLE" if is_small else "VIEW"
        self.rows(
            f"CREATE {kind} charges AS SELECT {row} AS row, {', '.join(made)} FROM {self.scan}"
        )
        if is_small:
            # Some 400 expressions over a few rows: to plan them well takes longer than to ask.
            self.db.execute("PRAGMA disable_optimizer")

    def _typed(self, column: Column) -> str:
        name, found = f'"{column.name}"', dict(self.types)[column.name]
        wanted = _TYPED.get(column.type)
        if wanted is None:
            return f"{name}::VARCHAR"
        if found.startswith("DECIMAL"):
            return name
        if found == "TIMESTAMP WITH TIME ZONE":
            return f"{name}::TIMESTAMP"
        return f"TRY_CAST({name} AS {wanted})"

    def wrong_types(self, columns: Sequence[Column]) -> list[tuple[str, str, str]]:
        """Columns of a Parquet file that are of another type: name, found, wanted."""
        if self.path.suffix.lower() == ".csv":
            return []
        found = dict(self.types)
        return [
            (column.name, found[column.name], column.type.value)
            for column in columns
            if not found[column.name].startswith(_KINDS[column.type])
            and found[column.name] != '"NULL"'
        ]


def open_source(path: Path) -> Source:
    """Opens a file by the end of its name. Raises InputError where there is none to be read."""
    import duckdb

    kind = path.suffix.lower()
    if kind not in (".parquet", ".csv"):
        raise InputError(str(path), "is neither .parquet nor .csv", "name such a file")
    if not path.is_file():
        raise InputError(str(path), "there is no such file", "name one that there is")
    scan = _scan_csv(path) if kind == ".csv" else _scan_parquet(path)
    staged = None
    db = duckdb.connect(config={"threads": 2, "memory_limit": "1GiB"})
    try:
        db.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        if kind == ".csv" and path.stat().st_size >= _SMALL_BYTES:
            staged = TemporaryDirectory(prefix="costplan-focus-")
            scan = _staged(db, scan, Path(staged.name))
        found = db.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()
    except duckdb.Error as error:
        db.close()
        if staged is not None:
            staged.cleanup()
        raise _unreadable(path, error) from error
    types = tuple((row[0], row[1]) for row in found if row[0] != "file_row_number")
    return Source(path=path, db=db, types=types, scan=scan, staged=staged)


def _scan_parquet(path: Path) -> str:
    return f"read_parquet({quoted(str(path))}, file_row_number = true)"


def _scan_csv(path: Path) -> str:
    """Every column as text; nothing is null, and two quotes are an empty text."""
    columns = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in _header(path))
    return (
        f"read_csv({quoted(str(path))}, header = true, auto_detect = false, delim = ',',"
        " quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false,"
        f" strict_mode = true, columns = {{{columns}}})"
    )


def _staged(db: duckdb.DuckDBPyConnection, scan: str, folder: Path) -> str:
    """A large CSV file as Parquet: its text is taken apart once, and not for each question."""
    file = folder / "text.parquet"
    db.execute(f"COPY (SELECT * FROM {scan}) TO {quoted(str(file))} (FORMAT parquet)")
    return _scan_parquet(file)


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(path), "is no CSV in UTF-8", "save it as such") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(str(path), f"has the column {twice[0]!r} twice", "keep one of them")
    if not names or "" in names:
        raise InputError(
            str(path), "has no name for a column in its first line", "write them there"
        )
    return names


def _unreadable(path: Path, error: Exception) -> InputError:
    said = " ".join(str(error).split())
    return InputError(str(path), f"cannot be read: {said[:300]}", "repair it, or write it anew")


def version_of(names: Sequence[str], path: Path) -> Version:
    """The version that a file of charges is of, by the columns that only one has."""
    if "ServiceProviderName" in names and "ProviderName" not in names:
        return Version.V1_4
    if "ProviderName" in names and "ServiceProviderName" not in names:
        return Version.V1_2
    raise InputError(
        str(path),
        "does not say whether it is FOCUS 1.2 (ProviderName) or 1.4 (ServiceProviderName)",
        "give --version 1.2 or --version 1.4",
    )


def dataset_of(names: Sequence[str]) -> Dataset:
    """The dataset whose columns these are mostly."""
    own = {
        dataset: {column.name for column in columns_of(Version.V1_4, dataset)}
        for dataset in Dataset
    }
    return max(Dataset, key=lambda dataset: len(own[dataset] & set(names)) / len(own[dataset]))
