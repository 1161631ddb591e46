"""How spot capacity comes and goes where nobody has watched it yet.

By the age of the capacity, or of its absence: what four single machines of AWS (one and eight K80
and V100, us-west-2a) showed in October 2022 over 27 days each, counted from the availability
traces that the SkyPilot project publishes. How often a machine is lost differs by a hundred times
between pools, so those rates are scaled until the chain loses its machine as often as the pool is
known to; those of its return, until it is away for as long in the mean as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from costplan.planner.deadline.chain import AGES, UP, WIDTH_HOURS, Rates

HOURS_UP = (184.0, 218.8, 377.7, 529.2, 307.3)
LOST_PER_HOUR = (1.74, 0.71, 0.26, 0.129, 0.062)
HOURS_AWAY = (110.7, 226.8, 257.3, 239.2, 145.0)
BACK_PER_HOUR = (2.41, 1.04, 0.44, 0.163, 0.055)
SOURCE = "SkyPilot spot traces of 2022-10 (AWS K80 and V100, us-west-2a)"
_HALVINGS = 100
_MOST_SCALE = 1e3
"""How far the scale is looked for: one loss a step is the most there is."""


def mean_hours(ends_per_hour: Sequence[float], step_hours: float) -> float:
    """The mean time in a chain's ages, from the youngest on, by the rate (AGES,) that ends it.

    As `chain` counts: an age is left in a step with probability 1 - exp(-leaving x step).
    Infinite where the oldest age never ends.
    """
    hours, share = 0.0, 1.0
    for age, ends in enumerate(ends_per_hour):
        older = 1.0 / float(WIDTH_HOURS[age]) if age < len(WIDTH_HOURS) else 0.0
        leaving = ends + older
        if leaving <= 0:
            return math.inf
        hours += share * step_hours / -math.expm1(-leaving * step_hours)
        share *= older / leaving
    return hours


def mean_away_hours() -> float:
    """The mean time until capacity was back, and is back in the chain."""
    return sum(HOURS_AWAY) / sum(h * r for h, r in zip(HOURS_AWAY, BACK_PER_HOUR, strict=True))


def one_pool(hazard_per_hour: float, step_hours: float) -> Rates:
    """The rates of a pool that is lost so many times an hour of capacity in the long run; 0 and up.

    Frequent losses leave capacity young, and young capacity is lost more often: so the scale of
    the rates is not the ratio of two means. Capacity is back after `mean_away_hours` in the mean.
    """
    rates = Rates.none()
    lost = scaled(LOST_PER_HOUR, hazard_per_hour, step_hours)
    back = scaled(BACK_PER_HOUR, 1.0 / mean_away_hours(), step_hours)
    for age in range(AGES):
        rates.hours[age] = HOURS_UP[age]
        rates.broken[age, UP] = HOURS_UP[age] * lost[age]
        rates.hours[UP + age] = HOURS_AWAY[age]
        rates.kept[UP + age, 0] = HOURS_AWAY[age] * back[age]
    return rates


def scaled(per_hour: Sequence[float], mean_per_hour: float, step_hours: float) -> list[float]:
    """The rates times the number at which their mean time is 1 / `mean_per_hour`, by halving.

    They stay at a bound where that is less than about a step.
    """
    if mean_per_hour <= 0:
        return [0.0 for _ in per_hour]
    low = mean_per_hour / max(per_hour)
    high = _MOST_SCALE * mean_per_hour / min(per_hour)
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        hours = mean_hours([middle * rate for rate in per_hour], step_hours)
        if hours * mean_per_hour > 1:
            low = middle
        else:
            high = middle
    return [high * rate for rate in per_hour]
