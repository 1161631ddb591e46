"""Commitments in a book: the exact bill hour by hour, and lines that add up to it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from costplan.adapters.finance.open_book import open_book
from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.metering import Run, hours_of
from costplan.planner.commitments.values import Commitment, Kind, Owner, Product, Rules
from costplan.planner.finance.cover import whole_pico
from costplan.planner.finance.held_tariff import HeldTariff
from costplan.planner.finance.terms import Terms
from costplan.planner.held.values import Held, MachineRate
from costplan.planner.ledger import LedgerEntry, Use
from costplan.planner.market import catalogue_of
from costplan.planner.types import Market
from tests.finance.ledgers import (
    HOUR,
    KEY,
    OCTOBER,
    QUARTER,
    SPOT,
    by,
    entry,
    taken_back,
    total,
    write,
)
from tests.finance.ledgers import hours_of as quarters

ACCOUNT = "111122223333"
RATE = Fraction("0.13")
RATES = (
    MachineRate(
        provider="aws", instance_type="m5.xlarge", region="", rates={"compute_sp": RATE}
    ),
    MachineRate(
        provider="aws", instance_type="c5.2xlarge", region="us-east-1",
        rates={"compute_sp": Fraction("0.2141")},
    ),
)  # fmt: skip
TARIFF = HeldTariff(catalogue_of(()), Held(rates=RATES))
PLAN = Commitment(
    commitment_id="sp-1", kind=Kind.COMPUTE_SP, product=Product(provider="aws"),
    usd_per_hour=Fraction("0.30"), owner=Owner(account=ACCOUNT),
)  # fmt: skip
RESERVED = Commitment(
    commitment_id="ri-1", kind=Kind.REGIONAL_RI, count=Fraction(3), term="1y",
    product=Product(provider="aws", service="ec2", region="us-east-1", instance_type="m5.large"),
    usd_per_hour=Fraction("0.0345"), upfront_usd=Fraction(100), owner=Owner(account=ACCOUNT),
)  # fmt: skip


def test_an_hour_is_covered_partly_and_the_rest_is_stranded(tmp_path: Path) -> None:
    """$0.30 at $0.13 a machine cover two machines and 4/13 of a third; in the second hour one
    machine leaves $0.17 of the plan unused, and in the third, of a spot machine, all of it."""
    path = tmp_path / "s.db"
    first = [e for node in ("n-1", "n-2", "n-3") for e in quarters(node, OCTOBER, 1)]
    later = [*quarters("n-1", OCTOBER + HOUR, 1), *quarters("n-4", OCTOBER + 2 * HOUR, 1, key=SPOT)]
    write(path, [*first, *later], OCTOBER + 3 * HOUR)
    with open_book(path, terms=Terms(commitments=(PLAN,), tariff=TARIFF)) as book:
        hour = "date_trunc('hour', start_at) = '2026-10-01 0{}:00'"
        used, unused = "commitment_status = 'used'", "commitment_status = 'unused'"
        for place, effective, billed in (
            (0, "0.30", 0.192 * 9 / 13),
            (1, "0.13", 0),
            (2, 0, 0.192),
        ):
            here = hour.format(place)
            assert total(book, "effective_usd", f"{here} AND {used}") == Decimal(effective)
            assert total(book, "effective_usd", f"{here} AND {unused}") == Decimal(
                "0.30"
            ) - Decimal(effective)
            paid = total(book, "billed_usd", f"{here} AND kind = 'usage'")
            assert abs(paid - Decimal(billed)) < Decimal("1e-9")
        assert total(book, "billed_usd", "kind = 'purchase'") == Decimal("0.90")
        assert total(book, "effective_usd", "kind = 'purchase'") == 0
        assert total(book, "effective_usd", "commitment_id = 'sp-1'") == Decimal("0.90")
        assert total(book, "list_usd", "charge = 'machine'") == sum(e.usd for e in (*first, *later))
        assert total(book, "micros", "charge = 'machine'") == 5 * 3_600_000_000
        third = by(book, "node_id, effective_usd = commitment_quantity", "commitment_quantity")
        assert abs(third["n-3", True] - Decimal("0.04")) < Decimal("1e-10")
        rows = book.rows("SELECT DISTINCT commitment_kind, commitment_unit, market, purpose FROM "
                         "lines WHERE commitment_id IS NOT NULL ORDER BY ALL")  # fmt: skip
    assert rows == [
        ("compute_sp", "USD", "", "fee"),
        ("compute_sp", "USD", "", "stranded"),
        ("compute_sp", "USD", "on_demand", "idle"),
    ]


def test_sizes_share_a_reservation_and_the_upfront_part_is_paid_at_once(tmp_path: Path) -> None:
    """Three m5.large are one and a half m5.xlarge."""
    path = tmp_path / "s.db"
    write(path, [e for n in "12" for e in quarters(f"n-{n}", OCTOBER, 2)], OCTOBER + 2 * HOUR)
    bought = replace(RESERVED, start=OCTOBER + HOUR, end=OCTOBER.replace(year=2027))
    with open_book(path, terms=Terms(commitments=(bought,))) as book:
        paid = total(book, "billed_usd", "charge = 'machine'")
        fees = by(book, "kind, date_trunc('hour', start_at)::VARCHAR")
        used = total(book, "commitment_quantity", "commitment_status = 'used'")
        effective = total(book, "effective_usd", "commitment_status = 'used'")
    assert paid == Decimal("0.192") * 2 + Decimal("0.096")
    assert fees["purchase", "2026-10-01 01:00:00"] == Decimal("300") + Decimal("0.1035")
    assert ("purchase", "2026-10-01 00:00:00") not in fees
    assert used == 3
    assert abs(effective - (Decimal("0.1035") + Decimal(300) / 8760)) < Decimal("1e-12")


def test_what_was_taken_back_was_never_covered(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    entries = quarters("n-1", OCTOBER, 1)
    back = taken_back(entries[-1], OCTOBER + 3 * QUARTER + timedelta(minutes=5))
    write(path, [*entries, back], OCTOBER + HOUR)
    with open_book(path, terms=Terms(commitments=(PLAN,), tariff=TARIFF)) as book:
        used = total(book, "effective_usd", "commitment_status = 'used'")
        assert abs(used - Decimal("0.13") * 50 / 60) < Decimal("1e-11")
        assert total(book, "billed_usd", "charge = 'machine'") == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_book_is_the_exact_bill_of_the_same_machines(tmp_path: Path, seed: int) -> None:
    """Machines that come and go at any second, billed one by one by `commitments/bill.py`."""
    dice, path = random.Random(seed), tmp_path / "s.db"  # noqa: S311 - made-up data
    entries, runs = list[LedgerEntry](), list[Run]()
    big = replace(KEY, instance_type="c5.2xlarge")
    for number in range(12):
        key, usd = dice.choice([(KEY, "0.192"), (big, "0.34"), (SPOT, "0.07")])
        start = OCTOBER + timedelta(seconds=dice.randrange(0, 5 * 3600))
        end = start + timedelta(seconds=dice.randrange(60, 3 * 3600))
        entries += cut(f"n-{number}", start, end, usd, key)
        name = key.instance_type
        runs.append(
            Run(
                run_id=f"n-{number}", start=start, end=end, usd_per_hour=Fraction(usd),
                product=Product(provider="aws", service="ec2", region="us-east-1",
                                zone="us-east-1a", instance_type=name),
                rates=next(each.rates for each in RATES if each.instance_type == name),
                owner=Owner(account=ACCOUNT), is_spot=key.market is Market.SPOT,
            )
        )  # fmt: skip
    write(path, entries, OCTOBER + 9 * HOUR)
    held = (PLAN, RESERVED)
    last = max(run.end for run in runs)
    bills = bill(hours_of(runs, held, Rules(metering={}), OCTOBER, last), Rules())
    with open_book(path, start=OCTOBER, end=OCTOBER + 10 * HOUR,
                   terms=Terms(commitments=held, tariff=TARIFF)) as book:  # fmt: skip
        paid = by(book, "kind, charge")
        effective = by(
            book, "coalesce(commitment_id, ''), coalesce(commitment_status, '')", "effective_usd"
        )
        entry_sums = dict(
            book.rows("SELECT entry_id, sum(list_usd) FROM lines WHERE entry_id > 0 GROUP BY 1")
        )
        unique = book.rows("SELECT count(*), count(DISTINCT line_id) FROM lines")
    allowed = Decimal("1e-12") * (4 * len(entries) + 10)
    on_demand = sum((each.on_demand_usd for each in bills), Fraction(0))
    assert abs(paid["usage", "machine"] - dollars(on_demand)) <= allowed
    for place, each in enumerate(held):
        uses = [
            use
            for hour in bills
            for use in hour.commitments
            if use.commitment_id == each.commitment_id
        ]
        for status, usd in (
            ("used", sum(u.used_usd for u in uses)),
            ("unused", sum(u.unused_usd for u in uses)),
        ):
            assert abs(
                effective.get((each.commitment_id, status), Decimal(0)) - dollars(Fraction(usd))
            ) <= Decimal("1e-10"), place
    assert all(entry_sums[number] == one.usd for number, one in enumerate(entries, start=1))
    assert unique[0][0] == unique[0][1]


@pytest.mark.parametrize("minutes", [0, 29, 60])
def test_what_is_paid_upfront_is_paid_when_it_begins_on_the_clock_or_not(
    tmp_path: Path, minutes: int
) -> None:
    """A cloud's purchases begin at any second, and are in force from the next hour on: $300 for
    three machines, and a year of a plan of $0.30 an hour."""
    path, start = tmp_path / "s.db", OCTOBER + timedelta(minutes=minutes)
    write(path, quarters("n-1", OCTOBER, 4), OCTOBER + 4 * HOUR)
    held = (
        replace(RESERVED, usd_per_hour=Fraction(0), start=start, end=start.replace(year=2027)),
        replace(PLAN, payment="all_upfront", term="1y", start=start, end=start.replace(year=2027)),
    )
    with open_book(path, terms=Terms(commitments=held, tariff=TARIFF)) as book:
        fees = by(book, "commitment_id, date_trunc('hour', start_at)::VARCHAR AS at, kind")
        used = total(book, "effective_usd", "commitment_id = 'sp-1'")
    at = f"2026-10-01 {minutes // 60:02d}:00:00"
    paid = {key: usd for key, usd in fees.items() if key[2] == "purchase" and usd}
    assert paid == {
        ("ri-1", at, "purchase"): Decimal(300),
        ("sp-1", at, "purchase"): 8760 * Decimal("0.30"),
    }
    assert used == (3 if minutes else 4) * Decimal("0.30")


def cut(node: str, start, end, usd: str, key) -> list[LedgerEntry]:
    """The life of a machine in entries that end at each quarter."""
    found, at = [], start
    while at < end:
        until = min(end, OCTOBER + ((at - OCTOBER) // QUARTER + 1) * QUARTER)
        found.append(entry(node, at, lasts=until - at, usd_per_hour=usd, key=key, use=Use.READY))
        at = until
    return found


def dollars(amount: Fraction) -> Decimal:
    """Dollars with many more places than are compared."""
    return Decimal(amount.numerator) / Decimal(amount.denominator)


def test_rounded_parts_add_up() -> None:
    assert whole_pico([Fraction(1, 3 * 10**12)] * 3) == [1, 0, 0]
    assert whole_pico([Fraction(1, 2 * 10**12), Fraction(5, 2 * 10**12)]) == [1, 2]
