"""Reads a price list from a Parquet or CSV file into a catalogue, and refuses a wrong one.

The columns are described in docs/prices.md. A quarter of a million rows take about 0.2 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from costplan.adapters.feeds import price_columns as columns
from costplan.adapters.feeds.price_columns import Place
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.errors import InputError
from costplan.planner.types import Gap

REQUIRED = (
    "provider",
    "region",
    "zone",
    "instance_type",
    "market",
    "arch",
    "vcpu",
    "memory_bytes",
    "gpus",
    "gpu_kind",
    "usd_per_hour",
    "hazard_per_hour",
    "observed_at",
    "source",
)
OPTIONAL = ("currency", "is_estimate")
IGNORED_PREFIX = "x_"

_TEXT = ("provider", "region", "zone", "instance_type", "market", "arch", "gpu_kind", "source")
_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """A catalogue, what was left out of it, and the name and SHA-256 of the file it came from."""

    catalogue: Catalogue
    gaps: tuple[Gap, ...]
    digest: str
    name: str


def read_price_file(path: Path, *, now: datetime) -> PriceList:
    """The price list in a Parquet or CSV file, told apart by content.

    Raises InputError, which names the file, the row and the value, on anything that is wrong;
    `now` is what prices may not be newer than, plus a day.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(str(path), "there is no such file") from error
    except IsADirectoryError as error:
        raise InputError(str(path), "is a folder", "name a Parquet or CSV file in it") from error
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}") from error
    return read_prices(data, name=str(path), now=now)


def read_prices(data: bytes, *, name: str, now: datetime) -> PriceList:
    """The price list in the bytes of a Parquet or CSV file called `name`; see read_price_file."""
    if not data.strip():
        raise InputError(name, "is empty", "a price list has a header and rows")
    is_parquet = data.startswith(_MAGIC)
    if not is_parquet and name.endswith((".parquet", ".pq")):
        raise InputError(name, "is not a Parquet file", "give CSV the ending .csv")
    place = Place(name, is_csv=not is_parquet)
    table = _parquet_table(place, data) if is_parquet else _csv_table(place, data)
    if not len(table):
        raise InputError(name, "has no rows")
    catalogue = _catalogue(place, table, now)
    catalogue, gaps = _without_unknown(catalogue)
    if not len(catalogue):
        raise InputError(name, "has no row whose machine is known")
    digest = hashlib.sha256(data).hexdigest()
    return PriceList(catalogue=catalogue, gaps=gaps, digest=digest, name=name)


def _check_names(place: Place, names: Sequence[str]) -> list[str]:
    """The columns to read, in file order; refuses missing, unknown and repeated ones."""
    known = (*REQUIRED, *OPTIONAL)
    unknown = [n for n in names if n not in known and not n.startswith(IGNORED_PREFIX)]
    for column in REQUIRED:
        if column not in names:
            remedy = columns.nearest(column, unknown)
            found = remedy.replace("did you mean", "is it called") or "docs/prices.md lists them"
            raise InputError(place.name, f"has no column {column!r}", found)
    if unknown:
        near = columns.nearest(unknown[0], known)
        remedy = near or f"start its name with {IGNORED_PREFIX!r} to have it ignored"
        raise InputError(place.name, f"unknown column {unknown[0]!r}", remedy)
    repeated = [n for n in known if names.count(n) > 1]
    if repeated:
        raise InputError(place.name, f"has the column {repeated[0]!r} more than once")
    return [n for n in names if n in known]


def _parquet_table(place: Place, data: bytes) -> pa.Table:
    """The known columns of a Parquet file; text columns come dictionary-encoded."""
    try:
        # Not read_table: that imports the dataset and filesystem machinery, half a second of it.
        source = pa.BufferReader(data)
        wanted = _check_names(place, pq.ParquetFile(source).schema_arrow.names)
        return pq.ParquetFile(source, read_dictionary=list(_TEXT)).read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise InputError(place.name, f"is a broken Parquet file: {_first_line(error)}") from error


def _csv_table(place: Place, data: bytes) -> pa.Table:
    """The known columns of a CSV file: text as it stands, instants as text, numbers as doubles."""
    header = data.split(b"\n", 1)[0]
    if b"\0" in header:
        raise InputError(place.name, "is neither Parquet nor CSV")
    try:
        names = [n.strip().strip('"') for n in header.decode("utf-8-sig").split(",")]
    except UnicodeDecodeError as error:
        raise InputError(place.name, "is neither Parquet nor CSV in UTF-8") from error
    wanted = _check_names(place, names)
    wrong: list[tuple[int, int]] = []

    def refuse(row: pacsv.InvalidRow) -> str:
        wrong.append((row.number or 0, row.actual_columns))
        return "error"

    types = dict.fromkeys(wanted, pa.string())
    types |= {name: pa.dictionary(pa.int32(), pa.string()) for name in wanted if name in _TEXT}
    try:
        return pacsv.read_csv(
            pa.BufferReader(data.rstrip(b"\r\n") + b"\n"),
            # Row numbers of broken lines are known only to the reader that takes them in turn.
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            parse_options=pacsv.ParseOptions(invalid_row_handler=refuse, ignore_empty_lines=False),
            convert_options=pacsv.ConvertOptions(
                column_types=types,
                include_columns=wanted,
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowException as error:
        if wrong:
            line, count = wrong[0]
            raise InputError(
                f"{place.name}: line {line}", f"has {count} columns, the header {len(names)}"
            ) from error
        if str(error).startswith("Empty CSV"):
            raise InputError(place.name, "has no rows") from error
        raise InputError(place.name, f"is not a CSV file: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]


def _catalogue(place: Place, table: pa.Table, now: datetime) -> Catalogue:
    """Every row of the table as a catalogue; sizes that are not known are 0 in it."""
    columns.check_currency(place, table)
    provider = columns.provider_labels(place, table)
    region = columns.labels(place, table, "region", required=True)
    zone = columns.labels(place, table, "zone", required=False)
    instance_type = columns.labels(place, table, "instance_type", required=True)
    market = columns.market_codes(place, table)
    gpus, gpu_kind = columns.gpu_columns(place, table)
    source = columns.labels(place, table, "source", required=True)
    result = Catalogue(
        provider=provider,
        region=region,
        zone=zone,
        instance_type=instance_type,
        market=market,
        arch=columns.labels(place, table, "arch", required=False),
        vcpu_milli=columns.amounts(place, table, "vcpu", 1000),
        memory_bytes=columns.amounts(place, table, "memory_bytes", 1),
        gpus=gpus,
        gpu_kind=gpu_kind,
        price_pico=columns.price_pico(place, table),
        hazard_per_hour=columns.hazards(place, table),
        observed_at=columns.seconds_utc(place, table, now),
        source=source,
        is_estimate=columns.estimates(place, table, source),
    )
    named = (provider, region, zone, instance_type)
    keys = [(label.codes, len(label.names)) for label in named]
    columns.check_unique(place, [*keys, (market, len(MARKETS))])
    return result


def _without_unknown(catalogue: Catalogue) -> tuple[Catalogue, tuple[Gap, ...]]:
    """The rows whose machine is known, and gaps that count the others.

    Accelerators without a kind are common in price lists (FPGA cards counted as GPUs): nobody
    can ask for them by name, so they are left out and not refused.
    """
    no_size = (
        (catalogue.vcpu_milli == 0) | (catalogue.memory_bytes == 0) | (catalogue.arch.codes < 0)
    )
    no_kind = (catalogue.gpus > 0) & (catalogue.gpu_kind.codes < 0) & ~no_size
    gaps = (
        *_gap(catalogue, no_size, "machine_size", "vcpu, memory_bytes or arch"),
        *_gap(catalogue, no_kind, "gpu_kind", "gpu_kind"),
    )
    return (catalogue.take(np.flatnonzero(~(no_size | no_kind))) if gaps else catalogue), gaps


def _gap(catalogue: Catalogue, rows: NDArray[np.bool_], kind: str, missing: str) -> tuple[Gap, ...]:
    """The gap of these rows, none where there are none."""
    count = int(rows.sum())
    if not count:
        return ()
    codes = set(catalogue.instance_type.codes[rows].tolist())
    example = catalogue.instance_type.names[min(codes)]
    subject = f"{count} prices of {len(codes)} instance types such as {example}"
    return (Gap(kind=kind, subject=subject, assumed=f"left out: {missing} is not known"),)
