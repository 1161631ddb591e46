"""Commitments in the tick: what they pay for is bought first, kept, and let go last."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from costplan.adapters.leasing import Leasing
from costplan.cli.metrics import Metrics
from costplan.cli.status_document import status_document
from costplan.planner.commitments.values import Commitment, Kind, Product
from costplan.planner.explain import Told, explain_tick
from costplan.planner.explain_held import held_lines
from costplan.planner.held.values import Held
from costplan.planner.loop import Ticked
from costplan.planner.settings import Budget
from costplan.planner.status import status_of
from costplan.planner.tick import ActionOutcome, DrainNode, NewNode
from costplan.planner.types import Market
from tests.fleets import kind, readings, rules
from tests.unit.test_loop import WORK, Daemon


def reserved(count: int | str = 2, **more: Any) -> Held:
    """Reserved instances of the one type that there is."""
    product = Product(provider="aws", service="ec2", region="us", instance_type="m.large")
    bought = Commitment(
        commitment_id="ri",
        kind=Kind.REGIONAL_RI,
        product=product,
        count=Fraction(count),
        usd_per_hour=Fraction(1, 2),
    )
    return Held(commitments=(bought,), **more)


def launched(ticked: Ticked) -> Counter[str]:
    """How many nodes of each market a plan launches."""
    plan = ticked.plan
    assert plan is not None
    return Counter(move.keys[0].market for move in plan.moves if isinstance(move, NewNode))


def grown(held: Held, **more: Any) -> tuple[Daemon, Ticked]:
    """A daemon with work for three nodes, which run; and the tick that asked for them."""
    daemon = Daemon(settings=rules(kind(), held=held, **more))
    first = daemon.tick(WORK)
    daemon.tick(WORK, outcomes=daemon.answer(first))
    return daemon, first


def test_what_is_reserved_is_bought_first_and_the_rest_on_spot() -> None:
    _, first = grown(reserved(2))
    assert launched(first) == {Market.ON_DEMAND: 2, Market.SPOT: 1}
    plan = first.plan
    assert plan is not None
    reasons = [move.reason for move in plan.moves if move.keys[0].market is Market.ON_DEMAND]
    assert reasons == ["more work; paid by ri"] * 2
    assert plan.usd_per_hour_after < Decimal("0.41")
    assert plan.lower_bound_usd <= plan.expected_usd


def test_a_node_that_is_paid_for_is_kept_and_nothing_flaps() -> None:
    daemon, _ = grown(reserved(2))
    for _ in range(30):
        ticked = daemon.tick(WORK, passing=60)
        assert ticked.plan is not None
        assert not ticked.plan.moves
    held = ticked.plan.held
    assert held is not None
    assert held.pays_usd_per_hour == 2
    assert [(use.used, use.idle) for use in held.uses] == [(2, 0)]


def test_nodes_on_spot_make_way_once_something_is_held() -> None:
    daemon, first = grown(Held())
    assert launched(first) == {Market.SPOT: 3}
    daemon.tick(WORK, passing=300)
    daemon.settings = replace(daemon.settings, held=reserved(2))
    bought: Counter[str] = Counter()
    outcomes: tuple[ActionOutcome, ...] = ()
    for _ in range(20):  # half of the nodes may be exchanged at a time
        ticked = daemon.tick(WORK, passing=60, outcomes=outcomes)
        outcomes = daemon.answer(ticked)
        bought += launched(ticked)
    assert bought == {Market.ON_DEMAND: 2}


def test_with_less_work_the_node_that_is_paid_by_the_hour_goes_first() -> None:
    daemon, _ = grown(reserved(2))
    daemon.settings = rules(kind(maximum=2), held=reserved(2))
    ticked = daemon.tick(WORK, passing=300)
    assert ticked.plan is not None
    (move,) = ticked.plan.moves
    assert isinstance(move, DrainNode)
    assert daemon.state.nodes[move.node_id].key.market is Market.SPOT


def test_half_a_node_that_is_paid_for_is_worth_half_of_its_price() -> None:
    _, first = grown(reserved("0.7"))
    assert launched(first) == {Market.ON_DEMAND: 1, Market.SPOT: 2}
    assert first.plan is not None
    move = next(m for m in first.plan.moves if m.reason.endswith("paid by ri in part"))
    assert isinstance(move, NewNode)
    assert move.usd_per_hour == Decimal("0.3")
    _, little = grown(reserved("0.5"))
    assert launched(little) == {Market.SPOT: 3}


def test_no_more_is_counted_on_than_is_leased() -> None:
    daemon = Daemon(settings=rules(kind(), held=reserved(2)))
    ticked = daemon.tick(WORK, leases={"ri": Fraction(1)})
    assert launched(ticked) == {Market.ON_DEMAND: 1, Market.SPOT: 2}
    other = Daemon(settings=rules(kind(), held=reserved(2)))
    assert launched(other.tick(WORK, leases={})) == {Market.SPOT: 3}
    third = Daemon(settings=rules(kind(), held=reserved(2, used={"ri": Fraction(1)})))
    assert launched(third.tick(WORK)) == {Market.ON_DEMAND: 1, Market.SPOT: 2}


def test_budgets_count_what_commitments_leave_to_be_paid() -> None:
    daemon, first = grown(reserved(3), budget=Budget(usd_per_day=Decimal(1)))
    assert launched(first) == {Market.ON_DEMAND: 3}
    for _ in range(30):
        ticked = daemon.tick(WORK, passing=300)
    assert ticked.snapshot.spent_usd > 4
    assert abs(ticked.snapshot.spent_today_usd) < Decimal("0.5")
    assert len(daemon.nodes) == 3


def test_the_order_of_commitments_is_nothing_to_a_plan() -> None:
    both = replace(reserved(1), commitments=(*reserved(1).commitments, *more_reserved()))
    back = replace(both, commitments=both.commitments[::-1])
    plans = [grown(held)[1].plan for held in (both, back)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].moves == plans[1].moves


def more_reserved() -> tuple[Commitment, ...]:
    """One more instance."""
    return (replace(reserved(1).commitments[0], commitment_id="another"),)


def test_two_clusters_never_count_on_the_same_machine(tmp_path: Path) -> None:
    held = reserved(4, ledger=str(tmp_path / "shared.db"))
    daemons = [Daemon(settings=rules(kind(), held=held, cluster=name)) for name in ("a", "b")]
    leasings = [Leasing(), Leasing()]
    outcomes: list[tuple[ActionOutcome, ...]] = [(), ()]
    for _ in range(12):
        for place, daemon in enumerate(daemons):
            told = leasings[place].told(readings(daemon.now + 60), daemon.state, daemon.settings)
            ticked = daemon.tick(WORK, passing=60, outcomes=outcomes[place], leases=told.leases)
            outcomes[place] = daemon.answer(ticked)
        uses = [daemon.state.held for daemon in daemons]
        assert sum(use.used for held_use in uses if held_use for use in held_use.uses) <= 4
    firm = [sum(node.key.market is Market.ON_DEMAND for node in daemon.nodes) for daemon in daemons]
    assert sum(firm) == 4
    assert all(len(daemon.nodes) >= 3 for daemon in daemons)


def test_what_commitments_pay_is_told(tmp_path: Path) -> None:
    daemon, first = grown(reserved(4))
    assert first.plan is not None
    told = Told(
        tick_id="t", at=first.snapshot.at, mode=first.snapshot.mode, gaps=(), plan=first.plan,
        actions=first.actions,
    )  # fmt: skip
    sections = {each.title: each.lines for each in explain_tick(told).sections}
    daemon.tick(WORK)
    assert sections["commitments"][-1].startswith("all of it counts as this cluster's own")
    lines = tuple(held_lines(daemon.state.held))
    assert lines[0] == "commitments pay $3.00/h of the machines that run"
    assert lines[1] == "ri: 3 of 4 m.large-hours, 1 idle ($0.50/h)"
    status = status_of(daemon.state, daemon.settings, lease=None, last=None, now=first.snapshot.at)
    form = status_document(status)["commitments"]
    assert (form["pays_usd_per_hour"], form["uses"][0]["idle"]) == ("3.00", "1.00")
    metrics = Metrics(lambda: None)
    metrics.tick(status, kind="plan", seconds=0.1)
    shown = metrics.text().decode()
    assert 'costplan_commitment_used{commitment="ri",unit="m.large-hours"} 3.0' in shown
    assert 'costplan_commitment_idle{commitment="ri",unit="m.large-hours"} 1.0' in shown
