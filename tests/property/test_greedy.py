"""The greedy fleets over made-up price lists and workloads: they place all and pass no limit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.greedy import by_worth, first_fit, greedy
from costplan.planner.optimize.problem import Problem
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.types import Market
from costplan.planner.workload import MarketRules, Workload
from tests.worlds import Row, catalogue, catalogues, problem, shape, workload, workloads

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
    assert np.isclose(fleet.cost, world.cost @ fleet.bought, rtol=1e-12)


@settings(max_examples=150, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_fleets_are_sound(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    for pack in (greedy, first_fit, by_worth):
        fleet = pack(world)
        if fleet is not None:
            assert_sound(world, fleet)


@settings(max_examples=100, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_greedy_is_never_dearer_than_first_fit(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    other = first_fit(world)
    if other is not None:
        mine = greedy(world)
        assert mine is not None
        assert mine.cost <= other.cost


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=50, deadline=None)
@given(prices=catalogues(), wanted=workloads())
def test_two_runs_are_one(prices: Catalogue, wanted: Workload) -> None:
    world = problem(prices, wanted)
    one, two = greedy(world), greedy(world)
    assert (one is None) == (two is None)
    if one is not None and two is not None:
        assert one.bought.tobytes() == two.bought.tobytes()
        assert one.patterns.tobytes() == two.patterns.tobytes()


def test_first_fit_by_hand() -> None:
    """Three workers of 2 vCPU and two of 1, machines of 4 ($0.20), 2 ($0.11) and 1 ($0.06).

    First fit opens a node that some machine can still hold, so to 4 vCPU: 2 + 2; then 2, and
    both ones go there too: two machines of 4 for $0.40.
    """
    sizes = ((4, "0.20"), (2, "0.11"), (1, "0.06"))
    prices = catalogue([Row(instance_type=f"c{n}", vcpu=n, gib=2 * n, usd=p) for n, p in sizes])
    world = problem(prices, workload(shape("two", 3, 2, 4), shape("one", 2, 1, 2)))
    fleet = first_fit(world)
    assert fleet is not None
    patterns = {tuple(p): n for p, n in zip(fleet.patterns.tolist(), fleet.configured, strict=True)}
    assert patterns == {(2, 0): 1, (1, 2): 1}
    assert abs(fleet.cost - 0.40) < CLOSE


def test_first_fit_pays_for_its_large_nodes() -> None:
    """Twelve workers of 1 vCPU; 8 vCPU for $1.00 and 1 vCPU for $0.05. First fit fills a node of
    8 and one of 4, for which only the large machine will do: $2.00; by worth it is $0.60."""
    sizes = ((8, "1.00"), (1, "0.05"))
    prices = catalogue([Row(instance_type=f"c{n}", vcpu=n, gib=2 * n, usd=p) for n, p in sizes])
    world = problem(prices, workload(shape(count=12)))
    costs = [pack(world).cost for pack in (first_fit, by_worth, greedy)]  # type: ignore[union-attr]
    assert np.allclose(costs, [2.00, 0.60, 0.60])


def test_spot_goes_where_it_saves_most() -> None:
    """One GPU machine and 16 of 2 vCPU; half of 36 vCPU may be spot. The GPU saves $0.60 on 4
    vCPU there, the others $0.06 on 2: it goes first, and 7 of the others have room beside it.

    0.40 + 7 x 0.04 + 9 x 0.10 = 1.58; first come, first served would be 1.00 + 9 x 0.04 +
    7 x 0.10 = 2.06.
    """
    spot = Market.SPOT
    rows = [
        Row(instance_type="g.x", vcpu=4, gib=16, gpus=1, gpu_kind="T4", usd="1.00"),
        Row(instance_type="g.x", vcpu=4, gib=16, gpus=1, gpu_kind="T4", usd="0.40", market=spot),
        Row(instance_type="c.x", vcpu=2, gib=4, usd="0.10"),
        Row(instance_type="c.x", vcpu=2, gib=4, usd="0.04", market=spot),
    ]
    wanted = workload(
        shape("train", 1, vcpu=4, gib=16, gpus=1),
        shape("work", 16, vcpu=2, gib=4),
        market=MarketRules(spot_max_share=0.5),
    )
    fleet = greedy(problem(catalogue(rows), wanted))
    assert fleet is not None
    assert abs(fleet.cost - 1.58) < CLOSE


def test_a_base_is_filled_with_idle_machines() -> None:
    """2 vCPU of work, 7 vCPU off spot asked for: four machines of 2 vCPU at $0.10."""
    prices = catalogue([Row(vcpu=2, gib=8, usd="0.10")])
    base = MarketRules(on_demand_base_vcpu_milli=7000)
    fleet = greedy(problem(prices, workload(shape(count=2), market=base)))
    assert fleet is not None
    assert fleet.bought.tolist() == [4]
    assert fleet.configured.tolist() == [1]


def test_no_machine_no_fleet() -> None:
    prices = catalogue([Row(vcpu=2, gib=8)])
    assert greedy(problem(prices, workload(shape(vcpu=4)))) is None
