"""How spot capacity comes and goes over several zones of a region where nobody has watched yet.

The job sits in one zone and goes to another that has capacity when it loses that. How many of n
zones have some at a moment is taken to be beta-binomial: each is without for as long as a single
pool is, and any two correlate by TOGETHER. The rates between "no other zone has capacity" and
"another has some", and the time until the first comes back, are those that keep these shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod

import numpy as np

from costplan.planner.deadline.chain import (
    AGES,
    UP,
    WIDTH_HOURS,
    FloatArray,
    Rates,
    chain,
    long_run,
)
from costplan.planner.deadline.prior import (
    BACK_PER_HOUR,
    HOURS_AWAY,
    HOURS_UP,
    LOST_PER_HOUR,
    mean_away_hours,
    one_pool,
    scaled,
)

TOGETHER = 0.37
"""Correlation of having capacity, of V100 machines in two zones of a region over 45 days: 0.39 in
us-east-1, 0.36 in us-west-2 (SkyPilot's traces of 2023-02). Between regions it was 0.10 to 0.20."""
_ROUNDS = 40


def having(zones: int, away: float, together: float = TOGETHER) -> list[float]:
    """The chance that 0, 1, … `zones` zones have capacity, each being without for a share `away`
    (0 to 1, both excluded) of the time."""
    scale = (1.0 - together) / together
    without, within = away * scale, (1.0 - away) * scale
    every = prod(without + within + k for k in range(zones))
    return [
        comb(zones, up)
        * prod(within + k for k in range(up))
        * prod(without + k for k in range(zones - up))
        / every
        for up in range(zones + 1)
    ]


def pools(hazard_per_hour: float, zones: int, step_hours: float) -> Rates:
    """The rates of a job that may sit in so many zones (1 and up), each of which is lost so many
    times an hour of capacity in the long run."""
    if zones == 1 or hazard_per_hour <= 0:
        return one_pool(hazard_per_hour, step_hours)
    away_hours = mean_away_hours()
    none, one, two, *more = having(zones, away_hours / (away_hours + 1.0 / hazard_per_hour))
    lost = scaled(LOST_PER_HOUR, hazard_per_hour, step_hours)
    last_other = two / (two + sum(more))
    """The chance that one more loss leaves a single zone."""
    back, beside = hazard_per_hour * one / none, hazard_per_hour * 2.0 * two / one
    # Right for hazards that do not depend on age; where they do, a job that moves meets others.
    for _ in range(_ROUNDS):
        returns = scaled(BACK_PER_HOUR, back, step_hours)
        rates = _rates(lost, returns, beside, hazard_per_hour * last_other, last_other)
        share = long_run(chain(Rates.none(), rates, step_hours))
        back *= float(share[UP:].sum()) / none
        beside *= float(share[:AGES].sum()) / one
    return rates


def _rates(
    lost: Sequence[float], back: Sequence[float], comes: float, goes: float, last_other: float
) -> Rates:
    """The rates an hour by age of what is lost and comes back; of another zone that `comes` where
    none was, and of the last other that `goes`."""
    ages = _ages(lost)
    rates = Rates.none()
    for age in range(AGES):
        alone, beside, away = age, AGES + age, UP + age
        hours = HOURS_UP[age]
        rates.hours[[alone, beside]] = hours
        rates.hours[away] = HOURS_AWAY[age]
        rates.broken[alone, UP] = hours * lost[age]
        rates.broken[beside, :AGES] = hours * lost[age] * ages * last_other
        rates.broken[beside, AGES:UP] = hours * lost[age] * ages * (1.0 - last_other)
        rates.kept[alone, beside] = hours * comes
        rates.kept[beside, alone] = hours * goes
        rates.kept[away, 0] = HOURS_AWAY[age] * back[age]
    return rates


def _ages(lost: Sequence[float]) -> FloatArray:
    """The share (AGES,) of its time with capacity that a pool spends in each age."""
    hours, share = np.zeros(AGES), 1.0
    for age, rate in enumerate(lost):
        older = 1.0 / float(WIDTH_HOURS[age]) if age < len(WIDTH_HOURS) else 0.0
        hours[age] = share / (rate + older)
        share *= older / (rate + older)
    return np.asarray(hours / hours.sum())
