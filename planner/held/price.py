"""What an hour of a fleet costs with what is held: the provider's bill, worked out exactly.

The dollars of commitments are spent in any case, so what counts of a fleet is what it adds to the
bill: all that no commitment covers. `commitments/bill.py` is the only judge of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from costplan.planner.catalogue import Catalogue
from costplan.planner.commitments.bill import bill_hour
from costplan.planner.commitments.values import (
    BilledLine,
    CommitmentUse,
    Hour,
    HourBill,
    Usage,
)
from costplan.planner.held.machines import Machine, Tariff
from costplan.planner.held.values import Held
from costplan.planner.types import OfferKey
from costplan.planner.units import PICO_PER_USD

Nodes = tuple[Machine, int]
_Segment = tuple[str | None, Fraction, Fraction]
"""What pays for nodes, from which of them on and up to which; None is nothing that is held."""


@dataclass(frozen=True, slots=True)
class _Resource:
    """What of a pool's nodes is billed together: its price for one, and what pays for it."""

    usd_each: Fraction
    segments: tuple[_Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredNodes:
    """Nodes of an offer that the same commitments pay for, in full or in part; none where they are
    paid by the hour. `usd_per_hour_each` is what is left to be paid for one."""

    key: OfferKey
    nodes: int
    commitments: tuple[str, ...]
    is_whole: bool
    usd_per_hour_each: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCover:
    """What commitments pay of an hour of a fleet.

    `saved_usd` is the fleet's price without them less what it adds to the bill with them, which the
    dollars of `nodes` add up to; `uses` is how much of each commitment is used.
    """

    saved_usd: Fraction
    nodes: tuple[CoveredNodes, ...]
    uses: tuple[CommitmentUse, ...]

    def of(self, key: OfferKey) -> tuple[CoveredNodes, ...]:
        """The nodes of an offer."""
        return tuple(each for each in self.nodes if each.key == key)


def fleet_cover(fleet: Sequence[Nodes], tariff: Tariff) -> FleetCover:
    """What is held pays of a fleet, whose offers are named once each."""
    usage = [
        tariff.lines(machine, nodes, f"{place:06d}") for place, (machine, nodes) in enumerate(fleet)
    ]
    commitments = tariff.commitments
    lines = tuple(line for of_pool in usage for line in of_pool)
    billed, _ = bill_hour(Hour(usage=lines, commitments=commitments))
    listed = sum((nodes * machine.usd_per_hour for machine, nodes in fleet), Fraction(0))
    return FleetCover(
        saved_usd=listed - billed.on_demand_usd,
        nodes=_parts(fleet, usage, billed),
        uses=billed.commitments,
    )


def cover_of(
    fleet: Iterable[tuple[OfferKey, int, int, int, int, int]], catalogue: Catalogue, held: Held
) -> FleetCover | None:
    """What is held pays of pools, None where nothing is. A pool is an offer, its nodes, and of each
    node the milli-vCPU, bytes of memory, GPUs and pico-dollars an hour."""
    if not held.is_any:
        return None
    nodes: dict[OfferKey, int] = {}
    machines = {}
    for key, count, vcpu_milli, memory_bytes, gpus, pico in fleet:
        nodes[key] = nodes.get(key, 0) + count
        machines[key] = Machine(
            key=key,
            vcpu_milli=vcpu_milli,
            memory_bytes=memory_bytes,
            gpus=gpus,
            usd_per_hour=Fraction(pico, PICO_PER_USD),
        )
    pools = [(machines[key], count) for key, count in sorted(nodes.items())]
    return fleet_cover(pools, Tariff(catalogue, held))


def _parts(
    fleet: Sequence[Nodes],
    usage: Sequence[Sequence[Usage]],
    billed: HourBill,
) -> tuple[CoveredNodes, ...]:
    lines: dict[str, list[BilledLine]] = {}
    for line in billed.lines:
        lines.setdefault(line.usage_id, []).append(line)
    found: list[CoveredNodes] = []
    for (machine, nodes), of_pool in zip(fleet, usage, strict=True):
        resources = [
            _Resource(
                used.quantity * used.usd_per_unit / nodes,
                tuple(_segments(nodes, used, lines[used.usage_id])),
            )
            for used in of_pool
        ]
        found += _pool_parts(machine.key, nodes, resources)
    return tuple(found)


def _segments(nodes: int, used: Usage, lines: Iterable[BilledLine]) -> Iterator[_Segment]:
    """What pays for a resource of a pool's nodes, those that commitments pay for first."""
    at = Fraction(0)
    for line in sorted(lines, key=lambda each: each.covered_by is None):
        size = line.quantity * nodes / used.quantity
        if size:
            yield line.covered_by, at, at + size
            at += size


def _pool_parts(
    key: OfferKey, nodes: int, resources: Sequence[_Resource]
) -> Iterator[CoveredNodes]:
    """The nodes of a pool, those together that are paid alike."""
    edges = {Fraction(0), Fraction(nodes)}
    for resource in resources:
        for _, begin, _ in resource.segments:
            edges |= {Fraction(begin.__floor__()), Fraction(begin.__ceil__())}
    for begin, end in pairwise(sorted(edges)):
        names: list[str] = []
        left = Fraction(0)
        for resource in resources:
            for name, first, last in resource.segments:
                share = (min(end, last) - max(begin, first)) / (end - begin)
                if share > 0 and name is None:
                    left += share * resource.usd_each
                elif share > 0 and name is not None and name not in names:
                    names.append(name)
        yield CoveredNodes(
            key=key,
            nodes=int(end - begin),
            commitments=tuple(names),
            is_whole=not left,
            usd_per_hour_each=left,
        )
