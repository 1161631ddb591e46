"""What a node can earn: the grids against every mix of workers on small machines."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from costplan.planner.optimize import knapsack
from costplan.planner.optimize.knapsack import Knapsack, Priced
from costplan.planner.optimize.problem import Floats, Problem
from costplan.planner.types import Market
from tests.worlds import Row, catalogue, problem, shape, workload

CLOSE = 1e-5
"""Grids hold float32."""


def world(seed: int, *, gpus: bool = False, markets: bool = False) -> Problem:
    """Four machines on two markets, and three to five worker shapes of odd sizes."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(4):
        vcpu, gib = int(random.integers(2, 13)), int(random.integers(3, 33))
        cards = int(random.integers(0, 4)) if gpus else 0
        size = {"instance_type": f"m{number}", "vcpu": vcpu, "gib": gib, "gpus": cards}
        kind = "T4" if cards else ""
        rows.append(Row(**size, gpu_kind=kind, usd="0.5"))
        rows.append(Row(**size, gpu_kind=kind, usd="0.2", market=Market.SPOT))
    shapes = []
    for number in range(int(random.integers(3, 6))):
        more: dict[str, Any] = {}
        if markets and number % 2:
            more["markets"] = ((Market.SPOT,), (Market.ON_DEMAND,))[number // 2 % 2]
        vcpu = float(random.choice((0.5, 1, 1.5, 2, 3)))
        card = int(gpus and number > 1)
        shapes.append(shape(f"s{number}", 40, vcpu, int(random.integers(1, 9)), card, **more))
    return problem(catalogue(rows), workload(*shapes))


def worths(world: Problem, seed: int) -> Floats:
    """Made-up worths of the shapes, one of them nothing."""
    worth = np.random.default_rng(seed).uniform(0.01, 1.0, len(world.count))
    worth[seed % len(worth)] *= seed % 2
    return worth


def most_earned(world: Problem, worth: Floats, klass: int) -> float:
    """The dearest mix of workers on one machine, by trying all of them."""
    size, best = world.capacity[klass], 0.0
    mine = np.flatnonzero(world.admits[klass])
    counts = []
    for s in mine:
        need = world.needs[s]
        counts.append(range(int((size[need > 0] // need[need > 0]).min()) + 1))
    for mix in itertools.product(*counts):
        if (np.array(mix) @ world.needs[mine] <= size).all():
            best = max(best, float(np.array(mix) @ worth[mine]))
    return best


def priced(world: Problem, worth: Floats) -> Priced:
    """Every class priced on its grid."""
    packer = Knapsack(world)
    return packer.price(worth, packer.bound(worth), np.ones(len(world.capacity), dtype=bool))


def node_costs(world: Problem) -> Floats:
    """The cheapest machine of each class."""
    cost = np.full(len(world.capacity), np.inf)
    np.minimum.at(cost, world.klass, world.cost)
    return cost


def used(world: Problem) -> list[int]:
    """The classes that have an offer."""
    return np.unique(world.klass).tolist()


WORLDS = [
    pytest.param({}, id="plain"),
    pytest.param({"gpus": True}, id="with GPUs"),
    pytest.param({"markets": True}, id="shapes of one market"),
    pytest.param({"gpus": True, "markets": True}, id="both"),
]


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_a_node_earns_what_brute_force_says(kind: dict[str, bool], seed: int) -> None:
    here = world(seed, **kind)
    worth = worths(here, seed)
    upper = priced(here, worth).upper
    for klass in used(here):
        most = most_earned(here, worth, klass)
        assert most * (1 - 1e-12) <= upper[klass] <= most * (1 + CLOSE)


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_duality_bounds_what_a_node_earns(kind: dict[str, bool], seed: int) -> None:
    here = world(seed, **kind)
    worth = worths(here, seed)
    bound = Knapsack(here).bound(worth)
    for klass in used(here):
        assert most_earned(here, worth, klass) <= bound[klass] * (1 + 1e-12)


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_patterns_fit_and_the_best_earns_most(kind: dict[str, bool], seed: int) -> None:
    here = world(seed, **kind)
    worth = worths(here, seed)
    prices = priced(here, worth)
    classes, patterns = prices.patterns(node_costs(here), per_shape=2)
    assert_fits(here, classes, patterns)
    for klass in used(here):
        earned = (patterns[classes == klass] @ worth).max()
        assert earned == pytest.approx(prices.upper[klass], rel=CLOSE)


@pytest.mark.parametrize("kind", WORLDS)
def test_every_shape_that_fits_is_in_a_pattern(kind: dict[str, bool]) -> None:
    """Also the one that is worth nothing: it may be wanted all the same."""
    here = world(2, **kind)
    worth = worths(here, 2)
    assert not worth.all()
    _, patterns = priced(here, worth).patterns(node_costs(here), per_shape=1)
    somewhere = here.fits()[used(here)].any(axis=0)
    assert (patterns.any(axis=0) == somewhere).all()


@pytest.mark.parametrize("seed", range(4))
def test_near_patterns_lose_no_more_than_the_slack(seed: int) -> None:
    here = world(seed, gpus=True)
    worth = worths(here, seed)
    prices = priced(here, worth)
    cost = prices.upper.copy()
    slack = 0.3 * float(cost.max())
    classes, patterns = prices.near(cost, slack=slack, most=50)
    assert len(classes)
    assert_fits(here, classes, patterns)
    assert (cost[classes] - patterns @ worth <= slack * (1 + CLOSE)).all()


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("cells", [30, 200])
def test_coarse_grids_still_fit_and_bound(
    kind: dict[str, bool], cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knapsack, "MOST_CELLS", cells)
    here = world(1, **kind)
    worth = worths(here, 1)
    assert not all(family.exact for family in Knapsack(here).families)
    prices = priced(here, worth)
    classes, patterns = prices.patterns(node_costs(here), per_shape=2)
    assert_fits(here, classes, patterns)
    for klass in used(here):
        assert most_earned(here, worth, klass) <= prices.upper[klass] * (1 + CLOSE)


def test_only_wanted_classes_are_priced() -> None:
    here = world(0)
    worth = worths(here, 1)
    packer = Knapsack(here)
    bound = packer.bound(worth)
    first = used(here)[0]
    wanted = np.arange(len(here.capacity)) == first
    prices = packer.price(worth, bound, wanted)
    assert (prices.upper[~wanted] == bound[~wanted]).all()
    assert set(prices.patterns(node_costs(here), per_shape=3)[0].tolist()) == {first}
    none = packer.price(worth, bound, np.zeros(len(wanted), dtype=bool))
    assert len(none.patterns(node_costs(here), per_shape=3)[0]) == 0


def test_a_node_by_hand() -> None:
    """8 vCPU and 16 GiB; a is 3 vCPU, 2 GiB for $0.40, b is 2 vCPU, 7 GiB for $0.30.

    Two b leave 4 vCPU and 2 GiB, room for one a: $1.00. Two a leave 2 vCPU and 12 GiB, room for
    one b: $1.10.
    """
    here = problem(
        catalogue([Row(vcpu=8, gib=16)]), workload(shape("a", 9, 3, 2), shape("b", 9, 2, 7))
    )
    prices = priced(here, np.array([0.4, 0.3]))
    assert prices.upper[here.klass[0]] == pytest.approx(1.10)
    classes, patterns = prices.patterns(node_costs(here), per_shape=1)
    assert [2, 1] in patterns[classes == here.klass[0]].tolist()


def assert_fits(here: Problem, classes: Any, patterns: Any) -> None:
    """Every pattern has room on its class and holds only what the class admits."""
    assert (patterns @ here.needs <= here.capacity[classes]).all()
    assert not patterns[~here.admits[classes]].any()
    assert (patterns >= 0).all()
