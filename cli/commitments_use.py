"""What a cluster uses of the commitments, from its store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from costplan.planner.commitments.in_use import InUse, in_use
from costplan.planner.commitments.values import Owner, Product
from costplan.planner.held.values import Held
from costplan.planner.types import Market, OfferKey

if TYPE_CHECKING:
    from costplan.adapters.store.cluster import Cluster
    from costplan.planner.daemon_config import DaemonConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """The use, whose store says it, and since when the store knows."""

    use: InUse
    source: str
    unpriced: tuple[str, ...]
    """Machines on demand without a price."""


def use_of(
    config: Path | None,
    store: Path | None,
    prices: Path | None,
    held: Held,
    now: datetime,
) -> Used:
    """What the machines of a store use of what is held. Raises InputError and StoreError."""
    from costplan.cli.cluster_store import opened

    with opened(config, store, read_only=True) as cluster:
        unpriced: set[str] = set()
        price_of = _prices(cluster, prices, now, unpriced)
        since = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        nodes = cluster.store.nodes(including_gone=True, since=since)
        owner, rates_of = _owner(cluster.config), _rates_of(held)
        use = in_use(nodes, held.commitments, price_of, now, owner, rates_of=rates_of)
        return Used(use=use, source=str(cluster.path), unpriced=tuple(sorted(unpriced)))


def _owner(config: DaemonConfig | None) -> Owner | None:
    """Whose the machines are, as far as a configuration says."""
    from costplan.planner.azure_config import AzureChoice
    from costplan.planner.provider_config import GcpChoice

    if config is not None and config.settings.held.owner != Owner():
        return config.settings.held.owner
    choice = None if config is None else config.provider
    match choice:
        case AzureChoice():
            return Owner(account=choice.subscription, resource_group=choice.resource_group)
        case GcpChoice():
            return Owner(account=choice.project)
    return None


def _rates_of(held: Held) -> Callable[[Product], Mapping[str, Fraction]]:
    """The `commitment_rates`; those of a region come before those of all."""

    def rates_of(product: Product) -> dict[str, Fraction]:
        found: dict[str, Fraction] = {}
        for region in ("", product.region):
            like = (product.provider, product.instance_type, region)
            for each in held.rates:
                if (each.provider, each.instance_type, each.region) == like:
                    found |= each.rates
        return found

    return rates_of


def _prices(
    cluster: Cluster, prices: Path | None, now: datetime, unpriced: set[str]
) -> Callable[[OfferKey], Fraction | None]:
    """The price of an offer: that of the last tick, or else of the price list, which is read where
    a tick does not know it. Types on demand without a price are noted."""
    tick = cluster.last_tick(cluster.state())
    quotes = {} if tick is None else {one.key: one.usd_per_hour for one in tick.readings.quotes}
    known: dict[OfferKey, Fraction | None] = {}
    listed: list[Callable[[Product, Market], Fraction | None]] = []

    def find(key: OfferKey) -> Fraction | None:
        if key in quotes:
            return Fraction(quotes[key])
        if not listed:
            from costplan.cli.price_source import read_prices
            from costplan.planner.advice.kinds import ListedPrices

            listed.append(ListedPrices(read_prices(prices, now=now).catalogue))
        product = Product(provider=key.provider, region=key.region, instance_type=key.instance_type)
        return listed[0](product, key.market)

    def price_of(key: OfferKey) -> Fraction | None:
        if key not in known:
            known[key] = find(key)
            if known[key] is None and key.market is Market.ON_DEMAND:
                unpriced.add(key.instance_type)
        return known[key]

    return price_of
