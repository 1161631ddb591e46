"""Disks and addresses in the ledger: lines beside each machine's, to the cent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.charges import whole_meters, whole_quotes, with_charges
from costplan.planner.codec import decode, encode
from costplan.planner.ledger import ADDRESS, DISK, MACHINE, LedgerEntry
from costplan.planner.place_rates import Charge, PlaceRate
from costplan.planner.report import Books as ReportBooks
from costplan.planner.report import summarise
from costplan.planner.report_timeline import timeline
from costplan.planner.settings import Settings
from costplan.planner.tick import State
from costplan.planner.types import Billing, Phase
from costplan.planner.units import GIB
from costplan.planner.workload import Extras
from tests import fleets
from tests.accounts import NOON, Books, at, node, quote, readings
from tests.fleets import rented
from tests.unit.test_loop import Daemon

EXTRAS = Extras(root_disk_bytes=73 * GIB, public_ip=True)
"""73 GiB at $0.08 a GiB-month are $0.008 an hour, and an address is $0.005."""


def ledger(*looks: float, ended: float, known: float | None = None) -> list[LedgerEntry]:
    """Entries of a spot machine of $0.60 an hour from noon on, looked at in these minutes; its end
    is `known` from then on, or at once."""
    books = Books()
    for minute in looks:
        over = minute >= (ended if known is None else known)
        seen = node(
            history=[(Phase.READY, at(2))] + ([(Phase.GONE, at(minute))] if over else []),
            ended=at(ended) if over else None,
        )
        books.tick([seen], readings(at(minute), quote("0.60", at(-5)), billing=Billing()))
    return list(with_charges(books.entries, EXTRAS))


def usd(entries: list[LedgerEntry], charge: str) -> Decimal:
    """The dollars of a charge."""
    return sum((each.usd for each in entries if each.charge == charge), Decimal(0))


def test_disk_and_address_have_lines_for_the_time_of_their_machine() -> None:
    """Forty minutes, looked at now and then: $0.40, $0.00533 and $0.00333."""
    entries = ledger(1, 16, 31, 46, ended=40)
    assert usd(entries, MACHINE) == Decimal("0.40")
    assert abs(usd(entries, DISK) - Decimal("0.008") * 2 / 3) < Decimal("1e-12")
    assert abs(usd(entries, ADDRESS) - Decimal("0.005") * 2 / 3) < Decimal("1e-12")
    spans = {
        charge: [(each.start, each.end) for each in entries if each.charge == charge]
        for charge in (MACHINE, DISK, ADDRESS)
    }
    assert spans[MACHINE] == spans[DISK] == spans[ADDRESS]
    assert all(each.thread_seconds == 0 for each in entries if each.charge != MACHINE)
    assert {each.rate_source for each in entries if each.charge == DISK} == {
        "gp3, list rates of 2026-11-29"
    }


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    looks=st.lists(st.integers(1, 7200), min_size=1, max_size=8, unique=True),
    ended=st.integers(1, 7000),
)
def test_however_often_somebody_looks_they_are_right_to_the_last_place(
    looks: list[int], ended: int
) -> None:
    """A minute at least and then to the second, also where the end is known only later."""
    entries = ledger(*(second / 60 for second in [*sorted(looks), 7300]), ended=ended / 60)
    paid = max(ended, 60)
    for charge, rate in ((MACHINE, "0.60"), (DISK, "0.008"), (ADDRESS, "0.005")):
        right = Fraction(rate) * paid / 3600
        assert abs(Fraction(usd(entries, charge)) - right) < Fraction(1, 10**11)


def test_what_was_charged_after_an_end_is_taken_back_with_the_machine() -> None:
    entries = ledger(1, 31, 32, ended=20, known=32)
    taken = [each for each in entries if each.kind == "correction"]
    assert {each.charge for each in taken} == {MACHINE, DISK, ADDRESS}
    assert all(each.usd < 0 for each in taken)
    assert abs(usd(entries, DISK) - Decimal("0.008") / 3) < Decimal("1e-12")


def test_without_extras_a_ledger_stays_as_it_is() -> None:
    entries = [each for each in ledger(1, 16, ended=40) if each.charge == MACHINE]
    assert with_charges(entries, Extras()) == tuple(entries)


def test_own_rates_and_free_addresses() -> None:
    own = (
        PlaceRate(provider="aws", charge=Charge.ROOT_DISK, usd=Decimal("0.10"), source="ours"),
        PlaceRate(provider="aws", charge=Charge.PUBLIC_IP, usd=Decimal(0), source="ours"),
    )
    entries = with_charges(ledger(1, 16, ended=40)[:1], replace(EXTRAS, rates=own))
    assert [(each.charge, each.usd_per_hour) for each in entries[1:]] == [(DISK, Decimal("0.01"))]


def test_plans_and_budgets_see_the_whole_node() -> None:
    books = Books()
    books.tick([node()], readings(at(1), quote("0.60", at(-5))))
    (whole,) = whole_quotes((quote("0.60", at(-5)),), EXTRAS)
    assert whole.usd_per_hour == Decimal("0.613")
    meters = whole_meters(books.meters, {"n1": node()}, EXTRAS)
    assert meters["n1"].usd_per_hour == Decimal("0.613")
    assert books.meters["n1"].usd_per_hour == Decimal("0.60")


def test_a_report_counts_a_machines_time_once_and_all_dollars() -> None:
    entries = ledger(1, 16, 31, 46, ended=40)
    made = summarise(ReportBooks(entries=entries, nodes=[node()]), at(60))
    assert made is not None
    assert made.total.node_seconds == 2400
    assert made.total.usd == sum(each.usd for each in entries)
    assert [(row.name, row.node_seconds) for row in made.by_charge] == [
        (MACHINE, 2400), (DISK, 0), (ADDRESS, 0),
    ]  # fmt: skip
    split = made.split
    assert split.work_usd + split.waste_usd == made.total.usd
    line = timeline(entries, NOON, at(40))
    assert max(map(max, line.nodes)) == 1


def test_a_tick_writes_the_lines_and_counts_them_as_spent() -> None:
    """A machine of $1 that has run a quarter of an hour cost $0.25 and its disk and address."""
    running = replace(rented("n-000001"), launched_at=fleets.after(0))
    daemon = Daemon(
        settings=fleets.rules(extras=EXTRAS), state=State(nodes={running.node_id: running})
    )
    ticked = daemon.tick(fleets.tasks(running=4), passing=900)
    assert [each.charge for each in ticked.entries][:3] == [MACHINE, DISK, ADDRESS]
    assert ticked.state.spent_usd == sum(each.usd for each in ticked.entries)
    assert ticked.state.spent_usd == Decimal("1.013") / 4
    assert {quote.usd_per_hour for quote in ticked.snapshot.quotes} == {
        Decimal("1.013"), Decimal("0.413"),
    }  # fmt: skip
    meter = ticked.state.meters[running.node_id]
    assert meter.usd_per_hour == 1
    assert decode(encode(ticked.entries, tuple[LedgerEntry, ...]), tuple[LedgerEntry, ...]) == (
        ticked.entries
    )
    assert decode(encode(daemon.settings, Settings), Settings) == daemon.settings
