"""Whose dollars are: work by what the scheduler told of, and what is shared by who worked."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from costplan.adapters.finance.ask import Question, ask
from costplan.adapters.finance.busy import used_us
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import micros
from costplan.adapters.store.owners import write_owner
from costplan.planner.finance.lines import Owner
from costplan.planner.finance.sharing import Method, Share, Sharing
from costplan.planner.finance.statement import Period
from costplan.planner.finance.terms import Terms
from costplan.planner.ledger import Use
from costplan.planner.load import Totals
from costplan.planner.settings import Settings
from costplan.planner.tick import State
from tests.finance.ledgers import OCTOBER, QUARTER, by, entry, total, work, write
from tests.store.ticking import held, tick_at

OWNER = Owner(team="platform", project="fraud", cost_center="CC-1", environment="prod")
TERMS = Terms(cluster="trainer", owner=OWNER, tags={"stage": "prod"})
RISK, GROWTH = {"team": "risk", "run": "r-1", "model": "v7"}, {"team": "growth", "user": "ana"}
USD = Decimal("0.048")
"""A quarter of an hour of the machine."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A boot, and three quarters with three, four (more than all) and no fourths of work."""
    path = tmp_path / "s.db"
    entries = [
        entry("n-1", OCTOBER, use=Use.BOOT),
        entry("n-1", OCTOBER + QUARTER),
        entry("n-1", OCTOBER + 2 * QUARTER, busy=5400.0),
        entry("n-1", OCTOBER + 3 * QUARTER, busy=0.0),
        entry("n-1", OCTOBER + 4 * QUARTER, use=Use.END, lasts=timedelta(seconds=60)),
    ]
    write(path, entries, OCTOBER + timedelta(hours=2))
    at = OCTOBER + 2 * QUARTER
    work(
        path, at, at + QUARTER,
        [("n-1", "fit", "train", RISK, 3600.0), ("n-1", "load", "etl/read", GROWTH, 1800.0),
         ("", "load", "etl", {}, 99.0)],
        rows=[("train", RISK, 2_000_000)],
    )  # fmt: skip
    return path


def test_work_goes_to_what_it_was_done_for(path: Path) -> None:
    """5,400 s of tasks ended in the third quarter: 3,600 of it are its own thread-time, and 1,800
    ran in the second, whose other half was idle."""
    with open_book(path, terms=TERMS) as book:
        found = by(book, "purpose, team, prefix, span")
    third = USD / 3
    assert {key: round(usd, 9) for key, usd in found.items()} == {
        ("boot", "platform", "", ""): USD,
        ("drain", "platform", "", ""): Decimal("0.0032"),
        ("idle", "platform", "", ""): USD + USD / 2,
        ("work", "risk", "fit", "train"): round(third * 2 + third, 9),
        ("work", "growth", "load", "etl/read"): round(third + third / 2, 9),
    }
    with open_book(path, terms=TERMS) as book:
        assert total(book) == 4 * USD + Decimal("0.0032")
        rows = book.rows(
            """SELECT DISTINCT cluster, project, cost_center, "user", run, tags FROM lines
            WHERE purpose = 'work' ORDER BY ALL"""
        )
    assert rows == [
        ("trainer", "fraud", "CC-1", "", "r-1", '{"model": "v7", "stage": "prod"}'),
        ("trainer", "fraud", "CC-1", "ana", "", '{"stage": "prod"}'),
    ]


def test_what_a_unit_costs(path: Path) -> None:
    """Of the month alone, though the book has the weeks before it too, and of our machines."""
    before = OCTOBER - timedelta(days=3)
    write(path, [entry("n-0", before, busy=900.0)], before + QUARTER)
    work(path, before, before + QUARTER, [("n-0", "fit", "train", RISK, 900.0)],
         rows=[("train", RISK, 9_000_000)])  # fmt: skip
    late = OCTOBER + timedelta(days=1)
    work(path, late, late + QUARTER, [("", "fit", "", {}, 60.0)])
    end = OCTOBER + timedelta(days=31)
    october = Period(name="2026-10", start=OCTOBER, end=end, until=end)
    with open_book(path, start=before, end=end, terms=TERMS) as book:
        made = ask(book, Question(period=october))
    found = {(each.unit, each.of): each for each in made.unit_costs}
    assert {key: each.units for key, each in found.items() if key[1]} == {
        ("1,000 tasks", "fit"): Decimal("0.01"),
        ("1,000 tasks", "load"): Decimal("0.01"),
        ("million rows", "train"): 2,
    }
    assert round(found["run", ""].usd_each, 9) == round(USD, 9)
    assert round(found["1,000 tasks", "fit"].usd_each, 9) == round(USD * 100, 9)
    assert round(found["million rows", "train"].usd_each, 9) == round(USD / 2, 9)


SHARED = USD * Decimal("2.5") + Decimal("0.0032")


@pytest.mark.parametrize(
    ("sharing", "parts"),
    [
        (Sharing(method=Method.PROPORTIONAL), {"risk": Fraction(2, 3), "growth": Fraction(1, 3)}),
        (Sharing(method=Method.EVEN), {"risk": Fraction(1, 2), "growth": Fraction(1, 2)}),
        (
            Sharing(
                method=Method.FIXED,
                shares=(
                    Share(owner=Owner(team="risk", cost_center="CC-9"), share=Decimal("0.7")),
                    Share(owner=Owner(team="ops"), share=Decimal("0.2")),
                ),
            ),
            {"risk": Fraction(7, 10), "ops": Fraction(2, 10), "platform": Fraction(1, 10)},
        ),
    ],
)
def test_what_is_nobodys_is_shared(
    path: Path, sharing: Sharing, parts: dict[str, Fraction]
) -> None:
    with open_book(path, terms=Terms(owner=OWNER, sharing=sharing)) as book:
        found = by(book, "team", "CASE WHEN purpose != 'work' THEN billed_usd ELSE 0 END")
        assert total(book) == 4 * USD + Decimal("0.0032")
        assert total(book, where="purpose = 'idle'") == USD + USD / 2
    for team, part in parts.items():
        wanted = Decimal(part.numerator) * SHARED / part.denominator
        assert abs(found[team,] - wanted) < Decimal("1e-9")


def test_without_an_owner_it_is_visibly_nobodys(path: Path) -> None:
    with open_book(path) as book:
        assert total(book, where="team = '' AND purpose != 'work'") == SHARED


@pytest.mark.parametrize("seed", range(3))
def test_parts_add_up_to_each_entry_by_largest_remainder(tmp_path: Path, seed: int) -> None:
    """Odd prices and odd shares, against a plain count of remainders."""
    dice, path = random.Random(seed), tmp_path / "s.db"  # noqa: S311 - made-up data
    entries, done = [], defaultdict(list)
    for node in range(3):
        for place in range(8):
            at = OCTOBER + place * QUARTER
            usd = str(Decimal(dice.randint(1, 10**13)).scaleb(-12))
            one = entry(f"n-{node}", at, usd_per_hour=usd, busy=dice.choice([0, 900.0, 3600.0]))
            entries.append(one)
            for label in range(dice.randint(1, 7) if one.busy_seconds else 0):
                seconds = dice.randint(1, 10**9) / 1e6
                done[at].append((f"n-{node}", f"p{label}", "", {}, seconds))
    write(path, entries, OCTOBER + timedelta(hours=4))
    for at, rows in sorted(done.items()):
        work(path, at, at + QUARTER, rows)
    with open_book(path) as book:
        rows = book.rows("SELECT * FROM lines ORDER BY line_id")
        whole = dict(book.rows("SELECT entry_id, sum(billed_usd) FROM lines GROUP BY 1"))
        micros = dict(book.rows("SELECT entry_id, sum(micros) FROM lines GROUP BY 1"))
        work_of = dict(book.rows(
            "SELECT entry_id, sum(billed_usd) FROM lines WHERE purpose = 'work' GROUP BY 1"
        ))  # fmt: skip
        said = book.rows(
            """SELECT entry_id, prefix, billed_usd FROM lines WHERE purpose = 'work'
            ORDER BY entry_id, prefix"""
        )
    assert len({row[0] for row in rows}) == len(rows)
    for number, one in enumerate(entries, start=1):
        assert whole[number] == one.usd
        assert micros[number] == 900_000_000
        weights = {
            prefix: round(seconds * 1e6)
            for node, prefix, _, _, seconds in done[one.start]
            if node == one.node_id
        }
        if weights and one.busy_seconds:
            found = {prefix: usd for entry_id, prefix, usd in said if entry_id == number}
            assert found == remainders(work_of[number], weights)


def remainders(usd: Decimal, weights: dict[str, int]) -> dict[str, Decimal]:
    """Whole pico-dollars by largest remainder; labels were numbered as they came."""
    pico, every = int(usd.scaleb(12)), sum(weights.values())
    parts = {name: divmod(pico * weight, every) for name, weight in weights.items()}
    missing = pico - sum(part for part, _ in parts.values())
    order = sorted(weights, key=lambda name: -parts[name][1])
    more = set(order[:missing])
    return {name: Decimal(part + (name in more)).scaleb(-12) for name, (part, _) in parts.items()}


def test_an_owner_counts_from_when_it_was_said(tmp_path: Path) -> None:
    """A cost centre that changes leaves alone what was spent before."""
    path, change = tmp_path / "s.db", OCTOBER + 2 * QUARTER
    write(
        path, [entry("n-1", OCTOBER + n * QUARTER) for n in range(4)], OCTOBER + timedelta(hours=1)
    )
    settings = Settings(cluster="trainer", workload="fraud", kinds=(), owner=OWNER)
    moved = replace(settings, owner=replace(OWNER, cost_center="CC-2", environment=""))
    with closing(connect(path, read_only=False)) as db:
        for said, at in ((settings, OCTOBER), (settings, OCTOBER + QUARTER), (moved, change)):
            write_owner(db, said, at)
        assert db.execute("SELECT count(*) FROM owners").fetchone() == (2,)
    terms = Terms(owner=Owner(team="other", environment="test"))
    with open_book(path, terms=terms) as book:
        found = by(book, "cluster, team, cost_center, environment")
    assert found == {
        ("trainer", "platform", "CC-1", "prod"): 2 * USD,
        ("trainer", "platform", "CC-2", "test"): 2 * USD,
    }


def test_what_ran_again_is_apart(path: Path) -> None:
    """1,080 of the hour's 5,400 s of work."""
    with closing(connect(path, read_only=False)) as db:
        start, end = (micros(OCTOBER + place * QUARTER) for place in (1, 3))
        db.execute(
            "INSERT INTO again (begin_us, end_us, recomputed_us) VALUES (?, ?, ?)",
            (start, end, 1_080_000_000),
        )
    with open_book(path, terms=TERMS) as book:
        found = by(book, "purpose, team")
        assert total(book) == 4 * USD + Decimal("0.0032")
    assert abs(found["recompute", "risk"] - USD / 5) < Decimal("1e-11")
    assert abs(found["recompute", "growth"] - USD / 10) < Decimal("1e-11")
    assert abs(found["work", "risk"] - USD * 4 / 5) < Decimal("1e-11")


def test_a_tick_notes_what_ran_again_and_whose_the_workload_is(tmp_path: Path) -> None:
    """The scheduler's count goes up by 30 s; a new scheduler counts from zero."""
    path = tmp_path / "s.db"
    with held(path) as store:
        state = State()
        for number, (name, seconds) in enumerate(
            [("a", 10.0), ("a", 40.0), ("a", 40.0), ("b", 5.0)]
        ):
            tick = tick_at(60.0 * number, state)
            load = tick.readings.load
            assert load is not None
            load = replace(load, scheduler_id=name, totals=Totals(recomputed_seconds=seconds))
            state = replace(tick.state_after, load=load)
            store.commit(
                replace(tick, readings=replace(tick.readings, load=load), state_after=state)
            )
    with closing(connect(path, read_only=True)) as db:
        rows = db.execute("SELECT end_us - begin_us, recomputed_us FROM again").fetchall()
    assert rows == [(1_000_000, 10_000_000), (60_000_000, 30_000_000), (1_000_000, 5_000_000)]


@pytest.mark.parametrize("seed", range(20))
def test_task_time_goes_back_to_where_it_was_spent(seed: int) -> None:
    """Against a plain walk from each node's last entry to its first."""
    dice = random.Random(seed)  # noqa: S311 - made-up data
    node = np.sort(np.array([dice.randrange(4) for _ in range(30)]))
    busy, thread = (
        np.array([dice.choice([0, dice.randrange(most)]) for _ in node]) for most in (9000, 3600)
    )
    wanted, left, last = [], 0, -1
    for of, counted, room in zip(node, busy, thread, strict=True):
        left = counted + (left if of == last else 0)
        last = of
        wanted.append(min(left, room))
        left -= wanted[-1]
    assert used_us(node, busy, thread).tolist() == wanted
