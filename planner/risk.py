"""How likely a spot node is to be taken away, and what that costs.

Where a price list does not know the hazard, a prior stands in, with its width. The priors come
from what the clouds publish:

* AWS: the Spot Instance Advisor's middle band, 5 to 10 % of nodes in a month, from its lowest
  (below 5 %) to its highest (above 20 %).
* GCP: the documentation of preemptible VMs long gave 5 to 15 % of instances in a day.
* Azure: eviction rates are published per hour in bands of 5 %; most pools are in the lowest.

A provider that is not listed gets the widest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.types import Market
from costplan.planner.units import SECONDS_PER_HOUR
from costplan.planner.workload import Interruption

HOURS_PER_MONTH = 730
Hazard = TypeVar("Hazard", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class HazardPrior:
    """Interruptions per node-hour that stand in for an unknown hazard: a middle and 10-90 %."""

    low: float
    middle: float
    high: float
    source: str


PRIORS: dict[str, HazardPrior] = {
    "aws": HazardPrior(
        0.025 / HOURS_PER_MONTH,
        0.075 / HOURS_PER_MONTH,
        0.25 / HOURS_PER_MONTH,
        "Spot Instance Advisor bands, 5-10 % a month",
    ),
    "gcp": HazardPrior(0.05 / 24, 0.10 / 24, 0.15 / 24, "preemption of 5-15 % a day"),
    "azure": HazardPrior(0.001, 0.01, 0.05, "lowest eviction band, 0-5 % an hour"),
}
ANY_PROVIDER = HazardPrior(0.025 / HOURS_PER_MONTH, 0.01, 0.05, "no published rate")


@dataclass(frozen=True, slots=True)
class Hazards:
    """Hazards by row of a catalogue, per node-hour; `assumed` marks where a prior stands in."""

    low: NDArray[np.float64]
    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    assumed: NDArray[np.bool_]


def hazards(catalogue: Catalogue) -> Hazards:
    """The hazard of every row: zero off the spot market, the list's own, or the prior."""
    spot = catalogue.market == MARKETS.index(Market.SPOT)
    known = np.where(spot, catalogue.hazard_per_hour, 0.0)
    assumed = np.isnan(known)
    low, middle, high = known.copy(), known.copy(), known.copy()
    for code, provider in enumerate(catalogue.provider.names):
        prior = PRIORS.get(provider, ANY_PROVIDER)
        rows = assumed & (catalogue.provider.codes == code)
        low[rows], middle[rows], high[rows] = prior.low, prior.middle, prior.high
    return Hazards(low, middle, high, assumed)


def cost_factor(hazard: Hazard, rule: Interruption) -> Hazard:
    """Expected cost of a node-hour as a multiple of its price.

    1 + hazard x (lost work + restart), both in hours: the node is paid while it does again
    what was lost and while its replacement starts. 0.01 an hour with 10 min + 3 min lost
    gives 1 + 0.01 x 13/60 = 1.002167.
    """
    hours = (rule.lost_work_seconds + rule.restart_seconds) / SECONDS_PER_HOUR
    return 1.0 + hazard * hours
