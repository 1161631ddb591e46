"""What of charges stands: it may be covered, and it is what a refund gives back."""

from __future__ import annotations

import random
import zlib
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import orjson
import pytest

from costplan.adapters.finance.ledger_changes import reprice
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.stage import Window, stage
from costplan.adapters.finance.standing_sql import make_standing
from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import micros
from costplan.adapters.store.ledger import read_recorded
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger_net import standing
from costplan.planner.reprice import BetterPrice
from tests.finance.exports import Life, cur, write_csv
from tests.finance.ledgers import (
    HOUR,
    KEY,
    OCTOBER,
    SPOT,
    entry,
    hours_of,
    taken_back,
    total,
    write,
)
from tests.finance.test_cover import PLAN, TARIFF
from tests.finance.test_restate import restated

NOW = OCTOBER + timedelta(days=40)
HELD = Terms(commitments=(PLAN,), tariff=TARIFF)


def minute(number: int) -> datetime:
    return OCTOBER + timedelta(minutes=number)


def reclaimed(path: Path, end: datetime) -> None:
    """Notes that the cloud took n-1, which was launched on the first of October, at `end`."""
    node = {
        "history": [["gone", end.isoformat(), "reclaimed"]],
        "launched_at": OCTOBER.isoformat(),
        "ended_at": end.isoformat(),
    }
    with closing(connect(path, read_only=False)) as db:
        row = ("n-1", "gone", end.isoformat(), 0, "", zlib.compress(orjson.dumps(node)))
        db.execute("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)", row)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_the_ledger_says_one_by_one(tmp_path: Path, seed: int) -> None:
    """Charges of any length at three prices, of which any part is taken back at any of them."""
    dice, path = random.Random(seed), tmp_path / "s.db"  # noqa: S311 - made-up data
    for _ in range(12):
        entries = []
        for _ in range(6):
            start = dice.randrange(4000)
            made = entry(
                dice.choice(["n-1", "n-2"]), minute(start), key=dice.choice([KEY, SPOT]),
                lasts=timedelta(minutes=dice.choice([5, 15, 60, 2000])),
                usd_per_hour=dice.choice(["0.192", "0.2", "0.05"]),
            )  # fmt: skip
            entries.append(taken_back(made) if dice.random() < 0.4 else made)
        write(path, entries, OCTOBER + 100 * HOUR)
    duck = duckdb.connect()
    with closing(connect(path, read_only=True)) as db:
        stage(duck, db, path, Window(), lambda _: None)
        one_by_one = [
            (each.of.entry_id, micros(each.start), micros(each.end))
            for each in standing(read_recorded(db, path))
        ]
    make_standing(duck, micros(NOW))
    found = duck.execute("SELECT * FROM standing ORDER BY ALL").fetchall()
    assert found == sorted(one_by_one)


def test_a_better_price_leaves_a_machine_its_commitment(tmp_path: Path) -> None:
    """Four hours of a machine under a plan of $0.30 cost $1.20 a whole; that one of them was
    charged at another price changes nothing, then or later."""
    path = tmp_path / "s.db"
    write(path, hours_of("n-1", OCTOBER, 4), OCTOBER + 4 * HOUR)
    better = BetterPrice(
        key=KEY, usd_per_hour=Decimal("0.191"), start=OCTOBER + HOUR, end=OCTOBER + 2 * HOUR,
        source="the bill",
    )  # fmt: skip
    assert reprice(path, [better], NOW, is_dry=False).pieces == 4
    with open_book(path, terms=HELD) as book:
        assert total(book, "billed_usd") == total(book, "effective_usd") == Decimal("1.20")
        assert total(book, "effective_usd", "commitment_status = 'used'") == Decimal("0.52")


def test_a_machine_that_ended_sooner_is_covered_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    entries = hours_of("n-1", OCTOBER, 1)
    write(path, entries, OCTOBER + HOUR)
    write(path, [taken_back(entries[3], minute(50))], OCTOBER + HOUR)
    with open_book(path, terms=HELD) as book:
        assert total(book, "micros", "commitment_status = 'used'") == 50 * 60_000_000
        assert total(book, "billed_usd") == total(book, "effective_usd") == Decimal("0.30")


def test_what_was_taken_back_is_not_refunded_too(tmp_path: Path) -> None:
    """Spot machines that their cloud takes within the hour cost nothing, also where that was
    learnt ten minutes later, or the price was another."""
    path = tmp_path / "s.db"
    entries = hours_of("n-1", OCTOBER, 1, usd_per_hour="0.08", key=SPOT, busy=1234.0)
    write(path, entries[:3], OCTOBER + HOUR)
    write(path, [taken_back(entries[2], minute(35))], OCTOBER + HOUR)
    reclaimed(path, minute(35))
    better = BetterPrice(
        key=SPOT, usd_per_hour=Decimal("0.0777"), start=OCTOBER, end=minute(20), source="the bill"
    )  # fmt: skip
    for _ in range(2):
        for terms in (Terms(), HELD):
            with open_book(path, terms=terms) as book:
                machine = "charge = 'machine'"
                assert total(book, "billed_usd", machine) == 0
                assert total(book, "effective_usd", machine) == 0
                assert total(book, "billed_usd", "kind = 'credit'") < 0
                signs = book.rows("SELECT DISTINCT sign(billed_usd) FROM lines "
                                  "WHERE kind = 'credit'")  # fmt: skip
                assert signs == [(-1,)]
        reprice(path, [better], NOW, is_dry=False)


def test_a_bill_that_refunds_nothing_is_restated_by_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    spot = hours_of("n-1", OCTOBER, 1, usd_per_hour="0.08", key=SPOT)[:2]
    write(path, [replace(each, account="011122223333") for each in spot], OCTOBER + HOUR)
    reclaimed(path, minute(30))
    life = Life(
        resource="i-n-1", start=OCTOBER, end=minute(30), usd_per_hour="0.08", is_spot=True
    )  # fmt: skip
    file = write_csv(tmp_path / "cur.csv", cur([life]))
    first, done = restated(path, file)
    assert (first.differs, done.changed) == (True, 1)
    second, again = restated(path, file)
    assert (second.differs, again.entries) == (False, ())
    with open_book(path) as book:
        assert total(book) == Decimal("0.04")
