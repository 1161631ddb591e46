"""What forecasts are made from, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from costplan.planner import asked
from costplan.planner.types import require_utc

FloatArray = NDArray[np.float64]

STEP_SECONDS = asked.STEP_SECONDS
STEPS_PER_HOUR = 3600 // STEP_SECONDS
STEPS_PER_DAY = 24 * STEPS_PER_HOUR
HORIZON_STEPS = STEPS_PER_DAY
QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
MEDIAN = QUANTILES.index(0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemandHistory:
    """What one resource class asked for: `values` are the means of steps of 300 s, in workers.

    The first step begins at `start`; NaN is a step that nobody saw.
    """

    start: datetime
    values: FloatArray

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        if self.values.ndim != 1 or not len(self.values):
            raise ValueError(f"values: shape {self.values.shape}, not (steps,) with one at least")
        if np.isinf(self.values).any() or (self.values < 0).any():
            raise ValueError("values: must be finite and at least 0, or NaN where nobody looked")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Demand over the day after `at`: `values` has a row for each of QUANTILES, a column a step.

    Column i is the mean of the step that ends 300 (i + 1) seconds after `at`. `weights` are the
    shares of the members at 1, 6 and 24 hours, by name; `notes` say what it had to do without.
    """

    at: datetime
    values: FloatArray
    weights: Mapping[str, tuple[float, float, float]]
    notes: tuple[str, ...] = ()

    def quantile(self, share: float) -> FloatArray:
        """The row of a quantile, one of QUANTILES; raises ValueError for another."""
        if share not in QUANTILES:
            raise ValueError(f"quantile {share}: must be one of {QUANTILES}")
        return np.asarray(self.values[QUANTILES.index(share)])


class Member(Protocol):
    """Something that foretells changes of demand, beside the two members that are built in."""

    @property
    def name(self) -> str: ...

    def learn(self, inputs: FloatArray, changes: FloatArray) -> None:
        """From past moments (moments, ahead, features) and what came after them (moments, ahead);
        NaN where that is not known."""

    def told(self, inputs: FloatArray) -> FloatArray:
        """The quantiles of the change (ahead, quantiles) after a moment (ahead, features)."""
