"""Each policy by worked cases: the numbers can be checked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from costplan.planner.learn import exchange_name
from costplan.planner.learnt import Learnt
from costplan.planner.nodes import Cause
from costplan.planner.settings import Freeze, Safety
from costplan.planner.tick import ClassDemand, Control, Move
from costplan.planner.types import Decision, Gap, Market, Mode, Phase
from costplan.planner.workload import Limits, Quota
from costplan.policies.blast_radius import BlastRadius
from costplan.policies.capacity_floor import CapacityFloor
from costplan.policies.churn import Churn
from costplan.policies.freeze import Frozen, is_in
from costplan.policies.quota import WithinQuota
from costplan.policies.trust import Trust
from tests.fleets import NOON, drain, key, launch, node, plan, settings, spot, view
from tests.judging import causes, left, only

EVERY_CAUSE = (
    Cause.SURPLUS, Cause.DEARER, Cause.NOTICE, Cause.OPERATOR, Cause.DOWN, Cause.BOOT_FAILED,
)  # fmt: skip
DRAINS = tuple(drain(f"n-{cause}", cause) for cause in EVERY_CAUSE)
DRAINED = tuple(node(f"n-{cause}") for cause in EVERY_CAUSE)


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


def test_an_exchange_pays_the_boots_that_were_seen_of_what_comes() -> None:
    """600 s of $0.70 an hour are $0.116667; with $0.0333 for the drain just below $0.15."""
    moves = exchange("0.0333")
    state = {"learnt": Learnt(boots={str(key()): (600.0,)}, boot_seconds=(10.0,))}
    assert left(Churn(), moves, view(node("n-1"), state=state)) == moves
    _, _, numbers = only(Churn().judge(plan(*exchange("0.0334")), view(node("n-1"), state=state)))
    assert numbers["boot_usd"] == "0.116667"


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


def test_an_exchange_is_not_undone_a_moment_later() -> None:
    """Nodes of 'a' took the place of others ten minutes ago, and the horizon is half an hour."""
    seen = view(node("n-0", keys=(key("a"),)))
    back = [launch("0.01", key("b"), replaces=("n-0",)), drain("n-0", Cause.DEARER, usd="9")]
    for name, minutes, is_done in (
        (exchange_name(key("b"), key("a")), 10, False),
        (exchange_name(key("b"), key("a")), 61, True),
        (exchange_name(key("a"), key("b")), 10, True),
    ):
        learnt = Learnt(exchanged={name: NOON - timedelta(minutes=minutes)})
        judged = Churn().judge(plan(*back), replace(seen, state=replace(seen.state, learnt=learnt)))
        assert (Cause.DEARER in causes(judged.moves)) is is_done
        if not is_done:
            assert only(judged)[:2] == (
                Decision.DENY, "it would be exchanged back for what it was exchanged from",
            )  # fmt: skip


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


def test_no_more_of_a_zone_is_emptied_at_once_than_its_share() -> None:
    """Four of six may go, and of the zone with four of them one."""
    far = [node(f"f-{n}", keys=(replace(key(), zone="us-z"),)) for n in range(2)]
    near = [node(f"n-{n}") for n in range(4)]
    safety = Safety(max_drain_share=0.7, max_zone_drain_share=0.25)
    moves = [drain(each.node_id) for each in (*near, *far)]
    judgement = BlastRadius().judge(plan(*moves), view(*near, *far, rules=settings(safety=safety)))
    assert [move.node_id for move in judgement.moves] == ["n-0", "f-0"]  # type: ignore[union-attr]
    reasons = {verdict.reason for verdict in judgement.verdicts}
    assert any("at most 1 of 4 ready nodes in aws/" in reason for reason in reasons)
    assert "at most 1 of 2 ready nodes in aws/us-z are emptied at once" in reasons


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


@pytest.mark.parametrize(("vcpu", "is_full"), [(7, True), (8, False)])
def test_a_quota_that_keeps_workers_from_being_bought_is_named(vcpu: int, is_full: bool) -> None:
    """A node of 4 vCPU runs, the plan asks for nothing, and two workers are missing."""
    quota = Quota(market=Market.SPOT, vcpu_milli=vcpu * 1000, name="the account's quota L-1")
    wide = Quota(market=Market.ON_DEMAND, nodes=9)
    seen = view(node("n-0", keys=(spot(),)), rules=settings(limits=Limits(quotas=(quota, wide))))
    wanted = ClassDemand(
        shape="w", wanted=3, present=1, coming=0, work_seconds=0.0, width=3, reason="", useful=3
    )
    judgement = WithinQuota().judge(replace(plan(), demand=(wanted,)), seen)
    if not is_full:
        assert judgement.verdicts == ()
        return
    decision, reason, numbers = only(judgement)
    assert decision is Decision.TRIM
    assert reason == "the account's quota L-1 has no room for another machine"
    assert numbers["missing_workers"] == "2"


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
