"""The built-in forecaster on made-up series whose future is known to the test alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from costplan.planner.forecast.ensemble import AHEAD, PENDING, Forecaster
from costplan.planner.forecast.outcomes import FINE, Outcomes
from costplan.planner.forecast.types import (
    HORIZON_STEPS,
    QUANTILES,
    STEPS_PER_DAY,
    DemandHistory,
    FloatArray,
    Forecast,
)

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = 12


def told(values: FloatArray, start: datetime = MONDAY) -> Forecast:
    return Forecaster.over(DemandHistory(start=start, values=values)).forecast()


def daily(days: int, seed: int = 0) -> FloatArray:
    """Ten workers by night and forty by day, with some noise."""
    step = np.arange(days * STEPS_PER_DAY)
    wave = 25 - 15 * np.cos(2 * np.pi * step / STEPS_PER_DAY)
    return np.asarray(wave + np.random.default_rng(seed).normal(0, 1, len(step)).clip(-3, 3))


def wandering(days: int, seed: int = 0) -> FloatArray:
    steps = np.random.default_rng(seed).normal(0, 1, days * STEPS_PER_DAY)
    return np.asarray(np.abs(500 + np.cumsum(steps)))


def test_a_forecast_is_of_the_day_ahead_sorted_and_never_below_zero() -> None:
    forecast = told(np.abs(np.random.default_rng(1).normal(0, 3, 5 * STEPS_PER_DAY)))
    assert forecast.at == MONDAY + timedelta(days=5)
    assert forecast.values.shape == (len(QUANTILES), HORIZON_STEPS)
    assert (np.diff(forecast.values, axis=0) >= 0).all()
    assert (forecast.values >= 0).all()
    assert np.isfinite(forecast.values).all()
    assert forecast.notes == ()
    for shares in zip(*forecast.weights.values(), strict=True):
        assert sum(shares) == pytest.approx(1.0)


def test_what_comes_later_changes_no_forecast_made_before() -> None:
    """Two futures, and room behind the last step that is full of nonsense: the same past."""
    past = wandering(6)
    futures = [np.zeros(12 * HOUR), np.full(12 * HOUR, 1e9)]
    grown = [Forecaster(MONDAY) for _ in futures]
    for forecaster, future in zip(grown, futures, strict=True):
        forecaster.extend(np.concatenate([past, future]))
    made = sum(origin < len(past) for origin in grown[0]._origins)
    assert made == sum(origin < len(past) for origin in grown[1]._origins)
    one, other = grown
    kept = PENDING - (len(one._origins) - made)  # the rest has made room for later ones
    rings = [origin % PENDING for origin in range(made - kept, made)]
    assert kept > 20
    assert np.array_equal(one._told[rings], other._told[rings])
    assert np.array_equal(one._inputs[rings], other._inputs[rings])
    assert np.array_equal(one._ridge[rings], other._ridge[rings])
    assert np.array_equal(one._mixed[rings], other._mixed[rings])
    assert np.array_equal(one._final[rings], other._final[rings])

    plain, poisoned = Forecaster(MONDAY), Forecaster(MONDAY)
    for now in range(0, len(past), 577):
        plain.extend(past[now : now + 577])
        poisoned.extend(past[now : now + 577])
        poisoned._values[poisoned._steps :] = 1e9
        poisoned._sums[poisoned._steps + 1 :] = -1e9
        poisoned._seen[poisoned._steps :] = True
        assert np.array_equal(plain.forecast().values, poisoned.forecast().values)


def test_outcomes_are_learnt_from_only_when_they_are_known() -> None:
    values = wandering(6)
    forecaster = Forecaster(MONDAY)
    forecaster.extend(values)
    begun = np.array(forecaster._origins)
    for k, ahead in enumerate(AHEAD):
        count = forecaster._past.count[k]
        known = forecaster._past._origins[0, k, :count]
        assert sorted(known) == list(range(count))
        assert begun[known].max() + ahead < len(values)
        assert np.array_equal(
            forecaster._past._values[0, k, :count],
            values[begun[known] + ahead] - values[begun[known]],
        )


def test_steps_at_once_and_one_by_one_give_the_same_bytes() -> None:
    values = daily(4)
    slowly = Forecaster(MONDAY)
    for value in values:
        slowly.extend(np.array([value]))
    at_once = Forecaster(MONDAY)
    at_once.extend(values)
    assert slowly.forecast().values.tobytes() == at_once.forecast().values.tobytes()
    assert slowly.at == at_once.at


def test_a_daily_wave_is_foreseen_and_the_last_value_is_not_believed() -> None:
    values = daily(12)
    now = 11 * STEPS_PER_DAY  # midnight
    forecast = told(values[:now])
    noon = slice(STEPS_PER_DAY // 2 - HOUR, STEPS_PER_DAY // 2 + HOUR)
    coming = values[now:][noon].mean()
    median = forecast.quantile(0.5)[noon].mean()
    assert abs(median - coming) < 5
    assert abs(values[now - 1] - coming) > 25


def test_eight_of_ten_outcomes_fall_between_the_tenth_and_the_ninetieth_quantile() -> None:
    values = wandering(18, seed=3)
    forecaster = Forecaster(MONDAY)
    begin = 8 * STEPS_PER_DAY
    forecaster.extend(values[:begin])
    within = {HOUR: 0, 6 * HOUR: 0}
    count = 0
    for now in range(begin, len(values) - 6 * HOUR, 24):
        forecast = forecaster.forecast()
        for ahead in within:
            low, high = (forecast.quantile(share)[ahead - 1] for share in (0.1, 0.9))
            within[ahead] += bool(low <= values[now + ahead - 1] <= high)
        count += 1
        forecaster.extend(values[now : now + 24])
    for ahead, inside in within.items():
        assert inside / count == pytest.approx(0.8, abs=0.06), ahead


def test_one_outage_does_not_turn_the_regression() -> None:
    """Demand that fell to nothing for two hours once is not foretold to do so a day later."""
    values = daily(10)
    values[6 * STEPS_PER_DAY : 6 * STEPS_PER_DAY + 2 * HOUR] = 0.0
    without = told(daily(10)).quantile(0.5)
    assert np.abs(told(values).quantile(0.5) - without).max() < 3


def test_with_little_history_it_guesses_wide_and_says_so() -> None:
    first = told(np.array([8.0]))
    assert first.quantile(0.5) == pytest.approx(np.full(HORIZON_STEPS, 8.0))
    assert first.quantile(0.9)[0] == pytest.approx(12.0)
    assert first.quantile(0.9)[-1] == pytest.approx(12.0)  # a guess does not grow with distance
    assert first.notes == ("5 min of history: the spread is a guess of 50 %",)
    assert first.weights["ridge"] == (0.0, 0.0, 0.0)
    hours = told(wandering(1))
    assert "shorter distances" in hours.notes[0]
    wide = hours.quantile(0.9) - hours.quantile(0.1)
    assert wide[-1] > wide[16 * HOUR] > wide[12 * HOUR] > 0  # further is not surer


def test_steps_that_nobody_saw_are_no_demand_of_nothing() -> None:
    values = daily(8)
    values[2 * STEPS_PER_DAY : 2 * STEPS_PER_DAY + 40] = np.nan
    values[-3:] = np.nan
    forecast = told(values)
    assert np.isfinite(forecast.values).all()
    assert forecast.quantile(0.05)[0] > 5
    assert forecast.notes == ("1.9 % of the steps were not seen",)


@pytest.mark.parametrize("values", [np.full(5, np.nan)])
def test_a_history_nobody_saw_has_no_forecast(values: FloatArray) -> None:
    with pytest.raises(ValueError, match="needs a step that was seen"):
        told(values)


@pytest.mark.parametrize("bad", [np.array([]), np.array([1.0, -1.0]), np.array([np.inf])])
def test_a_history_that_is_none_is_refused(bad: FloatArray) -> None:
    with pytest.raises(ValueError, match="values"):
        DemandHistory(start=MONDAY, values=bad)


def test_a_quantile_that_is_not_foretold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.33"):
        told(np.ones(5)).quantile(0.33)


def test_quantiles_of_outcomes_are_those_of_sorted_weighted_values() -> None:
    dice = np.random.default_rng(0)
    past = Outcomes(2, 3, 50)
    seen = [np.zeros((0, 2)) for _ in range(3)]
    for origin in range(120):
        k = np.flatnonzero(dice.random(3) < 0.8)
        values = dice.normal(0, 1, (2, len(k))).round(1)
        past.add(k, np.full(len(k), origin), values)
        for place, distance in enumerate(k):
            column = np.full((origin + 1 - len(seen[distance]), 2), np.nan)
            column[-1] = values[:, place]
            seen[distance] = np.concatenate([seen[distance], column])
        first = max(origin + 1 - 50, 0)
        past.forget(first)
        weights = dice.random(origin + 1 - first) + 0.01
        found = past.quantiles(weights, first)
        for distance in range(3):
            column = seen[distance][first:]
            known = np.flatnonzero(~np.isnan(column[:, 0]))
            assert past.count[distance] == len(known)
            for row in range(2):
                expected = plain_quantiles(column[known, row], weights[known])
                assert np.array_equal(found[row, distance], expected)
                evenly = plain_quantiles(column[known, row], np.ones(len(known)))
                assert np.array_equal(past.even(row)[distance], evenly)


def plain_quantiles(values: FloatArray, weights: FloatArray) -> FloatArray:
    if not len(values):
        return np.zeros(len(FINE))
    order = np.argsort(values)
    mass = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(mass, FINE * mass[-1])])
