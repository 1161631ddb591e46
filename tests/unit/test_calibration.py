"""Quantiles that are moved until as many outcomes lie below them as should."""

from __future__ import annotations

import numpy as np
import pytest

from costplan.planner.forecast.calibration import HIGH, LOW, MOST_OWED, Calibration, below
from costplan.planner.forecast.outcomes import FINE, LEVELS
from costplan.planner.forecast.types import FloatArray

LAG = 48
ONE = np.array([0])


def test_an_outcome_between_quantiles_is_below_all_or_nothing() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert below(values, np.array(4.5)).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert below(values, np.array(0.0)).tolist() == [1] * 7
    assert below(values, np.array(8.0)).tolist() == [0] * 7


def test_an_outcome_that_equals_quantiles_is_spread_over_them() -> None:
    """All seven equal it: it is anywhere from 0 to 1. The lower three do: from 0 to 0.375, which
    lies half way between 25 and 50 %; of that, 0.1 are below the 10 % quantile."""
    assert below(np.full(7, 3.0), np.array(3.0)) == pytest.approx(LEVELS)
    lower = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    share = below(lower, np.array(0.0))
    assert share[LOW] == pytest.approx(0.1 / 0.375)
    assert share[3:].tolist() == [1.0] * 4
    assert below(lower, np.array(1.0))[:3].tolist() == [0.0] * 3


def test_what_is_told_of_a_heap_is_right_where_its_share_is() -> None:
    """Demand is 0 six times of ten and 1 to 4 else: quantiles that say so have eight of ten inside
    and not the nine and more of a closed interval."""
    outcomes = np.array([0.0] * 60 + list(np.linspace(1, 4, 40)))
    told = np.quantile(outcomes, LEVELS, method="inverted_cdf")
    share = below(np.broadcast_to(told, (100, 7)), outcomes)
    assert (share[:, HIGH] - share[:, LOW]).mean() == pytest.approx(0.8, abs=0.03)
    assert ((told[LOW] <= outcomes) & (outcomes <= told[HIGH])).mean() >= 0.9


def inside(spread: FloatArray, pull: float, pace: float) -> float:
    """The share of outcomes inside, in the second half of a series whose spread is told as 1 and
    is `spread`; outcomes come LAG half hours late."""
    dice = np.random.default_rng(3)
    came = 100 + spread * dice.normal(0, 1, len(spread))
    rows = np.quantile(np.random.default_rng(4).normal(0, 1, 4000), FINE)[None]
    calibration = Calibration(np.array([pace]), np.array([pull]))
    told = []
    for now in range(len(spread)):
        then = now - LAG
        if then >= 0:
            calibration.learn(ONE, rows, np.array([100.0]), told[then], came[then : then + 1])
        told.append(calibration.told(rows, 100.0))
    values = np.concatenate(told)
    share = below(values, came)
    half = len(spread) // 2
    return float((share[half:, HIGH] - share[half:, LOW]).mean())


@pytest.mark.parametrize("spread", [0.6, 1.0, 1.5])
def test_a_wrong_spread_is_mended_though_outcomes_come_a_day_late(spread: float) -> None:
    wrong = inside(np.full(2400, spread), pull=0.0, pace=0.0)
    assert (abs(wrong - 0.8) > 0.05) is (spread != 1.0)
    assert inside(np.full(2400, spread), pull=0.025, pace=0.002) == pytest.approx(0.8, abs=0.03)


def test_a_spread_that_changes_every_two_days_is_followed() -> None:
    spread = np.where(np.arange(2400) // 96 % 2 == 0, 0.7, 1.8)
    assert inside(spread, pull=0.0, pace=0.0) < 0.76
    assert inside(spread, pull=0.025, pace=0.002) == pytest.approx(0.8, abs=0.03)


def test_no_upheaval_makes_intervals_without_end() -> None:
    rows = np.linspace(-1, 1, len(FINE))[None]
    calibration = Calibration(np.array([0.02]), np.array([0.04]))
    plain = calibration.told(rows, 100.0)
    for _ in range(500):
        told = calibration.told(rows, 100.0)
        calibration.learn(ONE, rows, np.array([100.0]), told, np.array([1e9]))
    told = calibration.told(rows, 100.0)
    assert (np.diff(told) >= 0).all()
    wider = (told[0, HIGH] - told[0, 3]) / (plain[0, HIGH] - plain[0, 3])
    assert np.exp(MOST_OWED) < wider <= np.exp(1.2 + MOST_OWED) + 1e-9


def test_where_demand_mostly_stays_the_same_the_end_leaves_the_heap() -> None:
    """Every read quantile up to 90 % is no change, and yet half the outcomes are higher."""
    rows = np.where(FINE > 0.92, 5.0, 0.0)[None]
    calibration = Calibration(np.array([0.02]), np.array([0.04]))
    assert calibration.told(rows, 3.0)[0, HIGH] == 3.0
    for came in [3.0, 6.0] * 40:
        told = calibration.told(rows, 3.0)
        calibration.learn(ONE, rows, np.array([3.0]), told, np.array([came]))
    assert calibration.told(rows, 3.0)[0, HIGH] > 6.0


def test_values_are_never_below_zero() -> None:
    rows = np.linspace(-10, 10, len(FINE))[None]
    assert (Calibration(np.ones(1), np.ones(1)).told(rows, 2.0) >= 0).all()
