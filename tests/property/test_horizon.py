"""Plans over several steps keep every rule, and their bound, in any small world."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.horizon.evaluate import evaluate_plan
from costplan.planner.horizon.model import Horizon, Window
from costplan.planner.horizon.plan import plan_horizon
from costplan.planner.workload import MarketRules
from tests.horizons import cheapest, horizon

RULES = (
    {},
    {"market": MarketRules(spot_max_share=0.5)},
    {"market": MarketRules(pool_max_share=0.5)},
    {"market": MarketRules(on_demand_base_vcpu_milli=2000)},
)


@st.composite
def horizons(draw: st.DrawFn) -> Horizon:
    """Up to three steps of an hour for up to four workers, with boots, switching and a window."""
    usd = st.sampled_from([0.0, 0.01, 0.05])
    steps = draw(st.integers(1, 3))
    demand = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=steps, max_size=steps)
    )
    return horizon(
        demand,
        rules=draw(st.sampled_from(RULES)),
        fleet=draw(st.lists(st.integers(0, 2), min_size=3, max_size=3)),
        start_usd=[draw(usd)] * 3,
        stop_usd=[draw(usd)] * 3,
        shortage_usd=[draw(st.sampled_from([0.02, 1.0]))] * 2,
        boot_hours=draw(st.sampled_from([0.0, 0.25, 1.0])),
        price_factor=1.0
        + 0.5 * np.array([draw(st.integers(0, 2)) for _ in range(3 * steps)]).reshape(steps, 3),
        windows=(Window(first=0, stop=steps, usd=draw(st.sampled_from([1.0, 5.0]))),),
    )


@given(wanted=horizons(), whole=st.integers(0, 3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_plans_keep_the_rules_and_cost_no_less_than_their_bound(
    wanted: Horizon, whole: int
) -> None:
    plan = plan_horizon(wanted, whole_steps=whole, gap=1e-6)
    if not plan.broken:
        assert evaluate_plan(wanted, plan).violations == ()
        assert plan.bound <= plan.costs.total * (1 + 1e-6) + 1e-9


@given(wanted=horizons().filter(lambda h: h.boot_hours == 0 or not h.limits_most()[:1].any()))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_no_plan_of_whole_nodes_is_below_the_bound(wanted: Horizon) -> None:
    assert plan_horizon(wanted, gap=1e-6).bound <= cheapest(wanted, 2) * (1 + 1e-9) + 1e-9
