"""What a plan says of disks, addresses and bytes: their costs, and what is still left out."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from costplan.planner.catalogue import Catalogue
from costplan.planner.found import Found
from costplan.planner.optimize.problem import Problem
from costplan.planner.place import rates_used, read_usd_per_gib
from costplan.planner.plan import Elsewhere, PlacePlan
from costplan.planner.types import Gap
from costplan.planner.units import GIB
from costplan.planner.workload import Workload

NEVER_PRICED = (
    "further disks, snapshots and faster disks",
    "bytes to the internet, NAT gateways, load balancers and dedicated links",
    "requests to object stores",
    "volume tiers, sustained use and negotiated discounts",
    "licences and support",
    "taxes",
)
PICO = Decimal("1e-12")


def not_priced(workload: Workload) -> tuple[str, ...]:
    """What the figures of a workload's plan leave out; with the key that has it priced, if any."""
    where, extras = workload.where, workload.extras
    asked = (
        (extras.root_disk_bytes is None, "root disks (machines.root_disk)"),
        (not extras.public_ip, "public IPv4 addresses (machines.public_ip)"),
        (where.data is None, "data read from elsewhere (where.data)"),
        (
            not where.traffic_bytes_per_hour and not where.single_zone,
            "traffic between workers in different zones (where.traffic_per_hour)",
        ),
    )
    return (*(text for is_left_out, text in asked if is_left_out), *NEVER_PRICED)


def place_plan(catalogue: Catalogue, found: Found, workload: Workload) -> PlacePlan | None:
    """What the fleet costs beside its machines; None where nothing of it is asked for."""
    where, costs = workload.where, found.checked.place
    if not (workload.extras.are_priced or where.data or where.traffic_bytes_per_hour):
        return None
    return PlacePlan(
        disks_usd_per_hour=costs.disks_usd_per_hour,
        addresses_usd_per_hour=costs.addresses_usd_per_hour,
        traffic_usd_per_hour=costs.traffic_usd_per_hour.quantize(PICO),
        read_usd=costs.read_usd.quantize(PICO),
        read_usd_per_hour=costs.read_usd_per_hour.quantize(PICO),
        elsewhere=tuple(_elsewhere(catalogue, found.problem, workload)),
        rates=rates_used(workload, [pool.key for pool in found.pools]),
    )


def _elsewhere(catalogue: Catalogue, problem: Problem, workload: Workload) -> Iterator[Elsewhere]:
    """What reading costs once from the places that may be used: the data's own region, the other
    regions of its cloud, and other clouds."""
    data = workload.where.data
    if data is None:
        return
    codes = catalogue.provider.codes[problem.row].astype(np.int64) * len(catalogue.region.names)
    _, first = np.unique(codes + catalogue.region.codes[problem.row], return_index=True)
    home, others = f"{data.provider}/{data.region}", f"another region of {data.provider}"
    found: dict[str, list[Decimal]] = {home: [], others: []}
    for row in problem.row[first].tolist():
        key = catalogue.key(row)
        name = key.provider
        if key.provider == data.provider:
            name = home if key.region == data.region else others
        each = read_usd_per_gib(data, workload.extras.rates, key.provider, key.region, "")
        found.setdefault(name, []).append(each * data.read_bytes / GIB)
    for name, usd in found.items():
        if usd:
            least, most = min(usd).quantize(PICO), max(usd).quantize(PICO)
            yield Elsewhere(place=name, least_usd=least, most_usd=most)


def place_gaps(found: Found) -> list[Gap]:
    """What of where the fleet's bytes go nobody knows."""
    return [
        Gap(
            kind="traffic",
            subject=f"workers in {place}",
            assumed="the zone is not named, so they count as being where most others are",
        )
        for place in found.checked.place.unplaced
    ]
