"""Which spot machines share their luck: those of a pool, of a zone, of a family of types."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from costplan.planner.settings import Settings
from costplan.planner.types import OfferKey

_AZURE = re.compile(r"(?:Standard|Basic)_([A-Z]+)\d+(?:-\d+)?([a-z]*)(?:_(?!v\d)[^_]+)*(_v\d+)?")


@dataclass(frozen=True, slots=True)
class Spread:
    """At most `share` of the fleet's vCPU may be spot machines of one group, which is a `what` and
    named by `group`."""

    rule: str
    what: str
    share: float
    group: Callable[[OfferKey], str]


def spreads(settings: Settings) -> tuple[Spread, ...]:
    """The shares of the settings that forbid anything."""
    market, safety = settings.market, settings.safety
    every = (
        Spread("market.pool_max_share", "pool", market.pool_max_share, str),
        Spread("safety.max_zone_spot_share", "zone", safety.max_zone_spot_share, zone_of),
        Spread("safety.max_family_spot_share", "family", safety.max_family_spot_share, family_of),
    )
    return tuple(spread for spread in every if spread.share < 1)


def zone_of(key: OfferKey) -> str:
    """'aws/us-east-1a'; the region where the offer is of no zone."""
    return f"{key.provider}/{key.zone or key.region}"


def family_of(key: OfferKey) -> str:
    """'aws/m5' of m5.large, 'gcp/n2' of n2-standard-8, 'azure/Ds_v5' of Standard_D4s_v5."""
    name = key.instance_type
    if match := _AZURE.fullmatch(name):
        letters, features, version = match.groups()
        return f"{key.provider}/{letters}{features}{version or ''}"
    sign = "." if "." in name else "-"
    return f"{key.provider}/{name.partition(sign)[0]}"
