"""Values that change in steps over virtual time: prices, capacities."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Generic, TypeVar

from costplan.adapters.sim.clock import MICROS

T = TypeVar("T")

_MICROS_PER_HOUR = 3600 * MICROS


@dataclass(frozen=True, slots=True)
class Steps(Generic[T]):
    """A value from each of `micros` on, the first of which is 0, until the next."""

    micros: tuple[int, ...]
    values: tuple[T, ...]

    def at(self, micros: int) -> T:
        """The value in force at that instant."""
        return self.values[max(0, bisect_right(self.micros, micros) - 1)]


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
        total = Decimal(0)
        for position, value in enumerate(usd_per_hour.values):
            begin = max(start, usd_per_hour.micros[position] if position else start)
            is_last = position + 1 == len(usd_per_hour.values)
            stop = end if is_last else min(end, usd_per_hour.micros[position + 1])
            if stop > begin:
                total += value * (stop - begin)
        return (total / _MICROS_PER_HOUR).quantize(Decimal("1e-20"))
