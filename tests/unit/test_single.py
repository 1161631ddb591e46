"""One kind of worker: the knapsack, by hand and against the search for any number of kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costplan.planner.optimize.problem import Limit, Problem
from costplan.planner.optimize.single import is_single, solve_single
from costplan.planner.optimize.solve import solve


def machines(
    count: int, offers: list[tuple[int, float]], sites: tuple[int, ...] | None = None
) -> Problem:
    """A problem with a class for each offer: (workers that it holds, dollars)."""
    size = np.array([workers for workers, _ in offers], dtype=np.int64)
    cost = np.array([usd for _, usd in offers])
    many = np.arange(len(offers))
    return Problem(
        shape_names=("w",),
        needs=np.array([[1000, 4, 0]]),
        count=np.array([count]),
        capacity=np.stack([1000 * size, 4 * size, 0 * size], axis=1),
        admits=np.ones((len(offers), 1), dtype=bool),
        row=many,
        site=np.array(sites or [0] * len(offers), dtype=np.int64),
        sites=tuple(str(site) for site in sorted(set(sites or (0,)))),
        klass=many,
        cost=cost,
        price=cost,
        vcpu=size.astype(float),
        is_spot=np.zeros(len(offers), dtype=bool),
        limits=(),
        pool_share=1.0,
    )


def bought(problem: Problem) -> list[int]:
    fleet = solve_single(problem)
    assert fleet is not None
    placed = int(fleet.configured @ fleet.patterns[:, 0])
    assert placed >= problem.count[0]
    assert fleet.cost == pytest.approx(float(problem.cost @ fleet.bought))
    return [int(nodes) for nodes in fleet.bought]


def test_the_rest_goes_on_what_is_cheapest_for_it() -> None:
    # 11 workers: two machines of four, and then one of two and one of one for 1.7 + 0.95 $, since
    # a third of four costs 3 $ and three of one cost 2.85 $.
    assert bought(machines(11, [(4, 3.0), (2, 1.7), (1, 0.95)])) == [2, 1, 1]
    # Twelve fill three of the large ones.
    assert bought(machines(12, [(4, 3.0), (2, 1.7), (1, 0.95)])) == [3, 0, 0]


def test_a_large_machine_may_be_the_cheapest_for_little() -> None:
    assert bought(machines(3, [(8, 1.0), (2, 0.6)])) == [1, 0]


def test_a_thousand_workers_are_mostly_the_best_machine() -> None:
    assert bought(machines(1001, [(8, 4.0), (1, 0.6)])) == [125, 1]


def test_all_machines_are_of_one_site() -> None:
    # Three workers are 4 $ for two of the first at one site and 4.5 $ at the other; the first and
    # the third together would be 3.7 $.
    offers = [(2, 2.0), (1, 3.0), (1, 1.7), (3, 4.5)]
    assert bought(machines(3, offers, (0, 0, 1, 1))) == [2, 0, 0, 0]


def test_no_machine_that_holds_a_worker_is_no_fleet() -> None:
    assert solve_single(machines(3, [(0, 1.0)])) is None


def test_limits_and_several_kinds_are_for_the_search() -> None:
    problem = machines(3, [(2, 2.0)])
    assert is_single(problem)
    budget = Limit(name="budget.usd_per_hour", per_node=problem.price, most=9.0, unit="USD/h")
    assert not is_single(replace(problem, limits=(budget,)))
    assert not is_single(replace(problem, pool_share=0.5))


@pytest.mark.parametrize("seed", range(12))
def test_it_costs_what_the_search_proves(seed: int) -> None:
    dice = np.random.default_rng(seed)
    sizes = np.sort(dice.choice([1, 2, 3, 4, 6, 8, 12, 16], size=dice.integers(1, 9)))
    costs = sizes * dice.uniform(0.5, 1.5, len(sizes))
    problem = machines(
        int(dice.integers(1, 200)), list(zip(sizes.tolist(), costs.tolist(), strict=True))
    )
    fleet, searched = solve_single(problem), solve(problem)
    assert fleet is not None
    assert searched is not None
    assert searched.bound - 1e-9 <= fleet.cost <= searched.fleet.cost + 1e-9
