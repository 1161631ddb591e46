"""What is priced beside machines, over made-up worlds: solver, second opinion and brute force."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from costplan.planner.catalogue import Catalogue
from costplan.planner.optimize.evaluate import evaluate
from costplan.planner.optimize.fleet import pools
from costplan.planner.place_rates import Charge, PlaceRate
from costplan.planner.plan import Infeasible
from costplan.planner.units import GIB
from costplan.planner.workload import DataSource, Extras, Workload
from tests.oracles import cheapest
from tests.property.test_solve import MOST_NODES, SAME, answer, solved, tiny_prices, tiny_workloads

RATES = ("0.02", "0.07", "0.11", "0.9", "0.013")


@st.composite
def placed_workloads(draw: st.DrawFn, *, traffic: bool = False) -> Workload:
    """Tiny workloads that read from somewhere, on machines with disks and addresses."""
    wanted = draw(tiny_workloads())
    provider, region, zone = draw(
        st.sampled_from(
            (
                ("aws", "region0", ""),
                ("aws", "region0", "region0a"),
                ("aws", "region1", "region1b"),
                ("gcp", "us-central1", ""),
            )
        )
    )
    data = DataSource(
        provider=provider, region=region, zone=zone, read_bytes=draw(st.integers(0, 50)) * GIB
    )
    where = replace(wanted.where, data=draw(st.sampled_from((data, data, None))))
    if traffic:
        where = replace(where, traffic_bytes_per_hour=draw(st.integers(1, 40)) * GIB)
    rates = tuple(
        PlaceRate(provider=name, charge=charge, usd=Decimal(usd), source="made up")
        for name in ("aws", "gcp")
        for charge, usd in zip(Charge, draw(st.permutations(RATES)), strict=True)
    )
    extras = Extras(
        root_disk_bytes=draw(st.sampled_from((None, 7 * GIB, 50 * GIB + 1))),
        public_ip=draw(st.booleans()),
        rates=rates,
    )
    seconds = draw(st.sampled_from((1800, 3600, 36_000)))
    return replace(wanted, where=where, extras=extras, duration_seconds=seconds)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(prices=tiny_prices(), wanted=placed_workloads())
def test_the_solver_is_exact_where_every_place_of_a_site_costs_the_same(
    prices: Catalogue, wanted: Workload
) -> None:
    """Disks and addresses in any fleet, and data that is read in a zone or from a whole region."""
    data = wanted.where.data
    if data is not None and not wanted.where.single_zone:
        where = replace(wanted.where, single_region=True, data=replace(data, zone=""))
        wanted = replace(wanted, where=where)
    best = cheapest(prices, wanted, MOST_NODES)
    found = solved(prices, wanted)
    if found is None:
        assert best is None
        return
    checked = evaluate(pools(found.problem, found.fleet, prices), prices, wanted)
    assert checked.violations == ()
    if checked.nodes == found.fleet.bought.sum():
        cost = float(checked.expected_usd_per_hour)
        assert math.isclose(cost, found.fleet.cost, rel_tol=SAME)
    if found.fleet.bought.sum() > MOST_NODES:
        assert best is None or found.fleet.cost <= float(best.cost) * (1 + SAME)
        return
    assert best is not None
    assert math.isclose(found.fleet.cost, float(best.cost), rel_tol=SAME)
    assert found.bound <= float(best.cost) * (1 + 1e-9)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(prices=tiny_prices(), wanted=placed_workloads(traffic=True))
def test_no_fleet_costs_less_than_the_bound_once_all_bytes_are_paid(
    prices: Catalogue, wanted: Workload
) -> None:
    """What is answered costs what it says, none of all fleets is below the bound, and workers
    that are kept nearer together never cost less."""
    free = replace(wanted, budget_pico_per_hour=None)
    best = cheapest(prices, free, MOST_NODES)
    said = answer(prices, free)
    if isinstance(said, Infeasible):
        assert best is None
        return
    expected = float(said.expected_usd_per_hour)
    if best is not None:
        assert float(said.lower_bound_usd_per_hour) <= float(best.cost) * (1 + SAME)
        if sum(each.pool.nodes for each in said.pools) <= MOST_NODES:
            assert expected >= float(best.cost) * (1 - SAME)
            if said.termination == "optimal":
                assert math.isclose(expected, float(best.cost), rel_tol=SAME)
    together = answer(prices, replace(free, where=replace(free.where, single_zone=True)))
    if not isinstance(together, Infeasible):
        assert expected <= float(together.expected_usd_per_hour) * (1 + SAME)
