"""How likely a spot machine is to be taken away: the Spot Instance Advisor's band of its type,
and where in the band its zone stands by its placement score.

The advisor tells the share of machines of a type that were interrupted in the last month, in
bands of 5 %. A placement score, 1 to 10, tells how likely a request in a zone is to be met. That
the two go together within a band is an assumption: a score moves the hazard by at most a quarter
of the band's width from its middle, 10 down and 1 up.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import httpx

from costplan.adapters.aws.clients import Clients
from costplan.adapters.aws.errors import mapped
from costplan.adapters.aws.settings import PROVIDER, AwsSettings
from costplan.planner.errors import ProviderError, Unreachable
from costplan.planner.risk import HOURS_PER_MONTH

_OPEN_BAND = 0.10
"""The width that the last band, above 20 %, is taken to have: its middle is then the 25 % that
`planner/risk.py` has for it."""

_MIDDLE_SCORE, _SCORE_SPAN = 5.5, 9.0
_NUMBER = re.compile(r"\d+")

Band = tuple[float, float]


class Hazards:
    """Interruptions per node-hour by type and zone, where something is known of them."""

    def __init__(self, bands: Mapping[str, Band], scores: Mapping[str, int]) -> None:
        self._bands, self._scores = bands, scores

    def of(self, instance_type: str, zone: str) -> float | None:
        """The hazard of a pool, None where the advisor does not know the type.

        A type of the band 5-10 % in a zone of score 10 has 6.25 % a month, that is
        0.0625 / 730 an hour.
        """
        band = self._bands.get(instance_type)
        if band is None:
            return None
        low, high = band
        score = self._scores.get(zone, _MIDDLE_SCORE)
        share = (low + high) / 2 + (_MIDDLE_SCORE - score) / _SCORE_SPAN * (high - low) / 2
        return share / HOURS_PER_MONTH


def read_hazards(clients: Clients, settings: AwsSettings, types: Collection[str]) -> Hazards:
    """What is known of these types now; without scores the middle of each band.

    Raises Unreachable where the advisor cannot be read.
    """
    bands = advisor_bands(settings)
    scores: Mapping[str, int] = {}
    with suppress(ProviderError):
        scores = placement_scores(clients, settings, types)
    return Hazards(bands, scores)


def advisor_bands(settings: AwsSettings) -> dict[str, Band]:
    """The band of each type in the region, as shares of a month's machines."""
    try:
        answer = httpx.get(
            settings.advisor_url,
            timeout=httpx.Timeout(settings.read_seconds, connect=settings.connect_seconds),
        )
        answer.raise_for_status()
        return _bands(answer.json(), settings.region)
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, TypeError, ValueError) as error:
        raise Unreachable(PROVIDER, "advisor", settings.advisor_url, str(error)) from error


def _bands(document: Mapping[str, Any], region: str) -> dict[str, Band]:
    by_index = {one["index"]: _band(one["label"]) for one in document["ranges"]}
    types = document["spot_advisor"][region]["Linux"]
    return {name: by_index[row["r"]] for name, row in types.items() if row["r"] in by_index}


def _band(label: str) -> Band:
    """'<5%' is (0, 0.05), '5-10%' is (0.05, 0.10), '>20%' is (0.20, 0.30)."""
    numbers = [int(one) / 100 for one in _NUMBER.findall(label)]
    match numbers:
        case [low, high]:
            return low, high
        case [bound] if label.strip().startswith("<"):
            return 0.0, bound
        case [bound]:
            return bound, bound + _OPEN_BAND
    raise ValueError(f"not a band: {label!r}")


def placement_scores(
    clients: Clients, settings: AwsSettings, types: Collection[str]
) -> dict[str, int]:
    """The score of each configured zone for one machine of any of these types."""
    ec2 = clients.reading("ec2")
    with mapped("scores", settings.region):
        zones = ec2.describe_availability_zones(ZoneNames=list(settings.zones))
        names = {one["ZoneId"]: one["ZoneName"] for one in zones["AvailabilityZones"]}
        pages = ec2.get_paginator("get_spot_placement_scores").paginate(
            InstanceTypes=sorted(types),
            TargetCapacity=1,
            TargetCapacityUnitType="units",
            SingleAvailabilityZone=True,
            RegionNames=[settings.region],
        )
        return {
            names[one["AvailabilityZoneId"]]: int(one["Score"])
            for page in pages
            for one in page["SpotPlacementScores"]
            if one["AvailabilityZoneId"] in names
        }
