"""Years of demand that might come, from the hours that were.

Whole weeks of the past are drawn with their hours in order, for all lines at once, so that what
runs together stays together; recent ones more often. With less than four weeks, days are drawn.
The level then drifts: by how much the mean of a quarter of the past has missed that of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costplan.planner.advice.cover import Part
from costplan.planner.advice.types import Floats, Ints, Settings

WEEK, DAY = 168, 24
LEAST_HOURS = 2 * DAY
_LEAST_WEEKS = 4
_MOST_SPREAD = 1.0
_COMMON = 0.5**0.5
"""Half of the drift of a line's level is that of all lines."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """Demand that might come: `hours` [scenario, hour] are places in the past, `drift`
    [scenario, part] the log of the level at the horizon's end, `spot` [scenario] factors of the
    price of spot machines."""

    past: Floats
    hours: Ints
    drift: Floats
    spot: Floats
    usd_per_unit: Floats
    on_demand_usd: Floats
    is_spot: NDArrayBool

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.hours)

    def demand(self, number: int) -> Floats:
        """Units in use [part, hour]."""
        found: Floats = np.take(self.past, self.hours[number], axis=1)
        drift = self.drift[number]
        if drift.any():
            # The level changes by the day, so that it takes one power a day.
            days = -(-found.shape[1] // DAY)
            level = np.exp(drift[:, None] * np.linspace(0.0, 1.0, days))
            if found.shape[1] == days * DAY:
                by_day = found.reshape(len(found), days, DAY)
                by_day *= level[:, :, None]
            else:
                found *= np.repeat(level, DAY, axis=1)[:, : found.shape[1]]
        return found

    def prices(self, number: int) -> Floats:
        """The price of a unit of each part that nothing covers."""
        spot = np.minimum(self.usd_per_unit * self.spot[number], self.on_demand_usd)
        return np.where(self.is_spot, spot, self.usd_per_unit)

    def some(self, most: int) -> Scenarios:
        """The first ones."""
        return Scenarios(
            past=self.past,
            hours=self.hours[:most],
            drift=self.drift[:most],
            spot=self.spot[:most],
            usd_per_unit=self.usd_per_unit,
            on_demand_usd=self.on_demand_usd,
            is_spot=self.is_spot,
        )

    def halved(self) -> Scenarios:
        """The same with half of the demand."""
        return Scenarios(
            past=self.past / 2,
            hours=self.hours,
            drift=self.drift,
            spot=self.spot,
            usd_per_unit=self.usd_per_unit,
            on_demand_usd=self.on_demand_usd,
            is_spot=self.is_spot,
        )


NDArrayBool = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def drawn(parts: Sequence[Part], settings: Settings) -> Scenarios:
    """Scenarios by seed: the same question has the same ones."""
    dice = np.random.default_rng(settings.seed)
    past = _past(parts)
    block = WEEK if past.shape[1] >= _LEAST_WEEKS * WEEK else DAY
    blocks = past.shape[1] // block
    # The newest whole blocks: what is over at the beginning is the oldest.
    offset = past.shape[1] - blocks * block
    weight = 0.5 ** ((blocks - 1 - np.arange(blocks)) / max(blocks / 2, 1))
    needed = -(-settings.horizon_hours // block)
    picked = dice.choice(blocks, size=(settings.scenarios, needed), p=weight / weight.sum())
    hours = (offset + picked[:, :, None] * block + np.arange(block)).reshape(
        settings.scenarios, -1
    )[:, : settings.horizon_hours]
    spread = _spreads(past[:, offset:], block)
    common = dice.standard_normal((settings.scenarios, 1))
    own = dice.standard_normal((settings.scenarios, len(parts)))
    # The mean of the drift over the horizon is half of it at the end.
    drift = 2 * spread * _COMMON * (common + own) - spread**2
    spot = np.exp(settings.spot_spread * dice.standard_normal(settings.scenarios))
    return _scenarios(parts, past, hours, drift, spot)


def as_it_was(parts: Sequence[Part], first: int, last: int) -> Scenarios:
    """One scenario: the hours of the past from `first` to `last`, as they were."""
    hours = np.arange(first, last)[None, :]
    return _scenarios(parts, _past(parts), hours, np.zeros((1, len(parts))), np.ones(1))


def _past(parts: Sequence[Part]) -> Floats:
    return np.stack([part.line.hours * part.share for part in parts])


def _scenarios(
    parts: Sequence[Part], past: Floats, hours: Ints, drift: Floats, spot: Floats
) -> Scenarios:
    return Scenarios(
        past=past,
        hours=hours,
        drift=drift,
        spot=spot,
        usd_per_unit=np.array([part.usd_per_unit for part in parts]),
        on_demand_usd=np.array([float(part.line.usd_per_unit) for part in parts]),
        is_spot=np.array([part.is_spot for part in parts]),
    )


def _spreads(past: Floats, block: int) -> Floats:
    """By how much the log of a mean over a quarter of the past missed that of the next [part]."""
    means = past.reshape(len(past), -1, block).mean(axis=2)
    blocks = means.shape[1]
    length = max(blocks // 4, 1)
    sums = np.concatenate([np.zeros((len(past), 1)), np.cumsum(means, axis=1)], axis=1)
    rolling = (sums[:, length:] - sums[:, :-length]) / length
    before, after = rolling[:, :-length], rolling[:, length:]
    if not before.shape[1]:
        return np.zeros(len(past))
    # A line that was not there at all says nothing of how levels drift.
    floor = np.maximum(0.05 * means.mean(axis=1, keepdims=True), 1e-12)
    missed = np.log(np.maximum(after, floor)) - np.log(np.maximum(before, floor))
    spreads: Floats = np.minimum(np.sqrt((missed**2).mean(axis=1)), _MOST_SPREAD)
    return spreads
