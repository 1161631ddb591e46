"""Better prices: what was charged is taken back and charged anew, and no entry is changed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.finance.audit import audit
from costplan.adapters.finance.better_prices import read_better_prices
from costplan.adapters.finance.ledger_changes import close, reprice
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.store.database import connect
from costplan.adapters.store.ledger import read_recorded
from costplan.planner.errors import InputError
from costplan.planner.reprice import BetterPrice
from tests.finance.ledgers import (
    HOUR,
    OCTOBER,
    QUARTER,
    SPOT,
    by,
    hours_of,
    taken_back,
    total,
    write,
)

NOW = OCTOBER + timedelta(days=40)
REAL = BetterPrice(
    key=replace(SPOT, zone=""), usd_per_hour=Decimal("0.06"), start=OCTOBER,
    end=OCTOBER + timedelta(minutes=40), source="the bill",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An hour of a spot machine at $0.08, half idle, the last five minutes of it taken back; and
    one on demand."""
    path = tmp_path / "s.db"
    spot = hours_of("n-1", OCTOBER, 1, usd_per_hour="0.08", key=SPOT, busy=1800.0)
    write(path, spot, OCTOBER + HOUR)
    write(path, [taken_back(spot[-1], OCTOBER + timedelta(minutes=55))], OCTOBER + 2 * HOUR)
    write(path, hours_of("n-2", OCTOBER, 1), OCTOBER + 2 * HOUR)
    return path


def test_the_difference_follows_what_the_time_was_used_for(path: Path) -> None:
    with closing(connect(path, read_only=True)) as db:
        before = list(read_recorded(db, path))
    with open_book(path) as book:
        old = by(book, "node_id, purpose")
        micros = total(book, "CASE WHEN billed_usd < 0 THEN -micros ELSE micros END")
    dry = reprice(path, [REAL], NOW, is_dry=True)
    made = reprice(path, [REAL], NOW, is_dry=False)
    assert made == dry
    assert (made.pieces, len(made.entries)) == (3, 6)
    saved = Decimal("0.02") * 40 / 60
    assert abs(made.usd + saved) < Decimal("1e-11")
    with closing(connect(path, read_only=True)) as db:
        after = list(read_recorded(db, path))
        assert after[: len(before)] == before
        assert {each.reason for each in after[len(before) :]} == {"better prices"}
        assert list(audit(db, path, {})) == []
    with open_book(path) as book:
        new = by(book, "node_id, purpose")
        assert micros == total(book, "CASE WHEN billed_usd < 0 THEN -micros ELSE micros END")
        assert total(book) == sum(each.entry.usd for each in after)
    for purpose in ("work", "idle"):
        assert abs(old["n-1", purpose] - new["n-1", purpose] - saved / 2) < Decimal("1e-10")
    assert old["n-2", "idle"] == new["n-2", "idle"]
    assert reprice(path, [REAL], NOW, is_dry=False).entries == ()


def test_prices_may_get_better_twice_and_a_closed_month_later(path: Path) -> None:
    reprice(path, [REAL], NOW, is_dry=False)
    close(path, "2026-10", NOW)
    with open_book(path, month="2026-10") as book:
        october = total(book)
    final = replace(REAL, usd_per_hour=Decimal("0.05"), end=OCTOBER + HOUR)
    made = reprice(path, [final], NOW, is_dry=False)
    assert abs(made.usd + Decimal("0.01") * 40 / 60 + Decimal("0.03") * 15 / 60) < Decimal("1e-11")
    with open_book(path, month="2026-10") as book:
        assert total(book) == october
    with open_book(path, month="2026-11") as book:
        assert total(book) == made.usd
        assert book.rows("SELECT DISTINCT kind FROM lines") == [("correction",)]
    with open_book(path) as book:
        spot = total(book, where="node_id = 'n-1'")
    assert abs(spot - Decimal("0.05") * 55 / 60) < Decimal("1e-10")
    with closing(connect(path, read_only=True)) as db:
        assert list(audit(db, path, {})) == []


HEAD = "provider,region,zone,instance_type,market,usd_per_hour,from,to,source\n"
ROW = "aws,us-east-1,,m5.xlarge,spot,0.06,2026-10-01T00:00Z,2026-10-01T00:40:00Z,the bill\n"


def test_prices_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "better.csv"
    file.write_text(HEAD + ROW)
    assert read_better_prices(file) == (REAL,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("provider,region\n", "has no column instance_type"),
        (HEAD + ROW.replace("0.06", "six"), "line 2: usd_per_hour: 'six' is no number"),
        (HEAD + ROW.replace("0.06", "-1"), "line 2: usd_per_hour: '-1' is no price"),
        (HEAD + ROW + ROW.replace("spot", "sopt"), "line 3: market: 'sopt' is no market"),
        (HEAD + ROW.replace("00:00Z", "00:00"), "line 2: from: '2026-10-01T00:00' says no time"),
        (HEAD + ROW.replace("00:40:00Z", "00:00Z"), "line 2: to: .* is not after from"),
        (HEAD + ROW.replace("m5.xlarge", ""), "line 2: instance_type: '' is empty"),
    ],
)
def test_a_file_that_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "better.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_better_prices(file)


def test_time_that_nobody_knows_better_stays(path: Path) -> None:
    later = replace(REAL, start=OCTOBER + 8 * QUARTER, end=OCTOBER + 9 * QUARTER)
    assert reprice(path, [later], NOW, is_dry=False).entries == ()
    assert reprice(path, [], NOW, is_dry=False).entries == ()
