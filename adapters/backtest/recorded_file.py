"""Columns of a Parquet file that a backtest is given, or what is wrong with it in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from costplan.planner.errors import InputError


def read_columns(path: Path, names: Sequence[str], what: str) -> dict[str, list[Any]]:
    """The columns of these names as lists of equal length, in the order of `names`.

    `what` the file should be is for the message. Raises InputError.
    """
    if path.is_dir():
        raise InputError(str(path), "is a folder", "name a Parquet file in it")
    needed = f"{what} is Parquet with the columns {', '.join(names)} (docs/simulate.md)"
    try:
        with pq.ParquetFile(path) as file:
            there = file.schema_arrow.names
            lacking = [name for name in names if name not in there]
            if not lacking:
                found: dict[str, list[Any]] = file.read(columns=list(names)).to_pydict()
                return {name: found[name] for name in names}
    except FileNotFoundError as error:
        raise InputError(str(path), "there is no such file") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(str(path), f"is no Parquet: {said}", needed) from None
    raise InputError(str(path), f"has no column {lacking[0]}; it has {', '.join(there)}", needed)
