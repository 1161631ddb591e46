"""Rules that foretell nothing: reserve what has cost as much on demand as a reservation would.

W. Wang, B. Li, B. Liang, "To Reserve or Not to Reserve: Optimal Online Multi-Instance Acquisition
in IaaS Clouds", ICAC 2013. A unit of demand that has cost its break-even on demand within the last
term is reserved. With alpha, the price of a reserved hour over that on demand, the cost is never
above 2 - alpha times that of who knows the future; with a break-even drawn at random it is
e / (e - 1 + alpha) in expectation. Commitments that are paid whether used or not have alpha 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from costplan.planner.advice.cover import Part, ratio_of
from costplan.planner.advice.types import Floats, Offer, Settings

MOST_BANDS = 64


def deterministic_ratio(alpha: float = 0.0) -> float:
    """The competitive ratio of the break-even rule."""
    return 2 - alpha


def randomized_ratio(alpha: float = 0.0) -> float:
    """That of the rule with a break-even drawn at random."""
    return math.e / (math.e - 1 + alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheapest:
    """The cheapest way to cover a part of a line, and what an hour of a unit then costs."""

    offer: Offer
    usd_per_hour: float
    ratio: float


def cheapest_of(
    part: Part, offers: Sequence[Offer], settings: Settings | None = None
) -> Cheapest | None:
    """The offer that covers a unit at the lowest price, None where none is below the price on
    demand. With settings, a term that outlasts the horizon is dearer by what is of no use then."""
    found = []
    for place, offer in enumerate(offers):
        ratio = ratio_of(part, offer.bought(Fraction(1)))
        if ratio is not None:
            unit = settings.usd_per_used_hour(offer) if settings else float(offer.unit_usd)
            if unit * ratio < part.usd_per_unit:
                found.append((unit * ratio, place, ratio))
    if not found:
        return None
    usd_per_hour, place, ratio = min(found)
    return Cheapest(offer=offers[place], usd_per_hour=usd_per_hour, ratio=ratio)


def break_even_cost(
    hours: Floats,
    first: int,
    usd_on_demand: float,
    usd_committed: float,
    term_hours: int,
    most_bands: int = MOST_BANDS,
) -> float:
    """What the hours from `first` on cost by the rule, which has looked on since the first hour.

    Demand is cut into bands of one unit each, or `most_bands`. What was reserved before `first` and
    is still in force is paid for from there.
    """
    top = float(hours.max(initial=0.0))
    if top <= 0:
        return 0.0
    bands = min(max(math.ceil(top), 1), most_bands)
    width = top / bands
    usd = 0.0
    for band in range(bands):
        units = np.clip(hours - band * width, 0.0, width)
        if not units.any():
            break
        reserved = _reserved(units, usd_on_demand, width * usd_committed * term_hours,
                             term_hours)  # fmt: skip
        usd += width * usd_committed * float(reserved[first:].sum())
        usd += usd_on_demand * float(units[first:][~reserved[first:]].sum())
    return usd


def break_even_amount(
    hours: Floats, usd_on_demand: float, usd_committed: float, term_hours: int
) -> float:
    """Units that the rule would hold at the end of the hours, none held before."""
    top = float(hours.max(initial=0.0))
    if top <= 0:
        return 0.0
    bands = min(max(math.ceil(top), 1), MOST_BANDS)
    width, amount = top / bands, 0.0
    for band in range(bands):
        units = np.clip(hours[-term_hours:] - band * width, 0.0, width)
        if float(units.sum()) * usd_on_demand < width * usd_committed * term_hours:
            break
        amount += width
    return amount


def _reserved(units: Floats, usd_on_demand: float, limit_usd: float, term_hours: int) -> np.ndarray:
    """In which hours a band is reserved."""
    reserved = np.zeros(len(units), dtype=np.bool_)
    start = 0
    while start < len(units):
        spent = np.concatenate([[0.0], np.cumsum(units[start:] * usd_on_demand)])
        ends = np.arange(1, len(spent))
        window = spent[1:] - spent[np.maximum(ends - term_hours, 0)]
        over = np.flatnonzero(window >= limit_usd)
        if not len(over):
            break
        begin = start + int(over[0]) + 1
        reserved[begin : begin + term_hours] = True
        start = begin + term_hours
    return reserved
