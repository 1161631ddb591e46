"""The ledger against a bill made up second by second, over lives that nobody chose."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.ledger import LedgerEntry
from tests.accounts import NOON, PER_SECOND, Books, Life, readings

PICO = Fraction(1, 10**12)
SPAN = 1500


@st.composite
def lives(draw: st.DrawFn) -> tuple[Life, ...]:
    found = []
    for number in range(draw(st.integers(1, 3))):
        instants = sorted(draw(st.lists(st.integers(0, SPAN), min_size=5, max_size=5)))
        changes = sorted({0, *draw(st.lists(st.integers(0, SPAN), max_size=5))})
        prices = tuple(
            (since, Decimal(draw(st.integers(1, 10**7))).scaleb(-6)) for since in changes
        )
        found.append(
            Life(
                name=f"n{number}",
                launched=instants[0],
                steps=(instants[1], instants[2], instants[3]),
                ended=instants[4],
                prices=prices,
            )
        )
    return tuple(found)


def looks_at_every_change(found: tuple[Life, ...], more: list[int]) -> list[int]:
    """Seconds at which a daemon looks that sees each price as it comes, and some more."""
    wanted = {since for life in found for since, _ in life.prices} | set(more) | {SPAN + 60}
    return sorted(wanted | {life.launched for life in found})


def kept(found: tuple[Life, ...], looks: list[int], every: int, *, turned: bool = False) -> Books:
    """The books of a daemon that looked at these seconds."""
    books = Books(every_seconds=every)
    for second in looks:
        nodes = [seen for life in found if (seen := life.seen_at(second)) is not None]
        quotes = [life.quote_at(second) for life in found]
        if turned:
            nodes.reverse()
            quotes.reverse()
        read = readings(NOON + timedelta(seconds=second), *quotes, billing=PER_SECOND)
        books.tick(nodes, read)
    return books


def of(books: Books, name: str) -> list[LedgerEntry]:
    return sorted((e for e in books.entries if e.node_id == name), key=lambda e: e.start)


LOOKS = st.lists(st.integers(0, SPAN), max_size=20)


@settings(max_examples=40, deadline=None)
@given(lives(), LOOKS, st.sampled_from([60, 300, 900]))
def test_entries_add_up_to_the_bill(found: tuple[Life, ...], more: list[int], every: int) -> None:
    books = kept(found, looks_at_every_change(found, more), every)
    for life in found:
        usd = sum((Fraction(e.usd) for e in of(books, life.name)), Fraction(0))
        allowed = PICO * len(life.prices)
        assert abs(usd - life.bill(SPAN)) <= allowed


@settings(max_examples=40, deadline=None)
@given(lives(), LOOKS, st.sampled_from([60, 300, 900]))
def test_entries_cover_a_life_once_without_holes(
    found: tuple[Life, ...], more: list[int], every: int
) -> None:
    books = kept(found, looks_at_every_change(found, more), every)
    for life in found:
        entries = [e for e in of(books, life.name) if e.kind == "usage"]
        assert all(a.end == b.start for a, b in pairwise(entries))
        if life.ended > life.launched:
            assert entries[0].start == NOON + timedelta(seconds=life.launched)
            assert entries[-1].end == NOON + timedelta(seconds=life.ended)
        assert all((e.end - e.start).total_seconds() <= every for e in entries)


@settings(max_examples=40, deadline=None)
@given(lives(), LOOKS, LOOKS, st.sampled_from([60, 300]))
def test_when_the_daemon_looked_does_not_matter(
    found: tuple[Life, ...], some: list[int], others: list[int], every: int
) -> None:
    """It may have been away and restarted at any time, as long as it saw each price."""
    one = kept(found, looks_at_every_change(found, some), every)
    other = kept(found, looks_at_every_change(found, [*some, *others]), every)
    assert one.usd == other.usd


@settings(max_examples=30, deadline=None)
@given(lives(), LOOKS)
def test_order_does_not_matter(found: tuple[Life, ...], more: list[int]) -> None:
    looks = looks_at_every_change(found, more)
    assert kept(found, looks, 300).entries == kept(found, looks, 300, turned=True).entries


@settings(max_examples=40, deadline=None)
@given(lives(), LOOKS, st.integers(0, 900))
def test_an_end_learnt_late_comes_to_the_same(
    found: tuple[Life, ...], more: list[int], late: int
) -> None:
    """The provider is not heard for a while after each end; what was written stays written."""
    looks = looks_at_every_change(found, more)
    books = Books(every_seconds=60)
    for second in [*looks, SPAN + 2000]:
        nodes = []
        for life in found:
            blind = life.ended <= second < life.ended + late
            seen = life.seen_at(min(second, life.ended - 1) if blind else second)
            if seen is not None:
                nodes.append(seen)
        quotes = [life.quote_at(second) for life in found]
        before = list(books.entries)
        books.tick(nodes, readings(NOON + timedelta(seconds=second), *quotes))
        assert books.entries[: len(before)] == before
    for life in found:
        entries = of(books, life.name)
        usd = sum((Fraction(e.usd) for e in entries), Fraction(0))
        assert abs(usd - life.bill(SPAN)) <= 2 * PICO * len(life.prices)
        assert all(e.usd <= 0 for e in entries if e.kind == "correction")
