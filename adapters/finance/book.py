"""A book: the charge lines of a time as one DuckDB table, `lines`, that reports are asked of.

Amounts are `DECIMAL(38,12)` and are summed as such; no amount is ever a float. Instants are
microseconds of UTC without a zone in their type, since DuckDB would put them into the local one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from costplan.planner.finance.lines import ChargeLine

if TYPE_CHECKING:
    import duckdb
    import pyarrow

USD = "DECIMAL(38,12)"

COLUMNS: tuple[tuple[str, str], ...] = (
    ("line_id", "BIGINT"),
    ("entry_id", "BIGINT"),
    ("recorded_at", "TIMESTAMP"),
    ("month", "VARCHAR"),
    ("cluster", "VARCHAR"),
    ("node_id", "VARCHAR"),
    ("resource_id", "VARCHAR"),
    ("provider", "VARCHAR"),
    ("account", "VARCHAR"),
    ("region", "VARCHAR"),
    ("zone", "VARCHAR"),
    ("instance_type", "VARCHAR"),
    ("market", "VARCHAR"),
    ("vcpu", "DECIMAL(18,3)"),
    ("memory_gib", "DECIMAL(18,3)"),
    ("gpus", "INTEGER"),
    ("charge", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("purpose", "VARCHAR"),
    ("start_at", "TIMESTAMP"),
    ("end_at", "TIMESTAMP"),
    ("micros", "BIGINT"),
    ("usd_per_hour", USD),
    ("on_demand_usd_per_hour", USD),
    ("billed_usd", USD),
    ("effective_usd", USD),
    ("list_usd", USD),
    ("on_demand_usd", USD),
    ("rate_source", "VARCHAR"),
    ("plan_id", "VARCHAR"),
    ("is_estimate", "BOOLEAN"),
    ("commitment_id", "VARCHAR"),
    ("commitment_kind", "VARCHAR"),
    ("commitment_status", "VARCHAR"),
    ("commitment_quantity", USD),
    ("commitment_unit", "VARCHAR"),
    ("workload", "VARCHAR"),
    ("team", "VARCHAR"),
    ("project", "VARCHAR"),
    ("cost_center", "VARCHAR"),
    ("environment", "VARCHAR"),
    ("user", "VARCHAR"),
    ("run", "VARCHAR"),
    ("span", "VARCHAR"),
    ("prefix", "VARCHAR"),
    ("tags", "VARCHAR"),
)
"""Names and types of `lines`. What a line has none of is NULL only for `on_demand_*` and
`commitment_*`, and '' for other words; `tags` is a JSON object with its keys in order."""

_BATCH = 10_000


class Book:
    """Charge lines in a DuckDB connection of their own; a context manager that closes it.

    `threads` and `memory_mib` bound what DuckDB takes. With `spill` its tables are on disk, in a
    folder of their own that goes with the book: many lines need not fit in memory.
    """

    def __init__(self, *, threads: int = 2, memory_mib: int = 1024, spill: bool = False) -> None:
        import duckdb

        self._folder = tempfile.TemporaryDirectory(prefix="costplan-book-") if spill else None
        where = ":memory:" if self._folder is None else f"{self._folder.name}/book.duckdb"
        self.db: duckdb.DuckDBPyConnection = duckdb.connect(
            where,
            config={
                "threads": threads,
                "memory_limit": f"{memory_mib}MiB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self.db.execute("SET TimeZone = 'UTC'")
        # It would write to standard output, among what is reported.
        self.db.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives all that it took back."""
        self.db.close()
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, lines: Iterable[ChargeLine]) -> None:
        """Takes lines in; the table is made by the first call."""
        names = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS)
        self.db.execute(f"CREATE TABLE IF NOT EXISTS lines ({names})")
        rest = iter(lines)
        while batch := tuple(islice(rest, _BATCH)):
            self.db.register("batch", lines_table(batch))
            self.db.execute("INSERT INTO lines SELECT * FROM batch")
            self.db.unregister("batch")

    def open_parquet(self, *files: Path) -> None:
        """Makes `lines` a view of Parquet files that have its columns; nothing is read yet."""
        listed = ", ".join(quoted(str(file)) for file in files)
        names = ", ".join(f'"{name}"' for name, _ in COLUMNS)
        self.db.execute(f"CREATE VIEW lines AS SELECT {names} FROM read_parquet([{listed}])")  # noqa: S608 - quoted

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The answer of a query, whole: for aggregates, not for lines."""
        return self.db.execute(sql, list(parameters)).fetchall()

    def has(self, table: str) -> bool:
        """Whether there is a table or view of this name."""
        sql = "SELECT 1 FROM duckdb_columns() WHERE table_name = ? LIMIT 1"
        return bool(self.rows(sql, table))

    def batches(
        self, sql: str, *parameters: object, rows: int = 65_536
    ) -> Iterator[pyarrow.RecordBatch]:
        """The answer of a query as Arrow record batches, for files with a row for each line."""
        asked = self.db.sql(sql, params=list(parameters))
        reader: pyarrow.RecordBatchReader = asked.to_arrow_reader(rows)
        yield from reader


def lines_table(lines: Iterable[ChargeLine]) -> pyarrow.Table:
    """The lines as Arrow, with the columns and types of `COLUMNS`."""
    import pyarrow as pa

    rows = [_row(line) for line in lines]
    columns = zip(*rows, strict=True) if rows else [[] for _ in COLUMNS]
    schema = arrow_schema()
    arrays = [
        pa.array(values, type=kind.type) for values, kind in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def arrow_schema() -> pyarrow.Schema:
    """The columns as Arrow has them."""
    import pyarrow as pa

    kinds = {
        "BIGINT": pa.int64(),
        "INTEGER": pa.int32(),
        "BOOLEAN": pa.bool_(),
        "VARCHAR": pa.string(),
        "TIMESTAMP": pa.timestamp("us"),
        "DECIMAL(18,3)": pa.decimal128(18, 3),
        USD: pa.decimal128(38, 12),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in COLUMNS])


def _row(line: ChargeLine) -> tuple[object, ...]:
    cell, owner, covered = line.cell, line.owner, line.covered
    return (
        line.line_id,
        line.entry_id,
        naive(line.recorded_at),
        line.month,
        line.cluster,
        line.node_id,
        line.resource_id,
        cell.provider,
        cell.account,
        cell.region,
        cell.zone,
        cell.instance_type,
        cell.market,
        cell.vcpu,
        cell.memory_gib,
        cell.gpus,
        line.charge.value,
        line.kind.value,
        line.purpose.value,
        naive(line.start),
        naive(line.end),
        line.micros,
        line.usd_per_hour,
        line.on_demand_usd_per_hour,
        line.billed_usd,
        line.effective_usd,
        line.list_usd,
        line.on_demand_usd,
        line.rate_source,
        line.plan_id,
        line.is_estimate,
        covered.commitment_id if covered else None,
        covered.kind if covered else None,
        covered.status.value if covered and covered.status else None,
        covered.quantity if covered else None,
        covered.unit if covered else None,
        owner.workload,
        owner.team,
        owner.project,
        owner.cost_center,
        owner.environment,
        owner.user,
        owner.run,
        owner.span,
        owner.prefix,
        json.dumps(dict(line.tags), sort_keys=True, ensure_ascii=False),
    )


def aware(instant: datetime) -> datetime:
    """An instant that DuckDB gave, which is of UTC."""
    return instant.replace(tzinfo=UTC)


def quoted(text: str) -> str:
    """Text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def naive(instant: datetime) -> datetime:
    """An instant as DuckDB's TIMESTAMP has it: of UTC, without saying so."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def decimal_of(value: object) -> Decimal:
    """A sum as DuckDB gives it: NULL, of no rows, is nothing."""
    return Decimal(0) if value is None else Decimal(str(value))
