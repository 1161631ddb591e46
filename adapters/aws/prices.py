"""What machines cost on AWS, now and over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.hazards import Hazards, read_hazards
from costplan.adapters.aws.price_list import dollars, on_demand_prices, savings_plan_rates
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import CredentialsRejected, ProviderError
from costplan.planner.types import Market, OfferKey, Quote

_FRESH_CHANGE = timedelta(seconds=900)
"""For so long a spot price is dated by the change that made it, so that a ledger that looks a
little later charges it from there; after that it is dated as what it is, in force now."""

_PRODUCT = "Linux/UNIX"
_COMMITMENTS = (Market.COMMITMENT_1Y, Market.COMMITMENT_3Y)
_SOURCES = {
    Market.ON_DEMAND: "aws-price-list",
    Market.SPOT: "aws-spot-price-history",
    Market.COMMITMENT_1Y: "aws-savings-plans",
    Market.COMMITMENT_3Y: "aws-savings-plans",
}
Pool = tuple[str, str]
"""Instance type and zone."""


class AwsPrices:
    """The price feed of one region. On-demand prices and savings plans are those of the region,
    and every zone has them."""

    def __init__(
        self,
        settings: AwsSettings,
        clock: Callable[[], datetime],
        clients: Clients | None = None,
        hazards: Callable[[frozenset[str]], Hazards] | None = None,
    ) -> None:
        """`hazards` says what is known of types; they are read with each question if it is
        not given."""
        self._settings, self._clock = settings, clock
        self._clients = clients = clients or Clients(settings)
        self._hazards = hazards or (lambda types: read_hazards(clients, settings, types))

    def quotes(self, keys: Collection[OfferKey]) -> Sequence[Quote]:
        """The price in force of each of these offers that has one."""
        by_market: dict[Market, list[OfferKey]] = defaultdict(list)
        for key in sorted(set(keys)):
            if (key.provider, key.region) == (PROVIDER, self._settings.region):
                by_market[key.market].append(key)
        try:
            found = [
                *self._on_demand(by_market[Market.ON_DEMAND]),
                *self._spot(by_market[Market.SPOT]),
                *self._committed([key for one in _COMMITMENTS for key in by_market[one]]),
            ]
        except CredentialsRejected:
            self._clients.forget()
            raise
        return tuple(sorted(found, key=lambda quote: quote.key))

    def history(
        self, keys: Collection[OfferKey], start: datetime, end: datetime
    ) -> Sequence[Quote]:
        """The spot prices of these offers in force in [start, end), each observed when it came
        into force; `valid_until` is when the next one followed, None where none has."""
        pools = {_pool(key): key for key in keys if key.market is Market.SPOT}
        found = []
        for pool, prices in self._changes(pools, start, end).items():
            starts = sorted(prices)
            following = [*starts[1:], None]
            for at, until in zip(starts, following, strict=True):
                if at < end and (until is None or until > start):
                    found.append(_quote(pools[pool], prices[at], observed_at=at, valid_until=until))
        return tuple(sorted(found, key=lambda quote: (quote.key, quote.observed_at)))

    def _on_demand(self, keys: Sequence[OfferKey]) -> Iterator[Quote]:
        if not keys:
            return
        prices = on_demand_prices(self._clients, self._settings, {k.instance_type for k in keys})
        now = self._clock()
        for key in keys:
            if key.instance_type in prices:
                yield _quote(key, prices[key.instance_type], observed_at=now, hazard=0.0)

    def _committed(self, keys: Sequence[OfferKey]) -> Iterator[Quote]:
        if not keys:
            return
        rates = savings_plan_rates(self._clients, self._settings, {k.instance_type for k in keys})
        now = self._clock()
        for key in keys:
            rate = rates.get((key.instance_type, key.market))
            if rate is not None:
                yield _quote(key, rate, observed_at=now, hazard=0.0)

    def _spot(self, keys: Sequence[OfferKey]) -> Iterator[Quote]:
        if not keys:
            return
        now = self._clock()
        types = frozenset(key.instance_type for key in keys)
        changes = self._changes({_pool(key): key for key in keys}, now, now)
        hazards = Hazards({}, {})
        with suppress(ProviderError):  # prices are of use without it
            hazards = self._hazards(types)
        for key in keys:
            prices = changes.get(_pool(key))
            if prices:
                yield self._in_force(key, prices, hazards, now)

    def _in_force(
        self, key: OfferKey, prices: Mapping[datetime, Decimal], hazards: Hazards, now: datetime
    ) -> Quote:
        since = max(prices)
        return _quote(
            key,
            prices[since],
            observed_at=since if now - since < _FRESH_CHANGE else now,
            hazard=hazards.of(key.instance_type, key.zone),
        )

    def _changes(
        self, pools: Mapping[Pool, OfferKey], start: datetime, end: datetime
    ) -> dict[Pool, dict[datetime, Decimal]]:
        """Prices of these pools by the instant since when: the changes in [start, end] and the
        one that was in force at `start`."""
        changes: dict[Pool, dict[datetime, Decimal]] = defaultdict(dict)
        if not pools:
            return changes
        with mapped("prices", self._settings.region):
            pages = (
                self._clients.reading("ec2")
                .get_paginator("describe_spot_price_history")
                .paginate(
                    StartTime=start,
                    EndTime=end,
                    InstanceTypes=sorted({name for name, _ in pools}),
                    ProductDescriptions=[_PRODUCT],
                )
            )
            for page in pages:
                for row in page["SpotPriceHistory"]:
                    pool = (row["InstanceType"], row["AvailabilityZone"])
                    usd = dollars(row["SpotPrice"])
                    if pool in pools and usd is not None:
                        at = row["Timestamp"].astimezone(UTC)
                        changes[pool][at] = usd
        return changes


def _pool(key: OfferKey) -> Pool:
    return key.instance_type, key.zone


def _quote(
    key: OfferKey,
    usd_per_hour: Decimal,
    *,
    observed_at: datetime,
    hazard: float | None = None,
    valid_until: datetime | None = None,
) -> Quote:
    return Quote(
        key=key,
        usd_per_hour=usd_per_hour,
        hazard_per_hour=hazard,
        observed_at=observed_at,
        source=_SOURCES[key.market],
        valid_until=valid_until,
    )
