"""Why, in sentences: one and many, with units, and nothing where nothing is known."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.explain import (
    Told,
    decision_text,
    demand_text,
    explain_node,
    explain_tick,
    moves_text,
    names_text,
    plan_gap,
    waiting_lines,
)
from costplan.planner.explain_actions import action_text
from costplan.planner.nodes import Cause
from costplan.planner.tick import (
    Action,
    ClassDemand,
    Cordon,
    KeepNode,
    Launch,
    MovePlan,
    Retire,
    Terminate,
    Uncordon,
    Waiting,
)
from costplan.planner.types import Decision, Gap, Mode, Phase, Verdict
from tests.fleets import DRAIN, NOON, after, drain, going, launch, node, order, plan, rented, spot


def told(made: MovePlan | None = None, **more: Any) -> dict[str, tuple[str, ...]]:
    """The sections of a tick, by title."""
    values: dict[str, Any] = {"mode": Mode.FULL, "gaps": (), "actions": (), **more}
    explained = explain_tick(Told(tick_id="t-1", at=NOON, plan=made, **values))
    assert explained.title == "tick t-1 at 2024-05-15 12:00:00 UTC"
    return {section.title: section.lines for section in explained.sections}


def test_a_tick_without_a_plan_says_so() -> None:
    found = told()
    assert found == {
        "mode": ("full: everything may be done",),
        "decision": ("no plan was made: this tick only looked at what runs",),
        "actions": ("none",),
    }


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(4, None), (5, "1 worker is wanted and not had"), (43, "39 workers are wanted and not had")],
)
def test_dollars_that_no_bill_will_have_are_named(wanted: int, said: str | None) -> None:
    """Two are there, one comes and one is bought; every other one is a cost of waiting."""
    demand = ClassDemand(
        shape="w", wanted=wanted, present=2, coming=1, work_seconds=9.0, width=9, reason="so"
    )
    made = replace(plan(launch()), demand=(demand,))
    rest = told(made)["decision"][1:-1]
    if said is None:
        assert rest == ()
    else:
        why = "the wait for each is in the dollars expected, and will be in no bill"
        assert rest == (f"{said}: {why}",)


@pytest.mark.parametrize("mode", list(Mode))
def test_the_mode_comes_with_what_is_not_known(mode: Mode) -> None:
    gap = Gap(kind="load", subject="no answer", assumed="as it was", since=NOON)
    first, second = told(mode=mode, gaps=(gap,))["mode"]
    assert first.startswith(f"{mode}: ")
    assert second == "load since 2024-05-15 12:00:00 UTC: no answer; assumed: as it was"


@pytest.mark.parametrize(
    ("moves", "text"),
    [
        ((), "no change"),
        ((launch(),), "launch 1 node"),
        ((launch(), launch()), "launch 2 nodes"),
        ((drain("a"),), "drain 1 node"),
        ((launch(), drain("a"), drain("b")), "launch 1 node, drain 2 nodes"),
    ],
)
def test_moves_in_a_few_words(moves: tuple[Any, ...], text: str) -> None:
    assert moves_text(plan(*moves)) == text


@pytest.mark.parametrize(
    ("expected", "nothing", "worth"),
    [
        ("3", "4", "$1.00 (25 %) less than doing nothing ($4.00)"),
        ("5", "4", "$1.00 (25 %) more than doing nothing ($4.00)"),
        ("4", "4", "the same as doing nothing ($4.00)"),
        ("4", "0", "$4.00 more than doing nothing ($0.00)"),
    ],
)
def test_what_a_plan_is_worth(expected: str, nothing: str, worth: str) -> None:
    made = replace(plan(launch()), expected_usd=Decimal(expected), do_nothing_usd=Decimal(nothing))
    assert worth in decision_text(made)


def test_no_bound_is_no_gap_and_a_gap_is_a_share() -> None:
    assert plan_gap(plan()) is None
    proven = replace(plan(), lower_bound_usd=Decimal(4), expected_usd=Decimal(5))
    assert plan_gap(proven) == 0.25
    assert "at most 25 % above" in told(proven)["decision"][1]
    assert "no lower bound" in told(plan())["decision"][1]


def demand(**more: Any) -> ClassDemand:
    """A kind with nothing to do."""
    values = {"wanted": 0, "present": 0, "coming": 0, "work_seconds": 0.0, "width": 0,
              "reason": "because", **more}  # fmt: skip
    return ClassDemand(shape="cpu", **values)


def test_demand_with_units() -> None:
    text = demand_text(demand(wanted=1200, present=8, coming=2, work_seconds=3400.0, width=1))
    assert text == (
        "cpu: 1,200 wanted, 8 there, 2 coming; 3,400 s of work, 1 task at once: because"
    )
    assert demand_text(demand()) == "cpu: 0 wanted, 0 there; 0 s of work, 0 tasks at once: because"


def test_moves_that_are_alike_are_one_line_and_a_drain_says_what_it_costs() -> None:
    lines = told(
        plan(launch("0.5", spot("a"), spot("b"), workers={"w": 2}), launch("0.5", spot("a"),
             spot("b"), workers={"w": 2}), drain("n", Cause.SURPLUS, "-1"))
    )["moves"]  # fmt: skip
    assert lines == (
        "+ launch 2 nodes of spot a in aws/us-a or 1 other offer, at most $0.50/h each, for 2 w: "
        "more work",
        "- drain n (surplus): costs $1.00/h, the drain costs $0.00 in 3 s; idle",
    )


def test_refusals_come_with_their_numbers_and_what_was_allowed_is_told() -> None:
    said = [
        Verdict(policy="budget", decision=decision, reason="too dear", numbers={"usd": "2"})
        for decision in (Decision.TRIM, Decision.DEFER, Decision.DENY)
    ]
    fine = Verdict(policy="quota", decision=Decision.ALLOW, reason="half is used", numbers={})
    found = told(replace(plan(), verdicts=(*said, fine)))
    assert found["refused"] == (
        "budget made smaller: too dear (usd 2)",
        "budget put off: too dear (usd 2)",
        "budget refused: too dear (usd 2)",
    )
    assert found["allowed"] == ("quota: half is used",)


def test_who_waits_and_why() -> None:
    one = Waiting(prefix="fit", tasks=1, need={"GPU": 2.0}, reason="nobody sells it")
    many = Waiting(prefix="fit", tasks=5, need={}, reason="pinned")
    assert list(waiting_lines(replace(plan(), waiting=(one, many)))) == [
        "1 task of fit (each GPU 2): nobody sells it", "5 tasks of fit: pinned",
    ]  # fmt: skip


def test_many_names_are_cut() -> None:
    assert names_text(["b", "a"]) == "a, b"
    assert names_text([f"n{n}" for n in range(9)]) == "n0, n1, n2, n3 and 5 more"
    kept = tuple(KeepNode(node_id=f"n{n}", reason="it works") for n in range(6))
    assert told(replace(plan(), kept=kept))["kept"] == ("n0, n1, n2, n3 and 2 more: it works",)


REQUEST = node("n", keys=(spot(),)).request


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Launch(node_id="n", request=REQUEST), "launch n: spot m.large in aws/us-a"),
        (Terminate(node_id="n", provider_id="i-1"), "terminate n: i-1"),
        (
            Cordon(node_ids=("a", "b"), workers=("a-0", "b-0"), token=DRAIN),
            "cordon a, b: 2 workers",
        ),
        (Uncordon(node_ids=("a",), workers=("a-0",)), "uncordon a: 1 worker"),
        (Retire(node_ids=("a",), workers=(), token=DRAIN), "retire a: 0 workers"),
    ],
)
def test_actions(action: Action, text: str) -> None:
    assert action_text(action) == text


def story(of: Any, **more: Any) -> dict[str, tuple[str, ...]]:
    """What is told of a node ten minutes after noon."""
    values: dict[str, Any] = {"cost_by_use": {}, "holds": "nothing", "now": after(600), **more}
    return {s.title: s.lines for s in explain_node(of, **values).sections}


def test_a_node_that_nobody_asked_for_yet() -> None:
    found = story(node("n", phase=Phase.INTENDED))
    assert "not asked for yet" in found["node"]
    assert found["cost"] == ("nothing is in the ledger yet",)
    assert "drain" not in found


def test_a_node_with_a_life_and_an_end() -> None:
    ordered = order(Cause.NOTICE, wait=90, must_end_by=after(120), discard=True)
    history = ((Phase.BOOTING, after(-90), "accepted"), (Phase.READY, NOON, "joined"))
    of = replace(going(Phase.READY, ordered), attempts=1, history=history)
    found = story(of, cost_by_use={"ready": Decimal("0.5"), "boot": Decimal("0.25")})
    assert "1 launch call sent" in found["node"]
    assert found["phases"][0].endswith("booting for 1min 30s: accepted")
    assert found["phases"][1].endswith("ready for 10min: joined")
    assert found["cost"] == ("$0.75 so far: boot $0.25, ready $0.50",)
    assert found["drain"] == (
        "ordered at 12:00:00 UTC for notice",
        "running tasks are waited for until 12:01:30 UTC",
        "the machine ends at 12:02:00 UTC, whatever it holds",
        "results that nobody else holds may be lost: the operator said so",
    )


def test_a_node_that_refused_says_until_when_and_then_no_more() -> None:
    of = replace(rented("n"), refused_until=after(900))
    assert "not asked for again before 12:15:00 UTC" in story(of)["node"]
    assert not any("again" in line for line in story(of, now=after(901))["node"])
