"""The ledger as narrow tables of a book: what an entry says once, and what many say alike.

    entries     what was paid for, from when to when, and how much
    items       what it is: node, machine, offer, charge, workload
    rates       at which price, and how that is known
    recordings  when it was written, and by which plan the cluster was held

Amounts are whole pico-dollars, instants microseconds since 1970, task-time microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any

from costplan.planner.units import pico_from_usd

if TYPE_CHECKING:
    import duckdb

    from costplan.planner.ledger import LedgerEntry
    from costplan.planner.nodes import Node

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PICO = Decimal(1).scaleb(-12)
_GIB = Decimal(2**30)

TABLES = {
    "items": """item BIGINT, node_id VARCHAR, resource_id VARCHAR, provider VARCHAR,
        account VARCHAR, region VARCHAR, zone VARCHAR, instance_type VARCHAR, market VARCHAR,
        vcpu DECIMAL(18,3), memory_gib DECIMAL(18,3), gpus INTEGER, charge VARCHAR,
        workload VARCHAR""",
    "rates": """rate BIGINT, usd_per_hour DECIMAL(38,12), on_demand_usd_per_hour DECIMAL(38,12),
        rate_source VARCHAR, is_estimate BOOLEAN""",
    "recordings": "recording BIGINT, recorded_at TIMESTAMP, plan_id VARCHAR",
    "entries": """entry_id BIGINT, item BIGINT, rate BIGINT, recording BIGINT, kind VARCHAR,
        "use" VARCHAR, start_us BIGINT, end_us BIGINT, pico BIGINT, busy_us BIGINT,
        thread_us BIGINT, month VARCHAR""",
}


@dataclass(slots=True)
class Stage:
    """Takes ledger entries in one by one; `fill` makes the tables of a connection."""

    account: str = ""
    _items: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _rates: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _recordings: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _entries: list[tuple[Any, ...]] = field(default_factory=list)

    def add(
        self, entry_id: int, entry: LedgerEntry, recorded_at: datetime, node: Node | None
    ) -> None:
        """One entry, and the node that it is of where that is known."""
        key = entry.key
        resources = None if node is None else node.resources
        item = (
            entry.node_id, (node.provider_id if node else None) or "", key.provider, self.account,
            key.region, key.zone, key.instance_type, key.market.value,
            Decimal(resources.vcpu_milli if resources else 0).scaleb(-3),
            _thousandths(Decimal(resources.memory_bytes if resources else 0) / _GIB),
            resources.gpus if resources else 0, entry.charge, entry.workload,
        )  # fmt: skip
        is_plain = key.market.value == "on_demand" or entry.charge != "machine"
        rate = (
            _places(entry.usd_per_hour), _places(entry.usd_per_hour) if is_plain else None,
            entry.rate_source, entry.is_estimate,
        )  # fmt: skip
        said = (recorded_at.astimezone(UTC).replace(tzinfo=None), "")
        self._entries.append((
            entry_id, _number(self._items, item), _number(self._rates, rate),
            _number(self._recordings, said), entry.kind, entry.use.value, micros(entry.start),
            micros(entry.end), pico_from_usd(entry.usd), round(entry.busy_seconds * 10**6),
            round(entry.thread_seconds * 10**6), f"{entry.start:%Y-%m}",
        ))  # fmt: skip

    def fill(self, db: duckdb.DuckDBPyConnection) -> None:
        """Makes the four tables."""
        for name, rows in (
            ("items", self._items),
            ("rates", self._rates),
            ("recordings", self._recordings),
        ):
            fill_table(db, name, ((number, *row) for row, number in rows.items()))
        fill_table(db, "entries", self._entries)


def fill_table(db: duckdb.DuckDBPyConnection, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Makes one of the `TABLES` and puts rows of plain values into it."""
    import pyarrow as pa

    db.execute(f"CREATE TABLE {name} ({TABLES[name]})")
    schema = db.sql(f"SELECT * FROM {name}").to_arrow_table().schema  # noqa: S608 - ours
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    arrays = [pa.array(values, f.type) for values, f in zip(columns, schema, strict=True)]
    db.register("batch", pa.Table.from_arrays(arrays, schema=schema))
    db.execute(f"INSERT INTO {name} SELECT * FROM batch")  # noqa: S608 - ours
    db.unregister("batch")


def micros(instant: datetime) -> int:
    """Microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def _number(known: dict[tuple[Any, ...], int], row: tuple[Any, ...]) -> int:
    return known.setdefault(row, len(known) + 1)


def _places(usd: Decimal) -> Decimal:
    return usd.quantize(_PICO, rounding=ROUND_HALF_EVEN)


def _thousandths(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.001"), rounding=ROUND_HALF_EVEN)
