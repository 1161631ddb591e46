"""A plan is executed where it still fits, and every reason against it has its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.apply import (
    Check,
    Here,
    Tolerance,
    fleet_now,
    handed_over,
    plan_key,
    pools_of,
    refusals,
)
from costplan.planner.settings import Budget, Settings
from costplan.planner.tick import AppliedPlan, Control
from costplan.planner.types import Market, PoolPlan
from costplan.planner.workload import Limits, Machines, MarketRules
from tests.cli import fleet_samples, plan_samples
from tests.cli.fleet_samples import FIRM, LARGE, NOW, SPOT

FOREVER = datetime.max.replace(tzinfo=NOW.tzinfo)


def here(**changes: Any) -> Here:
    base = Here(
        state=fleet_samples.state(),
        settings=fleet_samples.settings(),
        offers=fleet_samples.offers(),
        quotes=fleet_samples.quotes(),
        applied=(),
        now=NOW,
    )
    return replace(base, **changes)


def found(where: Here, **changes: Any) -> list[tuple[Check, str]]:
    plan = plan_samples.plan(**changes)
    return [(each.check, each.reason) for each in refusals(plan, where, Tolerance())]


def with_settings(**changes: Any) -> Here:
    return here(settings=replace(fleet_samples.settings(), **changes))


def test_a_plan_that_fits_is_not_refused() -> None:
    assert found(here()) == []


def test_the_fleet_is_what_stays() -> None:
    """n-1 boots, n-2 and n-3 are ready, n-5 retires and n-6 is gone: three on spot."""
    assert fleet_now(fleet_samples.state()) == {FIRM: 1, SPOT: 3}


def test_it_is_handed_over_with_its_pools_and_a_hold() -> None:
    plan = plan_samples.plan()
    (pool,) = pools_of(plan)
    assert isinstance(pool, PoolPlan)
    assert (pool.key, pool.nodes, pool.usd_per_hour_each) == (SPOT, 4, Decimal("0.04"))
    applied = handed_over(plan, NOW, 600)
    assert applied.plan_id == "abcdef0123456789@20260301T115000Z"
    assert applied.hold_until == NOW + timedelta(minutes=10)
    assert handed_over(plan, NOW, None).hold_until is None


@pytest.mark.parametrize(
    ("where", "changes", "check", "words"),
    [
        (
            here(now=NOW + timedelta(minutes=51)),
            {},
            Check.AGE,
            "the plan is 1h 1min old, more than 1h",
        ),
        (
            here(now=NOW - timedelta(minutes=16)),
            {},
            Check.AGE,
            "made at 2026-03-01 11:50:00 UTC, which is yet to come",
        ),
        (here(applied=("abcdef0123456789@20260301T115000Z",)), {}, Check.ONCE, "executed before"),
        (
            here(),
            {"diff__changes__0__nodes_now": 5},
            Check.FLEET,
            "5 nodes of spot small.2 in local/here-a, and 3 run now",
        ),
        (
            here(),
            {"diff__changes": []},
            Check.FLEET,
            "0 nodes of on-demand small.2 in local/here-a, and 1 run now",
        ),
        (
            here(),
            {"workload__name": "other"},
            Check.FLEET,
            "for workload other, and this cluster runs fraud-training",
        ),
        (
            here(),
            {"workload__workers__0__vcpu": 4.0},
            Check.WORKERS,
            "needs 4 vCPU, 7,516,192,768 bytes and 0 GPUs; here it needs 2",
        ),
        (
            here(
                settings=replace(
                    fleet_samples.settings(),
                    kinds=tuple(replace(k, minimum=5) for k in fleet_samples.settings().kinds),
                )
            ),
            {},
            Check.WORKERS,
            "4 cpu are below the minimum of 5",
        ),
        (
            here(
                settings=replace(
                    fleet_samples.settings(),
                    kinds=tuple(replace(k, maximum=3) for k in fleet_samples.settings().kinds),
                )
            ),
            {},
            Check.WORKERS,
            "4 cpu are above the maximum of 3",
        ),
        (
            here(),
            {"fleet__0__usd_per_hour_each": "0.03"},
            Check.PRICES,
            "costs $0.0400/h now and $0.0300/h in the plan: 33.3 % more, 5 % are tolerated",
        ),
        (here(quotes=()), {}, Check.PRICES, "has no price now"),
        (
            here(offers=tuple(replace(o, available=False) for o in fleet_samples.offers())),
            {},
            Check.PRICES,
            "spot small.2 in local/here-a cannot be bought now",
        ),
        (
            with_settings(market=MarketRules(allow=(Market.ON_DEMAND,))),
            {},
            Check.RULES,
            "market spot is not allowed",
        ),
        (with_settings(machines=Machines(exclude=("small*",))), {}, Check.RULES, "is excluded"),
        (with_settings(limits=Limits(max_nodes=3)), {}, Check.RULES, "4"),
        (
            here(),
            {"fleet__0__packings__0__workers": {"cpu": 2}},
            Check.RULES,
            "small.2",
        ),
        (
            with_settings(budget=Budget(usd_per_hour=Decimal("0.15"))),
            {},
            Check.BUDGET,
            "$0.16/h is above the budget of $0.15/h",
        ),
        (
            with_settings(budget=Budget(usd_per_day=Decimal(2))),
            {},
            Check.BUDGET,
            "$2.35 of $2.00 are spent today",
        ),
        (
            here(state=fleet_samples.state(Control(down=True))),
            {},
            Check.CONTROL,
            "the fleet is going down",
        ),
        (
            here(state=fleet_samples.state(Control(paused_until=FOREVER))),
            {},
            Check.CONTROL,
            "resume first",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_with_numbers(
    where: Here, changes: dict[str, Any], check: Check, words: str
) -> None:
    reasons = found(where, **changes)
    assert {each for each, _ in reasons} == {check}
    assert any(words in reason for _, reason in reasons), reasons


def test_workers_that_the_configuration_does_not_know_are_refused() -> None:
    other = {"workload__workers__0__name": "gpu"}
    assert (Check.WORKERS, "gpu is no kind of worker here; there are cpu") in found(here(), **other)


def test_a_plan_without_a_diff_was_made_for_any_fleet() -> None:
    assert found(here(state=replace(fleet_samples.state(), nodes={})), diff=None) == []


def test_a_price_that_fell_and_one_that_rose_a_little_are_fine() -> None:
    assert found(here(), fleet__0__usd_per_hour_each="0.05") == []
    assert found(here(), fleet__0__usd_per_hour_each="0.0382") == []


def test_a_plan_that_is_still_held_is_waited_for() -> None:
    applied = AppliedPlan(plan_id="earlier", pools=(), requested_at=NOW)
    busy = Control(applied=applied)
    assert [check for check, _ in found(here(state=fleet_samples.state(busy)))] == [Check.CONTROL]
    done = Control(applied=applied, applied_plan="earlier")
    assert found(here(state=fleet_samples.state(done))) == []
    held = replace(done, applied=replace(applied, hold_until=NOW + timedelta(minutes=1)))
    assert [check for check, _ in found(here(state=fleet_samples.state(held)))] == [Check.CONTROL]


def test_the_same_answer_at_another_time_is_another_plan() -> None:
    later = plan_samples.plan(created_at="2026-03-01T11:51:00Z")
    assert plan_key(later) != plan_key(plan_samples.plan())


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda d: d["fleet"].append(plan_samples.pool(SPOT, 4)), "is there twice"),
        (lambda d: d["fleet"][0].update(nodes=5), "do not add up to its 5 nodes"),
    ],
)
def test_pools_that_do_not_add_up_are_no_plan(
    break_it: Callable[[dict[str, Any]], None], words: str
) -> None:
    data = plan_samples.document()
    break_it(data)
    with pytest.raises(ValueError, match=words):
        pools_of(plan_samples.PlanDocument.model_validate(data))


def test_every_kind_of_settings_is_used() -> None:
    """The plan may mix offers, and each is looked up by itself."""
    data = plan_samples.changed(fleet=[plan_samples.pool(SPOT, 3), plan_samples.pool(LARGE, 1)])
    plan = plan_samples.PlanDocument.model_validate(data)
    assert isinstance(fleet_samples.settings(), Settings)
    assert refusals(plan, here(), Tolerance()) == ()
