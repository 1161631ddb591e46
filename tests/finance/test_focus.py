"""FOCUS files of a book: each kind of row as FOCUS wants it, the same bytes, exact sums."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from costplan.adapters.finance.book import Book, lines_table
from costplan.adapters.finance.focus import Wanted, Written, write_focus
from costplan.planner.errors import InputError
from costplan.planner.finance.focus_columns import X_COLUMNS, Version, columns_of
from costplan.planner.finance.lines import ChargeLine
from tests.finance.books import month_lines
from tests.finance.focus_books import COMMITMENTS, all_kinds, usage


def write(lines: Iterable[ChargeLine], out: Path, **wanted: Any) -> Written:
    with Book() as book:
        book.add(lines)
        return write_focus(book, Wanted(**{"version": Version.V1_2, **wanted}), out)


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    """The rows of a Parquet file by line."""
    return {row["x_LineId"]: row for row in pq.read_table(path).to_pylist()}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("focus") / "charges.parquet"
    write(all_kinds(), out)
    return rows_of(out)


_CATEGORY = ("ChargeCategory", "ChargeFrequency", "PricingCategory", "ChargeClass")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("1", ("Usage", "Usage-Based", "Standard", None)),
        ("2", ("Usage", "Usage-Based", "Dynamic", None)),
        ("6", ("Usage", "Usage-Based", "Committed", None)),
        ("10", ("Purchase", "Recurring", "Standard", None)),
        ("11", ("Usage", "Usage-Based", "Committed", None)),
        ("13", ("Purchase", "One-Time", "Standard", None)),
        ("14", ("Credit", "One-Time", None, None)),
        ("15", ("Usage", "Usage-Based", "Standard", None)),
        ("21", ("Usage", "Usage-Based", "Standard", "Correction")),
        ("30", ("Usage", "Usage-Based", "Standard", None)),
    ],
)
def test_each_kind_of_line_has_its_categories(
    rows: dict[str, dict[str, Any]], line: str, kind: tuple[str | None, ...]
) -> None:
    assert tuple(rows[line][name] for name in _CATEGORY) == kind


_MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "PricingQuantity")


@pytest.mark.parametrize(
    ("line", "amounts"),
    [
        ("1", "0.192 0.192 0.192 0.192 1"),
        ("2", "0.0575 0.0575 0.0575 0.0575 1"),
        ("6", "0 0.0336 0.048 0.048 0.25"),
        ("7", "0.144 0.144 0.144 0.144 0.75"),
        ("10", "0.1 0 0.1 0.1 1"),
        ("11", "0 0.0664 0.0664 0.0664 0.664"),
        ("13", "876 0 876 876 1"),
        ("14", "-0.05 -0.05 -0.05 -0.05"),
        ("15", "-0.096 -0.096 -0.096 -0.096 -0.5"),
        ("22", "0.064 0.064 0.064 0.064 0.33333333333333"),
    ],
)
def test_the_amounts_of_each_kind(rows: dict[str, dict[str, Any]], line: str, amounts: str) -> None:
    found = [rows[line][name] for name in _MONEY]
    assert [value for value in found if value is not None] == [
        Decimal(amount) for amount in amounts.split()
    ]


def test_what_is_not_known_is_null_and_never_a_word(rows: dict[str, dict[str, Any]]) -> None:
    nobody = rows["32"]
    assert [
        nobody[name] for name in ("x_Team", "x_Workload", "RegionId", "Tags", "ResourceId")
    ] == [None] * 5
    assert nobody["BillingAccountId"] == "unknown"
    assert nobody["ProviderName"] == "sim"
    assert rows["2"]["x_User"] == "o'brien"
    assert rows["2"]["x_Workload"] == 'fraud, "v2"'
    assert rows["2"]["x_OnDemandCost"] == Decimal("0.192")
    assert all(value != "" for row in rows.values() for value in row.values())


def test_a_price_that_does_not_make_the_cost_is_derived_from_it(
    rows: dict[str, dict[str, Any]],
) -> None:
    minimum = rows["34"]
    assert minimum["ListUnitPrice"] * minimum["PricingQuantity"] == pytest.approx(
        minimum["ListCost"], abs=Decimal("1e-15")
    )
    assert minimum["ListUnitPrice"] > Decimal("1.18")


def test_less_than_a_second_is_a_second(rows: dict[str, dict[str, Any]]) -> None:
    short = rows["33"]
    assert (short["ChargePeriodEnd"] - short["ChargePeriodStart"]).total_seconds() == 1
    assert short["PricingQuantity"] == Decimal("0.00009")
    assert short["x_IsEstimate"] == "true"


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_same_lines_in_any_order_give_the_same_bytes(
    version: Version, kind: str, tmp_path: Path
) -> None:
    lines = list(month_lines(hours=30))
    first = write(lines, tmp_path / "a", version=version, kind=kind)
    again = write(reversed(lines), tmp_path / "b", version=version, kind=kind)
    assert [_digest(path) for path in first.files] == [_digest(path) for path in again.files]
    assert len(first.files) == (4 if version is Version.V1_2 else 8)


def _digest(path: Path) -> tuple[str, str]:
    return path.name, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_file_adds_up_to_the_book_and_says_so(kind: str, tmp_path: Path) -> None:
    lines = list(month_lines(hours=30))
    written = write(lines, tmp_path, kind=kind)
    billed = sum((line.billed_usd for line in lines), Decimal(0))
    if kind == "csv":
        with written.files[0].open(encoding="utf-8", newline="") as file:
            found = [Decimal(row["BilledCost"]) for row in csv.DictReader(file)]
    else:
        found = pq.read_table(written.files[0])["BilledCost"].to_pylist()
    assert sum(found) == billed == written.totals.of("BilledCost")
    said = json.loads((tmp_path / "control-totals.json").read_text())
    assert (said["Rows"], Decimal(said["BilledCost"])) == (len(lines), billed)
    parts = said["ByChargeCategory"].values()
    assert sum(Decimal(part["BilledCost"]) for part in parts) == billed


def test_with_nine_places_what_is_lost_is_a_row_of_its_own(tmp_path: Path) -> None:
    lines = list(month_lines(hours=30))
    written = write(lines, tmp_path / "nine.parquet", places=9)
    table = pq.read_table(written.files[0])
    assert table.schema.field("BilledCost").type.scale == 9
    by_account: dict[str, Decimal] = {}
    for line in lines:
        account = line.cell.account
        by_account[account] = by_account.get(account, Decimal(0)) + line.billed_usd
    exact = sum((round(usd, 9) for usd in by_account.values()), Decimal(0))
    assert written.totals.of("BilledCost") == exact
    lost = [row for row in table.to_pylist() if row["x_Purpose"] == "rounding"]
    assert {row["ChargeCategory"] for row in lost} == {"Adjustment"}


def test_the_schema_says_what_the_columns_are(tmp_path: Path) -> None:
    write(all_kinds(), tmp_path, version=Version.V1_4, commitments=COMMITMENTS)
    schemas = [json.loads(p.read_text()) for p in (tmp_path / "metadata/schemas").iterdir()]
    assert sorted(schema["Dataset"] for schema in schemas) == [
        "BillingPeriod",
        "ContractCommitment",
        "CostAndUsage",
    ]
    [charges] = [schema for schema in schemas if schema["Dataset"] == "CostAndUsage"]
    table = pq.read_table(tmp_path / "cost-and-usage.parquet")
    names = [column.name for column in (*columns_of(Version.V1_4), *X_COLUMNS)]
    assert [column["ColumnName"] for column in charges["ColumnDefinition"]] == names
    assert table.column_names == names
    scales = {
        column["ColumnName"]: column["NumberScale"]
        for column in charges["ColumnDefinition"]
        if "NumberScale" in column
    }
    assert scales == {f.name: f.type.scale for f in table.schema if f.name in scales}
    footer = pq.read_metadata(tmp_path / "cost-and-usage.parquet").metadata
    assert footer[b"SchemaId"].decode() == charges["SchemaId"]
    instances = json.loads((tmp_path / "metadata/dataset_instances.json").read_text())
    assert charges["DatasetInstanceId"] in {each["DatasetInstanceId"] for each in instances}
    recency = tmp_path / f"metadata/recency/recency-{charges['DatasetInstanceId']}.json"
    [sector] = json.loads(recency.read_text())["TimeSectors"]
    assert sector["TimeSectorStart"] == "2026-10-01T00:00:00Z"
    assert sector["TimeSectorComplete"] is False


def test_a_month_is_taken_out_of_a_book_that_has_more(tmp_path: Path) -> None:
    lines = [usage(1), replace(usage(2), month="2026-11", recorded_at=usage(2).recorded_at)]
    written = write(lines, tmp_path / "a.csv", month="2026-10", closed=frozenset({"2026-10"}))
    assert written.totals.row_count == 1
    with pytest.raises(InputError, match="there are no charges in this time"):
        write(lines, tmp_path / "b.csv", month="2027-01")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.metadata"]


def test_a_book_of_parquet_or_of_a_view_is_the_same_file(tmp_path: Path) -> None:
    lines = list(month_lines(hours=5))
    of_lines = write(lines, tmp_path / "a.parquet")
    pq.write_table(lines_table(lines), tmp_path / "lines")
    with Book() as book:
        book.open_parquet(tmp_path / "lines")
        of_parquet = write_focus(book, Wanted(version=Version.V1_2), tmp_path / "b.parquet")
    with Book() as book:
        book.open_parquet(tmp_path / "lines")
        book.db.execute("ALTER VIEW lines RENAME TO stored")
        book.db.execute("CREATE VIEW lines AS SELECT s.* FROM stored s JOIN (SELECT 1) ON true")
        of_view = write_focus(book, Wanted(version=Version.V1_2), tmp_path / "c.parquet")
    assert len({_digest(each.files[0])[1] for each in (of_lines, of_parquet, of_view)}) == 1


def test_steps_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small steps, over ids with large gaps between them, lose no line and no order."""
    lines = [replace(usage(1), line_id=each * each * each, entry_id=each) for each in range(40)]
    monkeypatch.setattr("costplan.adapters.finance.focus._STEP_ROWS", 7)
    written = write(lines, tmp_path / "a.parquet")
    found = pq.read_table(written.files[0])["x_LineId"].to_pylist()
    assert found == [str(each**3) for each in range(40)]


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match="cannot be written"):
        write([usage(1)], tmp_path / "taken" / "below")
    (tmp_path / "a.csv").write_text("before")
    with pytest.raises(InputError):
        write([], tmp_path / "a.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "taken"]
    assert (tmp_path / "a.csv").read_text() == "before"


def test_what_breaks_on_the_way_leaves_no_file_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("on the way")

    monkeypatch.setattr("costplan.adapters.finance.focus.metadata_files", breaks)
    with pytest.raises(RuntimeError):
        write([usage(1)], tmp_path / "a" / "b", version=Version.V1_4)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_a_later_report_has_not_goes_away(tmp_path: Path) -> None:
    write(all_kinds(), tmp_path, version=Version.V1_4, commitments=COMMITMENTS)
    assert (tmp_path / "contract-commitment.parquet").exists()
    write(all_kinds(), tmp_path, version=Version.V1_4)
    assert not (tmp_path / "contract-commitment.parquet").exists()
    assert (tmp_path / "billing-period.parquet").exists()
    found = pq.read_table(tmp_path / "cost-and-usage.parquet")
    assert found["ContractApplied"].null_count == found.num_rows


def test_time_that_costs_nothing_is_a_row(tmp_path: Path) -> None:
    """Time that costs nothing, and time that was not counted, keep their identities."""
    free = usage(1, usd="0")
    uncounted = usage(2, micros=0)
    written = write([free, uncounted], tmp_path / "a.parquet")
    rows = rows_of(written.files[0])
    assert rows["1"]["PricingQuantity"] * rows["1"]["ListUnitPrice"] == 0
    assert rows["2"]["PricingQuantity"] == Decimal(1)
