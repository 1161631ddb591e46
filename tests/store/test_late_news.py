"""News of a machine's end that come after its time was charged anew."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from costplan.adapters.finance.audit import audit
from costplan.adapters.finance.ledger_changes import reprice
from costplan.adapters.store.database import connect
from costplan.adapters.store.ledger import read_recorded
from costplan.planner.ledger import LedgerEntry
from costplan.planner.ledger_net import standing
from costplan.planner.reprice import BetterPrice
from costplan.planner.tick import State
from tests.finance.ledgers import HOUR, KEY, OCTOBER, QUARTER, hours_of, taken_back
from tests.store.ticking import held, tick_at


def charge(path: Path, seconds: float, entries: list[LedgerEntry]) -> None:
    """A tick that writes these entries."""
    with held(path) as store:
        before = store.load_state()
        tick = tick_at(seconds, before if before.nodes else State())
        store.commit(replace(tick, entries=tuple(entries)))


def test_what_was_charged_anew_since_is_taken_back_at_that_price(tmp_path: Path) -> None:
    """A machine of $0.192 ran from midnight to one, as it seemed. The first half hour was charged
    anew at $0.10, and then it is learnt that it had ended at ten past: it cost $0.0166…."""
    path = tmp_path / "s.db"
    entries = hours_of("n-1", OCTOBER, 1)
    charge(path, 0, entries)
    better = BetterPrice(
        key=KEY, usd_per_hour=Decimal("0.1"), start=OCTOBER, end=OCTOBER + 2 * QUARTER,
        source="the bill",
    )  # fmt: skip
    assert reprice(path, [better], OCTOBER + HOUR, is_dry=False).pieces == 2
    end = OCTOBER + timedelta(minutes=10)
    back = [taken_back(entries[0], end), *map(taken_back, entries[1:])]
    back = [replace(each, thread_seconds=-0.5) for each in back]
    charge(path, 60, back)
    with closing(connect(path, read_only=True)) as db:
        there = list(read_recorded(db, path))
        assert list(audit(db, path, {})) == []
    usd = sum(each.entry.usd for each in there)
    assert abs(usd - Decimal("0.1") / 6) < Decimal("1e-11")
    [stands] = standing(there)
    assert (stands.start, stands.end, stands.of.entry.usd_per_hour) == (
        OCTOBER,
        end,
        better.usd_per_hour,
    )
    assert sum(each.entry.thread_seconds for each in there[8:]) == -2.0


def test_what_was_not_charged_anew_is_taken_back_as_the_tick_says(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    entries = hours_of("n-1", OCTOBER, 1)
    charge(path, 0, entries)
    back = [taken_back(entries[-1], OCTOBER + 3 * QUARTER + timedelta(minutes=1))]
    charge(path, 60, back)
    with closing(connect(path, read_only=True)) as db:
        assert [each.entry for each in read_recorded(db, path)][4:] == back
