"""Values that change in steps over virtual time: prices, capacities."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import count, pairwise
from typing import Generic, TypeVar

from costplan.adapters.sim.clock import MICROS

T = TypeVar("T")

_MICROS_PER_HOUR = 3600 * MICROS


@dataclass(frozen=True, slots=True)
class Steps(Generic[T]):
    """A value from each of `micros` on, the first of which is 0, until the next.

    With a `period`, longer than the last of them, all of it is repeated after so long, for ever.
    """

    micros: tuple[int, ...]
    values: tuple[T, ...]
    period: int | None = None

    def at(self, micros: int) -> T:
        """The value in force at that instant."""
        within = micros if self.period is None else micros % self.period
        return self.values[max(0, bisect_right(self.micros, within) - 1)]

    def changes(self) -> Iterator[tuple[int, T]]:
        """(instant, value) from 0 on, of each value that is not as the one before; without an end
        where values that differ are repeated."""
        yield 0, self.values[0]
        last = self.values[0]
        is_repeated = self.period is not None and any(v != last for v in self.values)
        for base in count(0, self.period or 1) if is_repeated else (0,):
            for micros, value in zip(self.micros, self.values, strict=True):
                if value != last:
                    yield base + micros, value
                    last = value

    def parts(self, start: int, end: int) -> Iterator[tuple[int, T]]:
        """(length, value) of each stretch of [start, end) in which one value holds."""
        whole = max(end, 0) if self.period is None else self.period
        cuts = (*self.micros, whole) if whole > self.micros[-1] else self.micros
        base = 0 if self.period is None else start // whole * whole
        while base < end:
            first = max(0, bisect_right(self.micros, start - base) - 1)
            for place, (begin, stop) in enumerate(pairwise(cuts[first:]), first):
                length = min(end, base + stop) - max(start, base + begin)
                if length > 0:
                    yield length, self.values[place]
            if self.period is None:
                return
            base += whole


def always(value: T) -> Steps[T]:
    """The same value at all times."""
    return Steps((0,), (value,))


def steps(points: Iterable[tuple[float, T]]) -> Steps[T]:
    """A value from each second on: steps([(0, 'a'), (60, 'b')]) is 'b' from a minute on.

    Raises ValueError where the first is not at 0, or they are not in order.
    """
    seconds, values = zip(*points, strict=True)
    if seconds[0] != 0 or list(seconds) != sorted(set(seconds)):
        raise ValueError(f"steps start at 0 and go up, not at {seconds}")
    return Steps(tuple(round(second * MICROS) for second in seconds), tuple(values))


def dollars(usd_per_hour: Steps[Decimal], start: int, end: int) -> Decimal:
    """What [start, end), in microseconds, costs: the integral of the price, to 1e-20 dollars.

    0.10 $/h for half an hour and 0.30 $/h for the next: 0.05 + 0.15 = 0.20.
    """
    with localcontext() as context:
        context.prec = 50
        parts = usd_per_hour.parts(start, end)
        total = sum((value * length for length, value in parts), Decimal(0))
        return (total / _MICROS_PER_HOUR).quantize(Decimal("1e-20"))
