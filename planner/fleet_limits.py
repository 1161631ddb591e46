"""The rules of a fleet as rows: what each node takes of a budget, a quota, a share.

The same rules as `recommend` has, written for single nodes, so that a fleet that exists and one
that is to be bought are held to them alike.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from costplan.planner.settings import Settings
from costplan.planner.spread import spreads
from costplan.planner.types import Market, OfferKey
from costplan.planner.workload import Quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """What the rules look at of a node or an offer."""

    key: OfferKey
    vcpu: float
    usd_per_hour: Decimal
    takes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRow:
    """sum over nodes of `take(node)` <= `most`; `take` is data, so that rows can be shown.

    `kind` is 'nodes', 'vcpu', 'usd', 'share' (spot vCPU less `share` of all) or 'pool' (vCPU of
    `members` less `share` of all), 'firm' (minus on-demand vCPU), 'trial' (nodes of `members`) or
    'held' (units of a commitment that nothing uses).
    """

    name: str
    kind: str
    most: float
    share: float = 0.0
    quota: Quota | None = None
    members: frozenset[OfferKey] = frozenset()

    def take(self, node: Sized) -> float:  # noqa: PLR0911 - a return a kind
        """What one node takes of the row."""
        is_spot = node.key.market is Market.SPOT
        match self.kind:
            case "nodes":
                return 1.0 if self.quota is None or falls_under(self.quota, node.key) else 0.0
            case "vcpu":
                return node.vcpu if self.quota is None or falls_under(self.quota, node.key) else 0.0
            case "usd":
                return float(node.usd_per_hour)
            case "share":
                return node.vcpu * ((1.0 if is_spot else 0.0) - self.share)
            case "firm":
                return 0.0 if is_spot else -node.vcpu
            case "held":
                return node.takes.get(self.name, 0.0)
            case "trial":
                return 1.0 if node.key in self.members else 0.0
            case _:
                return node.vcpu * ((1.0 if node.key in self.members else 0.0) - self.share)


def fleet_rows(settings: Settings, pools: Iterable[OfferKey]) -> tuple[FleetRow, ...]:
    """The rows of the settings but those of the budget; `pools` are the spot offers that may be in
    the fleet."""
    market, limits = settings.market, settings.limits
    rows = []
    if limits.max_nodes is not None:
        rows.append(FleetRow(name="limits.max_nodes", kind="nodes", most=limits.max_nodes))
    for number, quota in enumerate(limits.quotas):
        name = quota.name or f"limits.quotas[{number}]"
        if quota.nodes is not None:
            rows.append(FleetRow(name=name, kind="nodes", most=quota.nodes, quota=quota))
        else:
            most = (quota.vcpu_milli or 0) / 1000
            rows.append(FleetRow(name=name, kind="vcpu", most=most, quota=quota))
    if market.spot_max_share < 1:
        share = market.spot_max_share
        rows.append(FleetRow(name="market.spot_max_share", kind="share", most=0.0, share=share))
    if market.on_demand_base_vcpu_milli:
        base = -market.on_demand_base_vcpu_milli / 1000
        rows.append(FleetRow(name="market.on_demand_base_vcpu", kind="firm", most=base))
    spot = [key for key in set(pools) if key.market is Market.SPOT]
    for spread in spreads(settings):
        for group in sorted({spread.group(key) for key in spot}):
            rows.append(
                FleetRow(
                    name=f"{spread.rule} of {group}",
                    kind="pool" if spread.what == "pool" else "group",
                    most=0.0,
                    share=spread.share,
                    members=frozenset(key for key in spot if spread.group(key) == group),
                )
            )
    return tuple(rows)


def falls_under(quota: Quota, key: OfferKey) -> bool:
    """True where an offer is one of those that a quota limits."""
    return (
        quota.provider in (None, key.provider)
        and quota.region in (None, key.region)
        and quota.market in (None, key.market)
        and (
            not quota.instance_types
            or any(fnmatch.fnmatchcase(key.instance_type, p) for p in quota.instance_types)
        )
    )
