"""scikit-learn's gradient boosting of quantiles, as a member of the forecast's ensemble."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from costplan.planner.errors import InputError
from costplan.planner.forecast.types import QUANTILES, FloatArray, Member
from costplan.planner.settings import Settings

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

LEARNT = (0.1, 0.5, 0.9)
"""Quantiles that have trees of their own; the others are laid between and beyond them as those of a
normal distribution with its own width on each side."""
EVERY = 2
"""Of moments half an hour apart every second one is learnt from: neighbours say much the same."""
ROUNDS = 40
LEAVES = 12
LEAST_IN_LEAF = 60
STEP_SIZE = 0.1
_SCORES = np.array([NormalDist().inv_cdf(share) / NormalDist().inv_cdf(0.9) for share in QUANTILES])


class Boosting:
    """Trees for each quantile, of all distances together: the distance is a feature. What is
    foretold is the change over its root mean square at that distance, so that all count alike."""

    name = "boosting"

    def __init__(self) -> None:
        self._trees: list[HistGradientBoostingRegressor] = []
        self._size = np.ones(0)

    def learn(self, inputs: FloatArray, changes: FloatArray) -> None:
        """From moments (moments, ahead, features) and the changes after them (moments, ahead),
        NaN where nobody saw."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        inputs, changes = inputs[::EVERY], changes[::EVERY]
        self._size = np.sqrt(np.nanmean(changes**2, axis=0)) + 1e-9
        known = ~np.isnan(changes)
        rows, wanted = self._rows(inputs)[known], (changes / self._size)[known]
        trees = [
            HistGradientBoostingRegressor(
                loss="quantile",
                quantile=share,
                max_iter=ROUNDS,
                max_leaf_nodes=LEAVES,
                min_samples_leaf=LEAST_IN_LEAF,
                learning_rate=STEP_SIZE,
                early_stopping=False,
                random_state=0,
            )
            for share in LEARNT
        ]
        with threadpool_limits(1):  # threads that wait for each other take longer than one
            self._trees = [each.fit(rows, wanted) for each in trees]

    def told(self, inputs: FloatArray) -> FloatArray:
        """The quantiles of the change (ahead, quantiles) after a moment (ahead, features)."""
        from threadpoolctl import threadpool_limits

        rows = self._rows(inputs[None])[0]
        with threadpool_limits(1):
            found = np.stack([trees.predict(rows) for trees in self._trees], axis=1)
        low, middle, high = np.sort(found * self._size[:, None], axis=1).T[:, :, None]
        return np.asarray(middle + np.where(_SCORES < 0, middle - low, high - middle) * _SCORES)

    @staticmethod
    def _rows(inputs: FloatArray) -> FloatArray:
        """Features with the place of the distance as one more."""
        place = np.broadcast_to(np.arange(inputs.shape[1])[:, None], (*inputs.shape[:2], 1))
        return np.concatenate([inputs, place], axis=2)


def member_of(settings: Settings) -> Callable[[], Member] | None:
    """What makes the third member that the settings ask for, one a series; None for none.

    Raises InputError where scikit-learn is not installed.
    """
    if not settings.forecast.boosting:
        return None
    try:
        import sklearn.ensemble  # noqa: F401 - whether it is there
    except ImportError as error:
        raise InputError(
            "forecast.boosting",
            "scikit-learn is not installed",
            "pip install 'costplan[forecast]', or set it to false",
        ) from error
    return Boosting
