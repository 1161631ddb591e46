"""The optional third member: what it learns from and when, and that it never sees the future."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from costplan.adapters.forecast.boosting import Boosting, member_of
from costplan.planner.errors import InputError
from costplan.planner.forecast.ensemble import AHEAD, LEAST_MOMENTS, ORIGIN_STEPS, Forecaster
from costplan.planner.forecast.features import COUNT
from costplan.planner.forecast.more import GROWTH, Learner
from costplan.planner.forecast.types import QUANTILES, STEPS_PER_DAY, FloatArray
from costplan.planner.settings import Forecasting
from tests.fleets import settings

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
needs_sklearn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None,
    reason="scikit-learn is not installed: pip install 'costplan[forecast]'",
)


class Counts:
    """A member that foretells nothing and remembers what it was taught."""

    name = "counts"

    def __init__(self) -> None:
        self.taught: list[tuple[int, float]] = []

    def learn(self, inputs: FloatArray, changes: FloatArray) -> None:
        self.taught.append((len(inputs), float(np.nanmax(np.abs(changes)))))

    def told(self, inputs: FloatArray) -> FloatArray:
        return np.zeros((len(inputs), len(QUANTILES)))


def waves(days: int, seed: int = 0) -> FloatArray:
    """Ten workers by night and forty by day, on weekdays only, with some noise."""
    step = np.arange(days * STEPS_PER_DAY)
    day = step // STEPS_PER_DAY % 7 < 5
    wave = 25 - 15 * np.cos(2 * np.pi * step / STEPS_PER_DAY) * day
    noise = np.random.default_rng(seed).normal(0, 1, len(step)).clip(-3, 3)
    return np.asarray(wave + noise)


def test_it_learns_after_four_days_and_then_with_a_quarter_more_each_time() -> None:
    member = Counts()
    forecaster = Forecaster(MONDAY, member)
    forecaster.extend(waves(10))
    moments = [count for count, _ in member.taught]
    assert moments[0] == LEAST_MOMENTS
    assert len(moments) > 2
    for before, after in pairwise(moments):
        assert GROWTH * before <= after <= GROWTH * before + 1


def test_what_it_learns_from_is_over() -> None:
    """A step of a thousand on the last day is in no outcome that was known the day before."""
    values = waves(8)
    values[-STEPS_PER_DAY:] += 1000.0
    member = Counts()
    forecaster = Forecaster(MONDAY, member)
    forecaster.extend(values)
    learnt_by = [count * ORIGIN_STEPS for count, _ in member.taught]
    for at, (_, largest) in zip(learnt_by, member.taught, strict=True):
        assert (largest > 500) is (at > len(values) - STEPS_PER_DAY)


def test_a_window_forgets_the_oldest_and_a_gap_is_waited_for() -> None:
    member = Counts()
    learner = Learner(member, ahead=2, most=8, least=4)
    for moment in range(12):
        learner.learn(moment)
        learner.add(moment, np.full((2, COUNT), float(moment)))
        if moment:
            learner.came(np.array([0]), np.array([moment - 1]), np.array([1.0]))
    # Of the second distance nothing ever came.
    assert member.taught == []
    assert not learner.is_ready
    learner.came(np.array([1]), np.array([9]), np.array([3.0]))
    learner.learn(12)
    assert member.taught == [(8, 3.0)]
    assert learner.was_ready(np.array([11, 12])).tolist() == [False, True]


@needs_sklearn
def test_the_third_member_never_sees_the_future() -> None:
    """Two futures, and nonsense behind the last step: the same forecast."""
    past = waves(6)
    made = []
    for poison in (0.0, 1e9):
        forecaster = Forecaster(MONDAY, Boosting())
        for now in range(0, len(past), 577):
            forecaster.extend(past[now : now + 577])
            forecaster._values[forecaster._steps :] = poison
            forecaster._sums[forecaster._steps + 1 :] = -poison
            forecaster._seen[forecaster._steps :] = bool(poison)
        made.append(forecaster.forecast().values)
    assert np.array_equal(made[0], made[1])
    later = Forecaster(MONDAY, Boosting())
    later.extend(past)
    before = later.forecast().values
    assert np.array_equal(before, made[0])


@needs_sklearn
def test_it_takes_part_once_its_own_forecasts_are_scored() -> None:
    forecaster = Forecaster(MONDAY, Boosting())
    forecaster.extend(waves(3))
    assert set(forecaster.forecast().weights["boosting"]) == {0.0}
    forecaster.extend(waves(9)[3 * STEPS_PER_DAY :])
    told = forecaster.forecast()
    assert all(share > 0 for share in told.weights["boosting"])
    for shares in zip(*told.weights.values(), strict=True):
        assert sum(shares) == pytest.approx(1.0)
    assert (np.diff(told.values, axis=0) >= 0).all()
    assert np.isfinite(told.values).all()


@needs_sklearn
def test_the_same_series_is_the_same_forecast() -> None:
    bytes_of = []
    for _ in range(2):
        forecaster = Forecaster(MONDAY, Boosting())
        forecaster.extend(waves(6, seed=4))
        bytes_of.append(forecaster.forecast().values.tobytes())
    assert bytes_of[0] == bytes_of[1]


@needs_sklearn
def test_its_quantiles_rise_and_are_of_every_distance() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, len(AHEAD), COUNT))
    changes = inputs[:, :, 0] * 5 + rng.normal(size=(200, len(AHEAD)))
    member = Boosting()
    member.learn(inputs, changes)
    told = member.told(inputs[0])
    assert told.shape == (len(AHEAD), len(QUANTILES))
    assert (np.diff(told, axis=1) >= 0).all()


def test_without_it_nothing_is_made() -> None:
    assert member_of(settings()) is None


@needs_sklearn
def test_asked_for_it_is_made_anew_for_each_series() -> None:
    make = member_of(settings(forecast=Forecasting(boosting=True)))
    assert make is not None
    assert make() is not make()


def test_asked_for_without_scikit_learn_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)  # type: ignore[arg-type]
    with pytest.raises(InputError) as found:
        member_of(settings(forecast=Forecasting(boosting=True)))
    said: Any = str(found.value)
    assert said.startswith("forecast.boosting: scikit-learn is not installed")
    assert "pip install 'costplan[forecast]', or set it to false" in said
