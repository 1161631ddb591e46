"""The simulated cloud: what it sells, how it goes wrong, and what it charges."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.adapters.sim.cloud import Account
from costplan.adapters.sim.faults import Fault, Faults, rates
from costplan.adapters.sim.machines import Fates
from costplan.adapters.sim.steps import Steps, always, dollars, steps
from costplan.adapters.sim.world import make_world
from costplan.planner.errors import (
    CapacityUnavailable,
    OutcomeUnknown,
    QuotaExceeded,
    RequestRejected,
    Throttled,
    Unreachable,
)
from costplan.planner.nodes import MachineState
from costplan.planner.types import Billing, Market
from tests.sim.scenes import SURE, key, pool, request


def test_a_machine_is_charged_at_the_price_of_each_moment() -> None:
    """0.36 $/h for 100 s is 1 cent, 3.60 $/h for the other 50 s is 5 cents."""
    world = make_world(
        [pool(usd=steps([(0, Decimal("0.36")), (200, Decimal("3.60"))]))], fates=SURE
    )
    world.clock.advance(100)
    machine = world.provider.launch(request())
    world.clock.advance(148)
    world.provider.terminate([machine.provider_id])
    world.clock.advance(1000)
    (line,) = world.cloud.bill()
    assert line.usd == Decimal("0.06")
    (listed,) = world.cloud.machines()
    assert listed.end_cause == "terminated"


def test_an_ended_machine_is_charged_its_minimum_in_whole_steps() -> None:
    """61.5 s are paid as 62; 10 s are paid as the minimum of 60: 1e-4 $ a second."""
    offer = replace(pool().offer, billing=Billing(minimum_seconds=60, step_seconds=1))
    world = make_world([replace(pool(), offer=offer)], fates=SURE)
    for number, seconds in ((1, 59.5), (2, 8.0)):
        machine = world.provider.launch(request(number))
        world.clock.advance(seconds)
        world.provider.terminate([machine.provider_id])
    world.clock.advance(10)
    assert [line.usd for line in world.cloud.bill()] == [Decimal("0.0062"), Decimal("0.0060")]


def test_a_running_machine_is_charged_until_now() -> None:
    world = make_world([pool()], fates=SURE)
    world.provider.launch(request())
    world.clock.advance(36)
    assert [line.usd for line in world.cloud.bill()] == [Decimal("0.0036")]


def test_dollars_are_exact_over_many_steps() -> None:
    price = steps([(second, Decimal(second + 1) / 10) for second in range(100)])
    whole = dollars(price, 0, 100_000_000)
    parts = [dollars(price, at, at + 10_000_000) for at in range(0, 100_000_000, 10_000_000)]
    assert whole == pytest.approx(sum(parts), abs=Decimal("1e-18"))
    assert whole == pytest.approx(Decimal(505) / 3600, abs=Decimal("1e-18"))


@given(
    start=st.integers(0, 500), length=st.integers(0, 500), first=st.integers(1, 60),
    period=st.integers(61, 99),
)  # fmt: skip
def test_dollars_of_a_price_that_is_repeated_are_those_of_it_laid_out(
    start: int, length: int, first: int, period: int
) -> None:
    low, high = Decimal("0.1"), Decimal("0.3")
    short = Steps((0, first), (low, high), period=period)
    whole = [base + at for base in range(0, 1100, period) for at in (0, first)]
    laid_out = Steps(tuple(whole), (low, high) * (len(whole) // 2))
    assert [short.at(at) for at in whole] == [laid_out.at(at) for at in whole]
    assert dollars(short, start, start + length) == dollars(laid_out, start, start + length)
    assert sum(part for part, _ in short.parts(start, start + length)) == length


def test_a_machine_boots_runs_and_is_listed_after_its_end() -> None:
    world = make_world([pool()], fates=SURE, account=Account(ended_listed_seconds=300))
    machine = world.provider.launch(request())
    states = [machine.state]
    for seconds in (59.9, 0.1, 0):
        world.clock.advance(seconds)
        states.append(world.provider.nodes()[0].state)
    assert states == [MachineState.PENDING, MachineState.PENDING, *[MachineState.RUNNING] * 2]
    world.provider.terminate([machine.provider_id])
    assert world.provider.nodes()[0].state is MachineState.STOPPING
    world.clock.advance(2)
    (ended,) = world.provider.nodes()
    assert (ended.state, ended.end_cause) == (MachineState.ENDED, "terminated")
    assert ended.ended_at == machine.launched_at + timedelta(seconds=62)
    world.clock.advance(300)
    assert world.provider.nodes() == ()


def test_the_same_request_is_the_same_machine() -> None:
    world = make_world([pool()])
    first, second = world.provider.launch(request()), world.provider.launch(request())
    assert first == second
    with pytest.raises(RequestRejected):
        world.provider.launch(request(threads=2))
    assert len(world.cloud.machines()) == 1


def test_the_next_offer_is_taken_where_the_first_has_no_capacity() -> None:
    spot = pool(market=Market.SPOT, capacity=steps([(0, 1), (60, 0), (120, 5)]))
    world = make_world([spot, pool("m8", capacity=always(1))])
    keys = (spot.key, key("m8"))
    taken = [world.provider.launch(request(number, keys=keys)).key for number in (1, 2)]
    assert taken == [spot.key, key("m8")]
    with pytest.raises(CapacityUnavailable):
        world.provider.launch(request(3, keys=keys))
    assert [offer.available for offer in world.provider.offers()] == [False, False]
    world.clock.advance(120)
    assert [offer.available for offer in world.provider.offers()] == [True, False]
    assert world.provider.launch(request(3, keys=keys)).key == spot.key


def test_a_quota_bounds_the_machines_alive() -> None:
    world = make_world([pool()], account=Account(most_machines=1), fates=SURE)
    machine = world.provider.launch(request(1))
    with pytest.raises(QuotaExceeded):
        world.provider.launch(request(2))
    world.provider.terminate([machine.provider_id])
    world.clock.advance(10)
    world.provider.launch(request(2))


@pytest.mark.parametrize(
    ("fault", "at_once", "later"),
    [
        (Fault.UNKNOWN_DONE, 1, 1),
        (Fault.UNKNOWN_NOT_DONE, 0, 0),
        (Fault.UNKNOWN_LATE, 0, 1),
    ],
)
def test_an_unknown_outcome_hides_what_was_done(fault: Fault, at_once: int, later: int) -> None:
    world = make_world([pool()])
    world.provider.faults.script("launch", fault)
    with pytest.raises(OutcomeUnknown):
        world.provider.launch(request())
    assert len(world.provider.nodes()) == at_once
    world.clock.advance(30)
    assert len(world.provider.nodes()) == later
    world.provider.launch(request())
    world.clock.advance(30)
    assert len(world.cloud.machines()) == 1


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.THROTTLED, Throttled), (Fault.UNREACHABLE, Unreachable)]
)
def test_reads_fail_as_scripted_and_then_go_on(fault: Fault, error: type[Exception]) -> None:
    world = make_world([pool()])
    world.provider.faults.script("nodes", None, fault)
    assert world.provider.nodes() == ()
    with pytest.raises(error):
        world.provider.nodes()
    assert world.provider.nodes() == ()


def test_a_termination_that_nobody_knows_of_may_not_have_been_done() -> None:
    world = make_world([pool()])
    machine = world.provider.launch(request())
    world.provider.faults.script("terminate", Fault.UNKNOWN_NOT_DONE)
    with pytest.raises(OutcomeUnknown):
        world.provider.terminate([machine.provider_id])
    assert world.provider.nodes()[0].state is MachineState.PENDING
    world.provider.terminate([machine.provider_id])
    assert world.provider.nodes()[0].state is MachineState.STOPPING
    assert world.provider.strangers == []
    world.provider.terminate(["somebody-else"])
    assert world.provider.strangers == ["somebody-else"]


def test_a_notice_comes_before_the_end() -> None:
    world = make_world([pool()], fates=SURE)
    machine = world.provider.launch(request())
    world.clock.advance(100)
    world.cloud.interrupt(machine.provider_id, in_seconds=30)
    (notice,) = world.provider.notices()
    assert (notice.effective_at - notice.observed_at).total_seconds() == 30
    world.clock.advance(30)
    assert world.provider.notices() == ()
    (ended,) = world.provider.nodes()
    assert (ended.state, ended.end_cause) == (MachineState.ENDED, "reclaimed")
    assert len(world.cluster.load().workers) == 0


def test_hazard_takes_machines_at_its_rate_with_notices() -> None:
    """1,000 machines at one interruption in two hours: 1 - exp(-1/2) of them within the hour."""
    world = make_world([pool(hazard=0.5, market=Market.SPOT)], fates=SURE)
    for number in range(1000):
        world.provider.launch(request(number, keys=(key(market=Market.SPOT),)))
    world.clock.advance(3600)
    ended = [machine for machine in world.cloud.machines() if machine.ended is not None]
    assert {machine.end_cause for machine in ended} == {"reclaimed"}
    assert 350 < len(ended) < 437  # 393.5 expected, sigma 15.4
    coming = len(world.provider.notices())
    assert 3 < coming < 45  # 20 expected in the two minutes of notice


def test_a_machine_that_never_boots_stays_pending_and_is_paid_for() -> None:
    world = make_world([pool()], fates=Fates(never_boots_share=1.0))
    world.provider.launch(request())
    world.clock.advance(3600)
    assert world.provider.nodes()[0].state is MachineState.PENDING
    assert world.cloud.bill()[0].usd == Decimal("0.36")


def test_a_machine_may_vanish_fail_or_hang() -> None:
    world = make_world([pool()], fates=SURE)
    gone, failed, hung = (world.provider.launch(request(n)).provider_id for n in (1, 2, 3))
    world.clock.advance(100)
    assert len(world.cluster.load().workers) == 3
    world.cloud.vanish(gone)
    world.cloud.fail(failed)
    world.cloud.hang(hung)
    listed = {node.provider_id: node.state for node in world.provider.nodes()}
    assert listed == {failed: MachineState.ENDED, hung: MachineState.RUNNING}
    assert list(world.cluster.load().workers) == ["n3-0"]
    world.clock.advance(300)
    assert dict(world.cluster.load().workers) == {}


def test_the_same_seed_is_the_same_world() -> None:
    def story(seed: int) -> list[object]:
        world = make_world(
            [pool(hazard=1.0)],
            account=Account(seed=seed),
            fates=Fates(fails_per_hour=0.5, never_boots_share=0.1),
            faults=Faults(seed=seed, rates=rates(launch=0.5)),
        )
        told: list[object] = []
        for number in range(50):
            try:
                world.provider.launch(request(number))
            except (OutcomeUnknown, Throttled, Unreachable, CapacityUnavailable) as error:
                told.append(str(error))
            world.clock.advance(60)
        return [*told, *world.cloud.bill()]

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_the_fate_of_a_machine_does_not_hang_on_what_else_is_launched() -> None:
    ends = []
    for others in (0, 5):
        world = make_world([pool(hazard=1.0)])
        for number in range(others):
            world.provider.launch(request(100 + number))
        world.provider.launch(request(1))
        world.clock.advance(100_000)
        ends.append([m.ended for m in world.cloud.machines() if m.request.node_id == "n1"])
    assert ends[0] == ends[1] != [None]
