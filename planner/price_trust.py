"""Which prices not to buy at: too old, out of all proportion, or from nobody who is trusted.

A feed that breaks tells of machines for nothing, or for a hundred times their price. What the same
type costs in other zones and regions, and a spot machine's price on demand, are known at the same
moment, so no memory is needed to see it. What runs is paid for anyway: there a price that is
out of all proportion is taken for a fault of the feed, and the last one goes on.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median

from costplan.planner.settings import Settings
from costplan.planner.tick import Readings, State
from costplan.planner.types import Gap, Market, OfferKey, Quote
from costplan.planner.units import seconds_text
from costplan.planner.wording import usd

LEAST_PEERS = 3
"""Of fewer prices nobody can say which one is wrong."""
DEEPEST_DISCOUNT = 10.0
"""Spot at a tenth of the price on demand is real; what is far below that is not."""


def doubts(
    keys: Collection[OfferKey], quotes: Sequence[Quote], settings: Settings, now: datetime
) -> dict[OfferKey, str]:
    """Why not to launch at the price that is quoted for a key, of those where there is a reason."""
    if not keys:
        return {}
    wanted = frozenset(keys)
    types = {(key.provider, key.instance_type) for key in wanted}
    alike = _by_type(quotes, types)
    found = {}
    for quote in (q for of_type in alike.values() for q in of_type):
        if quote.key in wanted:
            why = _doubt(quote, alike[_type(quote.key)], settings, now)
            if why:
                found[quote.key] = why
    return found


def trusted(readings: Readings, state: State, settings: Settings) -> Readings:
    """The readings without prices of our nodes' pools that are out of all proportion to those of
    their like, or to the last one; a gap names each. A node that has no price yet waits for one."""
    rates: dict[OfferKey, Decimal | None] = {}
    for name, node in state.nodes.items():
        meter = state.meters.get(name)
        if meter is None:
            rates.setdefault(node.key, None)
        elif meter.ended_at is None:
            rates[node.key] = meter.usd_per_hour
    if not rates:
        return readings
    types = {(key.provider, key.instance_type) for key in rates}
    alike = _by_type(readings.quotes, types)
    factor = settings.safety.price_factor
    found: dict[OfferKey, str] = {}
    for quote in (q for of_type in alike.values() for q in of_type):
        if quote.key in rates:
            like = alike[_type(quote.key)]
            why = _jump(quote, like, factor) or _leap(quote, rates[quote.key], factor)
            if why:
                found[quote.key] = why
    if not found:
        return readings
    gaps = tuple(
        Gap(kind="price", subject=f"{key}: {why}", assumed="the last one goes on")
        for key, why in sorted(found.items())
    )
    left = tuple(quote for quote in readings.quotes if quote.key not in found)
    return replace(readings, quotes=left, gaps=(*readings.gaps, *gaps))


def _type(key: OfferKey) -> tuple[str, str]:
    return key.provider, key.instance_type


def _by_type(
    quotes: Sequence[Quote], types: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[Quote]]:
    """The quotes of these types, type by type."""
    found: dict[tuple[str, str], list[Quote]] = {}
    for quote in quotes:
        if (name := _type(quote.key)) in types:
            found.setdefault(name, []).append(quote)
    return found


def _leap(quote: Quote, last: Decimal | None, factor: float) -> str:
    most = Decimal(repr(factor))
    if not last or last / most <= quote.usd_per_hour <= last * most:
        return ""
    return f"it is quoted at {usd(quote.usd_per_hour)}/h, a moment ago at {usd(last)}/h"


def _doubt(quote: Quote, alike: Sequence[Quote], settings: Settings, now: datetime) -> str:
    sources = settings.safety.price_sources
    if sources and not any(fnmatch.fnmatchcase(quote.source, each) for each in sources):
        return f"its price is from {quote.source!r}, which safety.price_sources does not name"
    oldest = settings.cadence.prices_stale_seconds
    age = (now - quote.observed_at) / timedelta(seconds=1)
    if quote.key.market is Market.SPOT and age > oldest:
        return f"its price was seen {seconds_text(round(age))} ago"
    return _jump(quote, alike, settings.safety.price_factor)


def _jump(quote: Quote, alike: Sequence[Quote], factor: float) -> str:
    """Why a price is out of all proportion to those of its type, '' where it is not."""
    key, most = quote.key, Decimal(repr(factor))
    peers = [
        other.usd_per_hour for other in alike if other.key.market is key.market and other.key != key
    ]
    if len(peers) >= LEAST_PEERS:
        usual = median(peers)
        if not usual / most <= quote.usd_per_hour <= usual * most:
            return f"it is quoted at {usd(quote.usd_per_hour)}/h, its like at {usd(usual)}/h"
    if key.market is not Market.SPOT:
        return ""
    firm = [
        other.usd_per_hour
        for other in alike
        if other.key.market is Market.ON_DEMAND and other.key.region == key.region
    ]
    deepest = most * Decimal(repr(DEEPEST_DISCOUNT))
    if firm and not min(firm) / deepest <= quote.usd_per_hour <= max(firm) * most:
        return f"it is quoted at {usd(quote.usd_per_hour)}/h, on demand at {usd(min(firm))}/h"
    return ""
