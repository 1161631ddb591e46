"""The budget: what it has room for, what is said of it, and how it is degraded through."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.caps import caps
from costplan.planner.explain import Told, explain_tick
from costplan.planner.loop import Ticked, tick
from costplan.planner.nodes import Cause
from costplan.planner.settings import Budget, Safety, Settings
from costplan.planner.standing import rates
from costplan.planner.tick import DrainNode, NewNode, State
from costplan.planner.types import Decision, Phase
from costplan.policies.budget import WithinBudget
from costplan.policies.default import default_policies
from tests.fleets import (
    NOON,
    does,
    drain,
    key,
    kind,
    launch,
    load,
    machine,
    node,
    plan,
    quote,
    readings,
    rented,
    rules,
    settings,
    spot,
    tasks,
    view,
)
from tests.judging import left, only


def budgeted(**usd: str) -> Any:
    return settings(budget=Budget(**{key: Decimal(value) for key, value in usd.items()}))


def test_what_is_still_paid_for_counts_whatever_it_does() -> None:
    """Three nodes of $1 are paid for, a draining and a lost one too; $5 leave room for $2.

    The cheapest a worker come first: $0.50 and $1.50; the one of $1.80 does not fit any more.
    """
    fleet = (node("n-0"), node("n-1", phase=Phase.RETIRING), node("n-2", phase=Phase.LOST))
    seen = view(*fleet, node("n-3", phase=Phase.GONE), rules=budgeted(usd_per_hour="5"))
    judgement = WithinBudget().judge(plan(launch("1.80"), launch("1.50"), launch("0.50")), seen)
    assert judgement.moves == (launch("1.50"), launch("0.50"))
    decision, reason, numbers = only(judgement)
    assert (decision, reason) == (Decision.DENY, "budget.usd_per_hour of $5 has no room for it")
    assert numbers["running_usd_per_hour"] == "3"
    assert numbers["asked_usd_per_hour"] == "3.80"
    assert numbers["short_usd_per_hour"] == "1.8000"


def test_a_drain_does_not_make_room_before_it_is_done() -> None:
    seen = view(node("n-0"), rules=budgeted(usd_per_hour="1"))
    assert left(WithinBudget(), (launch(), drain("n-0")), seen) == [drain("n-0")]


def test_dear_is_by_the_worker() -> None:
    """$3 for four workers is cheaper a worker than $1 for one, and leaves no room for it."""
    seen = view(rules=budgeted(usd_per_hour="3"))
    big = launch("3", workers={"w": 4})
    assert left(WithinBudget(), (launch("1"), big), seen) == [big]


def test_a_day_has_to_last_until_midnight() -> None:
    """$40 of $100 are spent by noon, and $2 an hour run: $24 until midnight leave $36, which is
    $3 an hour for twelve hours."""
    seen = view(
        node("n-0"), node("n-1"), spent_today_usd=Decimal(40), rules=budgeted(usd_per_day="100")
    )
    judgement = WithinBudget().judge(plan(*[launch("1")] * 4), seen)
    assert len(judgement.moves) == 3
    _, reason, numbers = only(judgement)
    assert reason == "budget.usd_per_day of $100 has no room for it"
    assert numbers["left_seconds"] == "43200"
    assert numbers["room_usd_per_hour"] == "3.0000"
    assert numbers["short_usd_per_hour"] == "1.0000"


def test_a_month_has_to_last_until_its_end() -> None:
    """396 hours are left of May: $396 of $1,000 allow $1 an hour."""
    seen = view(spent_month_usd=Decimal(604), rules=budgeted(usd_per_month="1000"))
    assert len(left(WithinBudget(), [launch("0.50")] * 3, seen)) == 2


def test_shortly_before_midnight_the_horizon_counts() -> None:
    """A minute is left, and half an hour is what a plan looks ahead: $1 allows $2 an hour."""
    late = NOON.replace(hour=23, minute=59)
    seen = view(at=late, rules=budgeted(usd_per_day="1"))
    assert len(left(WithinBudget(), [launch("1")] * 3, seen)) == 2


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_fleet_that_keeps_the_budget_is_not_emptied_before_its_end(period: str) -> None:
    """$2 an hour for the quarter of an hour that is left: $0.50 of the $0.60 that are left."""
    late = NOON.replace(day=31, hour=23, minute=45)
    spent: dict[str, Any] = {f"spent_{'today' if period == 'day' else period}_usd": Decimal("23.5")}
    rules = budgeted(**{f"usd_per_{period}": "24.1"})
    seen = view(node("a"), node("b"), at=late, rules=rules, **spent)
    (cap,) = caps(seen.snapshot, rules, rates(seen.snapshot, seen.state), 1800)
    assert (cap.committed_usd, cap.holds(Decimal(0))) == (Decimal(24), True)
    # What is started is to run for the half hour that a plan looks ahead.
    assert left(WithinBudget(), [launch("0.10")] * 3, seen) == [launch("0.10")] * 2
    assert left(WithinBudget(), [launch("0.30")], seen) == []


def test_a_budget_that_is_passed_is_told() -> None:
    """$95 of $100 are spent, and $1 an hour for twelve hours is $7 too much."""
    seen = view(node("n-0"), spent_today_usd=Decimal(95), rules=budgeted(usd_per_day="100"))
    judgement = WithinBudget().judge(plan(), seen)
    _, reason, numbers = only(judgement)
    assert reason == (
        "budget.usd_per_day of $100 is passed by $7.0000 if what runs now goes on: "
        "nodes it does not pay for are drained"
    )
    assert (numbers["moves"], numbers["over_usd"]) == ("0", "7.0000")


def test_a_machine_that_is_being_ended_does_not_count_until_midnight() -> None:
    """$1 an hour for the horizon of half an hour only: $0.50, not $12."""
    ending = node("n-0", phase=Phase.TERMINATING)
    seen = view(ending, rules=budgeted(usd_per_day="12.50"))
    assert left(WithinBudget(), (launch("1"),), seen) == [launch("1")]
    seen = view(ending, rules=budgeted(usd_per_day="12.49"))
    assert left(WithinBudget(), (launch("1"),), seen) == []


def test_without_a_price_there_is_no_room() -> None:
    rules = budgeted(usd_per_hour="100")
    judgement = WithinBudget().judge(plan(launch()), view(node("n-0"), usd=None, rules=rules))
    decision, reason, _ = only(judgement)
    assert (decision, judgement.moves) == (Decision.DEFER, ())
    assert reason.startswith("what n-0 costs is not known")
    priced = view(node("n-0"), usd=None, quotes=(quote(key(), "99"),), rules=rules)
    assert left(WithinBudget(), (launch(),), priced) == [launch()]


def test_an_unanswered_launch_is_taken_for_its_dearest_offer() -> None:
    asked = node("n-0", phase=Phase.REQUESTED, keys=(spot(), key()))
    quotes = (quote(spot(), "1"), quote(key(), "3"))
    moves = (launch("1"),)
    for usd, count in (("4", 1), ("3.99", 0)):
        seen = view(asked, usd=None, quotes=quotes, rules=budgeted(usd_per_hour=usd))
        assert len(left(WithinBudget(), moves, seen)) == count


# steps


def ticked(state: State, settings: Settings, usd: str, tasks_running: int, **more: Any) -> Ticked:
    """A plan for a fleet that works, where a machine costs `usd` an hour."""
    nodes = tuple(state.nodes.values())
    workers = {name: does(4) for each in nodes for name in each.workers}
    workers |= more.pop("workers", {})
    read = readings(
        load=load(tasks(running=tasks_running, queued=more.pop("queued", 0), mean=600.0),
                  workers=workers),
        machines=tuple(machine(each) for each in nodes),
        quotes=(quote(key(), usd), *more.pop("quotes", ())),
        **more,
    )  # fmt: skip
    return tick(read, state, settings, default_policies(), replan=True)


def drained(done: Ticked) -> dict[str, Cause]:
    assert done.plan is not None
    return {m.node_id: m.cause for m in done.plan.moves if isinstance(m, DrainNode)}


def said(done: Ticked) -> list[str]:
    assert done.plan is not None
    return [verdict.reason for verdict in done.plan.verdicts if verdict.policy == "budget"]


def fleet(*names: str, **more: Any) -> State:
    return State(nodes={name: rented(name, **more) for name in names})


def limited(**usd: Any) -> Settings:
    drain = usd.pop("drain", True)
    money = {name: Decimal(value) for name, value in usd.items()}
    return rules(budget=Budget(**money, drain=drain), safety=Safety(max_drain_share=1.0))


def test_what_a_rate_does_not_pay_for_after_a_rise_is_drained() -> None:
    """Four machines at $1.50 are $6 an hour; $4 pay for two."""
    done = ticked(fleet("a", "b", "c", "d"), limited(usd_per_hour="4"), "1.50", 16)
    assert list(drained(done).values()) == [Cause.BUDGET] * 2
    assert said(done) == [
        "budget.usd_per_hour of $4 is passed by $2.0000 if what runs now goes on: "
        "nodes it does not pay for are drained"
    ]
    assert not [m for m in done.plan.moves if isinstance(m, NewNode)]  # type: ignore[union-attr]


def test_a_rise_within_two_per_cent_ends_nothing() -> None:
    done = ticked(fleet("a", "b"), limited(usd_per_hour="2"), "1.02", 8)
    assert drained(done) == {}
    assert "is passed by $0.0400" in said(done)[0]


def test_draining_for_the_budget_can_be_turned_off() -> None:
    done = ticked(fleet("a", "b"), limited(usd_per_hour="2", drain=False), "1.50", 8)
    assert drained(done) == {}
    assert said(done)[0].endswith("nothing is launched")


def test_what_binds_a_node_and_the_floor_are_stronger_than_the_budget() -> None:
    state = fleet("a", "b", "c")
    bound = {name: does(4, actors=1) for name in state.nodes["a"].workers}
    done = ticked(state, limited(usd_per_hour="1"), "1", 12, workers=bound)
    assert "a" not in drained(done)
    assert len(drained(done)) == 2
    floor = replace(limited(usd_per_hour="1"), kinds=(kind(minimum=3),))
    assert drained(ticked(state, floor, "1", 12)) == {}


def test_a_day_that_does_not_pay_for_the_fleet_until_midnight_drains_it_to_its_pace() -> None:
    """$12 are left for twelve hours: $1 an hour, which is one machine."""
    settings = limited(usd_per_day="100")
    state = replace(fleet("a", "b", "c"), spent_by_day={"2024-05-15": Decimal(88)})
    assert list(drained(ticked(state, settings, "1", 12)).values()) == [Cause.BUDGET] * 2


def test_work_is_stretched_over_what_the_budget_pays_for() -> None:
    """Much waits, and $3 an hour pay for three machines at $1."""
    done = ticked(fleet("a"), limited(usd_per_hour="3"), "1", 4, queued=400)
    assert done.plan is not None
    assert len([m for m in done.plan.moves if isinstance(m, NewNode)]) == 2
    later = ticked(fleet("a", "b", "c"), limited(usd_per_hour="3.2"), "1", 12, queued=400)
    (reason,) = said(later)
    assert reason.startswith(
        "budget.usd_per_hour of $3.2 is 94% committed: the work is stretched ("
    )
    full = ticked(fleet("a", "b", "c"), limited(usd_per_hour="3"), "1", 12, queued=400)
    assert "100% committed: nothing that costs more is launched (" in said(full)[0]


@pytest.mark.parametrize(
    ("cap", "text"),
    [
        ("2.6", None),
        ("2.4", "83% committed: nothing is done yet"),
        ("2.2", "91% committed: exchanged for any saving that pays back"),
    ],
)
def test_how_far_a_budget_is_used_up_is_told_from_80_per_cent_on(
    cap: str, text: str | None
) -> None:
    done = ticked(fleet("a", "b"), limited(usd_per_hour=cap), "1", 8)
    found = said(done)
    assert found == ([] if text is None else [f"budget.usd_per_hour of ${cap} is {text}"])
    told = Told(tick_id="t", at=NOON, mode=done.snapshot.mode, gaps=(), plan=done.plan, actions=())
    assert (text or "committed") in str(explain_tick(told)) or text is None


def test_a_limit_below_the_cheapest_machine_is_told() -> None:
    """No plan has a machine that could be refused."""
    settings = limited(usd_per_hour="0.001")
    done = ticked(State(), settings, "1", 0, queued=40)
    (reason,) = said(done)
    assert reason.startswith("budget.usd_per_hour of $0.001 has no room for a machine, the cheap")
    assert "wanted workers are missing" in reason
    told = Told(tick_id="t", at=NOON, mode=done.snapshot.mode, gaps=(), plan=done.plan, actions=())
    assert "has no room for a machine" in str(explain_tick(told))
    assert said(ticked(State(), limited(usd_per_hour="100"), "1", 0, queued=40)) == []


def test_near_the_limit_a_small_saving_is_worth_an_exchange() -> None:
    """$0.95 instead of $1 is less than the 10 % that is asked for otherwise. Both machines of an
    exchange are paid for at once, and there is room for two more."""
    names = [f"n-{number:02}" for number in range(20)]
    for cap, exchanged in (("40", 0), ("22", 2)):
        settings = limited(usd_per_hour=cap)
        settings = replace(settings, scaling=replace(settings.scaling, horizon_seconds=36_000))
        done = ticked(fleet(*names), settings, "1", 80, quotes=(quote(spot(), "0.95"),))
        assert list(drained(done).values()) == [Cause.DEARER] * exchanged, cap
