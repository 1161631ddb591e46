"""What advice is asked of, and what may be bought. Dollars are float64 inside the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costplan.planner.commitments.values import (
    HOURS_OF_TERM,
    SPEND_KINDS,
    Commitment,
    Kind,
    Product,
    Usage,
)
from costplan.planner.types import require

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Mapper = Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]
"""Applies a function to numbers, in order: `map`, or that of a pool of threads."""

HOURS_OF_MONTH = 730
UPFRONT_SHARE = {"all_upfront": Fraction(1), "partial_upfront": Fraction(1, 2)}
"""Of a plan's dollars, what is paid when it is bought; what is not named is paid by the hour."""


def _none() -> Mapping[str, Fraction]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """What was used hour by hour, at which price without a commitment and which with one.

    `spot_share` of it may run on spot machines at `spot_usd`. Hours of all lines start together.
    """

    usage_id: str
    product: Product
    hours: Floats
    usd_per_unit: Fraction
    rates: Mapping[str, Fraction] = field(default_factory=_none)
    spot_usd: Fraction | None = None
    spot_share: float = 0.0

    def __post_init__(self) -> None:
        require(self.hours.ndim == 1 and len(self.hours) > 0, "no hours in", self.usage_id)
        require(bool((self.hours >= 0).all()), "below zero in", self.usage_id)
        require(0 <= self.spot_share <= 1, "not a share:", self.spot_share)

    def usage(self, quantity: Fraction) -> Usage:
        """A line of an hour's bill."""
        return Usage(
            usage_id=self.usage_id,
            product=self.product,
            quantity=quantity,
            usd_per_unit=self.usd_per_unit,
            rates=self.rates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A commitment for sale. Of machines and resources, the price of each; plans are sold by the
    dollar an hour, of which `payment` says how much is paid upfront."""

    offer_id: str
    kind: Kind
    product: Product
    term: str
    payment: str = "no_upfront"
    usd_per_hour: Fraction = Fraction(0)
    upfront_usd: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        require(self.term in HOURS_OF_TERM, "no known term in", self.offer_id)

    @property
    def is_plan(self) -> bool:
        """True where it is sold by the dollar."""
        return self.kind in SPEND_KINDS

    @property
    def term_hours(self) -> int:
        """Hours of its term."""
        return HOURS_OF_TERM[self.term]

    @property
    def unit_upfront_usd(self) -> Fraction:
        """What a unit costs when it is bought."""
        if self.is_plan:
            return UPFRONT_SHARE.get(self.payment, Fraction(0)) * self.term_hours
        return self.upfront_usd

    @property
    def unit_usd_per_month(self) -> Fraction:
        """What a unit costs each month of 730 hours, besides."""
        if self.is_plan:
            return (1 - UPFRONT_SHARE.get(self.payment, Fraction(0))) * HOURS_OF_MONTH
        return self.usd_per_hour * HOURS_OF_MONTH

    @property
    def unit_usd(self) -> Fraction:
        """What an hour of a unit costs, the upfront payment spread over the term."""
        if self.is_plan:
            return Fraction(1)
        return self.usd_per_hour + self.upfront_usd / self.term_hours

    def bought(self, amount: Fraction) -> Commitment:
        """So much of it, in force all the time."""
        return Commitment(
            commitment_id=self.offer_id,
            kind=self.kind,
            product=self.product,
            count=None if self.is_plan else amount,
            usd_per_hour=amount if self.is_plan else self.usd_per_hour,
            upfront_usd=Fraction(0) if self.is_plan else self.upfront_usd,
            term=self.term,
            payment=self.payment,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """So much of an offer: machines, resources, or dollars an hour."""

    offer: Offer
    amount: Fraction

    @property
    def upfront_usd(self) -> Fraction:
        """What it costs when it is bought."""
        return self.amount * self.offer.unit_upfront_usd

    @property
    def usd_per_month(self) -> Fraction:
        """What it costs each month, besides."""
        return self.amount * self.offer.unit_usd_per_month

    @property
    def usd_per_hour(self) -> Fraction:
        """What an hour of it costs, the upfront payment spread over the term."""
        return self.amount * self.offer.unit_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How far to look, what may be paid, and how much the bad end counts.

    The aim is expected cost + `risk_weight` x CVaR, the mean cost of the dearest 1 - `risk` of the
    scenarios. `after_horizon` is the share of the demand that is expected to go on after the
    horizon, where a term is longer. None is no limit.
    """

    horizon_hours: int = 8760
    risk: float = 0.9
    risk_weight: float = 0.5
    scenarios: int = 200
    seed: int = 0
    upfront_usd: Fraction | None = None
    usd_per_month: Fraction | None = None
    after_horizon: float = 0.5
    spot_spread: float = 0.3

    def __post_init__(self) -> None:
        require(0 <= self.risk < 1, "not from 0 to below 1:", self.risk)
        require(self.risk_weight >= 0, "below zero:", self.risk_weight)
        require(self.horizon_hours > 0 and self.scenarios > 0, "nothing to look at")
        require(0 <= self.after_horizon <= 1, "not a share:", self.after_horizon)

    def usd_per_used_hour(self, offer: Offer) -> float:
        """The price of a unit for each hour in which it is expected to be of use: where the term
        outlasts the horizon, what is paid then counts in full and what is used in part."""
        more = max(offer.term_hours / self.horizon_hours - 1, 0.0)
        return float(offer.unit_usd) * (1 + more) / (1 + more * self.after_horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was used, what is for sale, what is held, and what is wanted."""

    lines: tuple[Line, ...]
    offers: tuple[Offer, ...]
    settings: Settings
    now: datetime
    held: tuple[Commitment, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.lines), "no usage to advise on")
        lengths = {len(line.hours) for line in self.lines}
        require(len(lengths) == 1, "hours of different lengths:", sorted(lengths))
