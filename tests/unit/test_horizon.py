"""Plans over several steps: against all plans of small worlds, and rule by rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costplan.planner.errors import InputError
from costplan.planner.horizon.evaluate import evaluate_plan
from costplan.planner.horizon.model import Horizon, Plan, Window, least_billed, rate_windows
from costplan.planner.horizon.plan import plan_horizon
from costplan.planner.optimize.solve import solve
from costplan.planner.workload import Limits, MarketRules, Quota
from tests.horizons import cheapest, horizon

DEMAND = [[2, 0], [3, 1], [1, 0], [2, 1]]
OFFERS = 3
SPOT = 0
"""Offers of the small world in the order of the problem: m2 on spot, m2 on demand, m3."""

WORLDS: list[Any] = [
    pytest.param({}, id="free"),
    pytest.param({"start_usd": [0.05] * OFFERS}, id="starts"),
    pytest.param({"stop_usd": [0.03] * OFFERS, "fleet": [0, 3, 0]}, id="stops"),
    pytest.param({"boot_hours": 0.5, "fleet": [1, 0, 0]}, id="boot"),
    pytest.param({"windows": (Window(first=0, stop=4, usd=0.2),)}, id="window"),
    pytest.param(
        {"windows": rate_windows(np.ones(4), 0.1), "boot_hours": 0.25, "fleet": [1, 1, 0]},
        id="rate",
    ),
    pytest.param(
        {
            "price_factor": np.array([[1.0, 1, 1], [1, 9, 1], [1, 9, 1], [1, 1, 1]]),
            "start_usd": [0.02] * OFFERS,
        },
        id="prices",
    ),
    pytest.param({"rules": {"limits": Limits(max_nodes=2)}}, id="nodes"),
    pytest.param(
        {"rules": {"limits": Limits(quotas=(Quota(instance_types=("m2",), nodes=1),))}}, id="quota"
    ),
    pytest.param({"rules": {"market": MarketRules(on_demand_base_vcpu_milli=3000)}}, id="base"),
    pytest.param({"rules": {"market": MarketRules(spot_max_share=0.5)}}, id="spot share"),
    pytest.param({"rules": {"market": MarketRules(pool_max_share=0.4)}}, id="pools"),
]


def planned(wanted: Horizon, **more: Any) -> Plan:
    """A plan that keeps every rule and costs what it says."""
    plan = plan_horizon(wanted, **more)
    opinion = evaluate_plan(wanted, plan)
    assert opinion.violations == ()
    assert opinion.run_usd == pytest.approx(plan.costs.run, abs=1e-9)
    assert opinion.start_usd == pytest.approx(plan.costs.start, abs=1e-9)
    assert opinion.stop_usd == pytest.approx(plan.costs.stop, abs=1e-9)
    assert opinion.shortage_usd == pytest.approx(plan.costs.shortage, abs=1e-9)
    assert plan.bound <= plan.costs.total * (1 + 1e-9)
    return plan


def nodes_of(plan: Plan, offer: int) -> list[float]:
    """Nodes of an offer, step by step."""
    if offer not in plan.offers:
        return [0.0] * len(plan.nodes)
    return [float(n) for n in plan.nodes[:, plan.offers.tolist().index(offer)]]


@pytest.mark.parametrize("world", WORLDS)
def test_the_bound_is_below_the_cheapest_of_all_plans(world: dict[str, Any]) -> None:
    wanted = horizon(DEMAND, **world)
    best = cheapest(wanted, 3)
    assert planned(wanted, gap=1e-6).bound <= best * (1 + 1e-9)


@pytest.mark.parametrize("world", WORLDS[:-2])
def test_whole_plans_are_the_cheapest_of_all(world: dict[str, Any]) -> None:
    wanted = horizon(DEMAND, **world)
    plan = planned(wanted, whole_steps=4, gap=1e-6)
    assert plan.whole_steps == 4
    assert plan.costs.total == pytest.approx(cheapest(wanted, 3), rel=1e-6)


@pytest.mark.parametrize("world", WORLDS[-2:])
def test_whole_plans_under_shares_are_near_the_cheapest(world: dict[str, Any]) -> None:
    wanted = horizon(DEMAND, **world)
    best = cheapest(wanted, 3)
    assert best <= planned(wanted, whole_steps=4, gap=1e-6).costs.total * (1 + 1e-9)
    assert planned(wanted, whole_steps=4, gap=1e-6).costs.total <= 1.25 * best


def test_one_step_without_switching_is_the_one_shot_problem() -> None:
    wanted = horizon([[60, 20]])
    fleet = solve(replace(wanted.problem, count=wanted.demand[0]))
    assert fleet is not None
    plan = planned(wanted, whole_steps=1, gap=1e-6)
    assert plan.costs.total == pytest.approx(fleet.fleet.cost, rel=0.01)
    assert plan.bound == pytest.approx(fleet.relaxation.bound, rel=1e-4)


def test_nodes_that_boot_come_too_late_and_the_shortage_is_paid() -> None:
    """Two workers for three half hours, half an hour of boot: one step is missed, at $1 an hour."""
    wanted = horizon([[2, 0]] * 3, hours=[0.5] * 3, boot_hours=0.5)
    plan = planned(wanted, whole_steps=3)
    assert nodes_of(plan, SPOT) == [0, 1, 1]
    assert plan.short.sum(axis=1).tolist() == [2, 0, 0]
    assert plan.costs.shortage == pytest.approx(2 * 0.5 * 1.0)
    assert plan.costs.start == pytest.approx(0.5 * 0.03)
    assert evaluate_plan(wanted, plan).billed_usd == pytest.approx([0.015, 0.015, 0.015])


def test_a_boot_may_take_several_steps() -> None:
    wanted = horizon([[2, 0]] * 4, hours=[0.25, 0.25, 0.5, 1.0], boot_hours=0.75)
    assert wanted.reach == 3
    assert wanted.boots()[3].tolist() == [0.0, 0.25, 0.5, 0.0]
    plan = planned(wanted)
    assert plan.whole_steps == 4
    assert plan.nodes[:3].sum() == 0
    assert plan.nodes[3].sum() == 1


def test_a_boot_beyond_the_horizon_leaves_the_fleet_there_is() -> None:
    plan = planned(horizon([[2, 0]] * 2, boot_hours=5.0, fleet=[1, 0, 0]))
    assert nodes_of(plan, SPOT) == [1, 1]
    assert plan.short.sum() == 0


def test_a_node_is_kept_through_a_lull_where_a_start_costs_more() -> None:
    """Off for an hour saves $0.03: a start at $0.02 is worth it, one at $0.04 is not."""
    lull = [[2, 0], [0, 0], [2, 0]]
    cheap, dear = (horizon(lull, start_usd=[usd] * OFFERS) for usd in (0.02, 0.04))
    assert nodes_of(planned(cheap, whole_steps=3), SPOT) == [1, 0, 1]
    assert nodes_of(planned(dear, whole_steps=3), SPOT) == [1, 1, 1]


def test_a_node_is_kept_where_its_stop_costs_more() -> None:
    idle = [[2, 0], [0, 0]]
    fleet = [1, 0, 0]
    cheap, dear = (horizon(idle, stop_usd=[usd] * OFFERS, fleet=fleet) for usd in (0.02, 0.04))
    assert nodes_of(planned(cheap, whole_steps=2), SPOT) == [1, 0]
    assert nodes_of(planned(dear, whole_steps=2), SPOT) == [1, 1]


def test_budgets_leave_workers_without_a_place() -> None:
    window = Window(first=0, stop=4, usd=0.07)
    plan = planned(horizon(DEMAND, windows=(window,)))
    free = planned(horizon(DEMAND))
    assert plan.costs.run <= 0.07 * 1.02
    assert plan.costs.shortage > free.costs.shortage == 0


def test_a_base_that_no_budget_pays_for_is_told() -> None:
    rules = {"market": MarketRules(on_demand_base_vcpu_milli=4000)}
    window = Window(first=0, stop=1, usd=0.15)
    wanted = horizon([[1, 0]], rules=rules, windows=(window,))
    plan = plan_horizon(wanted)
    assert nodes_of(plan, 2) == [1]
    assert plan.broken == pytest.approx(1.0)
    assert plan.gap == float("inf")
    assert "on_demand_base_vcpu" in evaluate_plan(wanted, plan).violations[0]


def test_nothing_wanted_costs_nothing() -> None:
    plan = planned(horizon([[0, 0]] * 3))
    assert (plan.costs.total, plan.bound, plan.gap) == (0.0, 0.0, 0.0)


def test_a_fleet_that_is_not_wanted_goes_at_once() -> None:
    plan = planned(horizon([[0, 0]] * 2, fleet=[2, 3, 1], stop_usd=[0.01] * OFFERS))
    assert plan.nodes.sum() == 0
    assert plan.costs.stop == pytest.approx(0.06)


def test_a_shape_that_fits_nowhere_is_short() -> None:
    wanted = horizon([[2, 1]] * 2)
    small = replace(wanted.problem, needs=wanted.problem.needs * np.array([[1], [4]]))
    plan = planned(replace(wanted, problem=small))
    assert plan.short.tolist() == [[0, 1], [0, 1]]


def test_the_memory_of_a_plan_gives_as_good_a_plan() -> None:
    wanted = horizon([[20, 5], [40, 11], [15, 9], [33, 2]], start_usd=[0.02] * OFFERS)
    cold = planned(wanted)
    warm = planned(wanted, memory=cold.memory)
    assert warm.rounds <= cold.rounds
    assert warm.costs.total == pytest.approx(cold.costs.total, rel=4e-3)
    assert warm.bound == pytest.approx(cold.bound, rel=4e-3)


def test_the_memory_of_another_world_does_no_harm() -> None:
    wanted = horizon(DEMAND, start_usd=[0.02] * OFFERS)
    other = planned(horizon([[9, 4]], rules={"limits": Limits(max_nodes=3)}))
    plan = planned(wanted, memory=other.memory, gap=1e-6)
    assert plan.costs.total == pytest.approx(planned(wanted, gap=1e-6).costs.total, rel=1e-3)


def test_what_nodes_of_other_sizes_earn_proves_nothing() -> None:
    wanted = horizon(DEMAND, start_usd=[0.02] * OFFERS)
    memory = planned(wanted, gap=1e-6).memory
    larger = replace(memory.sizes, capacity=memory.sizes.capacity * 2)
    poisoned = replace(memory, earned=np.zeros_like(memory.earned), sizes=larger)
    plan = planned(wanted, memory=poisoned, gap=1e-6)
    assert plan.bound == pytest.approx(planned(wanted, gap=1e-6).bound, rel=1e-6)


def test_a_long_plan_is_whole_in_its_first_steps_and_near_its_bound() -> None:
    wave = [[20 + t % 7, 5 + t % 3] for t in range(150)]
    wanted = horizon(
        wave, rules={"market": MarketRules(spot_max_share=0.5)}, start_usd=[0.02] * OFFERS
    )
    plan = planned(wanted, whole_steps=3)
    assert plan.whole_steps == 3
    assert plan.gap <= 0.005


def test_the_same_horizon_has_the_same_plan() -> None:
    wanted = horizon([[20, 5], [40, 11], [15, 9], [33, 2]], stop_usd=[0.02] * OFFERS)
    first, second = planned(wanted), planned(wanted)
    for name in ("offers", "nodes", "starts", "stops", "patterns", "configured", "short"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    assert (first.bound, first.costs) == (second.bound, second.costs)


def test_a_least_billed_time_is_part_of_a_start() -> None:
    world = horizon(DEMAND).problem
    usd = least_billed(world, np.array([1 / 6, 1.0]), 1 / 12, 1.0)
    assert usd.tolist() == pytest.approx((world.price * 0.75).tolist())
    assert least_billed(world, np.array([0.5]), 0.5, 0.25).tolist() == [0.0] * OFFERS


@pytest.mark.parametrize(
    "wrong",
    [
        {"hours": np.zeros(4)},
        {"fleet": np.zeros(2)},
        {"start_usd": np.full(OFFERS, -1.0)},
        {"boot_hours": -1.0},
        {"windows": (Window(first=2, stop=2, usd=1.0),)},
        {"price_factor": np.full((4, OFFERS), np.nan)},
    ],
)
def test_a_horizon_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        horizon(DEMAND, **wrong)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: {"nodes": p.nodes + 1}, "nodes"),
        (lambda p: {"nodes": p.nodes * 0.5}, "not whole"),
        (lambda p: {"short": p.short - 1}, "short has"),
        (lambda p: {"configured": p.configured * 0}, "have a place"),
        (lambda p: {"configured": p.configured + 1}, "run"),
        (lambda p: {"patterns": p.patterns * 9}, "needs"),
        (lambda p: {"offers": p.offers + 1}, "not in the plan"),
    ],
)
def test_the_evaluator_sees_what_is_wrong(spoil: Any, said: str) -> None:
    wanted = horizon(DEMAND, fleet=[1, 0, 0], rules={"limits": Limits(max_nodes=3)})
    plan = planned(wanted, whole_steps=4)
    spoiled = replace(plan, **spoil(plan))
    assert any(said in each for each in evaluate_plan(wanted, spoiled).violations)
