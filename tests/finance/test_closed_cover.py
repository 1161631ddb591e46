"""A month that is closed stays as it is, commitments, refunds and who bears what included: what is
learnt of it later is the later month's, the part that a commitment had paid for too."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costplan.adapters.finance.focus import Wanted, write_focus
from costplan.adapters.finance.focus_check import check_focus
from costplan.adapters.finance.ledger_changes import close, issued_from, reprice
from costplan.adapters.finance.open_book import open_book
from costplan.planner.finance.focus_columns import Version
from costplan.planner.finance.lines import Purpose
from costplan.planner.finance.sharing import Method, Sharing
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger import LedgerEntry
from costplan.planner.reprice import BetterPrice
from costplan.planner.types import OfferKey
from tests.finance.ledgers import HOUR, KEY, OCTOBER, SPOT, by, entry, hours_of, taken_back, write
from tests.finance.test_cover import PLAN, RESERVED, TARIFF
from tests.finance.test_standing import minute, reclaimed

NOVEMBER, DECEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (11, 12))
HELD = Terms(commitments=(PLAN,), tariff=TARIFF)
BOTH = Terms(commitments=(PLAN, RESERVED), tariff=TARIFF, until=OCTOBER + 8 * HOUR)
_AMOUNTS = ("billed_usd", "effective_usd", "list_usd")


def lines_of(path: Path, month: str, terms: Terms = HELD) -> list[tuple[object, ...]]:
    with open_book(path, terms=terms) as book:
        return book.rows("SELECT * FROM lines WHERE month = ? ORDER BY line_id", month)


def months_of(path: Path, what: str, terms: Terms = HELD) -> dict[tuple[str, ...], Decimal]:
    with open_book(path, terms=terms) as book:
        return by(book, "month", what)


def better(usd: str, start: datetime, end: datetime, key: OfferKey = KEY) -> BetterPrice:
    return BetterPrice(
        key=key, usd_per_hour=Decimal(usd), start=start, end=end, source="the bill"
    )  # fmt: skip


def test_a_correction_of_covered_time_takes_back_the_covered_part(tmp_path: Path) -> None:
    """Four hours of a machine under a plan of $0.30 that covers it at $0.13 an hour. In November
    it is learnt that an hour of it cost $0.191: the plan covers that as well, and both months have
    what they had. In December it is learnt that it had ended after three hours."""
    path = tmp_path / "s.db"
    entries = hours_of("n-1", OCTOBER, 4)
    write(path, entries, OCTOBER + 4 * HOUR)
    before = lines_of(path, "2026-10")
    close(path, "2026-10", NOVEMBER + 2 * HOUR)
    made = reprice(
        path, [better("0.191", OCTOBER + HOUR, OCTOBER + 2 * HOUR)], NOVEMBER + 3 * HOUR,
        is_dry=False,
    )  # fmt: skip
    assert made.pieces == 4
    assert lines_of(path, "2026-10") == before
    assert months_of(path, "billed_usd") == {("2026-10",): Decimal("1.20"), ("2026-11",): 0}
    assert months_of(path, "effective_usd") == {("2026-10",): Decimal("1.20"), ("2026-11",): 0}
    november = lines_of(path, "2026-11")
    close(path, "2026-11", DECEMBER + 2 * HOUR)
    write(path, [taken_back(each) for each in entries[12:]], DECEMBER + 3 * HOUR)
    assert (lines_of(path, "2026-10"), lines_of(path, "2026-11")) == (before, november)
    with open_book(path, terms=HELD) as book:
        found = by(book, "month, coalesce(commitment_status, '')", "effective_usd")
        quantity = by(book, "month, coalesce(commitment_status, '')", "commitment_quantity")
    used, unused = ("2026-12", "used"), ("2026-12", "unused")
    assert (found[used], found[unused]) == (Decimal("-0.13"), Decimal("0.13"))
    assert (quantity[used], quantity[unused]) == (Decimal("-0.13"), Decimal("0.13"))
    assert sum(months_of(path, "billed_usd").values()) == Decimal("1.20")
    with open_book(path, terms=HELD) as book:
        for month in ("2026-11", "2026-12"):
            wanted = Wanted(version=Version.V1_4, month=month, commitments=HELD.commitments)
            [file, *_] = write_focus(book, wanted, tmp_path / f"{month}.parquet").files
            assert not check_focus(file).findings
    listed = "CASE WHEN charge = 'machine' THEN list_usd ELSE 0 END"
    assert months_of(path, listed)["2026-12",] == Decimal("-0.192")


@pytest.mark.parametrize("seed", range(6))
def test_months_add_up_to_what_they_would_be_had_all_been_known_in_time(
    tmp_path: Path, seed: int
) -> None:
    """What comes late is in three months, and never changes one that is closed: of each node and
    commitment they add up to the book of a ledger in which nothing was late."""
    dice = random.Random(seed)  # noqa: S311 - made-up data
    late, timely = tmp_path / "late.db", tmp_path / "timely.db"
    ran = [made for number in range(4) for made in _lives(dice, f"n-{number}")]
    for path in (late, timely):
        write(path, ran, OCTOBER + 20 * HOUR)
    closed = {}
    for number, at in enumerate((NOVEMBER, DECEMBER)):
        name = f"2026-{10 + number}"
        closed[name] = lines_of(late, name, BOTH)
        close(late, name, at + 2 * HOUR)
        news = [*_news(dice, ran), *_lives(dice, f"m-{number}")]
        write(late, news, at + 3 * HOUR)
        write(timely, news, at + 3 * HOUR)
        for month, lines in closed.items():
            assert lines_of(late, month, BOTH) == lines
    kept = "coalesce(commitment_id, ''), coalesce(commitment_status, ''), charge"
    for what in _AMOUNTS:
        for names in (kept, "node_id, charge"):
            with open_book(late, terms=BOTH) as one, open_book(timely, terms=BOTH) as other:
                sums, wanted = (
                    {key: usd for key, usd in by(book, names, what).items() if usd}
                    for book in (one, other)
                )
            assert sums.keys() == wanted.keys()
            # Where an entry is covered in part, pico-dollars are cut by floats.
            assert all(abs(sums[key] - usd) <= Decimal("1e-10") for key, usd in wanted.items())


def _lives(dice: random.Random, node: str) -> list[LedgerEntry]:
    start = minute(15 * dice.randrange(12))
    return hours_of(node, start, dice.randrange(1, 4), busy=900.0 * dice.random())


def _news(dice: random.Random, ran: list[LedgerEntry]) -> list[LedgerEntry]:
    found = list[LedgerEntry]()
    for _ in range(3):
        each = ran.pop(dice.randrange(len(ran)))
        found.append(taken_back(each))
        if dice.random() < 0.7:
            found.append(entry(each.node_id, each.start, usd_per_hour="0.2"))
    return found


def test_a_refund_of_a_closed_month_stays(tmp_path: Path) -> None:
    """A spot machine that was taken within the hour cost nothing; that it was charged at another
    price is changed in November, and gives nothing back there either."""
    path = tmp_path / "s.db"
    write(path, hours_of("n-1", OCTOBER, 1, usd_per_hour="0.08", key=SPOT)[:2], OCTOBER + HOUR)
    reclaimed(path, minute(30))
    before = lines_of(path, "2026-10", Terms())
    close(path, "2026-10", NOVEMBER + 2 * HOUR)
    price = better("0.0777", OCTOBER, minute(15), key=SPOT)
    assert reprice(path, [price], NOVEMBER + 3 * HOUR, is_dry=False).pieces == 1
    assert lines_of(path, "2026-10", Terms()) == before
    for terms in (Terms(), HELD):
        with open_book(path, terms=terms) as book:
            machine = by(book, "month, charge")
        assert machine["2026-10", "machine"] == machine["2026-11", "machine"] == Decimal(0)


def test_who_bears_what_of_a_closed_month_stays(tmp_path: Path) -> None:
    """Idle machines are borne by what each team's work cost; a price that is changed later bears
    its own difference."""
    path = tmp_path / "s.db"
    one = hours_of("n-1", OCTOBER, 1, busy=1800.0, workload="a")
    big = replace(KEY, instance_type="c5.2xlarge")
    other = hours_of("n-2", OCTOBER, 1, busy=900.0, workload="b", key=big)
    write(path, [*one, *other], OCTOBER + HOUR)
    terms = Terms(sharing=Sharing(method=Method.PROPORTIONAL, purposes=(Purpose.IDLE,)))
    before = lines_of(path, "2026-10", terms)
    close(path, "2026-10", NOVEMBER + 2 * HOUR)
    reprice(path, [better("0.1", OCTOBER, minute(15))], NOVEMBER + 3 * HOUR, is_dry=False)
    assert lines_of(path, "2026-10", terms) == before


def test_an_hour_is_looked_at_whole_where_a_part_of_it_is_corrected(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    write(path, hours_of("n-1", OCTOBER, 1), OCTOBER + HOUR)
    close(path, "2026-10", NOVEMBER + 2 * HOUR)
    reprice(path, [better("0.1", minute(20), minute(25))], NOVEMBER + 3 * HOUR, is_dry=False)
    assert issued_from(path, "2026-11") == OCTOBER
