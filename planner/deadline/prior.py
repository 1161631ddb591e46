"""How spot capacity comes and goes where nobody has watched it yet.

By the age of the capacity, or of its absence: what four single machines of AWS (one and eight K80
and V100, us-west-2a) showed in October 2022 over 27 days each, counted from the availability
traces that the SkyPilot project publishes. How often a machine is lost differs by a hundred times
between pools, so those rates are scaled to the mean that is known of a pool; how long its capacity
then stays away is taken as it was.
"""

from __future__ import annotations

import numpy as np

from costplan.planner.deadline.chain import AGES, UP, Rates

HOURS_UP = (184.0, 218.8, 377.7, 836.5)
LOST_PER_HOUR = (1.74, 0.71, 0.26, 0.104)
HOURS_AWAY = (110.7, 226.8, 257.3, 384.2)
BACK_PER_HOUR = (2.41, 1.04, 0.44, 0.122)
SOURCE = "SkyPilot spot traces of 2022-10 (AWS K80 and V100, us-west-2a)"


def mean_lost_per_hour() -> float:
    """The mean over all ages, an hour of capacity."""
    return float(np.average(LOST_PER_HOUR, weights=HOURS_UP))


def mean_away_hours() -> float:
    """The mean time until capacity is back."""
    return sum(HOURS_AWAY) / sum(h * r for h, r in zip(HOURS_AWAY, BACK_PER_HOUR, strict=True))


def one_pool(hazard_per_hour: float) -> Rates:
    """The rates of a pool that is lost so many times an hour in the mean; 0 and up."""
    rates = Rates.none()
    scale = hazard_per_hour / mean_lost_per_hour()
    for age in range(AGES):
        rates.hours[age] = HOURS_UP[age]
        rates.broken[age, UP] = HOURS_UP[age] * LOST_PER_HOUR[age] * scale
        rates.hours[UP + age] = HOURS_AWAY[age]
        rates.kept[UP + age, 0] = HOURS_AWAY[age] * BACK_PER_HOUR[age]
    return rates
