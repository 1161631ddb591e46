"""The solver over made-up price lists and workloads: sound, close, and the same every time."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.solve import Solution, solve
from costplan.planner.plan import Infeasible, Recommendation
from costplan.planner.plan_document import document_text
from costplan.planner.recommend import recommend
from costplan.planner.types import Market
from costplan.planner.units import pico_from_usd
from costplan.planner.workload import Limits, Machines, MarketRules, Quota, Where, Workload
from tests.oracles import cheapest
from tests.worlds import Row, catalogue, catalogues, problem, shape, workload, workloads

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_NODES = 9
SAME = 1e-6

few = settings(max_examples=20, deadline=None, derandomize=True)
some = settings(max_examples=35, deadline=None, derandomize=True)
many = settings(max_examples=90, deadline=None, derandomize=True)


def answer(prices: Catalogue, wanted: Workload) -> Recommendation | Infeasible:
    """What `recommend` says of a price list without a name."""
    return recommend(
        prices, wanted, price_name="made up", price_digest="0", price_gaps=(), created_at=NOW
    )


def solved(prices: Catalogue, wanted: Workload) -> Solution | None:
    """What the solver finds; None also where no offer is left to choose from."""
    world = problem(prices, wanted)
    return solve(world) if world.offers else None


def mixes(wanted: Workload) -> int:
    """How many different sets of workers there are."""
    return math.prod(each.count + 1 for each in wanted.shapes)


TYPES = ((1, 2, 0), (2, 4, 0), (2, 8, 0), (3, 4, 0), (4, 8, 1))


@st.composite
def tiny_prices(draw: st.DrawFn) -> Catalogue:
    """One to four offers, mostly in one zone; prices are anything from near to far."""
    keys = st.tuples(
        st.integers(0, len(TYPES) - 1), st.sampled_from((0, 0, 1)), st.sampled_from("aaab"),
        st.sampled_from((0, 0, 0, 1)),
    )  # fmt: skip
    rows = []
    for kind, market, zone, region in draw(st.lists(keys, min_size=1, max_size=4, unique=True)):
        vcpu, gib, gpus = TYPES[kind]
        rows.append(
            Row(
                instance_type=f"type{kind}",
                vcpu=vcpu,
                gib=gib,
                gpus=gpus,
                gpu_kind="T4" if gpus else "",
                usd=f"0.{draw(st.integers(10, 99)) * (vcpu + gpus):03d}",
                market=MARKETS[market],
                region=f"region{region}",
                zone=f"region{region}{zone}",
                hazard=draw(st.sampled_from((0.0, 0.02, 0.5, None))) if market else 0,
            )
        )
    return catalogue(rows)


@st.composite
def tiny_workloads(draw: st.DrawFn) -> Workload:
    """One to four workers under at most a few caps that a fleet of some nodes can meet."""
    sizes = st.tuples(
        st.sampled_from((500, 1000, 2000)), st.integers(1, 4), st.sampled_from((0, 0, 0, 1)),
        st.sampled_from(((), (), (), (Market.ON_DEMAND,), (Market.SPOT,))),
    )  # fmt: skip
    kinds = draw(st.lists(sizes, min_size=1, max_size=3))
    left, shapes = 4, []
    for number, (milli, gib, gpus, markets) in enumerate(kinds):
        if left:
            count = draw(st.integers(1, left))
            left -= count
            shapes.append(shape(f"shape{number}", count, milli / 1000, gib, gpus, markets=markets))
    quota = st.sampled_from(
        (
            (),
            (),
            (Quota(market=Market.SPOT, vcpu_milli=2000),),
            (Quota(instance_types=("type2", "type3"), nodes=1), Quota(vcpu_milli=7000)),
        )
    )
    return workload(
        *shapes,
        where=draw(st.sampled_from((Where(), Where(single_region=False), Where(single_zone=True)))),
        machines=Machines(suspect_share=0),
        market=MarketRules(
            spot_max_share=draw(st.sampled_from((1.0, 1.0, 0.7, 0.5, 0.0))),
            pool_max_share=draw(st.sampled_from((1.0, 1.0, 0.5, 0.34))),
            on_demand_base_vcpu_milli=draw(st.sampled_from((0, 0, 2000, 3500))),
            max_hazard_per_hour=draw(st.sampled_from((None, None, 0.1))),
        ),
        limits=Limits(max_nodes=draw(st.sampled_from((None, None, 2, 4))), quotas=draw(quota)),
        budget_pico_per_hour=draw(
            st.sampled_from((None, None, pico_from_usd("0.4"), pico_from_usd("0.9")))
        ),
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(prices=tiny_prices(), wanted=tiny_workloads())
def test_brute_force_agrees_on_tiny_worlds(prices: Catalogue, wanted: Workload) -> None:
    """There is a fleet where brute force finds one, and it costs the same to 1e-6."""
    best = cheapest(prices, wanted, MOST_NODES)
    found = solved(prices, wanted)
    if found is None:
        assert best is None
        return
    if found.fleet.bought.sum() > MOST_NODES:
        assert best is None or found.fleet.cost <= float(best.cost) * (1 + SAME)
        return
    assert best is not None
    assert math.isclose(found.fleet.cost, float(best.cost), rel_tol=SAME)
    assert found.bound <= float(best.cost) * (1 + 1e-9)


@many
@given(prices=catalogues(), wanted=workloads())
def test_a_plan_covers_the_demand_and_keeps_every_rule(prices: Catalogue, wanted: Workload) -> None:
    found = solved(prices, wanted)
    if found is None:
        return
    plan = pools(found.problem, found.fleet, prices)
    checked = evaluate(plan, prices, wanted)
    assert checked.violations == ()
    assert checked.placed == {each.name: each.count for each in wanted.shapes}
    billed = float(checked.expected_usd_per_hour)
    if checked.nodes == found.fleet.bought.sum():
        assert math.isclose(billed, found.fleet.cost, rel_tol=SAME)
    assert billed <= found.fleet.cost * (1 + SAME)
    assert found.bound <= found.fleet.cost * (1 + 1e-12)
    assert found.bound <= billed * (1 + SAME)


@some
@given(prices=catalogues(), wanted=workloads())
def test_few_workers_are_solved_to_the_end(prices: Catalogue, wanted: Workload) -> None:
    shapes = tuple(replace(each, count=min(each.count, 12)) for each in wanted.shapes)
    small = replace(wanted, shapes=shapes)
    assume(mixes(small) <= 20_000)
    found = solved(prices, small)
    if found is not None:
        assert found.termination == "optimal"
        assert found.gap <= 1e-9


def not_dearer(one: Solution | None, other: Solution | None) -> None:
    """Where the other finds a fleet, `one` finds one that costs no more but for its gap."""
    if other is not None:
        assert one is not None
        assert one.fleet.cost <= other.fleet.cost * (1 + one.gap + SAME)


@some
@given(prices=catalogues(), wanted=workloads(), more=st.sampled_from((1.05, 2.0)))
def test_more_budget_never_costs_more(prices: Catalogue, wanted: Workload, more: float) -> None:
    budget = wanted.budget_pico_per_hour or pico_from_usd("3")
    one = replace(wanted, budget_pico_per_hour=int(budget * more))
    other = replace(wanted, budget_pico_per_hour=budget)
    not_dearer(solved(prices, one), solved(prices, other))


@some
@given(prices=catalogues(), wanted=workloads(), keep=st.integers(1, 39))
def test_more_offers_never_cost_more(prices: Catalogue, wanted: Workload, keep: int) -> None:
    """Prices that are far off their like are kept: which are depends on what else there is."""
    free = replace(wanted, machines=Machines(suspect_share=0))
    part = prices.take(np.arange(min(keep, len(prices))))
    not_dearer(solved(prices, free), solved(part, free))


@some
@given(prices=catalogues(), wanted=workloads(), fewer=st.integers(1, 10))
def test_less_demand_never_costs_more(prices: Catalogue, wanted: Workload, fewer: int) -> None:
    first, *rest = wanted.shapes
    less = replace(first, count=max(1, first.count - fewer))
    not_dearer(solved(prices, replace(wanted, shapes=(less, *rest))), solved(prices, wanted))


@some
@given(prices=catalogues(), wanted=workloads(), times=st.sampled_from((2, 7, 1000)))
def test_prices_times_k_cost_times_k(prices: Catalogue, wanted: Workload, times: int) -> None:
    budget = wanted.budget_pico_per_hour
    scaled = replace(prices, price_pico=prices.price_pico * times)
    richer = replace(wanted, budget_pico_per_hour=None if budget is None else budget * times)
    one, other = solved(prices, wanted), solved(scaled, richer)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert math.isclose(one.fleet.cost * times, other.fleet.cost, rel_tol=SAME)
        assert math.isclose(one.bound * times, other.bound, rel_tol=SAME)


@few
@given(prices=catalogues(), wanted=workloads())
def test_two_runs_give_the_same_bytes(prices: Catalogue, wanted: Workload) -> None:
    one, two = answer(prices, wanted), answer(prices, wanted)
    assert document_text(one) == document_text(two)


@few
@given(prices=catalogues(), wanted=workloads())
def test_an_answer_is_a_plan_or_reasons(prices: Catalogue, wanted: Workload) -> None:
    """The solver and `recommend` agree on whether there is a fleet, and what it costs."""
    found, said = solved(prices, wanted), answer(prices, wanted)
    if isinstance(said, Infeasible):
        assert found is None
        assert said.conflicts
        return
    assert found is not None
    assert said.lower_bound_usd_per_hour <= said.expected_usd_per_hour
    assert float(said.expected_usd_per_hour) <= found.fleet.cost * (1 + SAME)
    billed = sum(each.pool.nodes * each.pool.usd_per_hour_each for each in said.pools)
    assert said.usd_per_hour == billed
    placed = {each.name: 0 for each in wanted.shapes}
    for each in said.pools:
        for packing in each.pool.packings:
            for name, workers in packing.workers.items():
                placed[name] += packing.nodes * workers
    assert placed == {each.name: each.count for each in wanted.shapes}


def test_the_oracle_by_hand() -> None:
    """Two workers of 1 vCPU; 2 vCPU at $0.11 on demand, 1 vCPU at $0.05, or $0.02 on spot.

    Two small nodes cost $0.10; half on spot 0.05 + 0.02 = 0.07; all on spot 0.04; with at least
    3 vCPU off spot it is three small nodes, $0.15.
    """
    small = Row(instance_type="c1", vcpu=1, gib=2, usd="0.05")
    prices = catalogue(
        [
            Row(instance_type="c2", vcpu=2, gib=4, usd="0.11"),
            small,
            replace(small, usd="0.02", market=Market.SPOT),
        ]
    )
    worlds = (
        (MarketRules(spot_max_share=0.0), "0.10"),
        (MarketRules(spot_max_share=0.5), "0.07"),
        (MarketRules(), "0.04"),
        (MarketRules(on_demand_base_vcpu_milli=3000), "0.15"),
    )
    for market, usd in worlds:
        best = cheapest(prices, workload(shape(count=2), market=market), 4)
        assert best is not None
        assert best.cost == Fraction(usd)


def test_workers_that_a_base_pays_for_are_still_placed() -> None:
    """One worker beside 3 vCPU asked for off spot: two machines of 2 vCPU, proven."""
    prices = catalogue([Row(usd="0.10")])
    base = MarketRules(on_demand_base_vcpu_milli=3000)
    found = solved(prices, workload(shape(), market=base))
    assert found is not None
    assert found.termination == "optimal"
    assert math.isclose(found.fleet.cost, 0.20)


def test_a_pool_too_small_for_one_node_is_no_end() -> None:
    """Spot only for one worker; no pool may hold half of the fleet until 6 vCPU stand beside it."""
    spot = Row(instance_type="g4", vcpu=4, gib=8, usd="0.43", market=Market.SPOT)
    firm = Row(instance_type="c3", vcpu=3, gib=4, usd="0.15")
    only_spot = shape("b", vcpu=2, gib=4, markets=(Market.SPOT,))
    half = MarketRules(pool_max_share=0.5)
    prices = catalogue([spot, firm, replace(spot, instance_type="c1", vcpu=1, gib=2, usd="0.09")])
    found = solved(prices, workload(shape("a", vcpu=2, gib=1), only_spot, market=half))
    assert found is not None
    assert found.termination == "optimal"
    assert math.isclose(found.fleet.cost, 0.43 + 2 * 0.15)


def test_a_better_zone_is_found_though_its_bound_says_little() -> None:
    """Two nodes of $0.066 in zone a, or of $0.024 in zone b, whatever is tried first."""
    firm = Row(instance_type="c2", vcpu=2, gib=8, usd="0.066")
    prices = catalogue([firm, replace(firm, zone="us-east-1b", usd="0.024")])
    small = (shape("a", 1, 0.5, 1), shape("b", 2, 0.5, 3), shape("c", 1, 0.5, 1))
    base = MarketRules(on_demand_base_vcpu_milli=3500)
    found = solved(
        prices,
        workload(
            *small, market=base, where=Where(single_zone=True), machines=Machines(suspect_share=0)
        ),
    )
    assert found is not None
    assert math.isclose(found.fleet.cost, 0.048)
