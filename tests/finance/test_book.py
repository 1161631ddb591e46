"""The book: lines go in and come out as they are, and sums are exact."""

from decimal import Decimal

import pytest

from costplan.adapters.finance.book import COLUMNS, Book, decimal_of, lines_table
from costplan.planner.finance.lines import Charge, Cover, LineKind
from tests.finance.books import PLAN_USD_PER_HOUR, month_lines


def test_sums_are_those_of_the_lines() -> None:
    lines = list(month_lines())
    with Book() as book:
        book.add(lines)
        [(billed, effective, count)] = book.rows(
            "SELECT sum(billed_usd), sum(effective_usd), count(*) FROM lines"
        )
    assert decimal_of(billed) == sum((line.billed_usd for line in lines), Decimal(0))
    assert decimal_of(effective) == sum((line.effective_usd for line in lines), Decimal(0))
    assert count == len(lines)


def test_a_view_of_parquet_is_the_same_book(tmp_path) -> None:
    import pyarrow.parquet as pq

    lines = list(month_lines(hours=5))
    pq.write_table(lines_table(lines), tmp_path / "it's.parquet")
    with Book() as kept, Book() as opened:
        kept.add(lines)
        opened.open_parquet(tmp_path / "it's.parquet")
        ask = "SELECT * FROM lines ORDER BY line_id"
        assert kept.rows(ask) == opened.rows(ask)
        assert [column[0] for column in opened.db.execute(ask).description] == [
            name for name, _ in COLUMNS
        ]


@pytest.mark.parametrize("seed", range(3))
def test_the_made_up_plan_is_used_or_stranded_to_the_last_place(seed: int) -> None:
    lines = list(month_lines(hours=7, seed=seed))
    used = [line for line in lines if line.covered and line.covered.status is Cover.USED]
    rest = [line for line in lines if line.covered and line.covered.status is Cover.UNUSED]
    fees = [line for line in lines if line.kind is LineKind.PURCHASE]
    assert used
    assert rest
    assert all(line.charge is Charge.COMMITMENT for line in fees)
    total = sum((line.effective_usd for line in (*used, *rest)), Decimal(0))
    assert total == 7 * PLAN_USD_PER_HOUR == sum((line.billed_usd for line in fees), Decimal(0))
