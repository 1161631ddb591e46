"""Better prices for time that is in the ledger already: corrections that take back and restate.

No entry is changed. What was charged at another price is taken back at that price, and the same
time is charged again at the better one; a month that is closed gets both in one that is open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from costplan.planner.ledger import MACHINE, LedgerEntry, Recorded
from costplan.planner.ledger_net import Standing, standing
from costplan.planner.spans import amount_usd
from costplan.planner.types import Market, OfferKey, require, require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class BetterPrice:
    """What an offer cost in [start, end), by a source that knows better. The offer's zone may be
    '' for every zone of its region."""

    key: OfferKey
    usd_per_hour: Decimal
    start: datetime
    end: datetime
    source: str

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        require(self.start < self.end, "an interval must not be empty:", self)
        require(self.usd_per_hour > 0, "a price must be above zero:", self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repriced:
    """Entries to be added, and what they change: charges and dollars. `unmet` are prices of offers
    that nothing was charged for in their time."""

    entries: tuple[LedgerEntry, ...]
    pieces: int
    usd: Decimal
    unmet: tuple[BetterPrice, ...] = ()


def repriced(entries: Iterable[Recorded], prices: Sequence[BetterPrice]) -> Repriced:
    """Corrections for what stands in the ledger at another price than the better one.

    Of two prices for the same time the later in the sequence counts. What is right already is
    left alone, so that the same prices again change nothing.
    """
    by_key: dict[OfferKey, list[BetterPrice]] = defaultdict(list)
    for price in prices:
        by_key[price.key].append(price)
    found: list[LedgerEntry] = []
    met = set[int]()
    pieces = 0
    for piece in standing(each for each in entries if each.entry.charge == MACHINE):
        key = piece.of.entry.key
        wanted = [*by_key.get(replace(key, zone=""), ()), *by_key.get(key, ())]
        met |= {id(price) for price in wanted if _is_met(price, piece)}
        for start, end, price in _over(piece, wanted):
            if price.usd_per_hour != piece.of.entry.usd_per_hour:
                found += _changed(piece.of.entry, start, end, price)
                pieces += 1
    total = sum((entry.usd for entry in found), Decimal(0))
    unmet = tuple(price for price in prices if id(price) not in met)
    return Repriced(entries=tuple(found), pieces=pieces, usd=total, unmet=unmet)


def _is_met(price: BetterPrice, piece: Standing) -> bool:
    return price.start < piece.end and piece.start < price.end


def _over(
    piece: Standing, prices: Sequence[BetterPrice]
) -> Iterable[tuple[datetime, datetime, BetterPrice]]:
    """The piece cut where prices change, with the price of each part that has one."""
    met = [price for price in prices if _is_met(price, piece)]
    cuts = {piece.start, piece.end}
    for price in met:
        cuts |= {at for at in (price.start, price.end) if piece.start < at < piece.end}
    ordered = sorted(cuts)
    for start, end in pairwise(ordered):
        here = [price for price in met if price.start <= start and end <= price.end]
        if here:
            yield start, end, here[-1]


def _changed(
    entry: LedgerEntry, start: datetime, end: datetime, price: BetterPrice
) -> tuple[LedgerEntry, LedgerEntry]:
    """What takes the part back, and what charges it anew. Its task-time stays where it is."""
    back = replace(
        entry,
        start=start,
        end=end,
        usd=-amount_usd(entry.usd_per_hour, start, end),
        kind="correction",
        busy_seconds=0.0,
        thread_seconds=0.0,
        rate_source=f"correction of {entry.rate_source}",
    )
    is_firm = entry.key.market is Market.ON_DEMAND
    again = replace(
        back,
        usd=amount_usd(price.usd_per_hour, start, end),
        usd_per_hour=price.usd_per_hour,
        kind="usage",
        rate_source=price.source,
        is_estimate=False,
        on_demand_usd_per_hour=price.usd_per_hour if is_firm else entry.on_demand_usd_per_hour,
    )
    return back, again
