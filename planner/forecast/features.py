"""What a change of demand is foretold from: how it stands to its past, and the calendar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costplan.planner.forecast.types import STEPS_PER_DAY, FloatArray

IntArray = NDArray[np.int64]

MEANS = (12, 72, STEPS_PER_DAY)
"""Steps of the means that demand is compared with: an hour, six, a day."""
LAGS = (STEPS_PER_DAY, 7 * STEPS_PER_DAY)
HARMONICS = (1, 2)
IN_UNITS = slice(1, 1 + len(MEANS) + len(LAGS))
"""The features that are changes of demand themselves; the others are shares of one."""
COUNT = 1 + len(MEANS) + len(LAGS) + 2 * len(HARMONICS) + 1


def features(
    values: FloatArray, sums: FloatArray, now: int, first_step: int, ahead: IntArray
) -> FloatArray:
    """Features (ahead, COUNT) of the change from step `now` to each of `now + ahead`.

    `values` are known up to `now`, `sums[i]` is the sum of the first i of them. `first_step` is
    the number of steps from a Monday's midnight UTC to the first value. What the same change was
    a day or a week ago is 0 where that is not known.
    """
    level = values[now]
    past = [
        level - (sums[now + 1] - sums[max(now + 1 - steps, 0)]) / min(steps, now + 1)
        for steps in MEANS
    ]
    then = now + ahead
    columns = [np.ones(len(ahead)), *(np.full(len(ahead), each) for each in past)]
    for lag in LAGS:
        known = (then - lag <= now) & (now >= lag)
        change = values[np.clip(then - lag, 0, now)] - values[max(now - lag, 0)]
        columns.append(np.where(known, change, 0.0))
    clock = 2 * np.pi * (then + first_step) / STEPS_PER_DAY
    start = 2 * np.pi * (now + first_step) / STEPS_PER_DAY
    for n in HARMONICS:
        columns += [np.sin(n * clock) - np.sin(n * start), np.cos(n * clock) - np.cos(n * start)]
    columns.append(_weekend(then + first_step) - _weekend(np.asarray(now + first_step)))
    return np.stack(columns, axis=-1)


def _weekend(step: IntArray) -> FloatArray:
    return (step // STEPS_PER_DAY % 7 >= 5).astype(np.float64)
