"""Each policy by worked cases: the numbers can be checked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from costplan.planner.guard import GuardView, Judgement, Policy
from costplan.planner.nodes import Cause
from costplan.planner.settings import Budget, Freeze, Safety
from costplan.planner.tick import Control, Learnt, Move
from costplan.planner.types import Decision, Gap, Market, Mode, Phase
from costplan.planner.workload import Limits, MarketRules, Quota
from costplan.policies.blast_radius import BlastRadius
from costplan.policies.budget import WithinBudget
from costplan.policies.capacity_floor import CapacityFloor
from costplan.policies.churn import Churn
from costplan.policies.freeze import Frozen, is_in
from costplan.policies.quota import WithinQuota
from costplan.policies.spot_mix import SpotMix
from costplan.policies.trust import Trust
from tests.fleets import NOON, drain, key, launch, node, plan, quote, settings, spot, view

EVERY_CAUSE = (
    Cause.SURPLUS, Cause.DEARER, Cause.NOTICE, Cause.OPERATOR, Cause.DOWN, Cause.BOOT_FAILED,
)  # fmt: skip
DRAINS = tuple(drain(f"n-{cause}", cause) for cause in EVERY_CAUSE)
DRAINED = tuple(node(f"n-{cause}") for cause in EVERY_CAUSE)


def left(policy: Policy, moves: Sequence[Move], seen: GuardView) -> list[Move]:
    return list(policy.judge(plan(*moves), seen).moves)


def causes(moves: Sequence[Move]) -> list[str]:
    return [getattr(move, "cause", "launch") for move in moves]


def only(judgement: Judgement) -> tuple[Decision, str, dict[str, str]]:
    (verdict,) = judgement.verdicts
    return verdict.decision, verdict.reason, dict(verdict.numbers)


# trust


def test_what_is_fully_known_is_trusted() -> None:
    assert left(Trust(), (launch(), *DRAINS), view(*DRAINED)) == [launch(), *DRAINS]


def test_on_hold_only_forced_drains_and_the_floor_are_left() -> None:
    """Three workers are the least; one stays, so two launches of one worker each pass."""
    gap = Gap(kind="load", subject="the last sample is too old", assumed="as it was")
    seen = view(
        node("n-surplus"), node("n-notice"), rules=settings(minimum=3), mode=Mode.HOLD, gaps=(gap,)
    )
    moves = (*[launch()] * 4, drain("n-surplus"), drain("n-notice", Cause.NOTICE))
    judgement = Trust().judge(plan(*moves), seen)
    assert judgement.moves == (launch(), launch(), drain("n-notice", Cause.NOTICE))
    refused, kept_back = judgement.verdicts
    assert refused.reason == "mode hold (load: the last sample is too old)"
    assert (refused.numbers["moves"], kept_back.numbers["nodes"]) == ("2", "n-surplus")


def test_on_hold_without_a_minimum_nothing_is_launched_and_nothing_dear_is_exchanged() -> None:
    moves = (launch(), launch(replaces=("n-1",)), drain("n-1", Cause.DEARER))
    assert left(Trust(), moves, view(node("n-1"), mode=Mode.HOLD)) == []


def test_an_observer_does_nothing_at_all() -> None:
    gaps = tuple(Gap(kind="machines", subject=f"cloud {n}", assumed="none") for n in range(5))
    seen = view(*DRAINED, rules=settings(minimum=9), mode=Mode.OBSERVE, gaps=gaps)
    judgement = Trust().judge(plan(launch(), *DRAINS), seen)
    assert judgement.moves == ()
    assert sum(int(verdict.numbers["moves"]) for verdict in judgement.verdicts) == 7
    assert judgement.verdicts[0].reason.endswith("; machines: cloud 2; and 2 more)")


# freeze


def test_a_pause_leaves_what_a_cloud_or_the_operator_orders() -> None:
    paused = Control(paused_until=NOON + timedelta(minutes=30))
    seen = view(*DRAINED, state={"control": paused})
    judgement = Frozen().judge(plan(launch(), *DRAINS), seen)
    assert causes(judgement.moves) == [Cause.NOTICE, Cause.OPERATOR, Cause.DOWN]
    assert judgement.verdicts[0].reason == "paused by the operator until 2024-05-15 12:30:00 UTC"


def test_a_pause_ends_at_its_instant_and_one_without_end_says_so() -> None:
    assert left(Frozen(), (launch(),), view(state={"control": Control(paused_until=NOON)}))
    for_ever = Control(paused_until=datetime.max.replace(tzinfo=UTC))
    judgement = Frozen().judge(plan(launch()), view(state={"control": for_ever}))
    assert only(judgement)[1] == "paused by the operator until resumed"


def test_a_freeze_window_leaves_work_and_what_is_forced() -> None:
    window = Freeze(start_minute=11 * 60, end_minute=13 * 60, reason="month end")
    seen = view(*DRAINED, rules=settings(safety=Safety(freezes=(window,))))
    judgement = Frozen().judge(plan(launch(), *DRAINS), seen)
    assert causes(judgement.moves) == [
        "launch", Cause.NOTICE, Cause.OPERATOR, Cause.DOWN, Cause.BOOT_FAILED,
    ]  # fmt: skip
    assert judgement.verdicts[0].reason == "changes are frozen from 11:00 to 13:00 UTC (month end)"


@pytest.mark.parametrize(
    ("start", "end", "hour", "minute", "inside"),
    [
        (9, 17, 9, 0, True),
        (9, 17, 16, 59, True),
        (9, 17, 17, 0, False),
        (9, 17, 8, 59, False),
        (22, 6, 22, 0, True),
        (22, 6, 23, 59, True),
        (22, 6, 0, 0, True),
        (22, 6, 5, 59, True),
        (22, 6, 6, 0, False),
        (22, 6, 12, 0, False),
        (0, 24, 23, 59, True),
        (22, 24, 23, 59, True),
        (22, 24, 0, 0, False),
    ],
)
def test_a_window_starts_in_and_ends_out(
    start: int, end: int, hour: int, minute: int, inside: bool
) -> None:
    window = Freeze(start_minute=start * 60, end_minute=end * 60)
    assert is_in(window, NOON.replace(hour=hour, minute=minute)) is inside


# churn


@pytest.mark.parametrize(("age", "stays"), [(59, True), (60, False), (7200, False)])
def test_a_node_is_not_given_up_by_choice_within_a_minute_of_joining(age: int, stays: bool) -> None:
    young = node("n-1", ready_at=NOON - timedelta(seconds=age))
    judgement = Churn().judge(plan(drain("n-1")), view(young))
    assert (judgement.moves == ()) is stays
    if stays:
        decision, reason, numbers = only(judgement)
        assert (decision, reason) == (Decision.DEFER, "it is younger than 60 s")
        assert numbers["age_seconds"] == "59"


def test_a_notice_does_not_ask_how_old_a_node_is() -> None:
    young = node("n-1", ready_at=NOON)
    assert left(Churn(), (drain("n-1", Cause.NOTICE),), view(young))


def exchange(drain_usd: str) -> list[Move]:
    """$1.00 for $0.70 an hour saves $0.15 in half an hour; the boot of 120 s costs $0.023333."""
    return [
        launch("0.70", replaces=("n-1",)),
        drain("n-1", Cause.DEARER, usd="1.00", drain_usd=Decimal(drain_usd)),
    ]


def test_an_exchange_that_pays_back_within_the_horizon_is_done() -> None:
    """$0.1266 for the drain and $0.0233 for the boot are $0.1499."""
    moves = exchange("0.1266")
    assert left(Churn(), moves, view(node("n-1"))) == moves


def test_an_exchange_that_does_not_is_not() -> None:
    judgement = Churn().judge(plan(*exchange("0.1267")), view(node("n-1")))
    assert causes(judgement.moves) == ["launch"]
    decision, reason, numbers = only(judgement)
    assert decision is Decision.DENY
    assert reason == "the exchange does not pay back within 1800 s"
    assert numbers["saves_usd"] == "0.150000"
    assert numbers["drain_usd"] == "0.126700"
    assert numbers["boot_usd"] == "0.023333"


def test_of_a_machine_that_brings_more_work_only_the_part_that_replaces_counts() -> None:
    """$4.00 for eight workers, of which two replace a node of $1.60: $1.00 of it counts.

    Half an hour saves $0.30, and the boot of that part costs $0.0333: $0.2667 are left.
    """
    for drain_usd, count in (("0.2666", 2), ("0.2667", 1)):
        moves = (
            launch("4.00", workers={"w": 8}, replaces=("n-1",)),
            drain("n-1", Cause.DEARER, usd="1.60", drain_usd=Decimal(drain_usd)),
        )
        assert len(left(Churn(), moves, view(node("n-1", workers={"w": 2})))) == count


def test_two_nodes_for_one_machine_are_judged_together() -> None:
    """$1.00 and $0.10 for one machine of $0.80: the small node alone would not pay."""
    moves = (
        launch("0.80", workers={"w": 2}, replaces=("n-1", "n-2")),
        drain("n-1", Cause.DEARER, usd="1.00"),
        drain("n-2", Cause.DEARER, usd="0.10"),
    )
    assert left(Churn(), moves, view(node("n-1"), node("n-2"))) == list(moves)


# capacity floor


def test_drains_by_choice_stop_at_the_minimum() -> None:
    """Four workers, at least two stay: the first two drains pass."""
    seen = view(*(node(f"n-{n}") for n in range(4)), rules=settings(minimum=2))
    judgement = CapacityFloor().judge(plan(*(drain(f"n-{n}") for n in range(4))), seen)
    assert [getattr(move, "node_id", "") for move in judgement.moves] == ["n-0", "n-1"]
    decision, reason, numbers = only(judgement)
    assert (decision, reason) == (Decision.DENY, "at least 2 'w' workers stay")
    assert (numbers["moves"], numbers["nodes"], numbers["workers"]) == ("2", "n-2, n-3", "2")


def test_coming_workers_count_and_leaving_ones_do_not() -> None:
    fleet = (
        node("n-0"),
        node("n-1", phase=Phase.BOOTING),
        node("n-2", phase=Phase.CORDONED, cause=Cause.SURPLUS),
        node("n-3", phase=Phase.READY, cause=Cause.NOTICE),
        node("n-4", phase=Phase.LOST),
        node("n-5", phase=Phase.GONE),
    )
    assert left(CapacityFloor(), (drain("n-0"),), view(*fleet, rules=settings(minimum=1)))
    assert not left(CapacityFloor(), (drain("n-0"),), view(*fleet, rules=settings(minimum=2)))


def test_what_must_go_goes_and_counts_as_gone() -> None:
    seen = view(node("n-0"), node("n-1"), node("n-2"), rules=settings(minimum=2))
    moves = (drain("n-0"), drain("n-1", Cause.NOTICE), drain("n-2", Cause.OPERATOR))
    assert left(CapacityFloor(), moves, seen) == list(moves[1:])


def test_a_launch_does_not_excuse_a_drain_but_an_exchange_does() -> None:
    seen = view(node("n-0"), rules=settings(minimum=1))
    assert left(CapacityFloor(), (launch(), drain("n-0")), seen) == [launch()]
    exchange = (launch(replaces=("n-0",)), drain("n-0", Cause.DEARER))
    assert left(CapacityFloor(), exchange, seen) == list(exchange)


def test_a_worker_that_comes_takes_the_place_of_one_only() -> None:
    """Two nodes of one worker each, exchanged for one machine of one worker: one must stay."""
    seen = view(node("n-0"), node("n-1"), rules=settings(minimum=2))
    moves = (
        launch(replaces=("n-0", "n-1")),
        drain("n-0", Cause.DEARER),
        drain("n-1", Cause.DEARER),
    )
    assert left(CapacityFloor(), moves, seen) == list(moves[:2])


# blast radius


def test_half_of_the_ready_nodes_are_emptied_at_once() -> None:
    """Seven work and one is being emptied: half of eight is four, so three more may go."""
    fleet = [node(f"n-{n}") for n in range(7)]
    fleet.append(node("n-7", phase=Phase.RETIRING, cause=Cause.SURPLUS))
    judgement = BlastRadius().judge(plan(*(drain(f"n-{n}") for n in range(7))), view(*fleet))
    assert len(judgement.moves) == 3
    decision, reason, numbers = only(judgement)
    assert (decision, reason) == (Decision.DEFER, "at most 4 of 8 ready nodes are emptied at once")
    assert numbers["moves"] == "4"


def test_one_may_always_go_and_force_is_not_counted() -> None:
    assert left(BlastRadius(), (drain("n-0"),), view(node("n-0")))
    fleet = (node("n-0"), node("n-1", phase=Phase.RETIRING, cause=Cause.NOTICE))
    moves = (drain("n-0"), drain("n-1", Cause.OPERATOR))
    rules = settings(safety=Safety(max_drain_share=0.0))
    assert left(BlastRadius(), moves, view(*fleet, rules=rules)) == list(moves)


def test_a_node_that_boots_takes_no_work_with_it() -> None:
    fleet = (node("n-0"), node("n-1", phase=Phase.BOOTING, ready_at=None))
    assert len(left(BlastRadius(), (drain("n-0"), drain("n-1")), view(*fleet))) == 2


def test_at_most_so_many_machines_are_asked_for_in_a_tick() -> None:
    rules = settings(safety=Safety(max_launches=2))
    judgement = BlastRadius().judge(plan(launch("1"), launch("2"), launch("3")), view(rules=rules))
    assert judgement.moves == (launch("1"), launch("2"))
    assert only(judgement)[2]["max_launches"] == "2"


# quota


def test_every_node_alive_counts_towards_max_nodes() -> None:
    """Three alive, one of them draining and one unanswered, and one gone: two of five are free."""
    fleet = (
        node("n-0"),
        node("n-1", phase=Phase.TERMINATING),
        node("n-2", phase=Phase.UNCERTAIN),
        node("n-3", phase=Phase.GONE),
    )
    seen = view(*fleet, rules=settings(limits=Limits(max_nodes=5)))
    judgement = WithinQuota().judge(plan(launch(), launch(), launch(), drain("n-0")), seen)
    assert causes(judgement.moves) == ["launch", "launch", Cause.SURPLUS]
    assert only(judgement)[0] is Decision.DENY


def test_a_quota_of_vcpu_strikes_the_offers_that_it_has_no_room_for() -> None:
    """12 spot vCPU, 4 in use: two of three launches may be on spot, the third on demand only."""
    rules = settings(limits=Limits(quotas=(Quota(market=Market.SPOT, vcpu_milli=12000),)))
    seen = view(node("n-0", keys=(spot(),)), rules=rules)
    wanted = launch("1", spot(), key())
    judgement = WithinQuota().judge(plan(wanted, wanted, wanted), seen)
    assert [getattr(move, "keys", ()) for move in judgement.moves] == [
        (spot(), key()), (spot(), key()), (key(),),
    ]  # fmt: skip
    decision, reason, numbers = only(judgement)
    assert decision is Decision.TRIM
    assert reason == "limits.quotas[0] of 12 vCPU has no room for it"
    assert (numbers["offers_struck"], numbers["offers_asked"]) == ("1", "2")


def test_a_node_that_may_be_one_of_several_counts_for_each() -> None:
    rules = settings(limits=Limits(quotas=(Quota(instance_types=("a*",), nodes=1),)))
    asked = node("n-0", phase=Phase.REQUESTED, keys=(key("b"), key("a")))
    booting = node("n-0", phase=Phase.BOOTING, keys=(key("b"), key("a")))
    moves = (launch("1", key("a")),)
    assert left(WithinQuota(), moves, view(asked, rules=rules)) == []
    assert left(WithinQuota(), moves, view(booting, rules=rules)) == list(moves)


def test_offers_refused_a_moment_ago_are_struck_and_a_launch_without_any_waits() -> None:
    soon, later = NOON + timedelta(minutes=2), NOON + timedelta(minutes=5)
    refused = {str(key("a")): later, str(key("b")): soon, str(key("c")): NOON}
    seen = view(state={"learnt": Learnt(refused=refused)})
    moves = (launch("1", key("a"), key("c")), launch("2", key("a"), key("b")))
    judgement = WithinQuota().judge(plan(*moves), seen)
    assert judgement.moves == (launch("1", key("c")),)
    trimmed, waits = judgement.verdicts
    assert (trimmed.decision, waits.decision) == (Decision.TRIM, Decision.DEFER)
    assert waits.numbers["until"] == "2024-05-15 12:02:00 UTC"


# budget


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


def test_a_budget_that_is_passed_is_told_and_ends_nothing() -> None:
    """$95 of $100 are spent, and $1 an hour for twelve hours is $7 too much."""
    seen = view(node("n-0"), spent_today_usd=Decimal(95), rules=budgeted(usd_per_day="100"))
    judgement = WithinBudget().judge(plan(), seen)
    _, reason, numbers = only(judgement)
    assert reason == "budget.usd_per_day of $100 is passed by $7.0000 if what runs now goes on"
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


# spot mix


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
