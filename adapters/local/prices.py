"""What local machines cost: the prices of a started scenario, now and over time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from costplan.adapters.local.stage import Stage
from costplan.planner.types import OfferKey, Quote

_FRESH_CHANGE = timedelta(seconds=900)
"""For so long a quote is dated by the change that made it, so that a ledger that looks a little
later charges it from there; after that it is dated as what it is, seen now."""


class LocalPrices:
    """The price feed of a started scenario."""

    def __init__(self, stage: Stage, clock: Callable[[], datetime]) -> None:
        self._stage, self._clock = stage, clock

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """What each of these offers costs now; offers not sold here have no quote.

        A price that has changed lately was observed then, any other one now.
        """
        now = self._clock()
        found = []
        for key in sorted(set(keys) & set(self._stage.offers)):
            since, usd = self._stage.price_at(key, now)
            is_new = since > self._stage.started_at and now - since < _FRESH_CHANGE
            staged = self._stage.offers[key]
            found.append(
                Quote(
                    key=key,
                    usd_per_hour=usd,
                    hazard_per_hour=staged.hazard_per_hour,
                    observed_at=since if is_new else now,
                    source=staged.source,
                    is_estimate=staged.is_estimate,
                )
            )
        return tuple(found)

    def history(self, start: datetime, end: datetime) -> Sequence[Quote]:
        """The prices in force in [start, end), each observed when it came into force.

        The first quote of an offer is the one that was in force at `start`; `valid_until` is
        when the next one followed, None where none has.
        """
        found = []
        for key in sorted(self._stage.offers):
            staged = self._stage.offers[key]
            began = [self._stage.started_at + timedelta(seconds=at) for at, _ in staged.prices]
            until = [*began[1:], None]
            for (_, usd), since, next_at in zip(staged.prices, began, until, strict=True):
                if since >= end or (next_at is not None and next_at <= start):
                    continue
                found.append(
                    Quote(
                        key=key,
                        usd_per_hour=usd,
                        hazard_per_hour=staged.hazard_per_hour,
                        observed_at=since,
                        source=staged.source,
                        is_estimate=staged.is_estimate,
                        valid_until=next_at,
                    )
                )
        return tuple(found)
