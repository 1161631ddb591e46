"""What is believed of a spot pool: the list's word, and then our own experience."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from costplan.planner.learnt import Exposure, Learnt
from costplan.planner.nodes import LaunchRequest, MachineState, Node, Notice, ProviderNode
from costplan.planner.risk import PRIORS
from costplan.planner.spot_risk import (
    EPISODE_SECONDS,
    HALF_LIFE_HOURS,
    HINT_PER_HOUR,
    HINT_SECONDS,
    PRIOR_HOURS,
    SHOCK_SHARE,
    believed,
    from_exposure,
    hazard_of,
    hint_name,
    zone_name,
)
from costplan.planner.tick import Readings
from costplan.planner.types import Market, OfferKey, Phase, Quote, Resources
from tests.accounts import NOON

SPOT = OfferKey(
    provider="aws", region="us-east-1", zone="a", instance_type="m5.large", market=Market.SPOT
)
FIRM = replace(SPOT, market=Market.ON_DEMAND)


def node(number: int, key: OfferKey = SPOT, phase: Phase = Phase.READY) -> Node:
    name = f"n{number}"
    request = LaunchRequest(token=name, node_id=name, cluster="c", keys=(key,), workers=(), tags={})
    return Node(
        node_id=name,
        key=key,
        resources=Resources(vcpu_milli=2000, memory_bytes=2**33),
        phase=phase,
        phase_since=NOON,
        workload="w",
        request=request,
        provider_id=f"i-{number}",
    )


def nodes(*some: Node) -> dict[str, Node]:
    return {one.node_id: one for one in some}


def read(
    at: datetime, *, notices: Sequence[str] = (), taken: Sequence[str] = (), kind: str = "reclaim"
) -> Readings:
    return Readings(
        at=at,
        load=None,
        machines=tuple(
            ProviderNode(
                provider_id=name,
                key=SPOT,
                state=MachineState.ENDED,
                launched_at=NOON,
                ended_at=at,
                end_cause="reclaimed",
            )
            for name in taken
        ),
        notices=tuple(
            Notice(provider_id=name, kind=kind, effective_at=at, observed_at=at) for name in notices
        ),
        offers=(),
        quotes=(),
    )


def quote(hazard: float | None, key: OfferKey = SPOT) -> Quote:
    from decimal import Decimal

    return Quote(
        key=key, usd_per_hour=Decimal(1), hazard_per_hour=hazard, observed_at=NOON, source="t"
    )


def seconds(count: float) -> datetime:
    return NOON + timedelta(seconds=count)


def test_without_experience_the_lists_word_stands() -> None:
    assert hazard_of(quote(0.01), Learnt()) == pytest.approx(0.01)
    assert hazard_of(quote(None), Learnt()) == pytest.approx(PRIORS["aws"].middle)
    assert believed((quote(0.01),), Learnt()) == (quote(0.01),)


def test_quiet_hours_make_a_pool_trusted_and_losses_feared() -> None:
    seen = Exposure(hours=PRIOR_HOURS)
    quiet = Learnt(exposure={str(SPOT): seen, zone_name(SPOT): seen})
    assert hazard_of(quote(0.01), quiet) == pytest.approx(0.005)
    zone = Exposure(hours=12.0)
    bad = Learnt(exposure={str(SPOT): Exposure(hours=12.0, episodes=3.0), zone_name(SPOT): zone})
    assert hazard_of(quote(0.0), bad) == pytest.approx(3 / (PRIOR_HOURS + 12))
    found = believed((quote(0.01), quote(0.0, FIRM)), bad)
    assert [one.hazard_per_hour for one in found] == [
        pytest.approx((0.01 * PRIOR_HOURS + 3) / (PRIOR_HOURS + 12)),
        0.0,
    ]


def test_hours_are_of_pools_however_many_machines_they_had() -> None:
    before = nodes(node(1), node(2), node(3, FIRM), node(4, phase=Phase.GONE))
    learnt = from_exposure(Learnt(), before, read(seconds(600)), NOON)
    assert set(learnt.exposure) == {str(SPOT), zone_name(SPOT)}
    assert learnt.exposure[str(SPOT)].hours == pytest.approx(1 / 6)
    assert learnt.exposure[str(SPOT)].episodes == 0


def test_machines_that_go_together_are_one_episode() -> None:
    before = nodes(node(1), node(2))
    learnt = from_exposure(Learnt(), before, read(seconds(60), notices=["i-1", "i-2"]), NOON)
    learnt = from_exposure(learnt, before, read(seconds(120), taken=["i-1"]), seconds(60))
    assert learnt.exposure[str(SPOT)].episodes == pytest.approx(1, abs=1e-3)
    later = seconds(120 + EPISODE_SECONDS)
    learnt = from_exposure(
        learnt, before, read(later, taken=["i-2"]), later - timedelta(seconds=60)
    )
    assert learnt.exposure[str(SPOT)].episodes == pytest.approx(2, abs=1e-3)


@pytest.mark.parametrize("kind", ["rebalance", "maintenance"])
def test_other_notices_take_nothing(kind: str) -> None:
    found = from_exposure(
        Learnt(), nodes(node(1)), read(seconds(60), notices=["i-1"], kind=kind), NOON
    )
    assert found.exposure[str(SPOT)].episodes == 0


def test_machines_that_are_not_ours_or_have_long_ended_teach_nothing() -> None:
    before = nodes(node(1, phase=Phase.GONE), node(2, FIRM))
    found = from_exposure(Learnt(), before, read(seconds(60), taken=["i-1", "i-2", "i-9"]), NOON)
    assert found.exposure == {}


def test_experience_fades_by_half_in_a_week() -> None:
    learnt = Learnt(exposure={str(SPOT): Exposure(hours=100.0, episodes=4.0)})
    at = NOON
    for _ in range(round(HALF_LIFE_HOURS * 4)):
        learnt = from_exposure(learnt, {}, read(at + timedelta(minutes=15)), at)
        at += timedelta(minutes=15)
    assert learnt.exposure[str(SPOT)].hours == pytest.approx(50)
    assert learnt.exposure[str(SPOT)].episodes == pytest.approx(2)


@pytest.mark.parametrize("since", [None, seconds(120), NOON - timedelta(days=1)])
def test_time_in_which_nobody_looked_does_not_count(since: datetime | None) -> None:
    found = from_exposure(Learnt(), nodes(node(1)), read(seconds(60)), since)
    assert found.exposure == {}


OTHER = replace(SPOT, instance_type="r5.large")
FAR = replace(SPOT, zone="b")
"""Another pool of the zone, and one of another zone."""


def test_pools_of_a_zone_that_go_together_are_a_shock_of_the_zone() -> None:
    """The first one's loss looks like its own, until another of the zone follows at once."""
    before = nodes(node(1), node(2, OTHER), node(3, FAR))
    first = from_exposure(Learnt(), before, read(seconds(60), notices=["i-1"]), NOON)
    assert first.exposure[str(SPOT)].episodes == pytest.approx(1)
    assert first.exposure[zone_name(SPOT)].episodes == 0
    both = from_exposure(first, before, read(seconds(360), notices=["i-2"]), seconds(60))
    assert both.exposure[zone_name(SPOT)].episodes == pytest.approx(1)
    assert both.exposure[str(SPOT)].episodes == pytest.approx(0, abs=1e-3)
    assert both.exposure[str(OTHER)].episodes == 0
    third = replace(SPOT, instance_type="c5.large")
    more = nodes(*before.values(), node(4, third))
    goes_on = from_exposure(both, more, read(seconds(420), notices=["i-4"]), seconds(360))
    assert goes_on.exposure[zone_name(SPOT)].episodes == pytest.approx(1, abs=1e-3)
    assert goes_on.exposure[str(third)].episodes == 0


def test_losses_in_two_zones_are_no_shock() -> None:
    before = nodes(node(1), node(2, FAR))
    found = from_exposure(Learnt(), before, read(seconds(60), notices=["i-1", "i-2"]), NOON)
    assert {found.exposure[str(key)].episodes for key in (SPOT, FAR)} == {1.0}
    assert found.exposure[zone_name(SPOT)].episodes == 0


def test_a_shock_makes_pools_of_its_zone_feared_that_we_never_had() -> None:
    learnt = Learnt(exposure={zone_name(SPOT): Exposure(hours=2.0, episodes=1.0)})
    here, far = believed((quote(0.01, OTHER), quote(0.01, FAR)), learnt)
    shared = (SHOCK_SHARE * 0.01 * PRIOR_HOURS + 1) / (PRIOR_HOURS + 2)
    assert here.hazard_per_hour == pytest.approx((1 - SHOCK_SHARE) * 0.01 + shared)
    assert far.hazard_per_hour == 0.01


def test_a_hint_is_believed_for_two_hours_and_then_forgotten() -> None:
    before = nodes(node(1))
    warned = read(seconds(60), notices=["i-1"], kind="rebalance")
    learnt = from_exposure(Learnt(), before, warned, NOON)
    assert dict(learnt.hints) == {str(SPOT): seconds(60)}
    assert hazard_of(quote(0.01), learnt) == pytest.approx(HINT_PER_HOUR, rel=0.01)
    assert hazard_of(quote(0.01, OTHER), learnt) < 0.011
    at = seconds(60 + HINT_SECONDS)
    assert not from_exposure(learnt, before, read(at), at - timedelta(seconds=60)).hints


def test_hints_that_come_to_nothing_are_believed_less_and_true_ones_more() -> None:
    before, at = nodes(node(1)), seconds(60)
    learnt = from_exposure(Learnt(), before, read(at, notices=["i-1"], kind="rebalance"), NOON)
    quiet = learnt
    for _ in range(7):
        at += timedelta(minutes=15)
        quiet = from_exposure(quiet, before, read(at), at - timedelta(minutes=15))
    assert hazard_of(quote(0.01), quiet) < 0.8 * HINT_PER_HOUR
    true = from_exposure(learnt, before, read(seconds(120), notices=["i-1"]), seconds(60))
    assert true.exposure[hint_name(SPOT)].episodes == 1
    assert hazard_of(quote(0.01), true) > HINT_PER_HOUR


def test_hints_of_machines_that_are_not_ours_or_not_spot_are_ignored() -> None:
    before = nodes(node(2, FIRM))
    warned = read(seconds(60), notices=["i-2", "i-9"], kind="rebalance")
    assert not from_exposure(Learnt(), before, warned, NOON).hints
