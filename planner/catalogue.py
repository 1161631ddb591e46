"""A price list in columns: what can be bought, where, and for how much.

A list of the three clouds has a quarter of a million rows; one Python object a row would cost
seconds and hundreds of megabytes, so rows live in numpy arrays and single rows are turned into
`Offer` and `Quote` values where a module asks for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costplan.planner.errors import InvariantBroken
from costplan.planner.types import Market, Offer, OfferKey, Quote, Resources
from costplan.planner.units import usd_from_pico

MARKETS: tuple[Market, ...] = tuple(Market)
"""The code of a market in `Catalogue.market` is its place here."""


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of strings: `codes[i]` is the place of row i's string in `names`.

    `names` holds distinct strings in sorted order; a code of -1 means that the row has none.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def __getitem__(self, row: int) -> str:
        code = int(self.codes[row])
        return self.names[code] if code >= 0 else ""

    def take(self, rows: NDArray[np.intp]) -> Labels:
        """The same strings for these rows."""
        return Labels(self.codes[rows], self.names)

    def code_of(self, name: str) -> int:
        """The code of a name, -2 (which no row has) where it does not occur."""
        try:
            return self.names.index(name)
        except ValueError:
            return -2

    @staticmethod
    def joined(parts: Sequence[Labels]) -> Labels:
        """The strings of these one after the other."""
        names = tuple(sorted({name for part in parts for name in part.names}))
        place = {name: code for code, name in enumerate(names)}
        codes = [
            np.array([*(place[name] for name in part.names), -1], dtype=np.int32)[part.codes]
            for part in parts
        ]
        return Labels(np.concatenate(codes), names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Offers with their quotes, one row each; all columns have the same length.

    Units: `vcpu_milli` milli-vCPU, `memory_bytes` bytes, `price_pico` 10^-12 USD per hour,
    `hazard_per_hour` interruptions per node-hour (NaN = unknown, 0 = cannot be interrupted),
    `observed_at` seconds since 1970 UTC. `zone` and `gpu_kind` may be absent (-1): a zone that
    is absent means that the source prices by region. Keys (provider, region, zone,
    instance_type, market) are unique.
    """

    provider: Labels
    region: Labels
    zone: Labels
    instance_type: Labels
    market: NDArray[np.int8]
    arch: Labels
    vcpu_milli: NDArray[np.int64]
    memory_bytes: NDArray[np.int64]
    gpus: NDArray[np.int64]
    gpu_kind: Labels
    price_pico: NDArray[np.int64]
    hazard_per_hour: NDArray[np.float64]
    observed_at: NDArray[np.int64]
    source: Labels
    is_estimate: NDArray[np.bool_]

    def __post_init__(self) -> None:
        lengths = {
            field.name: len(column.codes if isinstance(column, Labels) else column)
            for field in fields(self)
            for column in (getattr(self, field.name),)
        }
        if len(set(lengths.values())) > 1:
            raise InvariantBroken(f"columns of different length: {lengths}")

    def __len__(self) -> int:
        return len(self.price_pico)

    def take(self, rows: NDArray[np.intp]) -> Catalogue:
        """The catalogue of these rows, in this order."""
        columns: dict[str, Any] = {}
        for field in fields(self):
            column = getattr(self, field.name)
            columns[field.name] = column.take(rows) if isinstance(column, Labels) else column[rows]
        return Catalogue(**columns)

    @staticmethod
    def joined(parts: Sequence[Catalogue]) -> Catalogue:
        """The rows of these one after the other; no key may be in two of them."""
        columns: dict[str, Any] = {}
        for field in fields(Catalogue):
            each = [getattr(part, field.name) for part in parts]
            is_text = isinstance(each[0], Labels)
            columns[field.name] = Labels.joined(each) if is_text else np.concatenate(each)
        return Catalogue(**columns)

    def key(self, row: int) -> OfferKey:
        """The name of what row `row` offers."""
        return OfferKey(
            provider=self.provider[row],
            region=self.region[row],
            zone=self.zone[row],
            instance_type=self.instance_type[row],
            market=MARKETS[int(self.market[row])],
        )

    def offer(self, row: int) -> Offer:
        """Row `row` as an offer."""
        resources = Resources(
            vcpu_milli=int(self.vcpu_milli[row]),
            memory_bytes=int(self.memory_bytes[row]),
            gpus=int(self.gpus[row]),
            gpu_kind=self.gpu_kind[row] or None,
        )
        return Offer(key=self.key(row), resources=resources, arch=self.arch[row])

    def quote(self, row: int) -> Quote:
        """Row `row` as a quote."""
        hazard = float(self.hazard_per_hour[row])
        return Quote(
            key=self.key(row),
            usd_per_hour=usd_from_pico(int(self.price_pico[row])),
            hazard_per_hour=None if np.isnan(hazard) else hazard,
            observed_at=datetime.fromtimestamp(int(self.observed_at[row]), UTC),
            source=self.source[row],
            is_estimate=bool(self.is_estimate[row]),
        )
