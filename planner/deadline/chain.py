"""How spot capacity comes and goes, as a Markov chain that is learnt while one watches.

A watcher follows one machine that a job would sit on, in the zone that looks best: it stays there
while there is capacity, moves to another zone where there is some, or waits. A state is how long
that zone has had capacity (or all have had none), and whether another zone has some too. So what
zones have in common is learnt as it is: how often the others go with the first, and how soon one
of them comes back. Ages are in five classes, as hazards fall with age.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

AGE_HOURS = (0.25, 1.0, 4.0, 16.0)
"""Ages at which the next class begins, each four times the last: losses and returns still fall to
half and less beyond the last (`prior`)."""
AGES = len(AGE_HOURS) + 1
WIDTH_HOURS = np.diff((0.0, *AGE_HOURS))
UP = 2 * AGES
"""States below are up: first where no other zone has capacity, then where one has."""
STATES = UP + AGES
PRIOR_EVENTS = 8.0
"""A rate that was never watched here counts as so many events at its prior."""
HALF_LIFE_HOURS = 72.0
"""What was seen so long ago counts half: zones are short of machines for days, and then not."""


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """What was seen: hours in each state (STATES,), and (STATES, STATES) events an entry.

    `kept` are changes of state in which the machine stays, `broken` those in which it is lost:
    to a state that is up where another zone takes over.
    """

    hours: FloatArray
    kept: FloatArray
    broken: FloatArray

    @classmethod
    def none(cls) -> Rates:
        """Nothing seen yet."""
        return cls(np.zeros(STATES), np.zeros((STATES, STATES)), np.zeros((STATES, STATES)))

    def times(self, share: float) -> Rates:
        """A share of it all."""
        return Rates(self.hours * share, self.kept * share, self.broken * share)

    def plus(self, other: Rates) -> Rates:
        """Both together."""
        return Rates(self.hours + other.hours, self.kept + other.kept, self.broken + other.broken)


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Probabilities (STATES, STATES) of the next state a step later, as `Rates` tell them apart.

    The rows of `kept` + `broken` add up to 1.
    """

    kept: FloatArray
    broken: FloatArray


def chain(seen: Rates, prior: Rates, step_hours: float) -> Chain:
    """The chain of what was seen, with a prior that weighs as PRIOR_EVENTS of each rate.

    The posterior mean of each rate under a gamma prior: (events + prior events) over (hours +
    prior hours). An age class is left for the next at the rate that its width says.
    """
    events = np.stack([seen.kept, seen.broken])
    before = np.stack([prior.kept, prior.broken])
    total = before.sum(axis=(0, 2))
    weight = np.where(total > 0, PRIOR_EVENTS / np.maximum(total, PRIOR_EVENTS), 1.0)
    hours = seen.hours + prior.hours * weight
    rate = (events + before * weight[None, :, None]) / np.maximum(hours, 1e-9)[None, :, None]
    rate[:, hours <= 0] = 0.0
    for age, width in enumerate(WIDTH_HOURS):
        for first in (0, AGES, UP):
            rate[0, first + age, first + age + 1] = 1.0 / width
    leaving = rate.sum(axis=(0, 2))
    share = np.where(leaving > 0, -np.expm1(-leaving * step_hours) / np.maximum(leaving, 1e-12), 0)
    moves = rate * share[None, :, None]
    kept, broken = moves
    kept[np.diag_indices(STATES)] += np.maximum(1.0 - moves.sum(axis=(0, 2)), 0.0)
    return Chain(kept, broken)


def long_run(moves: Chain) -> FloatArray:
    """The share (STATES,) of time that a chain spends in each state."""
    return np.asarray(np.linalg.matrix_power(moves.kept + moves.broken, 1 << 20)[0])


class Watcher:
    """Sees the capacity of zones step by step. `zone` is the one to be in, -1 where all lack it."""

    def __init__(
        self, zones: int, step_hours: float, half_life_hours: float = HALF_LIFE_HOURS
    ) -> None:
        self._step = step_hours
        self._forget = 0.5 ** (step_hours / half_life_hours)
        self._age = np.zeros(zones)
        self._was: NDArray[np.bool_] | None = None
        self._down_hours = 0.0
        self._up_hours = np.zeros(zones)
        self._losses = np.zeros(zones)
        self.zone = -1
        self.state = UP
        self.rates = Rates.none()

    def see(self, capacity: Sequence[bool] | NDArray[np.bool_]) -> None:
        """Takes in which zones (zones,) have capacity in the next step."""
        now = np.asarray(capacity, dtype=np.bool_)
        was = now if self._was is None else self._was
        self._losses += was & ~now
        self._up_hours += np.where(now, self._step, 0.0)
        self._age = np.where(now == was, self._age + self._step, 0.0)
        self._down_hours = 0.0 if now.any() else self._down_hours + self._step
        before, stays = self.state, self.zone >= 0 and bool(now[self.zone])
        began = self._was is None
        self._was = now
        if not stays:
            self.zone = self._best(now)
        self.state = self._state(now)
        if began:
            return
        self.rates = self.rates.times(self._forget)
        self.rates.hours[before] += self._step
        if before != self.state or (before < UP and not stays):
            table = self.rates.kept if stays or before >= UP else self.rates.broken
            if not (table is self.rates.kept and _is_older(before, self.state)):
                table[before, self.state] += 1.0

    def _best(self, now: NDArray[np.bool_]) -> int:
        """The zone that was lost least often for the hours that it had capacity."""
        if not now.any():
            return -1
        hazard = (self._losses + 1.0) / (self._up_hours + 8.0)
        score = np.where(now, hazard / (1.0 + np.minimum(self._age, 4.0)), np.inf)
        return int(np.argmin(score))

    def _state(self, now: NDArray[np.bool_]) -> int:
        if self.zone < 0:
            return UP + age_class(self._down_hours)
        others = int(now.sum()) > 1
        return AGES * others + age_class(float(self._age[self.zone]))


def age_class(hours: float) -> int:
    """The class of an age."""
    return int(np.searchsorted(AGE_HOURS, hours, side="right"))


def _is_older(before: int, after: int) -> bool:
    """True where only time has passed: the rate of that is known."""
    return after == before + 1 and before // AGES == after // AGES
