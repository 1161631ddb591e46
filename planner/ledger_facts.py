"""What an entry says of its machine beside its price: whose it is, how large, its price on demand.

The daemon knows it when the entry is written; nobody has to look it up in a later price list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from costplan.planner.ledger import MACHINE, LedgerEntry
from costplan.planner.nodes import Node
from costplan.planner.types import Market, OfferKey, Quote


def with_facts(
    entries: Sequence[LedgerEntry],
    nodes: Mapping[str, Node],
    quotes: Iterable[Quote],
    account: str,
) -> tuple[LedgerEntry, ...]:
    """The entries with what their nodes and the price list say of them now."""
    if not entries:
        return ()
    prices = _on_demand({entry.key for entry in entries if entry.key.market is Market.SPOT}, quotes)
    return tuple(_with_facts(entry, nodes.get(entry.node_id), prices, account) for entry in entries)


def _with_facts(
    entry: LedgerEntry, node: Node | None, prices: Mapping[OfferKey, Decimal], account: str
) -> LedgerEntry:
    is_machine = entry.charge == MACHINE
    is_spot = is_machine and entry.key.market is Market.SPOT
    size = None if node is None else node.resources
    return replace(
        entry,
        on_demand_usd_per_hour=prices.get(entry.key) if is_spot else entry.usd_per_hour,
        account=account,
        resource_id=(None if node is None else node.provider_id) or "",
        vcpu_milli=size.vcpu_milli if size is not None and is_machine else 0,
        memory_bytes=size.memory_bytes if size is not None and is_machine else 0,
        gpus=size.gpus if size is not None and is_machine else 0,
    )


def _on_demand(keys: set[OfferKey], quotes: Iterable[Quote]) -> dict[OfferKey, Decimal]:
    """The on-demand price of each offer: its own zone's, else the lowest of its region."""
    wanted = {(key.provider, key.region, key.instance_type) for key in keys}
    of_zone: dict[tuple[str, str, str, str], Decimal] = {}
    of_region: dict[tuple[str, str, str], Decimal] = {}
    for quote in quotes:
        key = quote.key
        place = (key.provider, key.region, key.instance_type)
        if key.market is Market.ON_DEMAND and place in wanted:
            of_zone[*place, key.zone] = quote.usd_per_hour
            of_region[place] = min(quote.usd_per_hour, of_region.get(place, quote.usd_per_hour))
    found = {}
    for key in keys:
        place = (key.provider, key.region, key.instance_type)
        usd = of_zone.get((*place, key.zone), of_region.get(place))
        if usd is not None:
            found[key] = usd
    return found
