"""Words and grids: what is said of a plan in cases that the samples do not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from costplan.cli import wording
from costplan.cli.plan_view import view_of
from costplan.cli.render import plain_text
from costplan.cli.render_markdown import markdown_text
from costplan.planner.plan import Change, Diff, Recommendation
from costplan.planner.types import Gap, Market
from tests.cli import samples


def text(plan: Recommendation, width: int = 120) -> str:
    return plain_text(view_of(plan), width)


@pytest.mark.parametrize(
    ("gap", "termination", "words"),
    [
        (0.0, "optimal", "proven: no fleet is cheaper"),
        (0.0003, "gap", "within 0.03 % of the cheapest possible"),
        (0.000301, "gap", "within 0.04 % of the cheapest possible"),
        (0.0, "gap", "within 0.01 % of the cheapest possible"),
        (0.0123, "steps", "within 1.23 % of the cheapest possible; the search ended before"),
        (0.010201, "gap", "within 1.03 % of the cheapest possible"),
        (0.5, "fallback", "within 50 % of the cheapest possible; packed greedily"),
        (float("inf"), "gap", "how close this is to the cheapest possible is not known"),
    ],
)
def test_the_gap_in_words_never_promises_more(gap: float, termination: str, words: str) -> None:
    assert wording.gap_text(gap, termination).startswith(words)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "$0.00"),
        ("0.0021", "$0.0021"),
        ("0.1", "$0.10"),
        ("30.485", "$30.48"),
        ("1E+4", "$10,000.00"),
        ("-3.5", "-$3.50"),
    ],
)
def test_dollars_in_sentences(amount: str, words: str) -> None:
    assert wording.usd(Decimal(amount)) == words


def test_dollars_in_columns_have_equal_digits() -> None:
    amounts = (Decimal("12"), Decimal("0.004"), None)
    assert wording.usd_column(amounts) == ["12.0000", "0.0040", "?"]
    assert wording.usd_column([Decimal("12"), Decimal("0.4")]) == ["12.00", "0.40"]


@pytest.mark.parametrize(
    ("expected", "other", "words"),
    [
        ("40", "100", "60 % below"),
        ("100", "100.01", "the same as"),
        ("103", "100", "3 % above"),
        ("1", "0", "not comparable with"),
    ],
)
def test_comparison(expected: str, other: str, words: str) -> None:
    assert wording.against(Decimal(expected), Decimal(other)) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [(-5, "0 hours"), (1, "1 hour"), (47, "47 hours"), (48, "2 days"), (24 * 600, "20 months")],
)
def test_age(hours: int, words: str) -> None:
    now = samples.CREATED_AT
    assert wording.age_text(now - timedelta(hours=hours), now) == words


def test_many_shapes_are_counted_and_not_all_named() -> None:
    workers = {f"s{number}": 10 - number for number in range(8)}
    assert wording.workers_text(workers) == "10 s0, 9 s1, 8 s2, 25 of 5 other shapes"
    assert wording.workers_text({"a": 1, "b": 2}) == "2 b, 1 a"


def test_a_narrow_terminal_loses_columns_before_words() -> None:
    plan = samples.plan()
    wide = plan.pools[1]
    packing = replace(wide.pool.packings[0], workers={"features": 12, "train": 12, "idle": 1})
    pool = replace(wide.pool, packings=(packing,), nodes=3)
    many = replace(plan, pools=(replace(wide, pool=pool), *plan.pools[2:]))
    assert "96 vCPU, 384 GiB" in text(many, 140)
    at_80 = text(many, 80)
    assert "36 features\n" not in text(many, 140)
    assert "96 vCPU" not in at_80
    assert "36 features" in at_80
    assert all(len(line) <= 80 for line in at_80.splitlines())
    assert "us-east-1a" in text(many, 64)


def test_a_plan_without_spot_and_estimates_has_no_word_of_them() -> None:
    plan = samples.plan()
    firm = tuple(each for each in plan.pools if each.pool.key.market is Market.ON_DEMAND)
    cost = Decimal("0.8")
    risk = replace(
        plan.risk,
        spot_share=0.0,
        largest_pool=None,
        expected_usd_per_hour_low=cost,
        expected_usd_per_hour_high=cost,
    )
    calm = replace(
        plan, pools=firm, risk=risk, usd_per_hour=cost, expected_usd_per_hour=cost, total_usd=None
    )
    assert "nothing of it is spot" in text(calm)
    assert "~" not in text(calm)
    assert "\n$0.80/h\n" in text(calm)


def test_a_plan_that_runs_already_has_no_changes() -> None:
    kept = Change(
        key=samples.key("m5.24xlarge"),
        nodes_now=4,
        nodes_planned=4,
        usd_per_hour_each=Decimal("1.9"),
    )
    diff = Diff(changes=(kept,), usd_per_hour_now=Decimal("10.8"), unpriced=())
    shown = text(replace(samples.plan(), diff=diff))
    assert "No changes: this is what runs now" in shown
    assert "to add" not in shown


def test_a_fleet_that_is_not_priced_is_not_free() -> None:
    plan = samples.diffed()
    assert plan.diff is not None
    old = samples.key("zz.huge")
    gone = Change(key=old, nodes_now=1, nodes_planned=0, usd_per_hour_each=None)
    diff = Diff(changes=(*plan.diff.changes, gone), usd_per_hour_now=None, unpriced=(old,))
    shown = text(replace(plan, diff=diff))
    assert "not all in the price list: spot zz.huge in aws/us-east-1a" in shown
    assert "/h now," not in shown
    assert [line.split()[-2:] for line in shown.splitlines() if "zz.huge  " in line] == [["?", "?"]]


def test_many_gaps_are_cut_and_said_to_be() -> None:
    gaps = tuple(Gap(kind="hazard", subject=f"pool {n}", assumed="a prior") for n in range(9))
    plan = replace(samples.plan(), gaps=gaps)
    assert "and 5 more, which --explain lists" in text(plan)
    assert "pool 8" not in text(plan)
    assert "pool 8" in plain_text(view_of(plan, explain=True), 120)


def test_names_cannot_steer_a_terminal_or_break_a_table() -> None:
    plan = samples.plan()
    first = plan.pools[0]
    evil = replace(first.pool.key, instance_type="a\x1b[31m|b\nc[red]<i>")
    pool = replace(first, pool=replace(first.pool, key=evil))
    shown = replace(plan, pools=(pool, *plan.pools[1:]))
    assert "\x1b" not in text(shown)
    assert "a?[31m|b?c[red]<i>" in text(shown)
    assert r"a?\[31m\|b?c\[red\]\<i\>" in markdown_text(view_of(shown))


def test_two_regions_are_named_with_their_places() -> None:
    plan = samples.plan()
    far = samples.key("m5.large", Market.ON_DEMAND, zone="", region="eu-west-1")
    pool = samples.pool(far, "0.1", ((1, {"features": 1}),), vcpu=2)
    shown = text(replace(plan, pools=(*plan.pools, pool), site="anywhere"))
    assert "aws/eu-west-1" in shown
    assert "aws/us-east-1a" in shown
    assert shown.splitlines()[0] == "fraud-training: 106 workers on 14 nodes"
