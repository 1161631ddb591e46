"""What fits into commitments of capacity at each moment of an hour, exactly and fast.

Lines in their order and commitments in theirs are laid end to end: what of a line comes to lie over
a commitment is covered by it. Between two moments at which something starts or ends nothing
changes, so that an hour of n lines takes O(n^2) steps of whole numbers in arrays. Seconds and units
are scaled to whole numbers; where those are too large for 64 bits they are Python's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costplan.planner.commitments.open import Profile

Numbers = NDArray[Any]
"""Whole numbers: int64, or objects."""

_HOUR_SECONDS = 3600
_MOST = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """By how much seconds and units are multiplied to be whole numbers, and what holds them."""

    seconds: int
    units: int
    dtype: type

    def whole_units(self, units: Fraction) -> int:
        """Units as a whole number."""
        return int(units * self.units)

    def hours(self, amount: int) -> Fraction:
        """Unit-hours of a product of scaled units and seconds."""
        return Fraction(int(amount), self.units * self.seconds * _HOUR_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A stretch in which nothing changes: scaled seconds, and the scaled units of each line."""

    start: int
    end: int
    units: Numbers


def scale_of(
    profiles: Sequence[Profile], rooms: Iterable[Fraction], edges: Iterable[Fraction] = ()
) -> Scale:
    """The scale at which these profiles, rooms and edges are whole numbers."""
    starts = [each for profile in profiles for start, end, _ in profile for each in (start, end)]
    seconds = lcm(1, *(each.denominator for each in (*starts, *edges)))
    amounts = [units for profile in profiles for _, _, units in profile]
    rooms = list(rooms)
    units = lcm(1, *(each.denominator for each in (*amounts, *rooms)))
    largest = (sum(amounts, Fraction(0)) + sum(rooms, Fraction(0))) * units
    fits = largest * seconds * _HOUR_SECONDS < _MOST
    return Scale(seconds=seconds, units=units, dtype=np.int64 if fits else object)


def moments_of(
    profiles: Sequence[Profile], scale: Scale, edges: Iterable[Fraction] = ()
) -> Iterator[Moment]:
    """The stretches of the hour in which nothing changes; `edges` cut it as well. The units are
    one array, which the next moment changes."""
    changes: dict[int, list[tuple[int, int]]] = {int(edge * scale.seconds): [] for edge in edges}
    for place, profile in enumerate(profiles):
        for begin, until, units in profile:
            whole = scale.whole_units(units)
            changes.setdefault(int(begin * scale.seconds), []).append((place, whole))
            changes.setdefault(int(until * scale.seconds), []).append((place, -whole))
    running: Numbers = np.zeros(len(profiles), dtype=scale.dtype)
    for start, end in pairwise(sorted(changes)):
        for place, change in changes[start]:
            running[place] += change
        yield Moment(start=start, end=end, units=running)


def packed(units: Numbers, rooms: Sequence[int]) -> tuple[list[Numbers], Numbers]:
    """How much of each line lies over each room, and what of each line over none."""
    ends = np.cumsum(units)
    begins = ends - units
    covered, first = [], 0
    for room in rooms:
        over = np.minimum(ends, first + room) - np.maximum(begins, first)
        covered.append(np.maximum(over, 0))
        first += room
    return covered, np.maximum(ends - np.maximum(begins, first), 0)


class Rest:
    """What of each line is left, as profiles: a piece for each stretch in which it is the same."""

    def __init__(self, lines: int, scale: Scale) -> None:
        self._scale = scale
        self._units: Numbers = np.zeros(lines, dtype=scale.dtype)
        self._since = [0] * lines
        self._profiles: list[Profile] = [[] for _ in range(lines)]
        self._end = 0

    def note(self, start: int, end: int, units: Numbers) -> None:
        """That so much of each line is left from one instant to another."""
        if start != self._end:
            self._change(self._end, np.zeros_like(self._units))
        self._change(start, units)
        self._end = end

    def profiles(self) -> list[Profile]:
        """The profiles, when all was noted."""
        self._change(self._end, np.zeros_like(self._units))
        return self._profiles

    def _change(self, at: int, units: Numbers) -> None:
        for place in np.flatnonzero(units != self._units).tolist():
            before = int(self._units[place])
            if before:
                since = Fraction(self._since[place], self._scale.seconds)
                until = Fraction(at, self._scale.seconds)
                piece = (since, until, Fraction(before, self._scale.units))
                self._profiles[place].append(piece)
            self._since[place] = at
        self._units = units.copy()
