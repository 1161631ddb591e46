"""Columns of a price list checked and turned into the arrays of a catalogue, all rows at once.

Every check is one vectorised pass; a row is looked at one by one only to name the first that
fails. Rows count from 1; in CSV the line is named, the header being line 1. Values are taken
from Arrow's buffers because `to_numpy` and `pa.scalar` import pandas where it is installed,
which takes ten times as long as reading the file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Labels
from costplan.planner.errors import InputError

HIGHEST_USD_PER_HOUR = 9000.0
"""Above this a double no longer holds pico-dollars, and no machine costs it: a wrong unit."""

HIGHEST_HAZARD_PER_HOUR = 100.0
"""An interruption every 36 seconds; more than this is a percentage or a count by mistake."""

_LATEST_AHEAD_SECONDS = 86_400
_KEY_SPACE = 2**62
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]*")


def nearest(word: str, known: Sequence[str]) -> str:
    """A remedy that names the most similar known words, '' where none is similar."""
    found = difflib.get_close_matches(word, known, n=3)
    likeness = [difflib.SequenceMatcher(None, name, word).ratio() for name in found]
    best = sorted(name for name, ratio in zip(found, likeness, strict=True) if ratio == likeness[0])
    return f"did you mean {' or '.join(map(repr, best))}?" if best else ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a price list came from, to name its rows in errors."""

    name: str
    is_csv: bool

    def row(self, index: int, column: str) -> str:
        """The name of a cell: 'prices.csv: line 3, usd_per_hour' (index counts from 0)."""
        where = f"line {index + 2}" if self.is_csv else f"row {index + 1}"
        return f"{self.name}: {where}, {column}"

    def refuse(
        self, bad: NDArray[np.bool_], column: str, values: Any, problem: str, remedy: str = ""
    ) -> None:
        """Raise InputError that names the first row where `bad` holds, and its value."""
        if not bad.any():
            return
        index = int(bad.argmax())
        value = values[index]
        shown = value.item() if isinstance(value, np.generic) else value
        text = f"{float(shown):g}" if isinstance(shown, float) else repr(shown)
        raise InputError(self.row(index, column), f"{text} {problem}", remedy)


def _whole(data: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    array = data.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array


def _missing(array: pa.Array) -> NDArray[np.bool_]:
    """Where the array is null."""
    if not array.null_count:
        return np.zeros(len(array), dtype=np.bool_)
    return np.asarray(np.from_dlpack(pc.cast(array.is_null(), pa.uint8())).astype(np.bool_))


def _values(array: pa.Array, dtype: type[np.generic]) -> NDArray[Any]:
    """The array's values, which lie in its second buffer; what null cells hold is undefined."""
    buffer = array.buffers()[1]
    if buffer is None:
        return np.zeros(len(array), dtype=dtype)
    return np.frombuffer(buffer, dtype=dtype)[array.offset : array.offset + len(array)]


def labels(place: Place, table: pa.Table, column: str, *, required: bool) -> Labels:
    """A column of strings; null and '' become code -1, which a required column refuses."""
    data = table.column(column)
    if pa.types.is_null(data.type):
        data = data.cast(pa.string())
    if not pa.types.is_dictionary(data.type):
        if not (pa.types.is_string(data.type) or pa.types.is_large_string(data.type)):
            raise InputError(f"{place.name}: {column}", f"is of type {data.type}, not text")
        data = data.dictionary_encode()
    array = _whole(data.unify_dictionaries())
    names = array.dictionary.to_pylist()
    indices = pc.cast(array.indices, pa.int32())
    codes = np.where(_missing(indices), -1, _values(indices, np.int32))
    order = sorted({name for name in names if name})
    position = {name: code for code, name in enumerate(order)}
    remap = np.array([position.get(name, -1) for name in names] + [-1], dtype=np.int32)
    result = Labels(remap[codes], tuple(order))
    if required:
        missing = result.codes < 0
        if missing.any():
            subject = place.row(int(missing.argmax()), column)
            raise InputError(subject, "is empty", f"every price needs its {column}")
    return result


def _refuse_empty(place: Place, data: pa.ChunkedArray, column: str, remedy: str) -> None:
    """Raise InputError that names the first null."""
    if data.null_count:
        index = int(_missing(_whole(data)).argmax())
        raise InputError(place.row(index, column), "is empty", remedy)


def provider_labels(place: Place, table: pa.Table) -> Labels:
    """The clouds; any lower-case word is one."""
    result = labels(place, table, "provider", required=True)
    for code, name in enumerate(result.names):
        if _PROVIDER.fullmatch(name) is None:
            index = int((result.codes == code).argmax())
            raise InputError(
                place.row(index, "provider"), f"{name!r} is not a lower-case word", "like 'aws'"
            )
    return result


def market_codes(place: Place, table: pa.Table) -> NDArray[np.int8]:
    """The place of each row's market in `MARKETS`."""
    found = labels(place, table, "market", required=True)
    known = [str(market) for market in MARKETS]
    for code, name in enumerate(found.names):
        if name not in known:
            index = int((found.codes == code).argmax())
            remedy = nearest(name, known) or "use one of " + ", ".join(known)
            raise InputError(place.row(index, "market"), f"{name!r} is not a market", remedy)
    return np.array([known.index(name) for name in found.names], dtype=np.int8)[found.codes]


def check_currency(place: Place, table: pa.Table) -> None:
    """Raise InputError where the optional column `currency` has anything but USD."""
    if "currency" not in table.column_names:
        return
    found = labels(place, table, "currency", required=True)
    for code, name in enumerate(found.names):
        if name != "USD":
            index = int((found.codes == code).argmax())
            raise InputError(
                place.row(index, "currency"), f"{name!r} is not USD", "convert the prices first"
            )


def numbers(place: Place, table: pa.Table, column: str) -> NDArray[np.float64]:
    """A column of numbers as doubles, null as NaN; decimals are rounded half-even at 1e-12."""
    data = table.column(column)
    kind = data.type
    if pa.types.is_decimal(kind) and kind.scale > 12:
        data = pc.round(data, 12, round_mode="half_to_even")
    if pa.types.is_string(kind):
        data = _parsed(place, data, column)
    elif not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise InputError(f"{place.name}: {column}", f"is of type {kind}, not a number")
    array = _whole(pc.cast(data, pa.float64(), safe=False))
    return np.where(_missing(array), np.nan, _values(array, np.float64))


def _parsed(place: Place, data: pa.ChunkedArray, column: str) -> pa.ChunkedArray:
    """Numbers from text; the first cell that is not one is named."""
    try:
        return pc.cast(data, pa.float64())
    except pa.ArrowInvalid:
        for index, text in enumerate(data.to_pylist()):
            try:
                pc.cast(pa.scalar(text, pa.string()), pa.float64())
            except pa.ArrowInvalid as error:
                subject = place.row(index, column)
                raise InputError(subject, f"{text!r} is not a number") from error
        raise


def price_pico(place: Place, table: pa.Table) -> NDArray[np.int64]:
    """Prices in pico-dollars, rounded half-even.

    The product is exact to half a pico-dollar up to 3,000 $/h and to one up to 9,000.
    """
    column = "usd_per_hour"
    usd = numbers(place, table, column)
    _refuse_empty(place, table.column(column), column, "leave out what has no price")
    place.refuse(~np.isfinite(usd), column, usd, "is not a price")
    place.refuse(usd <= 0, column, usd, "is not above zero", "leave out what has no price")
    place.refuse(
        usd > HIGHEST_USD_PER_HOUR, column, usd, "is above 9000 USD per hour", "check the unit"
    )
    pico = np.rint(usd * 1e12).astype(np.int64)
    place.refuse(pico == 0, column, usd, "is below 1e-12 USD per hour", "check the unit")
    return pico


def amounts(place: Place, table: pa.Table, column: str, scale: float) -> NDArray[np.int64]:
    """Amounts of at least zero times `scale`, rounded; null becomes 0 (what is not known)."""
    values = numbers(place, table, column)
    place.refuse(values < 0, column, values, "is below zero")
    place.refuse(values * scale > 2.0**53, column, values, "is too large")
    return np.rint(np.nan_to_num(values) * scale).astype(np.int64)


def gpu_columns(place: Place, table: pa.Table) -> tuple[NDArray[np.int64], Labels]:
    """Whole GPUs a machine and their kind; a kind stands only where there are GPUs."""
    values = numbers(place, table, "gpus")
    place.refuse(values < 0, "gpus", values, "is below zero")
    fraction = ~np.isnan(values) & (np.floor(values) != values)
    place.refuse(fraction, "gpus", values, "is not a whole number", "leave out shared GPUs")
    gpus = np.nan_to_num(values).astype(np.int64)
    kinds = labels(place, table, "gpu_kind", required=False)
    place.refuse((gpus == 0) & (kinds.codes >= 0), "gpu_kind", kinds, "stands without gpus")
    return gpus, kinds


def hazards(place: Place, table: pa.Table) -> NDArray[np.float64]:
    """Interruptions per node-hour, NaN where unknown."""
    column = "hazard_per_hour"
    values = numbers(place, table, column)
    place.refuse(values < 0, column, values, "is below zero")
    remedy = "it counts interruptions per node-hour, like 0.002"
    place.refuse(values > HIGHEST_HAZARD_PER_HOUR, column, values, "is above 100", remedy)
    return values


def seconds_utc(place: Place, table: pa.Table, now: datetime) -> NDArray[np.int64]:
    """Instants as whole seconds since 1970; naive ones are taken as UTC.

    Refuses instants more than a day after `now`: a price cannot have been seen by then.
    """
    column = "observed_at"
    data = table.column(column)
    _refuse_empty(place, data, column, "every price needs the instant it was seen at")
    if pa.types.is_string(data.type) or pa.types.is_large_string(data.type):
        seconds = _instants(place, data, column)
    elif pa.types.is_timestamp(data.type) or pa.types.is_date(data.type):
        data = pc.cast(data, pa.timestamp("s", getattr(data.type, "tz", None)), safe=False)
        seconds = _values(_whole(data), np.int64)
    else:
        raise InputError(f"{place.name}: {column}", f"is of type {data.type}, not a timestamp")
    late = seconds > int(now.timestamp()) + _LATEST_AHEAD_SECONDS
    if late.any():
        index = int(late.argmax())
        shown = np.datetime64(int(seconds[index]), "s")
        raise InputError(place.row(index, column), f"{shown}Z lies in the future")
    return np.asarray(seconds, dtype=np.int64)


def _instants(place: Place, data: pa.ChunkedArray, column: str) -> NDArray[np.int64]:
    """Seconds since 1970 from ISO 8601 text."""
    array = _whole(data.dictionary_encode().unify_dictionaries())
    codes = _values(array.indices, np.int32)
    seconds = []
    for code, text in enumerate(array.dictionary.to_pylist()):
        try:
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            subject = place.row(int((codes == code).argmax()), column)
            remedy = "write it like 2026-08-01T12:00:00Z"
            raise InputError(subject, f"{text!r} is not a timestamp", remedy) from error
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        seconds.append(int(aware.timestamp()))
    return np.asarray(np.array(seconds, dtype=np.int64)[codes])


def estimates(place: Place, table: pa.Table, sources: Labels) -> NDArray[np.bool_]:
    """Which prices were derived: the column `is_estimate`, or what the source says of itself.

    Without the column, a source that names an estimate or a product ('prices x savings') is one.
    """
    if "is_estimate" not in table.column_names:
        names = [*sources.names, ""]
        derived = np.array(["estimate" in name or " x " in name for name in names])
        return np.asarray(derived[sources.codes])
    data = table.column("is_estimate")
    if pa.types.is_string(data.type):
        words = labels(place, table, "is_estimate", required=True)
        for code, word in enumerate(words.names):
            if word.lower() not in ("true", "false"):
                index = int((words.codes == code).argmax())
                raise InputError(place.row(index, "is_estimate"), f"{word!r} is not true or false")
        return np.array([word.lower() == "true" for word in words.names])[words.codes]
    if not pa.types.is_boolean(data.type):
        raise InputError(f"{place.name}: is_estimate", f"is of type {data.type}, not true or false")
    _refuse_empty(place, data, "is_estimate", "write true or false")
    return _values(_whole(pc.cast(data, pa.uint8())), np.uint8).astype(np.bool_)


def check_unique(place: Place, columns: Sequence[tuple[NDArray[Any], int]]) -> None:
    """Raise InputError that names both rows where a key occurs twice.

    Each column is its codes (-1 is a code like any other) and how many codes there are.
    """
    keys, space = np.zeros(len(columns[0][0]), dtype=np.int64), 1
    for codes, size in columns:
        if space * (size + 1) > _KEY_SPACE:
            distinct, keys = np.unique(keys, return_inverse=True)
            space = len(distinct)
        keys = keys * (size + 1) + (codes.astype(np.int64) + 1)
        space *= size + 1
    order = np.argsort(keys, kind="stable")
    again = keys[order[1:]] == keys[order[:-1]]
    if again.any():
        place_in_order = int(again.argmax())
        first, second = int(order[place_in_order]), int(order[place_in_order + 1])
        unit, offset = ("line", 2) if place.is_csv else ("row", 1)
        raise InputError(
            f"{place.name}: {unit} {second + offset}",
            f"has the same key as {unit} {first + offset}",
            "provider, region, zone, instance_type and market name one price",
        )
