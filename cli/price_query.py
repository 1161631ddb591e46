"""What `costplan prices show` looks for: filters over a catalogue, zones put together, an order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from costplan.adapters.feeds.price_columns import nearest
from costplan.planner.catalogue import MARKETS, Catalogue, Labels
from costplan.planner.errors import InputError
from costplan.planner.units import GIB

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which prices are asked for; an empty tuple and None ask for all."""

    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    arch: tuple[str, ...] = ()
    min_vcpu: float | None = None
    max_vcpu: float | None = None
    min_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Rows that differ in nothing but the zone: the first of them, and the zones' names."""

    row: int
    zones: tuple[str, ...]


def select(catalogue: Catalogue, query: Query) -> Rows:
    """The rows that a query asks for.

    Raises InputError where a word of it names nothing in the price list, with the nearest word.
    """
    keep = np.ones(len(catalogue), dtype=np.bool_)
    labelled: tuple[tuple[str, Labels, tuple[str, ...], _Matcher], ...] = (
        ("--provider", catalogue.provider, query.providers, _same_word),
        ("--region", catalogue.region, query.regions, _same_word),
        ("--zone", catalogue.zone, query.zones, _same_word),
        ("--type", catalogue.instance_type, query.types, _type_matches),
        ("--family", catalogue.instance_type, query.families, _family_matches),
        ("--gpu", catalogue.gpu_kind, query.gpus, _same_word),
        ("--arch", catalogue.arch, query.arch, _same_word),
    )
    for option, column, words, matches in labelled:
        if words:
            keep &= _matching(option, column, words, matches)
    if query.markets:
        keep &= np.isin(catalogue.market, _market_codes(query.markets))
    if query.min_vcpu is not None:
        keep &= catalogue.vcpu_milli >= query.min_vcpu * 1000
    if query.max_vcpu is not None:
        keep &= catalogue.vcpu_milli <= query.max_vcpu * 1000
    if query.min_memory_bytes is not None:
        keep &= catalogue.memory_bytes >= query.min_memory_bytes
    return np.flatnonzero(keep)


_Matcher = Callable[[str, str], bool]


def _matching(
    option: str, column: Labels, words: Iterable[str], matches: _Matcher
) -> NDArray[np.bool_]:
    """Where a column's string is one that some word matches."""
    wanted = np.zeros(len(column.names) + 1, dtype=np.bool_)
    for word in words:
        hits = [code for code, name in enumerate(column.names) if matches(name, word)]
        if not hits:
            raise InputError(f"{option} {word}", "no price has this", _remedy(option, column, word))
        wanted[hits] = True
    return np.asarray(wanted[column.codes])


def _remedy(option: str, column: Labels, word: str) -> str:
    """What to write instead: the nearest name, or all names where they are few."""
    if option == "--family":
        families = sorted({family for name in column.names for family in families_of(name)})
        return nearest(word.lower(), families)
    lower = {name.lower(): name for name in column.names}
    near = nearest(word.lower(), list(lower))
    for name in lower.values():
        near = near.replace(f"{name.lower()!r}", f"{name!r}")
    if len(column.names) <= 20:
        return " ".join(filter(None, (near, "there are " + ", ".join(column.names))))
    return near


def _same_word(name: str, word: str) -> bool:
    return name.lower() == word.lower()


def _type_matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name.lower(), pattern.lower())


def _family_matches(name: str, pattern: str) -> bool:
    squeezed = pattern.lower().replace("_", "")
    return any(fnmatchcase(family, squeezed) for family in families_of(name))


def families_of(instance_type: str) -> tuple[str, ...]:
    """The family names of a type, in lower case: 'm5.large' -> m5; 'n2-standard-4' -> n2 and
    n2-standard; 'Standard_D4s_v3' -> dsv3."""
    lower = instance_type.lower()
    if "." in lower:
        return (lower.split(".", 1)[0],)
    if lower.startswith("standard_"):
        squeezed = lower.removeprefix("standard_").replace("_", "")
        return (re.sub(r"^([a-z]+)\d+", r"\1", squeezed),)
    parts = lower.split("-")
    return (parts[0], "-".join(parts[:2]))


def _market_codes(markets: Iterable[str]) -> list[int]:
    """The codes of markets by name; 'on-demand' is as good as 'on_demand'."""
    known = [str(market) for market in MARKETS]
    codes = []
    for word in markets:
        name = word.lower().replace("-", "_")
        if name not in known:
            remedy = nearest(name, known) or "there are " + ", ".join(known)
            raise InputError(f"--market {word}", "is not a market", remedy)
        codes.append(known.index(name))
    return codes


def cost_per(catalogue: Catalogue, rows: Rows, unit: str) -> NDArray[np.float64]:
    """Dollars an hour of each row by 'hour', 'vcpu', 'memory' (GiB) or 'gpu' (NaN without)."""
    usd = catalogue.price_pico[rows] / 1e12
    match unit:
        case "vcpu":
            return np.asarray(usd / (catalogue.vcpu_milli[rows] / 1000))
        case "memory":
            return np.asarray(usd / (catalogue.memory_bytes[rows] / GIB))
        case "gpu":
            gpus = catalogue.gpus[rows]
            return np.where(gpus > 0, usd / np.maximum(gpus, 1), np.nan)
        case _:
            return np.asarray(usd)


def pools(catalogue: Catalogue, rows: Rows, sort: str) -> list[Pool]:
    """The rows with equal zones put together, cheapest first by `sort`, ties by name.

    Sorted by 'gpu', machines without one are left out.
    """
    order = cost_per(catalogue, rows, sort)
    rows, order = rows[~np.isnan(order)], order[~np.isnan(order)]
    columns = (
        catalogue.zone.codes,
        catalogue.is_estimate,
        catalogue.price_pico,
        catalogue.market,
        catalogue.instance_type.codes,
        catalogue.region.codes,
        catalogue.provider.codes,
    )
    in_order = np.lexsort((*(column[rows] for column in columns), order))
    rows = rows[in_order]
    if not len(rows):
        return []
    different = np.zeros(len(rows) - 1, dtype=np.bool_)
    for column in columns[1:]:
        different |= np.diff(column[rows].astype(np.int64)) != 0
    groups = np.split(rows, np.flatnonzero(different) + 1)
    return [
        Pool(row=int(group[0]), zones=tuple(filter(None, (catalogue.zone[row] for row in group))))
        for group in groups
    ]
