"""The certificate: whatever multipliers go in, what comes out is no more than any fleet costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costplan.planner.optimize.bound import lower_bound, reduced_costs
from costplan.planner.optimize.columns import relax
from costplan.planner.optimize.knapsack import Knapsack
from costplan.planner.optimize.master import Duals
from costplan.planner.optimize.problem import Problem
from costplan.planner.types import Market
from costplan.planner.units import pico_from_usd
from costplan.planner.workload import Limits, MarketRules, Quota
from tests.oracles import cheapest
from tests.worlds import Row, catalogue, problem, shape, workload

FIRM = Row(instance_type="m2", vcpu=2, gib=4, usd="0.10")
PRICES = catalogue(
    [
        FIRM,
        Row(instance_type="m3", vcpu=3, gib=6, usd="0.14"),
        replace(FIRM, market=Market.SPOT, usd="0.03", hazard=0.05),
        replace(FIRM, market=Market.SPOT, usd="0.04", zone="us-east-1b"),
    ]
)
SHAPES = (shape("small", 2, 1, 2), shape("large", 2, 1.5, 2))

RULES: list[Any] = [
    pytest.param({}, id="no limits"),
    pytest.param({"market": MarketRules(spot_max_share=0.5)}, id="spot share"),
    pytest.param({"market": MarketRules(pool_max_share=0.4)}, id="pools"),
    pytest.param({"market": MarketRules(on_demand_base_vcpu_milli=5000)}, id="base"),
    pytest.param({"limits": Limits(max_nodes=3)}, id="nodes"),
    pytest.param({"budget_pico_per_hour": pico_from_usd("0.20")}, id="budget"),
    pytest.param(
        {
            "market": MarketRules(
                spot_max_share=0.6, pool_max_share=0.4, on_demand_base_vcpu_milli=2000
            ),
            "limits": Limits(max_nodes=4, quotas=(Quota(instance_types=("m3",), nodes=1),)),
            "budget_pico_per_hour": pico_from_usd("0.40"),
        },
        id="all of them",
    ),
]


def bound_of(world: Problem, duals: Duals) -> float:
    """The certificate of these multipliers."""
    packer = Knapsack(world)
    upper = packer.bound(duals.pi)
    earns = packer.price(duals.pi, upper, np.ones(len(upper), dtype=bool)).upper
    return lower_bound(world, reduced_costs(world, duals), earns)


@pytest.mark.parametrize("rules", RULES)
def test_no_multipliers_bound_above_the_optimum(rules: dict[str, Any]) -> None:
    wanted = workload(*SHAPES, **rules)
    best = cheapest(PRICES, wanted, 8)
    assert best is not None
    world = problem(PRICES, wanted)
    spot = np.flatnonzero(world.is_spot)
    random = np.random.default_rng(7)
    for scale in (0.01, 0.1, 1.0):
        for _ in range(40):
            pools = random.random(len(spot)) < 0.6 if world.pool_share < 1 else spot < 0
            duals = Duals(
                pi=random.uniform(0, 0.1, len(world.count)),
                lam=random.uniform(0, 0.1 * scale, len(world.limits)),
                sigma=random.uniform(0, 0.1 * scale, int(pools.sum())),
                pool_offers=spot[pools],
            )
            assert bound_of(world, duals) <= float(best.cost) * (1 + 1e-9)


@pytest.mark.parametrize("rules", RULES)
def test_the_relaxations_own_bound_is_near_its_value_and_below_the_optimum(
    rules: dict[str, Any],
) -> None:
    wanted = workload(*SHAPES, **rules)
    best = cheapest(PRICES, wanted, 8)
    assert best is not None
    world = problem(PRICES, wanted)
    relaxed = relax(world, Knapsack(world))
    assert relaxed.feasible
    assert relaxed.bound <= relaxed.value * (1 + 1e-9)
    assert relaxed.bound >= relaxed.value * (1 - 1e-3)
    assert relaxed.bound <= float(best.cost) * (1 + 1e-9)
    assert bound_of(world, relaxed.duals) <= float(best.cost) * (1 + 1e-9)


def test_a_bound_by_hand() -> None:
    """Four workers worth $0.03 each; a node of $0.10 holds two, so earns $0.06: 0.12 x 10/6."""
    world = problem(catalogue([FIRM]), workload(shape(count=4, vcpu=1, gib=2)))
    none = np.zeros(0)
    duals = Duals(pi=np.array([0.03]), lam=none, sigma=none, pool_offers=none.astype(np.int64))
    assert bound_of(world, duals) == pytest.approx(0.20, rel=1e-6)


def test_worthless_workers_bound_nothing() -> None:
    world = problem(catalogue([FIRM]), workload(shape(count=4)))
    none = np.zeros(0)
    duals = Duals(pi=np.array([0.0]), lam=none, sigma=none, pool_offers=none.astype(np.int64))
    assert bound_of(world, duals) == 0.0
