"""Who is told to leave: by a cloud's notice, and by the operator's word."""

from __future__ import annotations

from datetime import datetime

import pytest

from costplan.planner.load import Load
from costplan.planner.nodes import Cause, Node, Notice
from costplan.planner.reconcile import order_control, order_notices
from costplan.planner.tick import Control, DrainRequest
from costplan.planner.types import Phase
from tests.fleets import DRAIN, NOON, after, going, load, rented, runs, world


def notice(kind: str = "reclaim", seconds: float = 120.0, of: str = "i-n") -> Notice:
    """A warning of noon."""
    return Notice(provider_id=of, kind=kind, effective_at=after(seconds), observed_at=NOON)


def warned(of: Node, *notices: Notice, seen: Load | None = None, seconds: float = 0.0) -> Node:
    """The node after these warnings."""
    return order_notices({of.node_id: of}, notices, world(seconds, seen))[of.node_id]


@pytest.mark.parametrize("phase", list(Phase))
def test_a_notice_drains_what_runs(phase: Phase) -> None:
    drained = warned(rented("n", phase), notice()).drain
    runs_now = (Phase.BOOTING, Phase.READY, Phase.CORDONED, Phase.RETIRING)
    assert (drained is not None) == (phase in runs_now)
    if drained is not None:
        assert (drained.cause, drained.must_end_by) == (Cause.NOTICE, after(120))


def test_a_hint_is_no_notice_and_a_strangers_machine_is_not_ours() -> None:
    assert warned(rented("n"), notice("rebalance")).drain is None
    assert warned(rented("n"), notice(of="i-of-somebody-else")).drain is None


def test_the_wait_ends_early_enough_to_copy_what_is_held_alone() -> None:
    """4 GB in 64 keys take 15 s; with half as much again in reserve 22.5 s before the end."""
    held = runs("n-w-0", sole_bytes=4 * 10**9, sole_keys=64)
    drained = warned(rented("n"), notice(), seen=held).drain
    assert drained is not None
    assert (after(120) - drained.wait_until).total_seconds() == pytest.approx(22.5288)
    late = warned(rented("n"), notice(seconds=10), seen=held, seconds=5).drain
    assert late is not None
    assert late.wait_until == after(5)


@pytest.mark.parametrize(
    ("first", "second", "end"), [(3600, 120, 120), (120, 3600, 120), (120, 120, 120)]
)
def test_the_earliest_notice_counts(first: float, second: float, end: float) -> None:
    once = warned(rented("n"), notice("maintenance", first))
    twice = warned(once, notice("maintenance", first), notice("reclaim", second), seconds=5)
    assert twice.drain is not None
    assert twice.drain.must_end_by == after(end)
    assert warned(twice, notice("reclaim", second), seconds=10) == twice


def test_a_notice_goes_before_a_drain_by_choice_and_keeps_its_token() -> None:
    drained = warned(going(Phase.CORDONED), notice()).drain
    assert drained is not None
    assert (drained.token, drained.cause, drained.is_voluntary) == (DRAIN, Cause.NOTICE, False)


def told(of: Node, control: Control, seconds: float = 0.0) -> Node:
    """The node after the operator's word."""
    return order_control({of.node_id: of}, control, world(seconds, load()))[of.node_id]


DRAIN_N = Control(drains=(DrainRequest(node_id="n", requested_at=NOON),))
DISCARD_N = Control(drains=(DrainRequest(node_id="n", requested_at=NOON, discard=True),))


def test_an_operators_word_drains_that_node_once() -> None:
    drained = told(rented("n"), DRAIN_N)
    assert drained.drain is not None
    assert (drained.drain.cause, drained.drain.wait_until) == (Cause.OPERATOR, after(600))
    assert told(drained, DRAIN_N, 5) == drained
    assert told(rented("m"), DRAIN_N).drain is None
    assert told(rented("n"), Control()).drain is None


def test_down_is_for_all_that_is_not_gone() -> None:
    for phase in Phase:
        found = told(rented("n", phase), Control(down=True))
        assert (found.drain is not None) == (phase is not Phase.GONE)


def test_who_may_be_discarded_is_not_waited_for_and_stays_so() -> None:
    drained = told(told(rented("n"), DRAIN_N), DISCARD_N, 7)
    assert drained.drain is not None
    assert (drained.drain.discard, drained.drain.wait_until) == (True, after(7))
    down = told(drained, Control(down=True), 9)
    assert down.drain is not None
    assert (down.drain.cause, down.drain.discard) == (Cause.DOWN, True)


def ends(of: Node) -> datetime | None:
    """By when its cloud takes it."""
    return None if of.drain is None else of.drain.must_end_by


def test_the_clouds_deadline_outlives_the_operators_word() -> None:
    taken = warned(rented("n"), notice())
    assert told(taken, DRAIN_N, 5) == taken
    assert ends(told(taken, DISCARD_N, 5)) == after(120)
    assert ends(warned(told(rented("n"), DISCARD_N), notice())) == after(120)
    assert warned(told(rented("n"), DISCARD_N), notice()).drain.discard  # type: ignore[union-attr]
