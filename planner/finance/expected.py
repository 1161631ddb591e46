"""The fleet that a plan expects to run from now on: what the money is held against later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from costplan.planner.charges import beside_usd
from costplan.planner.ledger import Meter
from costplan.planner.nodes import Node
from costplan.planner.settings import Settings
from costplan.planner.standing import is_staying, possible_keys
from costplan.planner.tick import State
from costplan.planner.types import OfferKey, Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Machines of one offer and price. `vcpu` and `usd_per_hour`, with disk and address, are of
    one of `nodes`."""

    provider: str
    region: str
    instance_type: str
    market: str
    vcpu: Decimal
    nodes: int
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A fleet that plans expected from `start` on, until the next stretch."""

    start: datetime
    plan_id: str
    fleet: tuple[Expected, ...]


def expected_fleet(
    state: State, quotes: Sequence[Quote], settings: Settings
) -> tuple[Expected, ...]:
    """What stays and what comes after a plan, by offer and price.

    A machine that runs costs what its meter says; one that is yet to come the dearest of what it
    may become, which is what plans count with. One without any price is in no plan's dollars.
    """
    if state.control.down:
        return ()
    staying = [node for node in state.nodes.values() if is_staying(node)]
    missing = {
        key for node in staying if node.node_id not in state.meters for key in possible_keys(node)
    }
    prices = {quote.key: quote.usd_per_hour for quote in quotes if quote.key in missing}
    found: dict[tuple[str, str, str, str, Decimal, Decimal], int] = {}
    for node in staying:
        rate = _usd_per_hour(node, state.meters, prices)
        if rate is None:
            continue
        key, vcpu = node.key, Decimal(node.resources.vcpu_milli) / 1000
        rate += beside_usd(key, settings.extras)
        group = (key.provider, key.region, key.instance_type, key.market.value, vcpu, rate)
        found[group] = found.get(group, 0) + 1
    return tuple(
        Expected(
            provider=provider, region=region, instance_type=instance_type, market=market,
            vcpu=vcpu, nodes=count, usd_per_hour=rate,
        )
        for (provider, region, instance_type, market, vcpu, rate), count in sorted(found.items())
    )  # fmt: skip


def _usd_per_hour(
    node: Node, meters: Mapping[str, Meter], prices: Mapping[OfferKey, Decimal]
) -> Decimal | None:
    meter = meters.get(node.node_id)
    if meter is not None:
        return meter.usd_per_hour
    known: Iterable[Decimal] = [prices[key] for key in possible_keys(node) if key in prices]
    return max(known, default=None)
