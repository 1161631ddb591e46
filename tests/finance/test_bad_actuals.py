"""Exports that cannot be trusted are refused with the column, the value and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costplan.adapters.finance.actuals import import_actuals
from costplan.adapters.finance.book import Book
from costplan.planner.errors import InputError
from tests.finance.exports import Row, cur, focus, gcp, write_csv, write_json, write_parquet
from tests.finance.test_reconcile import LIVES, against, ledger_of


def refused(files: list[str], said: str, month: str = "2026-10", form: str = "auto") -> None:
    """The import fails with these words, and leaves nothing."""
    with Book() as book:
        with pytest.raises(InputError, match=said):
            import_actuals(book.db, files, month, form=form)
        assert book.rows("SELECT table_name FROM information_schema.tables") == []


def _each(name: str, value: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**row, name: value} for row in rows]


def _first(name: str, value: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{**rows[0], name: value}, *rows[1:]]


def _without(name: str) -> Callable[[list[Row]], list[Row]]:
    return lambda rows: [{key: row[key] for key in row if key != name} for row in rows]


def _daily_too(rows: list[Row]) -> list[Row]:
    day = {
        **rows[0],
        "line_item_usage_end_date": "2026-10-02T00:00:00Z",
        "identity_line_item_id": "d",
    }
    return [*rows, day]


WRONG: list[tuple[str, Callable[[list[Row]], list[Row]], str]] = [
    ("line_item_resource_id", _without("line_item_resource_id"),
     "is AWS CUR 2.0, but has no column line_item_resource_id; export it with all columns"),
    ("currency", _each("line_item_currency_code", "EUR"),
     "line_item_currency_code: is EUR, and the ledger is in USD"),
    ("currency of one", _first("line_item_currency_code", "CNY"), "is CNY, and the ledger"),
    ("scientific account", _each("line_item_usage_account_id", "1.11222E+11"),
     r"line_item_usage_account_id: '1.11222E\+11' is an id that was read as a number"),
    ("account as float", _each("line_item_usage_account_id", "111122223333.0"),
     "is an id that was read as a number"),
    ("account without its zero", _each("line_item_usage_account_id", "11122223333"),
     "'11122223333' is no account of AWS, which has 12 digits"),
    ("scientific resource", _first("line_item_resource_id", "9.1e+18"), "line_item_resource_id"),
    ("time", _first("line_item_usage_start_date", "last week"),
     "line_item_usage_start_date: 'last week' is no time"),
    ("cost", _first("line_item_unblended_cost", "1,5"),
     "line_item_unblended_cost: '1,5' is no number"),
    ("no cost", _first("line_item_unblended_cost", ""), "line_item_unblended_cost: '' is no"),
    ("quantity", _first("line_item_usage_amount", "many"), "line_item_usage_amount: 'many'"),
    ("backwards", _first("line_item_usage_end_date", "2026-09-30T00:00:00Z"), "ends before it"),
    ("twice", lambda rows: [*rows, rows[3]], "overlaps itself: line3 of .* is there twice"),
    ("hourly and daily", _daily_too, "begins before the row before it has ended"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "said"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
def test_a_wrong_export_is_refused(
    tmp_path: Path, made: Callable[[list[Row]], list[Row]], said: str
) -> None:
    refused([str(write_csv(tmp_path / "cur.csv", made(cur(LIVES[:1]))))], said)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.csv").touch()
    refused([str(tmp_path / "none.csv")], "none.csv: is empty")
    rows = cur(LIVES[:1])
    head = write_csv(tmp_path / "head.csv", rows)
    head.write_text(head.read_text().splitlines()[0] + "\n")
    refused([str(head)], "has no rows; export the month again")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    refused([str(tmp_path / "bad.parquet")], "bad.parquet: cannot be read")
    (tmp_path / "bad.jsonl").write_text("{not json\n")
    refused([str(tmp_path / "bad.jsonl")], "bad.jsonl: cannot be read")
    (tmp_path / "bill.xlsx").write_bytes(b"x")
    refused([str(tmp_path / "bill.xlsx")], "is of no kind that is read")
    refused([str(tmp_path / "*.zip")], "there is no such file")
    (tmp_path / "people.csv").write_text("name,age\nAda,36\n")
    refused([str(tmp_path / "people.csv")], "has no columns of AWS CUR 2.0")
    one = write_csv(tmp_path / "one.csv", rows)
    (tmp_path / "copy.csv").write_bytes(one.read_bytes())
    refused([str(one), str(tmp_path / "copy.csv")], "copy.csv and .*one.csv are the same")
    other = write_parquet(tmp_path / "one.parquet", rows)
    refused([str(one), str(other)], "are of kinds csv and parquet")
    refused([str(one)], "rows from 2026-10-01 to 2026-10-02, and none of 2026-09", "2026-09")
    refused([str(one)], "has no columns|is FOCUS", form="focus")


def test_rows_in_two_exports_are_found_without_ids(tmp_path: Path) -> None:
    rows = focus(LIVES[:1])
    one = write_csv(tmp_path / "one.csv", rows[:20])
    two = write_csv(tmp_path / "two.csv", rows[15:])
    refused([str(one), str(two)], "overlaps itself: .* is in two files")


def test_rows_that_a_commitment_paid_for_are_found_in_two_exports(tmp_path: Path) -> None:
    """Nothing is billed for them, and they cost what they cost."""
    rows = [{**row, "BilledCost": "0", "CommitmentDiscountId": "sp-1"} for row in focus(LIVES[:1])]
    one = write_csv(tmp_path / "one.csv", rows[:20])
    two = write_csv(tmp_path / "two.csv", rows[15:])
    refused([str(one), str(two)], "overlaps itself: .* is in two files")


def test_another_account_is_refused(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    other = [
        {**row, "line_item_usage_account_id": "999988887777", "line_item_resource_id": "i-x"}
        for row in cur(LIVES)
    ]
    file = write_csv(tmp_path / "cur.csv", other)
    with pytest.raises(InputError, match="are of account 999988887777, and the ledger is of"):
        against(path, file)
    rows = [{**row, "resource": {"name": "x"}} for row in gcp(LIVES)]
    file = write_json(tmp_path / "g.jsonl", rows)
    with pytest.raises(InputError, match="are of gcp, where the ledger has nothing"):
        against(path, file)


def test_time_zones_are_brought_to_utc(tmp_path: Path) -> None:
    path = ledger_of(tmp_path / "s.db", LIVES)
    shifted = []
    for row in cur(LIVES):
        moved = dict(row)
        for name in ("line_item_usage_start_date", "line_item_usage_end_date"):
            hour = int(row[name][11:13])
            if hour + 2 < 24:
                moved[name] = f"{row[name][:11]}{hour + 2:02}{row[name][13:-1]}+02:00"
        shifted.append(moved)
    assert shifted[0]["line_item_usage_start_date"] == "2026-10-01T02:00:00+02:00"
    made, _ = against(path, write_csv(tmp_path / "cur.csv", shifted))
    assert not made.differs
