"""An hour while it is being billed: what of each line and of each commitment is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

from costplan.planner.commitments.values import BilledLine, Commitment, Scope, Usage

Round = Callable[["OpenLine", "Pool"], bool]
"""Whether a commitment comes to a line in this round."""

Profile = list[tuple[Fraction, Fraction, Fraction]]
"""Units in use: (from second, to second, units)."""

_HOUR_SECONDS = Fraction(3600)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class OpenLine:
    """A usage line: what nothing covers yet, and the parts that something does.

    `profile` has the units at a time that are left.
    """

    usage: Usage
    left: Fraction = Fraction(0)
    parts: dict[tuple[str | None, Fraction], Fraction] = field(default_factory=dict)
    profile: Profile = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = self.usage.quantity
        spans = self.usage.spans
        self.profile = [(span.start_seconds, span.end_seconds, span.count) for span in spans]
        if not spans:
            self.profile = [(Fraction(0), _HOUR_SECONDS, self.left)]

    def charge(self, covered_by: str | None, quantity: Fraction, usd_per_unit: Fraction) -> None:
        """Books a part of what is left at a price."""
        key = (covered_by, usd_per_unit)
        self.parts[key] = self.parts.get(key, Fraction(0)) + quantity
        self.left -= quantity

    def billed(self) -> Iterable[BilledLine]:
        """Its parts, in the order in which they were booked."""
        for (covered_by, usd_per_unit), quantity in self.parts.items():
            yield BilledLine(
                usage_id=self.usage.usage_id,
                covered_by=covered_by,
                quantity=quantity,
                usd_per_unit=usd_per_unit,
                unit=self.usage.unit,
                is_idle=self.usage.is_idle,
            )


@dataclass(slots=True)
class Pool:
    """A commitment and what of it is left this hour, in its own unit."""

    commitment: Commitment
    window_seconds: tuple[Fraction, Fraction] = (Fraction(0), _HOUR_SECONDS)
    left: Fraction = Fraction(0)
    capacity: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        begin, end = self.window_seconds
        self.left = self.capacity = self.commitment.capacity * (end - begin) / _HOUR_SECONDS

    def cover(self, line: OpenLine, ratio: Fraction, most: Fraction | None = None) -> Fraction:
        """Covers what it can of a line, `ratio` units of its own each; gives how much that is."""
        wanted = line.left if most is None else min(most, line.left)
        quantity = wanted if ratio * wanted <= self.left else self.left / ratio
        if quantity > 0:
            self.left -= quantity * ratio
            unit_usd = self.commitment.unit_usd or Fraction(0)
            line.charge(self.commitment.commitment_id, quantity, ratio * unit_usd)
        return quantity


def moments(
    profiles: Mapping[str, Profile], more_edges: Iterable[Fraction] = ()
) -> Iterator[tuple[Fraction, Fraction, dict[str, Fraction]]]:
    """The stretches of the hour in which nothing changes: from second, to second, and the units
    that each profile has in it, where it has some. `more_edges` cut it as well."""
    changes: dict[Fraction, list[tuple[str, Fraction]]] = {edge: [] for edge in more_edges}
    for name, profile in profiles.items():
        for start, end, units in profile:
            changes.setdefault(start, []).append((name, units))
            changes.setdefault(end, []).append((name, -units))
    running: dict[str, Fraction] = {}
    for start, end in pairwise(sorted(changes)):
        for name, units in changes[start]:
            running[name] = running.get(name, Fraction(0)) + units
            if not running[name]:
                del running[name]
        yield start, end, dict(running)


def by_end(pools: Iterable[Pool]) -> list[Pool]:
    """Pools in the order in which equal ones are used: what ends first, then by name. No provider
    says which of two equal commitments it uses; the dollars do not depend on it."""
    return sorted(
        pools, key=lambda pool: (pool.commitment.end or _NEVER, pool.commitment.commitment_id)
    )


def is_owners(line: OpenLine, pool: Pool) -> bool:
    """The first round: usage of the account that bought it."""
    return line.usage.owner.account == pool.commitment.owner.account


def is_others(line: OpenLine, pool: Pool) -> bool:
    """The second round: usage of other accounts, where the commitment is shared with them."""
    return pool.commitment.scope is Scope.SHARED and not is_owners(line, pool)


OWNER_FIRST: tuple[Round, ...] = (is_owners, is_others)


def fill(
    lines: Sequence[OpenLine],
    pools: Sequence[Pool],
    ratio_of: Callable[[OpenLine, Pool], Fraction | None],
    rounds: Sequence[Round],
) -> None:
    """Covers lines, in their order, from pools, in theirs, round by round.

    `ratio_of` says how many units of a pool one of a line takes, None where it does not fit.
    """
    for in_round in rounds:
        for line in lines:
            for pool in pools:
                if not line.left:
                    break
                if pool.left and in_round(line, pool):
                    ratio = ratio_of(line, pool)
                    if ratio is not None:
                        pool.cover(line, ratio)
