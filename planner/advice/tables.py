"""What each level of a commitment would save, scenario by scenario: the load duration curve.

Usage that a commitment covers is stacked hour by hour, what saves most at the bottom. Up to a level
y, the part of the stack below C is covered for sum_h min(y, C_h) unit-hours; sorted, that is one
look-up for any y. A scenario's curve takes O(hours log hours), and each level no more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np

from costplan.planner.advice.cover import Book, Part, ratio_of
from costplan.planner.advice.scenarios import Scenarios
from costplan.planner.advice.types import Floats, Mapper, Offer

LEVELS = 48
"""Levels at which a curve is read; between them it is taken as straight, which is never too much
of a saving, for it is concave."""

_LOOKED_AT = 4
_FINEST_USD = 0.001
"""Plans are sold by the tenth of a cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Offers that cover the same usage: `reach` are (part, units that one of it takes), what saves
    most first, and `offers` what is for sale, with how many units of each make one of the pool."""

    reach: tuple[tuple[int, float], ...]
    offers: tuple[tuple[Offer, Fraction], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """`levels` [pool, level] in units of the pool, the first 0, and what each would save over the
    horizon, `value` [pool, level, scenario], its price not counted. `base` [scenario] is the cost
    without any of them, and `step` [pool] the least amount that is sold."""

    levels: Floats
    value: Floats
    base: Floats
    step: Floats


def pools_of(parts: Sequence[Part], offers: Sequence[Offer]) -> tuple[Pool, ...]:
    """Offers by what they cover. Usage that two would cover in part only counts for the first."""
    made: list[tuple[dict[int, float], list[tuple[Offer, Fraction]]]] = []
    taken: set[int] = set()
    for offer in offers:
        bought = offer.bought(Fraction(1))
        ratios = {
            place: ratio
            for place, part in enumerate(parts)
            if (ratio := ratio_of(part, bought)) is not None
        }
        for reach, sold in made:
            shared = reach.keys() & ratios.keys()
            if shared and not offer.is_plan:
                scale = {round(ratios[place] / reach[place], 12) for place in shared}
                if reach.keys() <= ratios.keys() and len(scale) == 1:
                    sold.append((offer, Fraction(scale.pop()).limit_denominator(10**6)))
                    break
        else:
            free = {place: ratio for place, ratio in ratios.items() if place not in taken}
            if free:
                taken |= free.keys()
                made.append((free, [(offer, Fraction(1))]))
    return tuple(Pool(reach=_stacked(parts, reach), offers=tuple(sold)) for reach, sold in made)


def _stacked(parts: Sequence[Part], reach: dict[int, float]) -> tuple[tuple[int, float], ...]:
    def rank(item: tuple[int, float]) -> tuple[float, tuple[str, bool]]:
        part = parts[item[0]]
        return -part.usd_per_unit / item[1], part.name

    return tuple(sorted(reach.items(), key=rank))


def curves_of(
    pools: Sequence[Pool], book: Book, scenarios: Scenarios, mapped: Mapper = map
) -> Curves:
    """The curves of pools, of what the commitments in the book leave uncovered."""
    seen = [
        book.cover(scenarios.demand(number)) for number in range(min(scenarios.count, _LOOKED_AT))
    ]
    levels = np.stack([_levels(pool, seen) for pool in pools])
    column = partial(_column, pools, book, scenarios, levels)
    columns = list(mapped(column, range(scenarios.count)))
    return Curves(
        levels=levels,
        value=np.stack([value for value, _ in columns], axis=2),
        base=np.array([base for _, base in columns]),
        step=np.array([_FINEST_USD if pool.offers[0][0].is_plan else 1.0 for pool in pools]),
    )


def _column(
    pools: Sequence[Pool], book: Book, scenarios: Scenarios, levels: Floats, number: int
) -> tuple[Floats, float]:
    left = book.cover(scenarios.demand(number))
    prices = scenarios.prices(number)
    base = book.usd + float(prices @ left.sum(axis=1))
    value = np.zeros(levels.shape)
    for place, pool in enumerate(pools):
        stack = np.zeros(left.shape[1])
        below = np.zeros(levels.shape[1])
        for part, ratio in pool.reach:
            stack = stack + left[part] * ratio
            covered = covered_at(stack, levels[place])
            value[place] += prices[part] / ratio * (covered - below)
            below = covered
    return value, base


def covered_at(stack: Floats, levels: Floats) -> Floats:
    """sum_h min(level, stack_h) for each level."""
    ordered = np.sort(stack.astype(np.float32))
    places = np.searchsorted(ordered, levels.astype(np.float32), side="right")
    sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
    return np.asarray(sums[places] + (len(ordered) - places) * levels)


def _levels(pool: Pool, seen: Sequence[Floats]) -> Floats:
    """Quantiles of what could be covered, whole amounts where only such are sold."""
    stacked = [sum(left[part] * ratio for part, ratio in pool.reach) for left in seen]
    stacks = np.concatenate([np.asarray(each) for each in stacked])
    found = np.quantile(stacks, np.linspace(0.0, 1.0, LEVELS - 1))
    if pool.offers[0][0].is_plan:
        found = np.round(found / _FINEST_USD) * _FINEST_USD
    elif found[-1] <= LEVELS - 1:
        found = np.arange(1.0, LEVELS)
    else:
        found = np.round(found)
    return np.maximum.accumulate(np.concatenate([[0.0], found]))
