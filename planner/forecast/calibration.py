"""Quantiles moved so that as many outcomes lie below each of them as should.

Two corrections, both on how far out a quantile is read, and both for each distance apart. The slow
one moves each quantile by the outcomes that it would have missed as it is now (online gradient of
the pinball loss). The fast one pays back: what has fallen outside the 10 % and the 90 % quantile as
they were told, more or less than two of ten, is owed, and moves these two until it is paid
(conformal PID control, Angelopoulos, Candes and Tibshirani 2023). An outcome that equals a quantile
lies below it in part (`below`), else a demand that mostly stays the same could not be told right.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from costplan.planner.forecast.features import IntArray
from costplan.planner.forecast.outcomes import FINE, LEVELS
from costplan.planner.forecast.types import MEDIAN, QUANTILES, FloatArray

LOW, HIGH = QUANTILES.index(0.1), QUANTILES.index(0.9)
PLACES = np.searchsorted(FINE, LEVELS)
MIDDLE = int(PLACES[MEDIAN])
MOST_STRETCH = 1.2
"""Of the logarithm of a quantile's score, by the slow correction."""
MOST_OWED = 0.5
"""The same by the fast one: a score of 1.28 becomes one of 2.1, which 4 of 100 outcomes exceed."""
KEEP_OWED = 0.5 ** (1 / (5 * 48))
"""What is owed is halved every five days, in half hours: an upheaval weeks ago is no reason to tell
wide intervals for weeks."""
OTHER_END = 0.6
"""What is owed at one end moves the other by this much."""
FLAT = 0.03
"""A quantile nearer to the median than this share of the range is in a heap of equal outcomes."""
_SCORES = np.array([NormalDist().inv_cdf(share) for share in LEVELS])
_FINE_SCORES = np.array([NormalDist().inv_cdf(share) for share in FINE])
_EDGES = np.array([0.0, *(LEVELS[1:] + LEVELS[:-1]) / 2, 1.0])


def below(values: FloatArray, came: FloatArray) -> FloatArray:
    """How much of an outcome (...) lies below each of its quantiles (..., quantiles): 0 or 1, and a
    share where quantiles equal it.

    Quantiles from the share a to the share b that are one number say that this number comes with
    the probability b - a; the outcome counts as spread evenly over them (the probability integral
    transform for counts: Czado, Gneiting and Held 2009). a and b lie half way to the next quantile.
    With all seven equal to the outcome, a tenth of it is below the 10 % quantile.
    """
    first = (values < came[..., None]).sum(axis=-1)
    end = (values <= came[..., None]).sum(axis=-1)
    start, stop = _EDGES[first][..., None], _EDGES[end][..., None]
    width = np.where(stop > start, stop - start, 1.0)
    part = np.clip((LEVELS - start) / width, 0.0, 1.0)
    is_tied = (end > first)[..., None]
    return np.where(is_tied, part, (came[..., None] < values).astype(np.float64))


class Calibration:
    """The corrections of every distance, learnt from outcomes as they come."""

    def __init__(self, pace: FloatArray, pull: FloatArray) -> None:
        """By distance: what an outcome adds to the slow correction, and what one outcome that is
        owed adds to the fast one."""
        self._pace, self._pull = pace[:, None], pull[:, None]
        self.stretch = np.zeros((len(pace), len(LEVELS)))
        self.owed = np.zeros((len(pace), 2))

    def told(self, rows: FloatArray, level: float) -> FloatArray:
        """Values (distances, quantiles) from those of the change (distances, FINE)."""
        owed = self._pull * (self.owed + OTHER_END * self.owed[:, ::-1])
        stretch = self.stretch.copy()
        stretch[:, [LOW, HIGH]] += np.clip(owed, -MOST_OWED, MOST_OWED)
        return _read(rows, np.full(len(rows), level), stretch)

    def learn(
        self, k: IntArray, rows: FloatArray, level: FloatArray, told: FloatArray, came: FloatArray
    ) -> None:
        """What came (k,) of distances k, where `rows` (k, FINE), `level` (k,) and `told`
        (k, quantiles) are as they were when it was foretold."""
        off = below(_read(rows, level, self.stretch[k]), came) - LEVELS
        moved = self.stretch[k] - self._pace[k] * off * np.sign(_SCORES)
        self.stretch[k] = np.clip(moved, -MOST_STRETCH, MOST_STRETCH)
        share = below(told, came)
        outside = np.stack([share[:, LOW], 1.0 - share[:, HIGH]], axis=1)
        self.owed[k] = self.owed[k] * KEEP_OWED + outside - LEVELS[LOW]


def _read(rows: FloatArray, level: FloatArray, stretch: FloatArray) -> FloatArray:
    """Quantiles of demand (distances, quantiles) from those of its change (distances, FINE), each
    read at its normal score times exp(stretch).

    Never further from the median than the quantile itself times exp(stretch): the tail of a few
    outages is not told for weeks. In a heap of equal outcomes that would be no move at all.
    """
    scores = _SCORES * np.exp(stretch)
    read = np.clip(scores, _FINE_SCORES[0], _FINE_SCORES[-1])
    at = np.clip(np.searchsorted(_FINE_SCORES, read, side="right") - 1, 0, len(FINE) - 2)
    part = (read - _FINE_SCORES[at]) / (_FINE_SCORES[at + 1] - _FINE_SCORES[at])
    lower = np.take_along_axis(rows, at, axis=1)
    upper = np.take_along_axis(rows, at + 1, axis=1)
    middle = rows[:, MIDDLE, None]
    off = lower + (upper - lower) * part - middle
    off *= np.maximum(np.abs(scores) / _FINE_SCORES[-1], 1.0)
    usual = np.abs(rows[:, PLACES] - middle)
    most = usual * np.exp(np.maximum(stretch, 0.0))
    is_spread = usual > FLAT * (rows[:, -1:] - rows[:, :1])
    found = middle + np.where(is_spread, np.clip(off, -most, most), off)
    # The quantiles beside these two give way to them.
    found[:, HIGH + 1 :] = np.maximum(found[:, HIGH + 1 :], found[:, HIGH, None])
    found[:, MEDIAN + 1 : HIGH] = np.minimum(found[:, MEDIAN + 1 : HIGH], found[:, HIGH, None])
    found[:, :LOW] = np.minimum(found[:, :LOW], found[:, LOW, None])
    found[:, LOW + 1 : MEDIAN] = np.maximum(found[:, LOW + 1 : MEDIAN], found[:, LOW, None])
    return np.sort(np.maximum(level[:, None] + found, 0.0), axis=1)
