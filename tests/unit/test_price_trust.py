"""Which prices nothing is launched at, in the plan and in what the guard leaves of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.loop import tick
from costplan.planner.price_trust import doubts
from costplan.planner.settings import Safety
from costplan.planner.tick import NewNode, State
from costplan.planner.types import Decision, Market, OfferKey, Quote
from costplan.policies.default import default_policies
from costplan.policies.trust import Trust
from tests.fleets import (
    NOON,
    after,
    key,
    launch,
    load,
    machine,
    offers,
    plan,
    quote,
    readings,
    rented,
    rules,
    spot,
    tasks,
    view,
)
from tests.judging import only


def at(of: OfferKey, zone: str) -> OfferKey:
    return replace(of, zone=f"{of.region}{zone}")


def why(of: OfferKey, *quotes: Quote, **safety: Any) -> str | None:
    return doubts([of], quotes, rules(safety=Safety(**safety)), NOON).get(of)


def zones(usd: str, market: Market = Market.SPOT) -> list[Quote]:
    return [quote(at(key("m.large", market), zone), usd) for zone in "bcd"]


@pytest.mark.parametrize(
    ("usd", "is_doubted"), [("0.04", False), ("0.039", True), ("4", False), ("4.1", True)]
)
def test_a_price_far_from_that_of_its_like_is_doubted(usd: str, is_doubted: bool) -> None:
    """Its like cost $0.40 an hour: a tenth and ten times of it are the limits."""
    one = at(spot(), "a")
    assert (why(one, quote(one, usd), *zones("0.4")) is not None) is is_doubted


def test_the_reason_has_both_prices() -> None:
    one = at(spot(), "a")
    said = why(one, quote(one, "0.001"), *zones("0.4"))
    assert said == "it is quoted at $0.0010/h, its like at $0.40/h"


def test_of_two_others_nobody_can_say_who_is_wrong() -> None:
    one = at(spot(), "a")
    assert why(one, quote(one, "0.001"), *zones("0.4")[:2]) is None


@pytest.mark.parametrize(
    ("usd", "is_doubted"), [("0.01", False), ("0.0099", True), ("10", False), ("10.1", True)]
)
def test_spot_is_measured_by_its_price_on_demand(usd: str, is_doubted: bool) -> None:
    """Of $1 on demand a tenth is real; a tenth of that, and ten times it, are not."""
    assert (why(spot(), quote(spot(), usd), quote(key(), "1")) is not None) is is_doubted


def test_an_old_spot_price_is_doubted_and_a_list_price_is_not() -> None:
    old = NOON - timedelta(days=2)
    for of, is_doubted in ((spot(), True), (key(), False)):
        seen = replace(quote(of, "1"), observed_at=old)
        assert (why(of, seen) is not None) is is_doubted


def test_a_source_that_is_not_named_is_doubted() -> None:
    seen = quote(key(), "1")
    assert why(key(), seen, price_sources=("tes*",)) is None
    said = why(key(), seen, price_sources=("aws.*",))
    assert said == "its price is from 'test', which safety.price_sources does not name"


def test_launches_lose_the_offers_whose_price_is_doubted() -> None:
    quotes = (quote(spot(), "0.0001"), quote(key(), "1"))
    seen = view(quotes=quotes)
    judgement = Trust().judge(plan(launch("1", spot(), key())), seen)
    assert judgement.moves == (launch("1", key()),)
    decision, reason, numbers = only(judgement)
    assert decision is Decision.TRIM
    assert reason.startswith("it is quoted at $0.0001")
    assert (numbers["offers_struck"], numbers["offers_asked"]) == ("1", "2")
    assert only(Trust().judge(plan(launch("1", spot())), seen))[0] is Decision.DEFER


def test_a_broken_feed_neither_wins_nor_stops_the_plan() -> None:
    """A machine for a hundredth of a cent is not bought, and the next best is, in the same tick."""
    quotes = (
        quote(spot(), "0.0001"),
        quote(key(), "1"),
        quote(spot("a"), "0.4"),
        quote(key("a"), "1"),
    )
    read = readings(
        load=load(tasks(queued=40, mean=60.0)), machines=(), quotes=quotes, offers=offers()
    )
    done = tick(read, State(), rules(), default_policies(), replan=True)
    assert done.plan is not None
    bought = [move for move in done.plan.moves if isinstance(move, NewNode)]
    assert bought
    assert {each.instance_type for move in bought for each in move.keys} <= {"a", "m.large"}
    assert all(spot() not in move.keys for move in bought)
    assert all(move.usd_per_hour >= Decimal("0.4") for move in bought)


@pytest.mark.parametrize(
    ("usd", "goes_on"), [("0.5", "0.5"), ("0.0001", "0.4"), ("40", "0.4"), ("3.9", "3.9")]
)
def test_a_running_machine_goes_on_at_its_last_price_where_the_feed_is_out_of_its_mind(
    usd: str, goes_on: str
) -> None:
    there = rented("n-1", keys=(spot(),))
    state = State(nodes={"n-1": there})
    for seconds, price in ((0.0, "0.4"), (60.0, usd), (120.0, usd)):
        read = readings(
            seconds,
            load=load(at=after(seconds)),
            machines=(machine(there),),
            quotes=(replace(quote(spot(), price), observed_at=after(seconds)),),
        )
        done = tick(read, state, rules(), default_policies(), replan=False)
        state = done.state
    assert state.meters["n-1"].usd_per_hour == Decimal(goes_on)
    assert [gap.assumed for gap in done.snapshot.gaps if gap.kind == "price"] == (
        ["the last one goes on"] if usd != goes_on else []
    )
