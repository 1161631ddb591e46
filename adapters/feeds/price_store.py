"""Prices that were read from the clouds and are kept on this computer, one file a region.

    FOLDER/aws/us-east-1.parquet        what is sold and for how much, a price list as any other
    FOLDER/aws/us-east-1.spot.parquet   how spot prices went, in the columns of `--spot-prices`

Files are replaced as a whole, so that who reads meanwhile sees the one or the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from costplan.adapters.feeds.price_file import PriceList, read_price_file
from costplan.adapters.feeds.price_table import table_of, table_of_rows
from costplan.adapters.whole_file import beside
from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.errors import InputError
from costplan.planner.types import Market, Offer, Quote, require

_NOTE = b"costplan"
"""The key under which a file says of itself what its rows do not."""

_ELSEWHERE = "set XDG_DATA_HOME to another folder"
_SPOT = ".spot"
_HISTORY = pa.schema(
    {
        "timestamp": pa.timestamp("us", "UTC"),
        "zone": pa.string(),
        "instance_type": pa.string(),
        "spot_usd_h": pa.float64(),
        "source": pa.string(),
    }
)
_CHANGE = ["instance_type", "zone", "timestamp"]
"""What there is one price of, and the order of rows."""

Row = tuple[Offer, Quote]
Read = Mapping[Market, frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region's prices. `read` says of each market which machine types were asked for, None for
    all that there are: those without a price here have none."""

    provider: str
    name: str
    prices: PriceList
    read: Read

    def rows(self) -> list[Row]:
        """Its offers with their quotes."""
        found = self.prices.catalogue
        return [(found.offer(row), found.quote(row)) for row in range(len(found))]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Spot prices by when they came into force, as rows of a table: a year of a large region has
    millions. `read_until` says until when each type's were read."""

    changes: pa.Table
    read_until: Mapping[str, datetime]

    def __len__(self) -> int:
        return len(self.changes)

    def and_then(self, quotes: Sequence[Quote], types: Iterable[str], until: datetime) -> History:
        """This with what was read of these types since; of a price that is in both once."""
        columns: dict[str, list[object]] = {
            "timestamp": [quote.observed_at for quote in quotes],
            "zone": [quote.key.zone for quote in quotes],
            "instance_type": [quote.key.instance_type for quote in quotes],
            "spot_usd_h": [float(quote.usd_per_hour) for quote in quotes],
            "source": [quote.source for quote in quotes],
        }
        both = pa.concat_tables([self.changes, table_of(columns, _HISTORY)])
        # The last of equal ones is known only to a reader that takes rows in turn.
        once = both.group_by(_CHANGE, use_threads=False).aggregate(
            [("spot_usd_h", "last"), ("source", "last")]
        )
        named = once.rename_columns([name.removesuffix("_last") for name in once.column_names])
        return History(
            changes=named.select(_HISTORY.names).cast(_HISTORY),
            read_until={**self.read_until, **dict.fromkeys(types, until)},
        )


NO_HISTORY = History(changes=_HISTORY.empty_table(), read_until={})


def default_folder() -> Path | None:
    """Where this user's prices are kept; None where the user has no home."""
    base = os.environ.get("XDG_DATA_HOME") or ""
    # The standard has relative paths passed over.
    if base.startswith("/"):
        return Path(base) / "costplan" / "prices"
    try:
        return Path.home() / ".local" / "share" / "costplan" / "prices"
    except RuntimeError:
        return None


class PriceStore:
    """The files of a folder. Raises InputError where one of them cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check_writable(self) -> None:
        """Returns where files can be put there, as far as can be told without putting one."""
        above = next(one for one in (self.folder, *self.folder.parents) if one.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            problem = f"cannot be written: {above} is no folder that we may write to"
            raise InputError(str(self.folder), problem, _ELSEWHERE)

    def regions(self, now: datetime) -> tuple[Region, ...]:
        """All that is kept, by provider and region."""
        files = [one for one in self.folder.glob("*/*.parquet") if not _is_other(one)]
        return tuple(self._region(path, now) for path in sorted(files))

    def region(self, provider: str, name: str, now: datetime) -> Region | None:
        """What is kept of a region, None where nothing is."""
        path = self._path(provider, name)
        return self._region(path, now) if path.exists() else None

    def write_region(self, provider: str, name: str, rows: Sequence[Row], read: Read) -> None:
        """Puts these prices in the place of the region's."""
        ordered = sorted(rows, key=lambda row: row[0].key)
        note = {str(one): None if types is None else sorted(types) for one, types in read.items()}
        self._write(self._path(provider, name), table_of_rows(ordered), {"read": note})

    def history(self, provider: str, region: str) -> History:
        """How spot prices of a region went, empty where nothing is kept."""
        path = self._path(provider, region, _SPOT)
        if not path.exists():
            return NO_HISTORY
        try:
            table = pq.ParquetFile(path).read()
            until = _note(table.schema)["read_until"]
            return History(
                changes=table.select(_HISTORY.names).cast(_HISTORY),
                read_until={one: datetime.fromisoformat(at) for one, at in until.items()},
            )
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise InputError(
                str(path), f"cannot be read: {said}", "take it away; it is read anew"
            ) from None

    def write_history(self, provider: str, region: str, history: History) -> None:
        """Puts this history in the place of the region's."""
        until = {one: at.isoformat() for one, at in sorted(history.read_until.items())}
        ordered = history.changes.sort_by([(name, "ascending") for name in _CHANGE])
        self._write(self._path(provider, region, _SPOT), ordered, {"read_until": until})

    def _region(self, path: Path, now: datetime) -> Region:
        try:
            prices = read_price_file(path, now=now)
            read = _note(pq.ParquetFile(path).schema_arrow).get("read", {})
        except InputError as error:
            way_out = "take it away and sync again, or give --prices bundled"
            raise InputError(error.subject, error.problem, way_out) from error
        if not read:
            problem = "was not written by `costplan prices sync`"
            raise InputError(str(path), problem, "give it with --prices, and take it out of here")
        return Region(
            provider=path.parent.name,
            name=path.stem,
            prices=prices,
            read={
                Market(one): None if types is None else frozenset(types)
                for one, types in read.items()
            },
        )

    def _path(self, provider: str, region: str, kind: str = "") -> Path:
        plain = not {"/", "."} & {*provider, *region}
        require(plain and bool(region), "no name of a region:", provider, region)
        return self.folder / provider / f"{region}{kind}.parquet"

    def _write(self, path: Path, table: pa.Table, note: Mapping[str, object]) -> None:
        kept = table.replace_schema_metadata({_NOTE: json.dumps(note).encode()})
        sink = pa.BufferOutputStream()
        pq.write_table(kept, sink, compression="zstd")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside(path, sink.getvalue().to_pybytes()) as partial:
                partial.replace(path)
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise InputError(str(path), problem, f"make room, or {_ELSEWHERE}") from error


def with_synced(bundled: PriceList, regions: Sequence[Region]) -> PriceList:
    """The bundled prices with what was read from the clouds in their place.

    A machine type that was asked for in a region and market has the prices that were read there
    and no others; of a market that was read as a whole nothing bundled stays.
    """
    if not regions:
        return bundled
    catalogue = bundled.catalogue
    stays = np.ones(len(catalogue), dtype=np.bool_)
    for region in regions:
        here = catalogue.provider.codes == catalogue.provider.code_of(region.provider)
        here &= catalogue.region.codes == catalogue.region.code_of(region.name)
        for market, types in region.read.items():
            goes = here & (catalogue.market == MARKETS.index(market))
            if types is not None:
                codes = [catalogue.instance_type.code_of(name) for name in types]
                goes &= np.isin(catalogue.instance_type.codes, codes)
            stays &= ~goes
    kept = catalogue.take(np.flatnonzero(stays))
    lists = [bundled, *(region.prices for region in regions)]
    digests = "".join(one.digest for one in lists)
    return PriceList(
        catalogue=Catalogue.joined([kept, *(region.prices.catalogue for region in regions)]),
        gaps=tuple(gap for one in lists for gap in one.gaps),
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        name=f"synced prices of {_named(regions)}, {bundled.name} elsewhere",
    )


def _named(regions: Sequence[Region]) -> str:
    """'aws us-east-1 and us-west-2, gcp 12 regions'."""
    by_provider: dict[str, list[str]] = {}
    for region in regions:
        by_provider.setdefault(region.provider, []).append(region.name)
    return ", ".join(
        f"{provider} {' and '.join(names) if len(names) < 3 else f'in {len(names)} regions'}"
        for provider, names in by_provider.items()
    )


def _is_other(path: Path) -> bool:
    return path.name.startswith(".") or path.stem.endswith(_SPOT)


def _note(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((schema.metadata or {}).get(_NOTE, b"{}"))
    return found
