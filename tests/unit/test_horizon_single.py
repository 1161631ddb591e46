"""A horizon of one shape: one program finds and proves what the search does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costplan.planner.ahead import everything
from costplan.planner.horizon.model import Horizon, Running
from costplan.planner.horizon.relaxation import relax_horizon
from costplan.planner.horizon.single import of_one_shape
from costplan.planner.optimize.problem import Problem

GAP = 2.5e-3


def horizon(seed: int) -> Horizon:
    """A fleet of two types with others to buy, over six steps of a demand that comes and goes."""
    dice = np.random.default_rng(seed)
    size = np.array([1, 2, 4, 4, 8], dtype=np.int64)
    cost = size * dice.uniform(0.5, 1.5, len(size))
    many = np.arange(len(size))
    problem = Problem(
        shape_names=("w",),
        needs=np.array([[1000, 4, 0]]),
        count=np.zeros(1, dtype=np.int64),
        capacity=np.stack([1000 * size, 4 * size, 0 * size], axis=1),
        admits=np.ones((len(size), 1), dtype=bool),
        row=many,
        site=np.zeros(len(size), dtype=np.int64),
        sites=("",),
        klass=many,
        cost=cost,
        price=cost,
        site_usd=np.zeros(1),
        vcpu=size.astype(float),
        is_spot=np.zeros(len(size), dtype=bool),
        limits=(),
        pool_share=1.0,
    )
    return Horizon(
        problem=problem,
        hours=np.array([0.05, 0.1, 0.1, 0.2, 0.3, 0.5]),
        demand=dice.integers(0, 40, size=(6, 1)),
        shortage_usd=np.array([4.0]),
        fleet=np.array([3, 2, 0, 0, 0], dtype=np.int64),
        start_usd=dice.uniform(0.0, 0.2, len(size)),
        stop_usd=np.array([0.01, 0.02, 0.0, 0.0, 0.0]),
        boot_hours=0.05,
        running=Running(classes=many, patterns=size[:, None]),
    )


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_and_proves_what_the_search_does(seed: int) -> None:
    asked = horizon(seed)
    found = of_one_shape(asked, everything(asked), GAP)
    searched = relax_horizon(asked, everything(asked), GAP)
    assert found is not None
    assert found.point.cost == pytest.approx(searched.point.cost, rel=1e-9)
    assert found.bound == pytest.approx(found.point.cost, rel=1e-6)
    assert found.rounds == 0


def test_offers_or_patterns_that_are_not_known_are_for_the_search() -> None:
    asked = horizon(1)
    known = everything(asked)
    assert of_one_shape(asked, None, GAP) is None
    assert of_one_shape(asked, replace(known, offers=known.offers[:3]), GAP) is None
    assert asked.running is not None
    half = Running(classes=asked.running.classes, patterns=np.ones((5, 1), dtype=np.int64))
    fewer = replace(asked, running=half)
    assert of_one_shape(fewer, everything(fewer), GAP) is None
