"""A driver whose readings may be wrong, and what they are wrong by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from costplan.adapters.sim.drive import Driver
from costplan.planner.nodes import Notice
from costplan.planner.tick import Readings
from costplan.planner.types import Quote


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What the readings of a campaign's driver are changed by until it is over."""

    prices: Decimal | None = None
    """Spot quotes are multiplied by this."""
    without_prices: bool = False
    skew: timedelta = timedelta(0)
    """By how much the daemon's clock is wrong."""
    notices: list[Notice] = field(default_factory=list)
    """Of machines that are not taken, have long ended, or never were."""


class Wrong(Driver):
    """A driver whose readings may be wrong."""

    __slots__ = ("trouble",)
    trouble: Trouble

    def read(self) -> Readings:
        """The readings, made wrong."""
        # Not super(): a dataclass with slots is another class than the one it was made from.
        readings = Driver.read(self)
        trouble = self.trouble
        quotes = () if trouble.without_prices else readings.quotes
        if trouble.prices is not None:
            quotes = tuple(_mad(quote, trouble.prices) for quote in quotes)
        notices = readings.notices
        if notices is not None:
            notices = (*notices, *trouble.notices)
        return replace(readings, at=readings.at + trouble.skew, quotes=quotes, notices=notices)


def _mad(quote: Quote, factor: Decimal) -> Quote:
    if quote.key.market != "spot":
        return quote
    return replace(quote, usd_per_hour=quote.usd_per_hour * factor)
