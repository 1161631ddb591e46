"""The book of a store: lines that add up to the ledger, entry by entry."""

from __future__ import annotations

from decimal import Decimal

import pytest

from costplan.adapters.finance.book import COLUMNS, decimal_of
from costplan.adapters.finance.open_book import open_book
from costplan.planner.errors import InputError
from tests.store.ticking import ran


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.db"
    _, _, record = ran(path, 2400.0)
    entries = record.store.entries()
    record.close()
    return path, entries


def test_lines_add_up_to_the_ledger(store) -> None:
    path, entries = store
    with open_book(path) as book:
        described = book.db.execute("SELECT * FROM lines LIMIT 0").description
        assert [column[0] for column in described] == [name for name, _ in COLUMNS]
        by_use = dict(book.rows("SELECT purpose, sum(billed_usd) FROM lines GROUP BY 1"))
        [(billed, effective)] = book.rows("SELECT sum(billed_usd), sum(effective_usd) FROM lines")
        [(worst,)] = book.rows(
            "SELECT max(abs(usd_per_hour::DOUBLE * micros / 3.6e9 - billed_usd::DOUBLE)) FROM lines"
            " WHERE kind = 'usage'"
        )
    assert decimal_of(billed) == decimal_of(effective) == sum((e.usd for e in entries), Decimal(0))
    assert {"work", "idle", "boot"} <= set(by_use)
    assert worst < 1e-9


def test_a_time_is_cut_at_its_borders(store) -> None:
    path, entries = store
    first, last = min(e.start for e in entries), max(e.end for e in entries)
    middle = first + (last - first) / 2
    sums = []
    for start, end in ((None, middle), (middle, None), (None, None)):
        with open_book(path, start=start, end=end) as book:
            sums.append(decimal_of(book.rows("SELECT sum(billed_usd) FROM lines")[0][0]))
    assert sums[0] + sums[1] == sums[2]
    assert 0 < sums[0] < sums[2]


@pytest.mark.parametrize("month", ["2026-13", "2026-3", "x"])
def test_a_month_that_is_none(store, month: str) -> None:
    with pytest.raises(InputError, match="write it like 2026-10"):
        open_book(store[0], month=month)
