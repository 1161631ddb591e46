"""The shares of spot and of its pools, by worked cases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from costplan.planner.settings import Safety
from costplan.planner.types import Decision, Offer
from costplan.planner.workload import MarketRules
from costplan.policies.spot_mix import SpotMix
from tests.fleets import SIZE, drain, key, launch, node, offers, plan, settings, spot, view
from tests.judging import left, only


def mixed(**rules: Any) -> Any:
    return settings(market=MarketRules(**rules))


def test_spot_stays_within_its_share_of_the_fleet_after_the_moves() -> None:
    """One on demand stays and one goes; of five launches one is on demand: with two on demand,
    half on spot are two of the four."""
    seen = view(node("n-0"), node("n-1"), rules=mixed(spot_max_share=0.5))
    moves = (*[launch("1", spot())] * 4, launch("2"), drain("n-1"))
    judgement = SpotMix().judge(plan(*moves), seen)
    assert judgement.moves == (*[launch("1", spot())] * 2, launch("2"), drain("n-1"))
    decision, reason, numbers = only(judgement)
    assert decision is Decision.DENY
    assert reason == "more than market.spot_max_share (0.5) would be on spot"
    assert (numbers["moves"], numbers["spot_vcpu"], numbers["all_vcpu"]) == ("2", "8", "16")


def test_a_launch_that_has_another_market_loses_spot_only() -> None:
    either = launch("2", spot(), key())
    judgement = SpotMix().judge(plan(either, either), view(rules=mixed(spot_max_share=0.5)))
    assert judgement.moves == (either, launch("2", key()))
    assert only(judgement)[0] is Decision.TRIM


def test_spot_waits_for_the_on_demand_base() -> None:
    """16 vCPU are to be on demand, 8 are: nothing on spot comes before two more."""
    seen = view(node("n-0"), node("n-1"), rules=mixed(on_demand_base_vcpu_milli=16000))
    assert left(SpotMix(), (launch("1", spot()), launch()), seen) == [launch()]
    moves = (launch("1", spot()), launch(), launch())
    assert left(SpotMix(), moves, seen) == list(moves)


def test_no_pool_holds_more_than_its_share() -> None:
    """Three of six launches are in pool a; two of five would still be above 0.34, one of four
    is not."""
    rules = mixed(pool_max_share=0.34)
    moves = [launch("1", spot(pool)) for pool in ("a", "a", "a", "b", "c", "d")]
    judgement = SpotMix().judge(plan(*moves), view(rules=rules))
    assert [move.keys[0].instance_type for move in judgement.moves if hasattr(move, "keys")] == [
        "a", "b", "c", "d",
    ]  # fmt: skip
    assert only(judgement)[1] == "more than market.pool_max_share (0.34) would be in one pool"


def test_pools_after_the_first_stay_where_they_have_room() -> None:
    """Four launches, one a pool, and each pool may hold two: one of them may fall back to d."""
    rules = mixed(pool_max_share=0.5)
    moves = [launch("1", spot(pool), spot("d")) for pool in ("a", "b", "c")]
    kept = SpotMix().judge(plan(*moves, launch("1", spot("d"))), view(rules=rules)).moves
    assert [len(getattr(move, "keys", ())) for move in kept] == [2, 1, 1, 1]


def test_a_fleet_that_leans_on_spot_by_itself_is_left_as_it_is() -> None:
    seen = view(node("n-0", keys=(spot(),)), rules=mixed(spot_max_share=0.5))
    assert SpotMix().judge(plan(drain("n-0")), seen).verdicts == ()
    assert left(SpotMix(), (launch(),), seen) == [launch()]


def test_an_offer_of_unknown_size_is_not_launched_under_a_share() -> None:
    seen = view(rules=mixed(spot_max_share=0.5), offers=())
    judgement = SpotMix().judge(plan(launch()), seen)
    assert only(judgement)[1] == "the size of its offers is not known"


def test_no_zone_or_family_holds_more_spot_than_its_share() -> None:
    """Of four machines two may be of one zone, and so of one family; on demand is not counted."""
    safety = Safety(max_zone_spot_share=0.5)
    far = replace(spot("b"), zone="us-b")
    moves = [launch("1", spot("a")), launch("1", spot("b")), launch("1", spot("c"), far)]
    judged = SpotMix().judge(
        plan(*moves, launch("1", key("d"))),
        view(
            rules=settings(safety=safety),
            offers=(*offers(), Offer(key=far, resources=SIZE, arch="x86_64")),
        ),
    )
    assert [getattr(move, "keys", ()) for move in judged.moves] == [
        (spot("a"),), (spot("b"),), (far,), (key("d"),),
    ]  # fmt: skip
    reason = only(judged)[1]
    assert reason == "more than safety.max_zone_spot_share (0.5) would be in one zone"
    family = Safety(max_family_spot_share=0.5)
    kept = left(
        SpotMix(),
        [launch("1", spot("a"))] * 2 + [launch("1", key("d"))],
        view(rules=settings(safety=family)),
    )
    assert kept == [launch("1", spot("a")), launch("1", key("d"))]
