"""Restating: the ledger is made to agree with a bill, once, as a whole, and by additions alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.finance.actuals import import_actuals
from costplan.adapters.finance.audit import audit
from costplan.adapters.finance.issuing import issue, last_billed, since_issued
from costplan.adapters.finance.ledger_changes import close
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.reconcile import reconcile, wanted
from costplan.adapters.finance.restating import restate
from costplan.adapters.store.database import connect
from costplan.adapters.store.ledger import read_recorded
from costplan.adapters.store.reconciled import read_reconciled
from costplan.planner.errors import InputError
from costplan.planner.finance.actuals import MatchState, Reconciliation
from costplan.planner.finance.restate import Restated
from costplan.planner.ledger import Recorded
from tests.finance.exports import Row, cur, cur_row, write_csv
from tests.finance.ledgers import HOUR, OCTOBER, total
from tests.finance.test_reconcile import LIVES, ledger_of

NOW = OCTOBER + timedelta(days=40)
OF_OCTOBER = {"start": OCTOBER, "end": OCTOBER + 31 * 24 * HOUR}


def bill() -> list[Row]:
    """The lives' bill with an hour at another price, half an hour less, one free, one more."""
    rows = cur(LIVES)
    rows[3]["line_item_unblended_cost"] = "0.2000000001"
    rows[4] |= {"line_item_usage_amount": "0.5", "line_item_unblended_cost": "0.096"}
    rows[31]["line_item_unblended_cost"] = "0"
    late = OCTOBER + 32 * HOUR
    rows.append(cur_row(999, late, "BoxUsage:m5.xlarge", "i-n-1", Decimal("0.25"), Decimal("0.05")))
    return rows


def restated(path: Path, file: Path, *, is_dry: bool = False) -> tuple[Reconciliation, Restated]:
    """Reconciles and restates, as the command does."""
    with open_book(path, **OF_OCTOBER) as book:
        source = import_actuals(book.db, [str(file)], "2026-10")
        made = reconcile(book, source, "2026-10")
        changes = wanted(book, made.source.grain)
    return made, restate(path, made, changes, NOW, is_dry=is_dry)


def entries(path: Path) -> list[Recorded]:
    with closing(connect(path, read_only=True)) as db:
        return list(read_recorded(db, path))


def check(path: Path, before: list[Recorded]) -> None:
    """What was there is as it was, and the ledger is whole."""
    assert entries(path)[: len(before)] == before
    with closing(connect(path, read_only=True)) as db:
        assert list(audit(db, path, {})) == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return ledger_of(tmp_path / "s.db", LIVES)


def test_the_ledger_agrees_afterwards_and_no_second_time(path: Path, tmp_path: Path) -> None:
    before = entries(path)
    file = write_csv(tmp_path / "cur.csv", bill())
    first, dry = restated(path, file, is_dry=True)
    assert entries(path) == before
    _, done = restated(path, file)
    assert done == dry
    assert (done.changed, done.left) == (4, 0)
    assert done.usd == Decimal("0.0080000001") - Decimal("0.096") - Decimal("0.0731") + Decimal(
        "0.05"
    )
    check(path, before)
    second, again = restated(path, file)
    assert (again.entries, second.differs) == ((), False)
    [alike] = second.states
    assert (
        alike.ours_usd
        == alike.theirs_usd
        == first.causes.total_usd + sum(each.entry.usd for each in before)
    )
    with closing(connect(path, read_only=False)) as db:
        [noted] = read_reconciled(db, "2026-10")
        with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
            db.execute("DELETE FROM reconciled")
    assert (noted.sha256, noted.entries, noted.usd) == (
        first.source.sha256, len(done.entries), done.usd,
    )  # fmt: skip
    assert noted.billed_usd == last_billed(path, "2026-10") == first.billed_usd
    # The export of a day later has one row changed: that alone is restated.
    rows = bill()
    rows[3]["line_item_unblended_cost"] = "0.21"
    _, delta = restated(path, write_csv(tmp_path / "later.csv", rows))
    assert (delta.changed, delta.usd) == (1, Decimal("0.0099999999"))
    check(path, before)


def test_a_closed_month_changes_in_a_later_one_and_people_are_told(
    path: Path, tmp_path: Path
) -> None:
    close(path, "2026-10", NOW - HOUR)
    issued = issue(path, "2026-10", NOW - HOUR)
    with open_book(path, month="2026-10") as book:
        october = total(book)
    assert issued.billed_usd == october
    since = since_issued(path, "2026-10")
    assert since is not None
    assert (since.billed_usd, since.by_team) == (0, ())
    _, done = restated(path, write_csv(tmp_path / "cur.csv", bill()))
    with open_book(path, month="2026-10") as book:
        assert total(book) == october
    with open_book(path, month="2026-11") as book:
        assert total(book) == done.usd
        assert book.rows("SELECT DISTINCT kind FROM lines") == [("correction",)]
    since = since_issued(path, "2026-10")
    assert since is not None
    assert since.billed_usd == done.usd
    assert sum(usd for _, usd in since.by_team) == done.usd
    with pytest.raises(InputError, match="has no charges"):
        issue(path, "2026-08", NOW)


def test_what_the_bill_lacks_and_strangers_stay(path: Path, tmp_path: Path) -> None:
    rows = cur(LIVES)
    del rows[7]
    rows.append(cur_row(998, OCTOBER, "BoxUsage:m5.large", "i-alien", Decimal(1), Decimal(9)))
    made, done = restated(path, write_csv(tmp_path / "cur.csv", rows))
    assert made.state(MatchState.NOT_BILLED) is not None
    assert done.entries == ()


DYING = """
import sys
from pathlib import Path
from tests.finance.test_restate import restated
restated(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("place", ["ledger.restate.written", "ledger.restate.noted"])
def test_a_death_leaves_nothing_half_done(path: Path, tmp_path: Path, place: str) -> None:
    before = entries(path)
    file = write_csv(tmp_path / "cur.csv", bill())
    died = subprocess.run(
        [sys.executable, "-c", DYING, str(path), str(file)],
        env={**os.environ, "COSTPLAN_FAULTS": f"{place}:1"},
        check=False,
        timeout=120,
    )
    assert died.returncode == -signal.SIGKILL
    assert entries(path) == before
    with closing(connect(path, read_only=True)) as db:
        assert read_reconciled(db, "2026-10") == ()
    _, done = restated(path, file)
    assert done.changed == 4
    check(path, before)
