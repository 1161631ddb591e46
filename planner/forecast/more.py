"""A member that is added to the ensemble: what it learns from, and when it learns anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from costplan.planner.forecast.features import COUNT, IntArray
from costplan.planner.forecast.types import FloatArray, Member

GROWTH = 1.25
"""It learns anew once there is a quarter more to learn from, and once a window is full as often as
a quarter of it has passed: learning takes seconds."""


class Learner:
    """Remembers moments and what came after them for a member, the last `most` of them.

    A moment is given by its number; numbers rise. Its outcomes come later, each distance apart.
    """

    def __init__(self, member: Member, ahead: int, most: int, least: int) -> None:
        self.member, self._most, self._least = member, most, least
        self._inputs = np.zeros((most, ahead, COUNT))
        self._changes = np.full((most, ahead), np.nan)
        self._learnt_at = 0
        self._first = -1

    @property
    def is_ready(self) -> bool:
        """Whether it has learnt yet."""
        return self._learnt_at > 0

    def was_ready(self, moments: IntArray) -> NDArray[np.bool_]:
        """Of moments, whether it had learnt by then."""
        return np.asarray((self._first >= 0) & (moments >= self._first))

    def add(self, moment: int, inputs: FloatArray) -> None:
        """A moment, in the place of the one that is too old."""
        self._inputs[moment % self._most] = inputs
        self._changes[moment % self._most] = np.nan

    def came(self, k: IntArray, moments: IntArray, changes: FloatArray) -> None:
        """What came after moments at the distances k."""
        self._changes[moments % self._most, k] = changes

    def learn(self, moment: int) -> None:
        """Learns anew where it is time, from the moments before this one."""
        next_at = max(self._learnt_at * GROWTH, self._least)
        if moment < min(next_at, self._learnt_at + self._most / 4 if self.is_ready else next_at):
            return
        count = min(moment, self._most)
        places = np.arange(moment - count, moment) % self._most
        changes = self._changes[places]
        if np.isnan(changes).all(axis=0).any():  # of a distance nothing is known
            return
        self.member.learn(self._inputs[places], changes)
        self._learnt_at = moment
        self._first = moment if self._first < 0 else self._first

    def told(self, inputs: FloatArray) -> FloatArray:
        """The member's quantiles (ahead, quantiles), once it has learnt."""
        return self.member.told(inputs)
