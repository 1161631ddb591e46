"""The columns of a price list as they are written: those of docs/prices.md, in Arrow's types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from costplan.planner.types import Offer, Quote

TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "provider": TEXT,
        "region": TEXT,
        "zone": TEXT,
        "instance_type": TEXT,
        "market": TEXT,
        "arch": TEXT,
        "vcpu": pa.float64(),
        "memory_bytes": pa.int64(),
        "gpus": pa.int32(),
        "gpu_kind": TEXT,
        "usd_per_hour": pa.float64(),
        "hazard_per_hour": pa.float64(),
        "observed_at": pa.timestamp("s", "UTC"),
        "source": TEXT,
        "is_estimate": pa.bool_(),
    }
)


def table_of(columns: Mapping[str, Sequence[Any]], schema: pa.Schema = SCHEMA) -> pa.Table:
    """The columns in the order and the types of the schema."""
    arrays = []
    for field in schema:
        values = columns[field.name]
        if field.type == TEXT:
            arrays.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def table_of_rows(rows: Sequence[tuple[Offer, Quote]]) -> pa.Table:
    """Offers with their quotes, one row each."""
    offers, quotes = [offer for offer, _ in rows], [quote for _, quote in rows]
    keys, sizes = [o.key for o in offers], [o.resources for o in offers]
    return table_of(
        {
            "provider": [key.provider for key in keys],
            "region": [key.region for key in keys],
            "zone": [key.zone or None for key in keys],
            "instance_type": [key.instance_type for key in keys],
            "market": [str(key.market) for key in keys],
            "arch": [offer.arch for offer in offers],
            "vcpu": [size.vcpu_milli / 1000 for size in sizes],
            "memory_bytes": [size.memory_bytes for size in sizes],
            "gpus": [size.gpus for size in sizes],
            "gpu_kind": [size.gpu_kind for size in sizes],
            "usd_per_hour": [float(quote.usd_per_hour) for quote in quotes],
            "hazard_per_hour": [quote.hazard_per_hour for quote in quotes],
            "observed_at": [quote.observed_at.replace(microsecond=0) for quote in quotes],
            "source": [quote.source for quote in quotes],
            "is_estimate": [quote.is_estimate for quote in quotes],
        }
    )
