"""The greedy fleets over made-up price lists and workloads: they place all and pass no limit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.greedy import by_worth, first_fit, greedy, without_caps
from costplan.planner.optimize.problem import Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.workload import Workload
from tests.worlds import catalogues, problem, workloads

CLOSE = 1e-9


def assert_sound(world: Problem, fleet: Fleet) -> None:
    """Every worker has a place that fits it, every place a machine, and every limit holds."""
    assert (fleet.configured @ fleet.patterns >= world.count).all()
    assert (fleet.patterns @ world.needs <= world.capacity[fleet.classes]).all()
    assert not fleet.patterns[~world.admits[fleet.classes]].any()
    configured = np.bincount(fleet.classes, weights=fleet.configured, minlength=len(world.capacity))
    bought = np.bincount(world.klass, weights=fleet.bought, minlength=len(world.capacity))
    assert (bought >= configured).all()
    assert (fleet.bought >= 0).all()
    assert len(set(world.site[fleet.bought > 0].tolist())) == 1
    for limit in world.limits:
        assert limit.per_node @ fleet.bought <= limit.most + CLOSE, limit.name
    vcpu = world.vcpu @ fleet.bought
    pool_vcpu = (world.vcpu * fleet.bought)[world.is_spot]
    assert pool_vcpu.max(initial=0) <= world.pool_share * vcpu + CLOSE * max(vcpu, 1)
    assert fleet.cost == world.cost @ fleet.bought


@settings(max_examples=300, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_fleets_are_sound(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    for pack in (greedy, first_fit, by_worth):
        fleet = pack(world)
        if fleet is not None:
            assert_sound(world, fleet)


@settings(max_examples=200, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_greedy_is_never_dearer_than_first_fit(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    other = first_fit(world)
    if other is not None:
        mine = greedy(world)
        assert mine is not None
        assert mine.cost <= other.cost


@settings(max_examples=150, deadline=None)
@given(prices=catalogues(), wanted=workloads(limits=False))
def test_a_fleet_is_found_where_every_shape_has_a_machine(
    prices: Catalogue, wanted: Workload
) -> None:
    """Without caps, workers that fit somewhere one by one fit somewhere together."""
    world = problem(prices, wanted)
    fits = world.fits()
    somewhere = any(
        fits[world.klass[world.site == site]].any(axis=0).all() for site in range(len(world.sites))
    )
    assert (greedy(world) is not None) == somewhere


@settings(max_examples=150, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_the_evaluator_agrees(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    fleet = greedy(world)
    if fleet is not None:
        plan = evaluate(pools(world, fleet, prices), prices, wanted)
        assert plan.violations == ()
        assert float(plan.expected_usd_per_hour) <= fleet.cost * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_caps_only_cost(prices: Catalogue, wanted: Workload) -> None:
    """First fit packs the same nodes with caps and without, so caps cannot make it cheaper."""
    world = problem(prices, wanted)
    capped, free = first_fit(world), first_fit(without_caps(world))
    assert capped is None or free is not None
