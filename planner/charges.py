"""What nodes are charged for beside their machine, in the planner's view and in the ledger.

Quotes and meters are of machines alone. Plans and budgets look at a node as a whole, so the rate of
its root disk and address is added to both before they do; the ledger has lines of its own for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from costplan.planner.ledger import ADDRESS, DISK, LedgerEntry, Meter
from costplan.planner.nodes import Node
from costplan.planner.place import node_extras
from costplan.planner.place_rates import COMPILED_ON, DISK_KINDS
from costplan.planner.spans import amount_usd
from costplan.planner.types import OfferKey, Quote
from costplan.planner.units import usd_from_pico
from costplan.planner.workload import Extras


class _Last:
    """The quotes that were asked for last, and the answer, in one value that is replaced as a
    whole: a price list is the same for many ticks, and a status may be asked for meanwhile."""

    kept: tuple[Sequence[Quote], Extras, tuple[Quote, ...]] = ((), Extras(), ())


def whole_quotes(quotes: Sequence[Quote], extras: Extras) -> tuple[Quote, ...]:
    """The quotes with what a node costs beside its machine."""
    if not extras.are_priced:
        return tuple(quotes)
    known, of, found = _Last.kept
    if known is not quotes or of != extras:
        found = tuple(
            replace(quote, usd_per_hour=quote.usd_per_hour + beside_usd(quote.key, extras))
            for quote in quotes
        )
        _Last.kept = (quotes, extras, found)
    return found


def whole_meters(
    meters: Mapping[str, Meter], nodes: Mapping[str, Node], extras: Extras
) -> Mapping[str, Meter]:
    """The meters with what their nodes cost beside their machines, by node."""
    if not extras.are_priced:
        return meters
    return MappingProxyType(
        {
            name: replace(
                meter, usd_per_hour=meter.usd_per_hour + beside_usd(nodes[name].key, extras)
            )
            for name, meter in meters.items()
            if name in nodes
        }
    )


def beside_usd(key: OfferKey, extras: Extras) -> Decimal:
    """Dollars an hour of a node's disk and address."""
    return node_extras(extras, key.provider, key.region, key.market).usd_per_hour


def with_charges(entries: Iterable[LedgerEntry], extras: Extras) -> tuple[LedgerEntry, ...]:
    """The entries of machines, each with those of the disk and the address for the same time.

    A correction of a machine's time takes back theirs, too.
    """
    if not extras.are_priced:
        return tuple(entries)
    return tuple(line for entry in entries for line in (entry, *_beside(entry, extras)))


def _beside(entry: LedgerEntry, extras: Extras) -> Iterator[LedgerEntry]:
    key, sign = entry.key, -1 if entry.usd < 0 else 1
    costs = node_extras(extras, key.provider, key.region, key.market)
    kind = DISK_KINDS.get(key.provider, "disk")
    listed = f"list rates of {COMPILED_ON:%Y-%m-%d}"
    for charge, pico, what in (
        (DISK, costs.disk_pico, kind),
        (ADDRESS, costs.address_pico, "public IPv4"),
    ):
        if pico:
            rate = usd_from_pico(pico)
            yield replace(
                entry,
                charge=charge,
                usd=sign * amount_usd(rate, entry.start, entry.end),
                usd_per_hour=rate,
                busy_seconds=0.0,
                thread_seconds=0.0,
                rate_source=f"{what}, {listed}" if not extras.rates else f"{what}, own or {listed}",
                is_estimate=False,
            )
