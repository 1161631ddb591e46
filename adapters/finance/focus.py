"""Writes a book as FOCUS files: rows in steps of constant memory, and the metadata beside them.

    DIR/cost-and-usage.parquet           or .csv
    DIR/billing-period.parquet           version 1.4
    DIR/contract-commitment.parquet      version 1.4, where commitments are handed over
    DIR/metadata/...                     see focus_metadata.py
    DIR/control-totals.json

Every file comes to its place when all of them are whole. The same book gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costplan.adapters.files_together import Together
from costplan.adapters.finance.book import Book, decimal_of
from costplan.adapters.finance.focus_files import arrow_schema, table_file
from costplan.adapters.finance.focus_metadata import (
    Sector,
    instance_id,
    metadata_files,
    schema_document,
    text_of,
)
from costplan.adapters.finance.focus_sql import LINES, rounding, rows_sql
from costplan.adapters.finance.focus_stage import staged
from costplan.adapters.finance.focus_totals import Totals
from costplan.planner.commitments.values import Commitment
from costplan.planner.errors import InputError, InvariantBroken
from costplan.planner.finance.focus_columns import (
    COST_SCALE,
    X_COLUMNS,
    Column,
    Dataset,
    Version,
    columns_of,
)
from costplan.planner.finance.focus_contracts import contract_row, period_of
from costplan.planner.finance.focus_words import OTHER_SELLER, SELLERS

if TYPE_CHECKING:
    import pyarrow

KINDS = ("parquet", "csv")
STEM = {
    Dataset.COST_AND_USAGE: "cost-and-usage",
    Dataset.BILLING_PERIOD: "billing-period",
    Dataset.CONTRACT_COMMITMENT: "contract-commitment",
}
TOTALS_FILE = "control-totals.json"
_STEP_ROWS = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which files: of a month or all of the book; parquet or csv; amounts with 12 places or 9.

    `closed` are the months that nothing is added to any more. `commitments` are those held: what
    lines do not say of one (its term, how it is paid) is there, and without them version 1.4
    comes without its ContractCommitment dataset.
    """

    version: Version
    month: str | None = None
    kind: str = "parquet"
    places: int = COST_SCALE
    closed: frozenset[str] = frozenset()
    commitments: tuple[Commitment, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind {self.kind}", "is not known", "use parquet or csv")
        if self.places not in (9, COST_SCALE):
            raise InputError(f"places {self.places}", "is not possible", "use 12 or 9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came to be: the files, the charges first, and what the charges add up to."""

    files: tuple[Path, ...]
    totals: Totals
    lines_without_account: int


def write_focus(book: Book, wanted: Wanted, out: Path) -> Written:
    """Writes the book to a folder, which is made, or to one file with the rest beside it.

    `out` is one file where its name ends with .parquet or .csv; what belongs to it is then in the
    folder of the same name with `.metadata` at the end. Raises InputError where there are no
    lines or the disk refuses; then nothing is there that was not there before.
    """
    is_file = out.suffix.lower() in (".parquet", ".csv")
    side = out.with_name(f"{out.name}.metadata") if is_file else out
    charges = out if is_file else out / f"{STEM[Dataset.COST_AND_USAGE]}.{wanted.kind}"
    try:
        with staged(book, wanted.month), Together() as files:
            nameless = _nameless(book, out)
            making = _Making(book=book, wanted=wanted, files=files, side=side)
            making.write_charges(charges)
            making.write_references()
            making.write_metadata()
    except OSError as error:
        raise InputError(str(out), f"cannot be written: {error.strerror or error}") from error
    return Written(files=tuple(files.targets), totals=making.totals, lines_without_account=nameless)


def _nameless(book: Book, out: Path) -> int:
    """How many lines have no account; InputError where there are no lines at all."""
    [(count, nameless)] = book.rows("SELECT count(*), count_if(account = '') FROM book_lines")
    if not count:
        raise InputError(str(out), "there are no charges in this time", "name another month")
    return int(nameless)


@dataclass(slots=True, kw_only=True)
class _Making:
    """The files of one book on their way."""

    book: Book
    wanted: Wanted
    files: Together
    side: Path
    totals: Totals = field(default_factory=Totals)
    schemas: list[dict[str, Any]] = field(default_factory=list)

    def write_charges(self, path: Path) -> None:
        wanted = self.wanted
        columns = (*columns_of(wanted.version), *X_COLUMNS)
        schema = arrow_schema(columns, places=wanted.places)
        about = self._described(Dataset.COST_AND_USAGE, columns)
        part = self.files.part_of(path)
        with table_file(part, wanted.kind, schema, about) as file:
            for table in self._steps(schema):
                self.totals.add(table)
                file.write(table)
        self._tie()

    def _steps(self, schema: pyarrow.Schema) -> Iterator[pyarrow.Table]:
        wanted, contracts = self.wanted, [row["ContractCommitmentId"] for row in self._contracts()]
        names = [str(name) for name in contracts]
        sql = rows_sql(wanted.version, places=wanted.places, contracts=names, source=LINES)
        for first, last in _bounds(self.book):
            yield _table(self.book, sql, schema, first, last)
        if wanted.places < COST_SCALE:
            source = rounding(wanted.places)
            sql = rows_sql(wanted.version, places=wanted.places, contracts=(), source=source)
            rest = _table(self.book, sql, schema)
            if rest.num_rows:
                yield rest

    def _tie(self) -> None:
        """Refuses a file that does not add up to the book: to its last place, or as rounded."""
        [(billed, effective, groups)] = self.book.rows(
            "SELECT sum(billed_usd), sum(effective_usd), count(DISTINCT (provider, account, month))"
            " FROM book_lines"
        )
        lost = Decimal(0) if self.wanted.places == COST_SCALE else Decimal(groups).scaleb(-9) / 2
        for name, usd in (("BilledCost", billed), ("EffectiveCost", effective)):
            if abs(self.totals.of(name) - decimal_of(usd)) > lost:
                raise InvariantBroken(f"{name} is {self.totals.of(name)}, and of the book {usd}")

    def write_references(self) -> None:
        """The datasets that charges refer to, which only version 1.4 has.

        One that an earlier report left in the folder, and that this one has not, goes away.
        """
        made: dict[Dataset, Sequence[Mapping[str, object]]] = {
            Dataset.BILLING_PERIOD: ()
            if self.wanted.version is Version.V1_2
            else _periods(self.book, self.wanted.closed),
            Dataset.CONTRACT_COMMITMENT: self._contracts(),
        }
        for dataset, rows in made.items():
            path = self.side / f"{STEM[dataset]}.{self.wanted.kind}"
            if rows:
                self._write_rows(dataset, rows, path)
            else:
                self.files.without(path)

    def _contracts(self) -> list[Mapping[str, object]]:
        """Rows of the commitments that the charges name."""
        if self.wanted.version is Version.V1_2 or not self.wanted.commitments:
            return []
        named = self.book.rows(
            "SELECT DISTINCT commitment_id FROM book_lines WHERE commitment_id IS NOT NULL"
        )
        [(last,)] = self.book.rows("SELECT max(recorded_at) FROM book_lines")
        ids = {str(name) for (name,) in named}
        rows = [
            contract_row(held, last.replace(tzinfo=UTC))
            for held in sorted(self.wanted.commitments, key=lambda held: held.commitment_id)
            if held.commitment_id in ids and period_of(held) is not None
        ]
        return [row for row in rows if row is not None]

    def _write_rows(
        self, dataset: Dataset, rows: Sequence[Mapping[str, object]], path: Path
    ) -> None:
        import pyarrow as pa

        columns = columns_of(self.wanted.version, dataset)
        schema = arrow_schema(columns)
        part = self.files.part_of(path)
        with table_file(part, self.wanted.kind, schema, self._described(dataset, columns)) as file:
            file.write(pa.Table.from_pylist(list(rows), schema=schema))

    def _described(self, dataset: Dataset, columns: Sequence[Column]) -> dict[str, str]:
        """Keeps the dataset's schema object; what a Parquet footer says of it."""
        version = self.wanted.version
        instance = instance_id(version, dataset)
        places = self.wanted.places if dataset is Dataset.COST_AND_USAGE else COST_SCALE
        schema = schema_document(version, dataset, columns, places=places, instance=instance)
        self.schemas.append(schema)
        return {"FocusVersion": version.value, "SchemaId": schema["SchemaId"]}

    def write_metadata(self) -> None:
        periods = _sectors(self.book, self.wanted.closed)
        made = metadata_files(self.wanted.version, self.schemas, periods)
        totals = {"File": self.files.targets[0].name, "SchemaId": self.schemas[0]["SchemaId"]}
        made[TOTALS_FILE] = text_of(totals | self.totals.document())
        for name, data in made.items():
            self.files.part_of(self.side / name).write_bytes(data)


def _table(book: Book, sql: str, schema: pyarrow.Schema, *parameters: object) -> pyarrow.Table:
    import pyarrow as pa

    batches = list(book.batches(sql, *parameters, rows=_STEP_ROWS))
    return pa.Table.from_batches(batches).cast(schema) if batches else schema.empty_table()


def _bounds(book: Book) -> list[tuple[int, int]]:
    """Ranges of line ids with about as many lines each, which depend on the lines alone."""
    [(count, lowest)] = book.rows("SELECT count(*), min(line_id) FROM book_lines")
    steps = -(-count // _STEP_ROWS)
    shares = [step / steps for step in range(1, steps + 1)]
    [(found,)] = book.rows("SELECT quantile_disc(line_id, ?::DOUBLE[]) FROM book_lines", shares)
    ends = sorted(set(found))
    return list(zip([lowest, *(end + 1 for end in ends[:-1])], ends, strict=True))


def _sectors(book: Book, closed: frozenset[str]) -> list[Sector]:
    rows = book.rows(
        "SELECT month, (month || '-01')::TIMESTAMP,"
        " (month || '-01')::TIMESTAMP + INTERVAL 1 MONTH, max(recorded_at)"
        " FROM book_lines GROUP BY month ORDER BY month"
    )
    return [
        Sector(
            start=start.replace(tzinfo=UTC),
            end=end.replace(tzinfo=UTC),
            last_updated=max(start, last).replace(tzinfo=UTC),
            is_closed=month in closed,
        )
        for month, start, end, last in rows
    ]


def _periods(book: Book, closed: frozenset[str]) -> list[dict[str, object]]:
    """A row for each month and issuer of invoices, of version 1.4's BillingPeriod dataset."""
    rows = book.rows(
        "SELECT month, provider, (month || '-01')::TIMESTAMP AS start,"
        " (month || '-01')::TIMESTAMP + INTERVAL 1 MONTH, max(recorded_at)"
        " FROM book_lines GROUP BY ALL ORDER BY month, provider"
    )
    return [
        {
            "BillingPeriodCreated": _utc(start),
            "BillingPeriodEnd": _utc(end),
            "BillingPeriodLastUpdated": _utc(max(start, last)),
            "BillingPeriodStart": _utc(start),
            "BillingPeriodStatus": "Closed" if month in closed else "Open",
            "InvoiceIssuerName": SELLERS.get(provider, OTHER_SELLER).provider or provider,
        }
        for month, provider, start, end, last in rows
    ]


def _utc(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC, microsecond=0)
