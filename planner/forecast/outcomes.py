"""What forecasts got wrong, in order of size, so that quantiles of it take no sorting."""

from __future__ import annotations

import numpy as np

from costplan.planner.forecast.features import IntArray
from costplan.planner.forecast.types import QUANTILES, FloatArray

LEVELS = np.array(QUANTILES)
FINE = np.unique(
    np.round(np.concatenate([LEVELS, np.arange(0.15, 0.9, 0.05), [0.025, 0.075, 0.925, 0.975]]), 3)
)
"""The quantiles that are read: enough of them to move one of LEVELS."""


class Outcomes:
    """Values by row and distance, each of an origin, smallest first; the last `most` at most."""

    def __init__(self, rows: int, distances: int, most: int) -> None:
        self._values = np.zeros((rows, distances, most + 1))
        self._origins = np.full((rows, distances, most + 1), -1)
        self.count = np.zeros(distances, dtype=np.int64)

    def add(self, k: IntArray, origins: IntArray, values: FloatArray) -> None:
        """Takes in `values` (rows, len(k)) of the distances k. Origins of a distance rise."""
        for place, (distance, origin) in enumerate(zip(k, origins, strict=True)):
            count = int(self.count[distance])
            for row, value in enumerate(values[:, place]):
                there, of = self._values[row, distance], self._origins[row, distance]
                at = int(np.searchsorted(there[:count], value, side="right"))
                there[at + 1 : count + 1] = there[at:count].copy()
                of[at + 1 : count + 1] = of[at:count].copy()
                there[at], of[at] = value, origin
            self.count[distance] += 1

    def forget(self, first: int) -> None:
        """Lets go of values of origins before `first`."""
        old = (self._origins >= 0) & (self._origins < first)
        for distance in np.flatnonzero(old[0].any(axis=1)):
            count = int(self.count[distance])
            for row in range(len(self._values)):
                there, of = self._values[row, distance], self._origins[row, distance]
                kept = of[:count] >= first
                left = int(kept.sum())
                there[:left], of[:left] = there[:count][kept], of[:count][kept]
                of[left:count] = -1
            self.count[distance] = left

    def quantiles(self, weights: FloatArray, first: int) -> FloatArray:
        """The quantiles (rows, distances, FINE), where the value of origin `first` + i weighs
        `weights[i]`, above 0; 0 where there is no value."""
        rows, distances, _ = self._values.shape
        most = int(self.count.max())
        found = np.zeros((rows, distances, len(FINE)))
        if not most:
            return found
        places = self._origins[:, :, :most] - first
        mass = np.cumsum(np.where(places >= 0, weights[np.maximum(places, 0)], 0.0), axis=2)
        targets = FINE * mass[:, :, -1:]
        for row in range(rows):
            for distance in np.flatnonzero(self.count):
                at = np.searchsorted(mass[row, distance], targets[row, distance])
                found[row, distance] = self._values[row, distance, at]
        return found

    def even(self, row: int) -> FloatArray:
        """The quantiles (distances, FINE) of a row where all weigh the same; 0 where there is no
        value."""
        at = np.maximum(np.ceil(FINE * self.count[:, None] - 1e-9).astype(np.int64) - 1, 0)
        found = np.take_along_axis(self._values[row], at, axis=1)
        return np.where(self.count[:, None] > 0, found, 0.0)
