"""The program of moves against every other choice there is, on worlds small enough to try all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.optimize.transition import PENALTY, Choice, Item, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What `choose` is asked, in one value."""

    items: tuple[Item, ...]
    demand: tuple[int, ...]
    most: tuple[float, ...] = ()
    shortage: float = 10.0

    def choose(self) -> Choice:
        """The answer of the program."""
        return choose(self.items, self.demand, self.most, self.shortage)

    def counts(self) -> Iterator[tuple[int, ...]]:
        """Every choice of whole numbers."""
        return itertools.product(*(range(i.least, i.most + 1) for i in self.items))

    def short(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Workers that are missing by kind."""
        have = [
            sum(i.covers[k] * n for i, n in zip(self.items, counts, strict=True))
            for k in range(len(self.demand))
        ]
        return tuple(max(0, want - n) for want, n in zip(self.demand, have, strict=True))

    def broken(self, counts: Sequence[int]) -> tuple[float, ...]:
        """By how much each row is passed."""
        taken = [
            math.fsum(i.rows.get(j, 0.0) * n for i, n in zip(self.items, counts, strict=True))
            for j in range(len(self.most))
        ]
        return tuple(max(0.0, t - most) for t, most in zip(taken, self.most, strict=True))

    def cost(self, counts: Sequence[int]) -> float:
        """Dollars of a choice: its items, and what nobody is there for."""
        paid = math.fsum(i.cost * n for i, n in zip(self.items, counts, strict=True))
        return paid + self.shortage * sum(self.short(counts))

    def objective(self, counts: Sequence[int]) -> float:
        """The same with the penalty for rows that are broken."""
        return self.cost(counts) + self.shortage * PENALTY * math.fsum(self.broken(counts))


CENTS = st.integers(-300, 900).map(lambda cents: cents / 100)
TAKES = st.sampled_from([0.0, 0.0, 1.0, 2.0, -1.0, 0.5])


@st.composite
def programs(draw: st.DrawFn, *, rows: int = 2) -> Program:
    """Up to four items of up to three each, two kinds, and up to `rows` rows with whole and half
    takes; at times what must stay breaks a row already."""
    kinds = draw(st.integers(1, 2))
    caps = draw(st.integers(0, rows))
    items = []
    for _ in range(draw(st.integers(0, 4))):
        most = draw(st.integers(0, 3))
        items.append(
            Item(
                cost=draw(CENTS),
                least=draw(st.integers(0, most)) if draw(st.booleans()) else 0,
                most=most,
                covers=tuple(draw(st.integers(0, 3)) for _ in range(kinds)),
                rows={j: take for j in range(caps) if (take := draw(TAKES))},
            )
        )
    return Program(
        items=tuple(items),
        demand=tuple(draw(st.integers(0, 6)) for _ in range(kinds)),
        most=tuple(draw(st.sampled_from([-2.0, 0.0, 1.5, 3.0, 8.0])) for _ in range(caps)),
        shortage=draw(st.sampled_from([10.0, 45.0])),
    )


@given(programs())
@settings(max_examples=300, deadline=None)
def test_no_other_choice_is_cheaper(asked: Program) -> None:
    found = asked.choose()
    best = min(map(asked.objective, asked.counts()))
    assert asked.objective(found.counts) == pytest.approx(best, rel=3e-5, abs=1e-5)
    assert found.termination == "optimal"


@given(programs(rows=0), st.integers(1, 3), st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_of_items_that_run_as_many_workers_no_other_choice_is_cheaper(
    asked: Program, each: int, demand: int
) -> None:
    items = tuple(replace(item, covers=(each,)) for item in asked.items)
    alike = replace(asked, items=items, demand=(demand,))
    best = min(map(alike.objective, alike.counts()))
    assert alike.objective(alike.choose().counts) == pytest.approx(best, rel=1e-12, abs=1e-12)


@given(programs())
@settings(max_examples=150, deadline=None)
def test_what_is_said_of_the_choice_is_so(asked: Program) -> None:
    found = asked.choose()
    assert all(i.least <= n <= i.most for i, n in zip(asked.items, found.counts, strict=True))
    assert found.short == asked.short(found.counts)
    assert found.broken == pytest.approx(asked.broken(found.counts), abs=1e-6)
    assert found.cost == pytest.approx(asked.cost(found.counts), rel=1e-9, abs=1e-9)


@given(programs())
@settings(max_examples=80, deadline=None)
def test_the_same_question_has_the_same_answer(asked: Program) -> None:
    assert asked.choose() == asked.choose()


@given(programs(rows=0), st.sampled_from([1e-4, 1e-2, 1e3]))
@settings(max_examples=150, deadline=None)
def test_the_choice_does_not_depend_on_how_dear_everything_is(asked: Program, by: float) -> None:
    """A fleet of machines at a hundredth of a cent is held as well as one at a thousand dollars."""
    items = tuple(replace(i, cost=i.cost * by) for i in asked.items)
    scaled = replace(asked, items=items, shortage=asked.shortage * by)
    found = asked.objective(scaled.choose().counts)
    best = min(map(asked.objective, asked.counts()))
    assert found == pytest.approx(best, rel=1e-4, abs=1e-4)


@given(programs(), st.sampled_from([0.0005, 0.004]))
@settings(max_examples=150, deadline=None)
def test_a_row_is_broken_only_by_what_must_stay(asked: Program, by: float) -> None:
    """Not for a whole shortage and not by a tenth of a cent: takes are shrunk to that size."""
    shrunk = replace(
        asked,
        items=tuple(replace(i, rows={j: t * by for j, t in i.rows.items()}) for i in asked.items),
        most=tuple(most * by for most in asked.most),
    )
    least = shrunk.broken([i.least for i in shrunk.items])
    found = shrunk.choose()
    for now, at_least in zip(shrunk.broken(found.counts), least, strict=True):
        assert now <= at_least + 1e-6


@st.composite
def near_ties(draw: st.DrawFn) -> Program:
    """Machines of one to three workers at a price a worker that differs by millionths."""
    base = draw(st.sampled_from([0.00003, 0.0021, 0.05, 70.0]))
    items = []
    for _ in range(draw(st.integers(2, 4))):
        size, parts = draw(st.integers(1, 3)), draw(st.integers(-5, 5))
        cost = base * size * (1 + parts * 1e-6)
        items.append(
            Item(cost=cost, least=0, most=draw(st.integers(1, 4)), covers=(size,), rows={})
        )
    return Program(items=tuple(items), demand=(draw(st.integers(1, 6)),), shortage=10 * base)


@given(near_ties())
@settings(max_examples=200, deadline=None)
def test_a_hair_decides_between_two_that_are_as_good(asked: Program) -> None:
    """So that of an idle and a busy node of one price the idle one goes, however cheap both are."""
    best = min(map(asked.objective, asked.counts()))
    hair = asked.shortage / 10 * 1e-6
    assert asked.objective(asked.choose().counts) < best + hair / 2


def test_who_costs_more_to_drain_than_to_keep_is_kept() -> None:
    """Nothing is wanted. $0.50 for the horizon against a drain of $0.75 stays, against one of
    $0.25 goes, and who must stay stays."""
    stays, goes, must = (
        Item(cost=0.5 - drain, least=least, most=2, covers=(1,), rows={})
        for drain, least in ((0.75, 0), (0.25, 0), (0.25, 1))
    )
    found = Program(items=(stays, goes, must), demand=(0,)).choose()
    assert found.counts == (2, 0, 1)
    assert found.cost == pytest.approx(2 * -0.25 + 0.25)


def test_what_cannot_be_had_is_short_and_what_can_be_had_is_bought() -> None:
    one = Item(cost=1.0, least=0, most=2, covers=(1, 0), rows={})
    found = Program(items=(one,), demand=(5, 3)).choose()
    assert (found.counts, found.short, found.termination) == ((2,), (3, 3), "optimal")
    assert found.cost == pytest.approx(2 * 1.0 + 6 * 10.0)
    nothing = Program(items=(), demand=(2,)).choose()
    assert (nothing.counts, nothing.short) == ((), (2,))
