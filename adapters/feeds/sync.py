"""Reads what a region sells, for how much, and how its spot prices went, into the price store."""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from costplan.adapters.feeds.price_store import History, PriceStore
from costplan.planner.errors import ProviderError
from costplan.planner.market import priced_offers
from costplan.planner.types import Market, Offer, OfferKey, Quote
from costplan.planner.wording import market_text

MARKETS = (Market.ON_DEMAND, Market.SPOT)
_TYPES_AT_ONCE = 25
"""A history of so many types is asked for at once, so that there is progress to tell of."""

Told = Callable[[str, int, int], None]
"""Hears what is done next, how many steps are done, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One region of a cloud. `history` gives the spot prices in force in [start, end), each
    observed when it came into force; a cloud that has none gives nothing."""

    provider: str
    region: str
    offers: Callable[[], Sequence[Offer]]
    quotes: Callable[[Collection[OfferKey]], Sequence[Quote]]
    history: Callable[[Collection[OfferKey], datetime, datetime], Sequence[Quote]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came of a region: prices by market, machine types, new spot prices, and what could
    not be read, in words."""

    provider: str
    region: str
    prices: Mapping[Market, int]
    types: int
    changes: int
    failures: tuple[str, ...]


def sync(
    source: Source,
    store: PriceStore,
    *,
    patterns: Sequence[str],
    history_seconds: int,
    now: Callable[[], datetime],
    tell: Told,
) -> Synced:
    """Puts a region's prices into the store: what was read takes the place of what was there,
    market by market, and what could not be read leaves it as it was.

    `patterns` are shell-style ones of machine types; none means all. Raises InputError where the
    store cannot be used.
    """
    began = now()
    tell("what is sold", 0, 2 + len(MARKETS))
    try:
        offers = [o for o in source.offers() if _is_wanted(o.key.instance_type, patterns)]
    except ProviderError as error:
        return _failed(source, f"what is sold: {error}")
    if not offers:
        what = f"machine type like {' or '.join(patterns)}" if patterns else "machine"
        return _failed(source, f"no {what} is sold there")
    history = store.history(source.provider, source.region)
    parts = _parts(offers, history, began, history_seconds)
    steps = 1 + len(MARKETS) + len(parts)
    quotes: dict[Market, Sequence[Quote]] = {}
    failures = []
    for number, market in enumerate(MARKETS, 1):
        name = market_text(market)
        tell(f"{name} prices", number, steps)
        try:
            quotes[market] = source.quotes([o.key for o in offers if o.key.market is market])
        except ProviderError as error:
            failures.append(f"{name} prices: {error}")
    counts = _keep_prices(source, store, offers, quotes, is_whole=not patterns, now=began)
    longer = history
    for number, part in enumerate(parts, 1 + len(MARKETS)):
        tell("past spot prices", number, steps)
        try:
            found = source.history(part.keys, part.start, began)
        except ProviderError as error:
            failures.append(f"past spot prices: {error}")
            break
        longer = longer.and_then(found, {key.instance_type for key in part.keys}, began)
    if len(longer):
        store.write_history(source.provider, source.region, longer)
    tell("done", steps, steps)
    return Synced(
        provider=source.provider,
        region=source.region,
        prices=counts,
        types=len({offer.key.instance_type for offer in offers}),
        changes=len(longer) - len(history),
        failures=tuple(failures),
    )


def _is_wanted(instance_type: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(instance_type, one) for one in patterns)


def _failed(source: Source, problem: str) -> Synced:
    return Synced(
        provider=source.provider,
        region=source.region,
        prices={},
        types=0,
        changes=0,
        failures=(problem,),
    )


def _keep_prices(
    source: Source,
    store: PriceStore,
    offers: Sequence[Offer],
    quotes: Mapping[Market, Sequence[Quote]],
    *,
    is_whole: bool,
    now: datetime,
) -> Counter[Market]:
    """How many prices there are of each market that was read. Those of markets that were not,
    and of types that were not asked for, stay as they were."""
    if not quotes:
        return Counter()
    new = priced_offers(offers, [quote for found in quotes.values() for quote in found])
    there = store.region(source.provider, source.region, now)
    asked = {offer.key.instance_type for offer in offers}

    def stays(key: OfferKey) -> bool:
        return key.market not in quotes or not (is_whole or key.instance_type in asked)

    old = [] if there is None else [row for row in there.rows() if stays(row[0].key)]
    if new or old:
        read = {} if there is None else dict(there.read)
        for market in quotes:
            known = read.get(market, frozenset())
            read[market] = None if is_whole or known is None else known | asked
        store.write_region(source.provider, source.region, [*old, *new], read)
    return Counter(offer.key.market for offer, _ in new)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Spot offers whose past is asked for at once, and from when on."""

    keys: tuple[OfferKey, ...]
    start: datetime


def _parts(
    offers: Sequence[Offer], history: History, now: datetime, history_seconds: int
) -> list[_Part]:
    """What of the past is to be read: of each type what came since it was read last."""
    if not history_seconds:
        return []
    first = now - timedelta(seconds=history_seconds)
    pools: dict[str, list[OfferKey]] = defaultdict(list)
    for offer in offers:
        if offer.key.market is Market.SPOT:
            pools[offer.key.instance_type].append(offer.key)
    starts: dict[datetime, list[str]] = defaultdict(list)
    for name in sorted(pools):
        starts[max(first, history.read_until.get(name, first))].append(name)
    return [
        _Part(
            keys=tuple(key for name in names[at : at + _TYPES_AT_ONCE] for key in pools[name]),
            start=start,
        )
        for start, names in sorted(starts.items())
        for at in range(0, len(names), _TYPES_AT_ONCE)
    ]
