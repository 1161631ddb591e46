"""The paid time of a node cut into spans of one price and one use, and what a span costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

from costplan.planner.ledger import Use
from costplan.planner.nodes import Node
from costplan.planner.types import Billing, Phase
from costplan.planner.units import PICO_PER_USD, SECONDS_PER_HOUR, usd_from_pico

Value = TypeVar("Value")

USE: Mapping[Phase, Use] = MappingProxyType(
    {
        Phase.INTENDED: Use.BOOT,
        Phase.REQUESTED: Use.BOOT,
        Phase.UNCERTAIN: Use.BOOT,
        Phase.BOOTING: Use.BOOT,
        Phase.READY: Use.READY,
        Phase.CORDONED: Use.DRAIN,
        Phase.RETIRING: Use.DRAIN,
        Phase.TERMINATING: Use.END,
        Phase.LOST: Use.END,
        Phase.GONE: Use.END,
    }
)
WORKING = (Use.READY, Use.DRAIN)
"""Uses in which the workers of a node can work."""

_OVER = (Phase.LOST, Phase.GONE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROS = 10**6


@dataclass(frozen=True, slots=True)
class Rate:
    """A price and how it is known."""

    usd_per_hour: Decimal
    source: str
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Time of one node at one rate and in one use, [start, end)."""

    start: datetime
    end: datetime
    use: Use
    rate: Rate

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.start) / timedelta(seconds=1)


@lru_cache(maxsize=4096)  # machines that are alike are read at the same instants
def amount_usd(usd_per_hour: Decimal, start: datetime, end: datetime) -> Decimal:
    """Dollars for [start, end) at a rate, within 1e-12 of the product; below zero backwards.

    It is the difference of what a meter that has run at this rate since 1970 shows, in whole
    pico-dollars. So the parts of an interval add up to the whole of it exactly, wherever it is
    cut: at $0.10 an hour 20 minutes are $0.033333333333 or ...334, and three of them are $0.10.
    """
    above, below = usd_per_hour.as_integer_ratio()
    above, below = above * PICO_PER_USD, below * SECONDS_PER_HOUR * _MICROS
    return usd_from_pico(above * _micros(end) // below - above * _micros(start) // below)


def launched(node: Node) -> datetime:
    """When a node began to be paid for."""
    return node.launched_at or node.phase_since


def end_of(node: Node, now: datetime) -> datetime | None:
    """When a node ended: as its cloud says, else when it was found to be lost; None before."""
    end = node.ended_at
    if end is None and node.phase in _OVER:
        end = min((at for phase, at, _ in node.history if phase in _OVER), default=node.phase_since)
    if end is None or end > now:
        return None
    return max(end, launched(node))


def paid_until(node: Node, end: datetime, billing: Billing) -> datetime:
    """Up to when a node that ended then is paid for: its billing's minimum, in whole steps."""
    micros = max((end - launched(node)) // _MICROSECOND, billing.minimum_seconds * _MICROS)
    step = max(billing.step_seconds * _MICROS, 1)
    return launched(node) + -(-micros // step) * step * _MICROSECOND


def uses_of(node: Node) -> list[tuple[datetime, Use]]:
    """What a node was doing since when, in the order of its history."""
    at = launched(node)
    found = [(at, Use.BOOT)]
    for phase, instant, _ in (*node.history, (node.phase, node.phase_since, "")):
        at = max(at, instant)
        if USE[phase] is not found[-1][1]:
            found.append((at, USE[phase]))
    return found


def in_force(instant: datetime, steps: Sequence[tuple[datetime, Value]]) -> Value:
    """The value at an instant; before all steps it is the first."""
    found = steps[0][1]
    for since, value in steps:
        if since <= instant:
            found = value
    return found


def clock_marks(after: datetime, until: datetime, every_seconds: int) -> Iterator[datetime]:
    """The whole multiples of a time since midnight UTC in (after, until]."""
    every = every_seconds * _MICROS
    for mark in range(_micros(after) // every + 1, _micros(until) // every + 1):
        yield _EPOCH + mark * every * _MICROSECOND


def last_mark(until: datetime, every_seconds: int) -> datetime:
    """The last of those marks up to an instant."""
    every = every_seconds * _MICROS
    return _EPOCH + _micros(until) // every * every * _MICROSECOND


def spans_between(
    cuts: Iterable[datetime],
    uses: Sequence[tuple[datetime, Use]],
    rates: Sequence[tuple[datetime, Rate]],
) -> Iterator[Span]:
    """A span between each two neighbours of the cuts, which are in order."""
    for start, end in pairwise(cuts):
        yield Span(start, end, in_force(start, uses), in_force(start, rates))


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND
