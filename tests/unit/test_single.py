"""One kind of worker: the knapsack, by hand and against the search for any number of kinds."""

from __future__ import annotations

import numpy as np
import pytest

from costplan.planner.optimize.problem import Problem
from costplan.planner.optimize.single import Bought, Machine, cheapest, worth_looking_at
from costplan.planner.optimize.solve import solve

Offers = list[tuple[int, float]]
"""Of each machine the workers that it holds, and dollars."""


def problem_of(count: int, offers: Offers) -> Problem:
    """A problem with a class for each offer."""
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
        site=np.zeros(len(offers), dtype=np.int64),
        sites=("",),
        klass=many,
        cost=cost,
        price=cost,
        site_usd=np.zeros(1),
        vcpu=size.astype(float),
        is_spot=np.zeros(len(offers), dtype=bool),
        limits=(),
        pool_share=1.0,
    )


def found(count: int, *sites: Offers) -> Bought | None:
    """What is bought for so many workers at one of the sites; rows go on from site to site."""
    row, machines = 0, []
    for offers in sites:
        here = [Machine(row=row + n, holds=h, cost=usd) for n, (h, usd) in enumerate(offers)]
        machines.append(worth_looking_at(here))
        row += len(offers)
    return cheapest(machines, count)


def bought(count: int, *sites: Offers) -> dict[int, list[tuple[int, int]]]:
    """By row, (workers, nodes)."""
    fleet = found(count, *sites)
    assert fleet is not None
    offers = [offer for site in sites for offer in site]
    assert sum(workers * nodes for _, workers, nodes in fleet.nodes) == count
    assert fleet.cost == pytest.approx(sum(offers[row][1] * n for row, _, n in fleet.nodes))
    rows: dict[int, list[tuple[int, int]]] = {}
    for row, workers, nodes in fleet.nodes:
        rows.setdefault(row, []).append((workers, nodes))
    return rows


def test_the_rest_goes_on_what_is_cheapest_for_it() -> None:
    # 11 workers: two machines of four, and then one of two and one of one for 1.7 + 0.95 $, since
    # a third of four costs 3 $ and three of one cost 2.85 $.
    sizes = [(4, 3.0), (2, 1.7), (1, 0.95)]
    assert bought(11, sizes) == {0: [(4, 2)], 1: [(2, 1)], 2: [(1, 1)]}
    # Twelve fill three of the large ones.
    assert bought(12, sizes) == {0: [(4, 3)]}


def test_a_large_machine_may_be_the_cheapest_for_little() -> None:
    assert bought(3, [(8, 1.0), (2, 0.6)]) == {0: [(3, 1)]}


def test_one_machine_is_not_full_where_a_larger_one_is_the_cheapest_for_the_rest() -> None:
    # 7 workers on machines of four: the second one has three.
    assert bought(7, [(4, 2.0), (1, 1.5)]) == {0: [(4, 1), (3, 1)]}


def test_a_thousand_workers_are_mostly_the_best_machine() -> None:
    assert bought(1001, [(8, 4.0), (1, 0.6)]) == {0: [(8, 125)], 1: [(1, 1)]}


def test_of_two_at_one_price_the_first_that_is_enough_is_taken() -> None:
    assert bought(2, [(2, 1.0), (2, 1.0)]) == {0: [(2, 1)]}


def test_all_machines_are_of_one_site() -> None:
    # Three workers are 4 $ for two of the first at one site and 4.5 $ at the other; the first and
    # the third together would be 3.7 $.
    assert bought(3, [(2, 2.0), (1, 3.0)], [(1, 1.7), (3, 4.5)]) == {0: [(2, 1), (1, 1)]}


def test_no_machine_that_holds_a_worker_is_no_fleet() -> None:
    assert found(3, [(0, 1.0)]) is None
    assert found(3) is None


@pytest.mark.parametrize("seed", range(12))
def test_it_costs_what_the_search_proves(seed: int) -> None:
    dice = np.random.default_rng(seed)
    sizes = np.sort(dice.choice([1, 2, 3, 4, 6, 8, 12, 16], size=dice.integers(1, 9)))
    costs = sizes * dice.uniform(0.5, 1.5, len(sizes))
    count = int(dice.integers(1, 200))
    offers = list(zip(sizes.tolist(), costs.tolist(), strict=True))
    fleet, searched = found(count, offers), solve(problem_of(count, offers))
    assert fleet is not None
    assert searched is not None
    assert searched.bound - 1e-9 <= fleet.cost <= searched.fleet.cost + 1e-9
