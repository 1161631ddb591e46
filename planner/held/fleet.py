"""What commitments pay of a fleet that runs, node by node, and what of them is left to buy with.

Commitments are bought ahead, so that a node they pay for costs nothing while it runs: it is not
exchanged for a spot machine, and of two that are as good the one goes that is paid by the hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.values import CommitmentUse
from costplan.planner.fleet_view import Asset
from costplan.planner.held.machines import Machine, Tariff
from costplan.planner.held.price import FleetCover, fleet_cover
from costplan.planner.held.values import Held, leased, usable
from costplan.planner.market import catalogue_of, priced_offers
from costplan.planner.nodes import Node
from costplan.planner.types import Gap, Market, Offer, OfferKey, Quote
from costplan.planner.units import pico_from_usd, usd_from_fraction

MOST_TARIFFS = 4
LEAST_SHARE = Decimal("0.001")
"""A node that is paid for counts as this share of its price, so that it goes where nothing is left
for it to do: other machines may use the commitment then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldNow:
    """What is held at a moment, how machines are billed then, and what that pays of nodes.

    `paid_usd` is dollars an hour by node, of those that have some. `whole` is the tariff with what
    other clusters have leased, too.
    """

    tariff: Tariff
    whole: Tariff
    gaps: tuple[Gap, ...]
    cover: FleetCover
    paid_usd: Mapping[str, Decimal]

    @property
    def uses(self) -> tuple[CommitmentUse, ...]:
        """What is used of each commitment."""
        return self.cover.uses


_Made = tuple[Sequence[Offer], Sequence[Quote], Held, Tariff]


class _Last:
    """The tariffs that were made last, and of what: prices are the same for many ticks."""

    made: tuple[_Made, ...] = ()


def tariff_of(offers: Sequence[Offer], quotes: Sequence[Quote], held: Held) -> Tariff:
    """How machines on offer are billed, with what is held."""
    for known in _Last.made:
        if known[0] is offers and known[1] is quotes and known[2] == held:
            return known[3]
    every = [replace(offer, available=True) for offer in offers]
    tariff = Tariff(catalogue_of(priced_offers(every, quotes)), held)
    _Last.made = ((offers, quotes, held, tariff), *_Last.made[: MOST_TARIFFS - 1])
    return tariff


def held_now(
    held: Held,
    nodes: Iterable[Node],
    offers: Sequence[Offer],
    quotes: Sequence[Quote],
    now: datetime,
    leases: Mapping[str, Fraction] | None = None,
) -> HeldNow | None:
    """What commitments pay of the nodes at the prices of machines alone; None where none is held.

    `leases` are what this cluster may use of each commitment, None where it may use all.
    """
    if not held.is_any:
        return None
    ours, gaps = usable(held, now)
    whole = tariff = tariff_of(offers, quotes, ours)
    if leases is not None:
        ours, _ = usable(leased(ours, leases), now)
        tariff = tariff_of(offers, quotes, ours)
    priced = {quote.key: quote for quote in quotes}
    sizes = {offer.key: offer.resources for offer in offers}
    by_key: dict[OfferKey, list[str]] = {}
    for node in nodes:
        if node.key in priced and node.key.market is Market.ON_DEMAND:
            by_key.setdefault(node.key, []).append(node.node_id)
    fleet = []
    for key, names in sorted(by_key.items()):
        resources = sizes.get(key)
        if resources is not None:
            machine = Machine(
                key=key,
                vcpu_milli=resources.vcpu_milli,
                memory_bytes=resources.memory_bytes,
                gpus=resources.gpus,
                usd_per_hour=Fraction(pico_from_usd(priced[key].usd_per_hour), 10**12),
            )
            fleet.append((machine, len(names)))
    cover = fleet_cover(fleet, tariff)
    paid: dict[str, Decimal] = {}
    for machine, _ in fleet:
        nodes_of = iter(sorted(by_key[machine.key]))
        for part in cover.of(machine.key):
            usd = usd_from_fraction(machine.usd_per_hour - part.usd_per_hour_each)
            for _ in range(part.nodes):
                paid[next(nodes_of)] = usd
    return HeldNow(
        tariff=tariff,
        whole=whole,
        gaps=gaps,
        cover=cover,
        paid_usd=MappingProxyType({name: usd for name, usd in paid.items() if usd}),
    )


def paid_assets(fleet: Sequence[Asset], now: HeldNow) -> tuple[Asset, ...]:
    """The fleet at what is left to be paid of each node: of like ones those that are easiest to
    give up are paid by the hour."""
    by_key: dict[OfferKey, list[Asset]] = {}
    for asset in fleet:
        by_key.setdefault(asset.node.key, []).append(asset)
    found: dict[str, Asset] = {}
    for like in by_key.values():
        paid = sorted(
            (now.paid_usd.get(asset.node.node_id, Decimal(0)) for asset in like), reverse=True
        )
        keepers = sorted(like, key=_last_to_go)
        for asset, usd in zip(keepers, paid, strict=True):
            found[asset.node.node_id] = _with_less(asset, usd) if usd else asset
    return tuple(found[asset.node.node_id] for asset in fleet)


def _last_to_go(asset: Asset) -> tuple[bool, Decimal, float, str]:
    idle = -1.0 if asset.idle_seconds is None else asset.idle_seconds
    return (not asset.pinned, -asset.drain_usd, idle, asset.node.node_id)


def _with_less(asset: Asset, usd: Decimal) -> Asset:
    whole = asset.usd_per_hour
    if whole is None or asset.expected_usd_per_hour is None:
        return asset
    left = max(whole - usd, whole * LEAST_SHARE)
    expected = asset.expected_usd_per_hour * float(left / whole)
    return replace(asset, usd_per_hour=left, expected_usd_per_hour=expected)
