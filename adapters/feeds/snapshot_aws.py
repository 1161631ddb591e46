"""AWS prices for the bundled snapshot: which of libcloud's numbers to believe, zone by zone.

libcloud's EC2 scraper keeps, since its release 3.6.1, whichever of a type's offers it reads
last: often the dedicated-instance price, 6 to 10 % above the shared one, or a zero. What
undoes it:

  - zeros are dropped and the lowest price over the releases is taken, because every release
    errs in other places;
  - in a family the price goes with the size in the same way in every region (twice the vCPU,
    twice the price, except where GPUs or network cards break the rule); a price 4 to 14 % above
    its family's line is a dedicated one and is put back on the line, marked as derived;
  - a price that is then still far off its family's line or the type's other regions is dropped.

AWS publishes no spot prices under a permissive licence, so spot is an estimate, see
`SPOT_SHARE`.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from costplan.adapters.feeds.machine_sizes import MachineSize
from costplan.adapters.feeds.snapshot_sources import Ec2, PriceRow, Release
from costplan.planner.units import MIB

SPOT_SHARE = {
    "accelerated": 0.45,
    "burstable": 0.40,
    "storage": 0.38,
    "arm64": 0.40,
    "x86_64": 0.42,
}
"""Estimated spot price as a share of the on-demand price, by class of machine.

Spot prices float with the spare capacity of each pool; what is usual is a discount of half to
three quarters. The shares are rounded up from the middle of that, so that seven in ten pools
are cheaper than their estimate (docs/prices.md has the error measured by class) and a plan made
on estimates is seldom dearer in reality. Accelerated machines, which are scarcer, get more.
"""

_DEDICATED_LOW, _DEDICATED_HIGH = 1.04, 1.14
_SAME = 0.005
_ACCELERATED = ("dl", "f1", "f2", "inf", "trn", "vt")
_STORAGE = ("d2", "d3", "h1", "i")
_TOO_LOW, _TOO_HIGH = 0.5, 3.0

_SOURCE = "libcloud-pricing"
_SCALED = "libcloud-pricing x family size"
_SPOT = "estimate: libcloud-pricing x spot share"


class Price(NamedTuple):
    """A price, the last update that showed it, and whether it was read as it stands."""

    usd_per_hour: float
    observed_at: datetime
    is_read: bool


Prices = dict[tuple[str, str], Price]
"""By (instance type, region)."""


def lowest_prices(releases: Sequence[Release]) -> Prices:
    """The lowest price above zero over the releases, as of the last update that shows it."""
    prices: Prices = {}
    for release in releases:
        for instance_type, regions in release.compute["ec2_linux"].items():
            for region, price in regions.items():
                if not price or price <= 0:
                    continue
                key = (instance_type, region)
                known = prices.get(key)
                if known is None or price <= known.usd_per_hour * (1 + 1e-9):
                    prices[key] = Price(float(price), release.updated, is_read=True)
    return prices


def machine_size(description: Mapping[str, Any]) -> MachineSize | None:
    """The size of an EC2 type, None for machines that cannot be planned with: bare metal, Macs
    and fractions of a GPU."""
    architectures = description["ProcessorInfo"]["SupportedArchitectures"]
    arch = next((a for a in ("x86_64", "arm64") if a in architectures), None)
    if arch is None or description.get("BareMetal"):
        return None
    gpus = description.get("GpuInfo", {}).get("Gpus", [])
    count, kind = sum(gpu["Count"] for gpu in gpus), None
    if gpus:
        if not count:
            return None
        kind = _gpu_kind(gpus[0]["Name"], gpus[0]["MemoryInfo"]["SizeInMiB"])
    return MachineSize(
        vcpu=description["VCpuInfo"]["DefaultVCpus"],
        memory_bytes=description["MemoryInfo"]["SizeInMiB"] * MIB,
        arch=arch,
        gpus=count,
        gpu_kind=kind,
    )


def _gpu_kind(name: str, memory_mib: int) -> str:
    """One name a GPU; the larger memory of a kind that was sold with two is part of it."""
    larger = {("A100", 81920): "A100-80GB", ("V100", 32768): "V100-32GB"}
    return larger.get((name, memory_mib), name)


def family_of(instance_type: str) -> str:
    """The part of a type's name before the dot."""
    return instance_type.split(".", 1)[0]


def put_on_family_line(prices: Prices, sizes: Mapping[str, MachineSize]) -> Prices:
    """The prices with those a dedicated instance would cost brought down to the shared one.

    A type's line is its price per vCPU relative to the lowest of its family, as the median over
    regions shows it; a family's level in a region is the lowest price over line.
    """
    relative: dict[str, list[float]] = defaultdict(list)
    groups: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for (instance_type, region), price in prices.items():
        per_vcpu = price.usd_per_hour / sizes[instance_type].vcpu
        groups[family_of(instance_type), region][instance_type] = per_vcpu
    for group in groups.values():
        floor = min(group.values())
        for instance_type, per_vcpu in group.items():
            relative[instance_type].append(per_vcpu / floor)
    line = {name: at for name, values in relative.items() if (at := _line(values)) is not None}
    corrected = dict(prices)
    for (_, region), group in groups.items():
        levels = {name: group[name] / line[name] for name in group.keys() & line.keys()}
        if not levels:
            continue
        level, base = min((level, name) for name, level in levels.items())
        for name, own in levels.items():
            if _DEDICATED_LOW < own / level < _DEDICATED_HIGH:
                usd = round(level * line[name] * sizes[name].vcpu, 7)
                observed_at = prices[base, region].observed_at
                corrected[name, region] = Price(usd, observed_at, is_read=False)
    return corrected


def _line(relative: Sequence[float]) -> float | None:
    """How a type's price per vCPU stands to its family's lowest, None where regions disagree.

    Dedicated prices only push a value up, so the lowest value that a quarter of the regions,
    and at least three, agree on is the shared one; at the family's lowest, a third must be.
    """
    if 3 * sum(value < 1 + _SAME for value in relative) >= len(relative):
        return 1.0
    for value in sorted(relative):
        agreeing = sum(abs(other / value - 1) < _SAME for other in relative)
        if agreeing >= 3 and 4 * agreeing >= len(relative):
            return value
    return None


def drop_outliers(prices: Prices, sizes: Mapping[str, MachineSize]) -> tuple[Prices, int]:
    """The prices that agree with the rest, and how many do not.

    A price must be within 0.5 to 3 times what the type costs in other regions, both as it
    stands and per vCPU relative to the rest of its family in the same region.
    """
    families: dict[tuple[str, str], list[float]] = defaultdict(list)
    for (name, region), price in prices.items():
        families[family_of(name), region].append(price.usd_per_hour / sizes[name].vcpu)
    middle = {family: statistics.median(values) for family, values in families.items()}
    measures: dict[tuple[str, str], tuple[float, float]] = {
        (name, region): (
            price.usd_per_hour,
            price.usd_per_hour / sizes[name].vcpu / middle[family_of(name), region],
        )
        for (name, region), price in prices.items()
    }
    usual: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for (name, _), pair in measures.items():
        usual[name].append(pair)
    usual_pair = {
        name: tuple(statistics.median(values) for values in zip(*pairs, strict=True))
        for name, pairs in usual.items()
    }
    kept = {
        key: price
        for key, price in prices.items()
        if all(
            _TOO_LOW <= value / typical <= _TOO_HIGH
            for value, typical in zip(measures[key], usual_pair[key[0]], strict=True)
        )
    }
    return kept, len(prices) - len(kept)


def is_burstable(instance_type: str) -> bool:
    """True for T types, which sell a share of their vCPU."""
    return instance_type[0] == "t" and instance_type[1:2].isdigit()


def spot_share(instance_type: str, size: MachineSize) -> float:
    """The estimated spot price as a share of the on-demand price."""
    family = family_of(instance_type)
    if size.gpus or family.startswith(_ACCELERATED):
        return SPOT_SHARE["accelerated"]
    if is_burstable(instance_type):
        return SPOT_SHARE["burstable"]
    if family.startswith(_STORAGE):
        return SPOT_SHARE["storage"]
    return SPOT_SHARE[size.arch]


def aws_rows(releases: Sequence[Release], ec2: Ec2, left_out: Counter[str]) -> Iterator[PriceRow]:
    """Every zone's on-demand and estimated spot prices; `left_out` counts what is not there."""
    raw = lowest_prices(releases)
    sizes = {
        name: size
        for name, description in ec2.types.items()
        if (size := machine_size(description)) is not None
    }
    known = {key: price for key, price in raw.items() if key[0] in sizes}
    left_out["aws: size not known, bare metal, Mac or part of a GPU"] += len(raw) - len(known)
    prices = put_on_family_line(known, sizes)
    prices, outliers = drop_outliers(prices, sizes)
    left_out["aws: far off the family's or the type's price"] += outliers
    offered = {(name, region) for region, offers in ec2.offerings.items() for _, name in offers}
    left_out["aws: priced, offered in no zone"] += len(prices.keys() - offered)
    for region, offers in ec2.offerings.items():
        for zone, name in offers:
            if (name, region) not in prices:
                left_out["aws: offered in a zone, no price"] += 1
                continue
            yield from _zone_rows(ec2, sizes[name], prices[name, region], (region, zone, name))


def _zone_rows(
    ec2: Ec2, size: MachineSize, price: Price, place: tuple[str, str, str]
) -> Iterator[PriceRow]:
    """The on-demand and the spot row of a type in a zone, where it is sold that way."""
    region, zone, name = place
    classes = ec2.types[name]["SupportedUsageClasses"]
    on_demand = PriceRow(
        provider="aws",
        region=region,
        zone=zone,
        instance_type=name,
        market="on_demand",
        size=size,
        usd_per_hour=price.usd_per_hour,
        hazard_per_hour=0.0,
        observed_at=price.observed_at,
        source=_SOURCE if price.is_read else _SCALED,
        is_estimate=not price.is_read,
    )
    if "on-demand" in classes:
        yield on_demand
    if "spot" in classes:
        yield on_demand._replace(
            market="spot",
            usd_per_hour=round(price.usd_per_hour * spot_share(name, size), 7),
            hazard_per_hour=None,
            source=_SPOT,
            is_estimate=True,
        )
