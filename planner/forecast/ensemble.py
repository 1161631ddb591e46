"""The forecaster: three built-in members, mixed by their loss, and kept honest by calibration.py.

Each member foretells the change of demand at some distances ahead: the last value none, with the
changes of four weeks as its quantiles; the second the same, where what came in the past is weighed
by how like that moment was (level of demand, time of day, age); the third a ridge regression on
features.py, with what it got wrong in like moments. These, and one more where it is given, are
mixed by their pinball loss of late. What was told before an outcome was known is kept until then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from costplan.planner.forecast.calibration import PLACES, Calibration
from costplan.planner.forecast.features import COUNT, IN_UNITS, IntArray, features
from costplan.planner.forecast.more import Learner
from costplan.planner.forecast.outcomes import FINE, LEVELS, Outcomes
from costplan.planner.forecast.types import (
    HORIZON_STEPS,
    STEP_SECONDS,
    STEPS_PER_DAY,
    STEPS_PER_HOUR,
    DemandHistory,
    FloatArray,
    Forecast,
    Member,
)

AHEAD = np.array([1, 3, 6, 12, 18, 24, 36, 48, 72, 96, 144, 192, 240, 288])
"""Steps ahead that are learnt; between them the quantiles are interpolated."""
TOLD = tuple(int(np.flatnonzero(hours * STEPS_PER_HOUR == AHEAD)[0]) for hours in (1, 6, 24))
ORIGIN_STEPS = 6
"""A forecast of every half hour is remembered, scored and learnt from."""
ORIGINS_PER_DAY = STEPS_PER_DAY // ORIGIN_STEPS
LAGS = -(-AHEAD // ORIGIN_STEPS)
"""Origins after which the outcome at each distance is known."""
PENDING = int(LAGS.max()) + 1
WINDOW = 28 * ORIGINS_PER_DAY
LEAST_MOMENTS = 4 * ORIGINS_PER_DAY
"""Moments that one more member learns from at least."""
MEMBERS = ("last value", "like moments", "ridge")
RIDGE_MEMBER = MEMBERS.index("ridge")

LEAST_RIDGE = 2 * ORIGINS_PER_DAY
"""Outcomes from which on the regression takes part."""
RIDGE = 0.1
"""Share of each feature's own weight that is added against its coefficient."""
OUTLIER = 0.5
"""Root mean squares of a change above which a moment counts less for the regression: one outage
would else decide it, as its square does."""
MOST_CHANGE = 2.0
"""A change is foretold as at most so many root mean squares of those seen."""
FORGET_FIT = 0.5 ** (1 / (14 * ORIGINS_PER_DAY))
HALF_LIFE_ERRORS = 10 * ORIGINS_PER_DAY
LIKE_LEVEL = 0.5
"""Standard deviations of demand within which two moments are alike."""
LIKE_HOURS = 4.0
LEAST_LIKE = 0.02
"""The weight of a moment that is not alike at all."""
FORGET_LOSS = 0.5 ** (1 / (4 * ORIGINS_PER_DAY))
SHARPNESS = 8.0
"""A member with a tenth more loss has less than half the other's share."""
HANDICAP = np.stack([*[np.ones(len(AHEAD))] * 2, *[1 + 0.75 * AHEAD / HORIZON_STEPS] * 2])
"""What the loss of each member is taken times. A day ahead a regression on weeks of a series that
wanders finds a way back to the mean that is not there, and its losses come to light a day late."""
PACE = 0.02 * np.minimum(1.0, STEPS_PER_HOUR / AHEAD) ** 0.75
PULL = np.minimum(0.04, 1.2 / LAGS)
"""Of the calibration; less where outcomes come late, as the correction would swing."""
FEW = 24
"""Errors below which a distance's quantiles are taken from a shorter distance."""
PRIOR_SHARE = 0.5
"""With nothing to go by, the 90 % quantile is so much above the last value, at any distance."""

_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


class Forecaster:
    """Forecasts one series as it grows, a step at a time. Same series, same forecast."""

    def __init__(self, start: datetime, more: Member | None = None) -> None:
        """`more` is one more member, with nothing learnt."""
        self._start = start
        self._more = None if more is None else Learner(more, len(AHEAD), WINDOW, LEAST_MOMENTS)
        self.members = MEMBERS if more is None else (*MEMBERS, more.name)
        self._first_step = int((start - _MONDAY).total_seconds() // STEP_SECONDS)
        self._values = np.empty(1024)
        self._sums = np.zeros(1025)
        self._seen = np.zeros(1024, dtype=np.bool_)
        self._steps = 0
        many = len(AHEAD)
        self._origins: list[int] = []
        self._past = Outcomes(2, many, WINDOW)
        self._ridge = np.zeros((PENDING, many))
        self._inputs = np.zeros((PENDING, many, COUNT))
        self._told = np.zeros((PENDING, len(self.members), many, len(FINE)))
        self._mixed = np.zeros((PENDING, many, len(FINE)))
        self._final = np.zeros((PENDING, many, len(LEVELS)))
        self._gram = np.zeros((many, COUNT, COUNT))
        self._moment = np.zeros((many, COUNT))
        self._squares = np.zeros(many)
        self._outcomes = np.zeros(many)
        self._mass = np.zeros(many)
        self._loss = np.zeros((len(self.members), many))
        self._scored = np.zeros(many)
        self._calibration = Calibration(PACE, PULL)

    @classmethod
    def over(cls, history: DemandHistory) -> Forecaster:
        """One that has seen a history, at most its last 35 days."""
        skipped = max(len(history.values) - 35 * STEPS_PER_DAY, 0)
        self = cls(history.start + timedelta(seconds=STEP_SECONDS * skipped))
        self.extend(history.values[skipped:])
        return self

    @property
    def at(self) -> datetime:
        """When the last step ends."""
        return self._start + timedelta(seconds=STEP_SECONDS * self._steps)

    @property
    def level(self) -> float:
        """The mean of the last step that was seen, 0 where none was."""
        return float(self._values[self._steps - 1]) if self._steps else 0.0

    def extend(self, values: FloatArray) -> None:
        """Learns the next steps (steps,); NaN is a step that nobody saw."""
        for value in values:
            self._append(float(value))
            if (self._first_step + self._steps) % ORIGIN_STEPS == 0:
                self._learn()

    def forecast(self) -> Forecast:
        """The day ahead of the last step; raises ValueError where no step was seen yet."""
        if not self._seen[: self._steps].any():
            raise ValueError("a forecast needs a step that was seen, and there is none")
        told, _ = self._members(self._present())
        weights = self._weights()
        final = self._calibration.told(np.einsum("mk,mkq->kq", weights, told), self.level)
        known = self._outcomes >= FEW
        grid = np.arange(1, HORIZON_STEPS + 1)
        return Forecast(
            at=self.at,
            values=np.stack([np.interp(grid, AHEAD, row) for row in final.T]),
            weights=MappingProxyType(
                {
                    name: (float(row[TOLD[0]]), float(row[TOLD[1]]), float(row[TOLD[2]]))
                    for name, row in zip(self.members, weights, strict=True)
                }
            ),
            notes=self._notes(known),
        )

    def _append(self, value: float) -> None:
        if self._steps == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
            self._seen = np.concatenate([self._seen, np.zeros_like(self._seen)])
            self._sums = np.concatenate([self._sums, np.zeros(len(self._sums) - 1)])
        place = self._steps
        self._seen[place] = not np.isnan(value)
        if np.isnan(value):  # what was seen last may still hold
            value = self._values[place - 1] if place else 0.0
        self._values[place] = value
        self._sums[place + 1] = self._sums[place] + value
        self._steps += 1

    def _present(self) -> FloatArray:
        now = self._steps - 1
        return features(self._values, self._sums, now, self._first_step, AHEAD)

    def _learn(self) -> None:
        """Takes in what came of earlier forecasts, then makes the one of this half hour."""
        self._score()
        origin, inputs = len(self._origins), self._present()
        self._origins.append(self._steps - 1)
        if self._more is not None:
            self._more.learn(origin)
            self._more.add(origin, inputs)
        told, ridge = self._members(inputs)
        self._ridge[origin % PENDING] = ridge
        self._inputs[origin % PENDING] = inputs
        self._told[origin % PENDING] = told
        mixed = np.einsum("mk,mkq->kq", self._weights(), told)
        self._mixed[origin % PENDING] = mixed
        self._final[origin % PENDING] = self._calibration.told(mixed, self.level)

    def _score(self) -> None:
        """Learns from the outcomes that are known since the last half hour, one a distance."""
        origins = len(self._origins) - LAGS
        k = np.flatnonzero(origins >= 0)
        begin = np.array(self._origins, dtype=np.int64)[origins[k]]
        k = k[self._seen[begin] & self._seen[begin + AHEAD[k]]]
        origins = origins[k]
        begin = np.array(self._origins, dtype=np.int64)[origins]
        change = self._values[begin + AHEAD[k]] - self._values[begin]
        rows = self._inputs[origins % PENDING, k]
        weight = self._trust(k, change, rows)[:, None]
        outer = (weight * rows)[:, :, None] * rows[:, None, :]
        self._gram[k] = self._gram[k] * FORGET_FIT + outer
        self._moment[k] = self._moment[k] * FORGET_FIT + weight * rows * change[:, None]
        self._squares[k] = self._squares[k] * FORGET_FIT + change * change
        self._outcomes[k] += 1
        self._mass[k] = self._mass[k] * FORGET_FIT + 1.0
        self._past.add(k, origins, np.stack([change, change - self._ridge[origins % PENDING, k]]))
        if self._more is not None:
            self._more.came(k, origins, change)
            self._scored[k] += self._more.was_ready(origins)
        told = self._told[origins % PENDING, :, k][..., PLACES]
        off = change[:, None, None] - told
        pinball = np.maximum(LEVELS * off, (LEVELS - 1) * off).mean(axis=2)
        self._loss[:, k] = self._loss[:, k] * FORGET_LOSS + pinball.T
        self._calibration.learn(
            k,
            self._mixed[origins % PENDING, k],
            self._values[begin],
            self._final[origins % PENDING, k],
            self._values[begin + AHEAD[k]],
        )

    def _trust(self, k: IntArray, change: FloatArray, rows: FloatArray) -> FloatArray:
        """The weight of outcomes in the regression: less where they or their inputs stand out."""
        usual = OUTLIER * np.sqrt(self._squares[k] / np.maximum(self._mass[k], 1.0))
        size = np.maximum(np.abs(change), np.abs(rows[:, IN_UNITS]).max(axis=1, initial=0.0))
        stands_out = (usual > 0) & (size > usual)
        return np.where(stands_out, (usual / np.where(stands_out, size, 1.0)) ** 2, 1.0)

    def _members(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Quantiles of the change (members, ahead, FINE) before mixing, and ridge's change."""
        ridge = self._ridge_change(inputs)
        first = max(len(self._origins) - WINDOW, 0)
        self._past.forget(first)
        like = self._past.quantiles(self._likeness(self._steps - 1, first), first)
        like[1] += ridge[:, None]
        told = np.concatenate([self._past.even(0)[None], like])
        if self._more is not None:
            more = told[RIDGE_MEMBER]
            if self._more.is_ready:
                more = np.stack([np.interp(FINE, LEVELS, row) for row in self._more.told(inputs)])
            told = np.concatenate([told, more[None]])
        if self._past.count[0] < FEW:
            told[:, self._past.count < FEW] = self._prior()
        for k in np.flatnonzero(self._past.count < FEW):
            if k and self._past.count[0] >= FEW:
                told[:, k] = told[:, k - 1] * (AHEAD[k] / AHEAD[k - 1]) ** 0.5
        return told, ridge

    def _ridge_change(self, inputs: FloatArray) -> FloatArray:
        weight = np.einsum("kpp->kp", self._gram)
        extra = (weight * RIDGE + 1e-9)[..., None] * np.eye(COUNT)
        coefficients = np.linalg.solve(self._gram + extra, self._moment[..., None])[..., 0]
        change = (coefficients * inputs).sum(axis=1)
        most = MOST_CHANGE * np.sqrt(self._squares / np.maximum(self._mass, 1.0))
        enough = self._outcomes >= LEAST_RIDGE
        return np.where(enough, np.clip(change, -most, most), 0.0)

    def _likeness(self, now: int, first: int) -> FloatArray:
        """The weight of each remembered origin from `first` on, as a moment like `now`."""
        if first == len(self._origins):
            return np.empty(0)
        places = np.array(self._origins[first:])
        levels = self._values[places]
        spread = max(float(levels.std()), 1e-9)
        apart = (levels - self._values[now]) / (LIKE_LEVEL * spread)
        hours = np.abs((places - now) % STEPS_PER_DAY) / STEPS_PER_HOUR
        hours = np.minimum(hours, 24 - hours) / LIKE_HOURS
        age = (now - places) / ORIGIN_STEPS
        return np.asarray(
            (LEAST_LIKE + np.exp(-0.5 * apart**2))
            * (LEAST_LIKE + np.exp(-0.5 * hours**2))
            * 0.5 ** (age / HALF_LIFE_ERRORS)
        )

    def _prior(self) -> FloatArray:
        return np.asarray(self.level * PRIOR_SHARE * (FINE - 0.5) / 0.4)

    def _weights(self) -> FloatArray:
        """Shares of the members (members, ahead)."""
        loss = self._loss * HANDICAP[: len(self.members)] + 1e-12
        shares = (loss.min(axis=0) / loss) ** SHARPNESS
        shares[RIDGE_MEMBER, self._outcomes < LEAST_RIDGE] = 0.0
        # One more member counts once some of its own forecasts are scored; before, it has ridge's.
        shares[len(MEMBERS) :, self._scored < FEW] = 0.0
        return np.asarray(shares / shares.sum(axis=0))

    def _notes(self, known: NDArray[np.bool_]) -> tuple[str, ...]:
        notes = []
        if not known.all():
            seen = _span_text(self._steps)
            reach = int(AHEAD[known].max(initial=0))
            notes.append(
                f"{seen} of history: beyond {_span_text(reach)} ahead the spread is taken from"
                " shorter distances"
                if reach
                else f"{seen} of history: the spread is a guess of 50 %"
            )
        unseen = 1.0 - float(self._seen[: self._steps].mean())
        if unseen > 0:
            notes.append(f"{100 * unseen:.1f} % of the steps were not seen")
        return tuple(notes)


def _span_text(steps: int) -> str:
    """Steps as people say them: '40 min', '5.5 h', '12.0 days'."""
    if steps < STEPS_PER_HOUR:
        return f"{60 * steps // STEPS_PER_HOUR} min"
    if steps < 2 * STEPS_PER_DAY:
        return f"{steps / STEPS_PER_HOUR:.1f} h"
    return f"{steps / STEPS_PER_DAY:.1f} days"
