"""A reviewed plan is executed once: what it lacks goes, what it has comes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from costplan.planner.applied import applied_moves
from costplan.planner.fleet_view import assets
from costplan.planner.needs import needs
from costplan.planner.nodes import Node
from costplan.planner.tick import AppliedPlan, Control, DrainNode, MovePlan, NewNode
from costplan.planner.types import Mode, OfferKey, Packing, Phase, PoolPlan
from tests.fleets import NOON, after, does, joined, key, load, quote, rented, rules, spot, view


def pool(of: OfferKey, nodes: int, **workers: int) -> PoolPlan:
    """So many machines of an offer at a dollar each."""
    return PoolPlan(
        key=of, nodes=nodes, usd_per_hour_each=Decimal(1),
        packings=(Packing(nodes=nodes, workers=workers or {"w": 1}),),
    )  # fmt: skip


def moves(
    *nodes: Node,
    pools: tuple[PoolPlan, ...] = (),
    done: str | None = None,
    hold: float | None = None,
    seconds: float = 0.0,
    gang: str | None = None,
    mode: Mode = Mode.FULL,
) -> MovePlan | None:
    """What the plan 'r' comes to so long after noon; worker n-w-0 may be in a collective."""
    workers = {**joined(*nodes), "n-w-0": does(0, gang=gang)}
    seen = load(workers=workers)
    applied = AppliedPlan(
        plan_id="r", pools=pools, requested_at=NOON,
        hold_until=None if hold is None else after(hold),
    )  # fmt: skip
    looked = view(*nodes, at=after(seconds), load=seen,
                  state={"control": Control(applied=applied, applied_plan=done)})  # fmt: skip
    prices = (quote(key(), "1"), quote(spot(), "1"))
    fleet = assets(nodes, seen, prices, looked.state.meters, rules(), after(seconds))
    wanted = needs(seen, fleet, (), looked.state.learnt, rules(), after(seconds))
    snapshot = replace(looked.snapshot, mode=mode)
    return applied_moves(snapshot, looked.state, rules(), fleet, wanted)


def shown(made: MovePlan | None) -> tuple[list[OfferKey], list[str]]:
    """Offers that are launched, and nodes that are drained."""
    assert made is not None
    new = [move.keys[0] for move in made.moves if isinstance(move, NewNode)]
    return new, [move.node_id for move in made.moves if isinstance(move, DrainNode)]


def test_the_fleet_becomes_the_pools() -> None:
    """Two of m.large and one on spot: there are three of m.large."""
    fleet = rented("a"), rented("b"), rented("c")
    made = moves(*fleet, pools=(pool(key(), 2), pool(spot(), 1)))
    assert shown(made) == ([spot()], ["c"])
    assert made is not None
    assert (made.usd_per_hour_before, made.usd_per_hour_after) == (Decimal(3), Decimal(3))


def test_machines_that_still_come_count_and_are_not_asked_for_twice() -> None:
    coming = replace(rented("n", Phase.INTENDED), provider_id=None)
    assert shown(moves(coming, pools=(pool(key(), 1),))) == ([], [])


def test_an_offer_with_other_workers_on_it_is_another_thing() -> None:
    two = rented("n", workers={"w": 2})
    assert shown(moves(two, pools=(pool(key(), 1, w=1),))) == ([key()], ["n"])
    assert shown(moves(two, pools=(pool(key(), 1, w=2),))) == ([], [])


def test_who_must_stay_stays_and_it_is_said_why() -> None:
    made = moves(rented("n"), gang="round-1")
    assert shown(made) == ([], [])
    assert made is not None
    assert [(k.node_id, k.reason) for k in made.kept] == [
        ("n", "a worker is a member of the collective round-1")
    ]


def test_what_was_executed_is_not_executed_again() -> None:
    assert moves(rented("n"), pools=(pool(spot(), 3),), done="r") is None
    assert shown(moves(rented("n"), pools=(pool(spot(), 1),), done="another")) == ([spot()], ["n"])


def test_while_it_is_held_nothing_else_is_done_by_choice() -> None:
    held = {"pools": (pool(spot(), 3),), "done": "r", "hold": 60.0}
    assert shown(moves(rented("n"), seconds=59, **held)) == ([], [])  # type: ignore[arg-type]
    assert moves(rented("n"), seconds=60, **held) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", [Mode.HOLD, Mode.OBSERVE])
def test_a_plan_waits_where_it_would_be_refused_and_not_for_ever(mode: Mode) -> None:
    pools = (pool(key(), 1),)
    assert moves(pools=pools, mode=mode) is None
    assert shown(moves(pools=pools, seconds=600)) == ([key()], [])
    assert moves(pools=pools, seconds=601) is None


def test_a_plan_that_was_executed_is_held_in_any_mode_and_for_as_long_as_was_asked() -> None:
    held = moves(rented("n"), done="r", hold=7200, seconds=3600, mode=Mode.HOLD)
    assert shown(held) == ([], [])
