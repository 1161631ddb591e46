"""How much of shared commitments a cluster could use: what it leases of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from costplan.planner.buying import fits, room, workers_on
from costplan.planner.catalogue import Catalogue
from costplan.planner.fleet_view import Asset
from costplan.planner.held.fleet import HeldNow
from costplan.planner.held.reach import Reach, reach_of
from costplan.planner.optimize.offers import candidates
from costplan.planner.settings import Settings, WorkerKind
from costplan.planner.workload import Workload

Floats = NDArray[np.float64]


def wants_of(
    now: HeldNow, settings: Settings, fleet: Sequence[Asset], short: Mapping[str, int]
) -> dict[str, Fraction]:
    """How much of each commitment the fleet uses, and its workers that are paid for by the hour or
    missing could use besides, in the commitment's own unit."""
    wanted = dict(short)
    for asset in fleet:
        if now.paid_usd.get(asset.node.node_id, Decimal(0)) < (asset.usd_per_hour or 0):
            for kind, count in asset.workers:
                wanted[kind] = wanted.get(kind, 0) + count
    catalogue = now.whole.catalogue
    rules = Workload(name="", shapes=(), machines=settings.machines, market=settings.market)
    reach = reach_of(now.whole, candidates(catalogue, rules).rows)
    more = np.zeros(len(reach.pools))
    for each in settings.kinds:
        if many := wanted.get(each.name, 0):
            more += _least_units(each, many, reach, catalogue, settings)
    found = {use.commitment_id: use.used_quantity for use in now.uses}
    capacity = {bought.commitment_id: bought.capacity for bought in now.whole.commitments}
    for pool, units in zip(reach.pools, more.tolist(), strict=True):
        left = units
        for name, scale in zip(pool.names, pool.scales, strict=True):
            begun = found.get(name, Fraction(0))
            asked = Fraction(left / scale).limit_denominator(10**9)
            taken = min(capacity[name] - begun, asked)
            if taken > 0:
                found[name] = begun + taken
                left -= float(taken) * scale
    return {name: amount for name, amount in sorted(found.items()) if amount}


def _least_units(
    kind: WorkerKind, many: int, reach: Reach, catalogue: Catalogue, settings: Settings
) -> Floats:
    """Units of each pool that machines for so many workers take at least; 0 where none has room."""
    least = np.full(len(reach.pools), np.inf)
    for each in reach.paid:
        sizes = [catalogue.offer(row).resources for row in each.rows.tolist()]
        free = [room(size, settings.overhead) for size in sizes]
        held = np.array([workers_on(kind, one) if fits(kind, one) else 0 for one in free])
        nodes = np.ceil(many / np.maximum(held, 1))
        for pool, units in each.units:
            taken = np.where(held > 0, units * nodes, np.inf)
            least[pool] = min(least[pool], float(taken.min(initial=np.inf)))
    return np.where(np.isfinite(least), least, 0.0)
