"""What an assignment costs and which rules it breaks, from the workload and the price list alone.

This is the second opinion on every plan, so it shares no code with the solver: it reads the rules
anew, one machine at a time, in whole numbers and Decimal. What it takes from elsewhere is data:
the values of the workload, the rows of the price list, and the table of hazard priors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase
from itertools import chain
from math import isnan
from statistics import median_high

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import Catalogue, Labels
from costplan.planner.held.price import FleetCover, cover_of
from costplan.planner.optimize.evaluate_place import PlaceCosts, node_usd, place_costs
from costplan.planner.risk import ANY_PROVIDER, PRIORS
from costplan.planner.types import Market, OfferKey, Packing, PoolPlan, WorkerShape
from costplan.planner.units import SECONDS_PER_HOUR, usd_from_fraction, usd_from_pico, usd_text
from costplan.planner.workload import Overhead, Quota, Workload

CLOSE = Decimal("1e-9")
"""A share is kept to within this much: a third cannot be written down exactly."""

_BURSTABLE = {
    "aws": re.compile(r"t\d[a-z]*\..+"),
    "azure": re.compile(r"(Standard_B|Basic_A).*"),
    "gcp": re.compile(r"e2-(micro|small|medium)|f1-micro|g1-small"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a fleet costs and holds, and what is wrong with it.

    `usd_per_hour` is billed, with what `place` says of disks, addresses and traffic;
    `expected_usd_per_hour` adds the work done again after interruptions and an hour's part of
    reading the data. `placed` is workers by shape; shares are of all vCPU, `pool_shares` by spot
    offer. Every violation is a sentence with numbers; none means that the plan keeps every rule.
    Machines that the price list does not have are a violation each and are in no figure. What
    commitments pay, `cover`, is in neither sum of dollars.
    """

    usd_per_hour: Decimal
    expected_usd_per_hour: Decimal
    nodes: int
    vcpu_milli: int
    placed: Mapping[str, int]
    spot_share: float
    pool_shares: Mapping[OfferKey, float]
    violations: tuple[str, ...]
    place: PlaceCosts = PlaceCosts()
    cover: FleetCover | None = None

    @property
    def saved_usd_per_hour(self) -> Decimal:
        """What commitments pay of it."""
        return Decimal(0) if self.cover is None else usd_from_fraction(self.cover.saved_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """A row of the price list, with the hazard that stands in where the row has none."""

    key: OfferKey
    arch: str
    vcpu_milli: int
    memory_bytes: int
    gpus: int
    gpu_kind: str
    price_pico: int
    hazard_per_hour: Decimal


_Priced = list[tuple[PoolPlan, _Machine]]


def evaluate(pools: tuple[PoolPlan, ...], catalogue: Catalogue, workload: Workload) -> Evaluation:
    """What these pools cost an hour and every rule of the workload that they break.

    10 nodes at $0.10 with a hazard of 0.01 an hour, 10 min of lost work and 3 min of restart
    cost $1.00 as billed and 1.00 x (1 + 0.01 x 13/60) = $1.0021666... in expectation.
    """
    machines = _look_up({pool.key for pool in pools}, catalogue)
    priced = [(pool, machines[pool.key]) for pool in pools if pool.key in machines]
    unknown = [f"{pool.key} is not in the price list" for pool in pools if pool.key not in machines]
    placed = _placed(pools, workload)
    vcpu_milli = sum(pool.nodes * machine.vcpu_milli for pool, machine in priced)
    pool_milli = _spot_pools(priced)
    whole = max(vcpu_milli, 1)
    place = place_costs([(p.key, p.nodes, m.vcpu_milli) for p, m in priced], workload)
    of_machines = usd_from_pico(sum(pool.nodes * m.price_pico for pool, m in priced))
    billed = [
        (pool.key, pool.nodes, m.vcpu_milli, m.memory_bytes, m.gpus, m.price_pico)
        for pool, m in priced
    ]
    cover = cover_of(billed, catalogue, workload.held)
    expected = _expected(priced, workload)
    if cover is not None:
        of_machines -= usd_from_fraction(cover.saved_usd)
        expected -= usd_from_fraction(cover.saved_usd)
    return Evaluation(
        usd_per_hour=of_machines + place.by_node_usd_per_hour + place.traffic_usd_per_hour,
        expected_usd_per_hour=expected + place.crossing_usd_per_hour,
        nodes=sum(pool.nodes for pool, _ in priced),
        vcpu_milli=vcpu_milli,
        placed=placed,
        spot_share=sum(pool_milli.values()) / whole,
        pool_shares={key: milli / whole for key, milli in sorted(pool_milli.items())},
        violations=tuple(
            chain(
                unknown,
                _price_violations(priced),
                _offer_violations(priced, workload),
                _suspect_violations(priced, catalogue, workload),
                _fit_violations(priced, workload),
                _placement_violations(placed, workload),
                _share_violations(pool_milli, vcpu_milli, workload),
                _limit_violations(priced, workload, of_machines + place.by_node_usd_per_hour),
                _quota_violations(priced, workload),
                _place_violations(pools, workload),
            )
        ),
        place=place,
        cover=cover,
    )


def _look_up(keys: set[OfferKey], catalogue: Catalogue) -> dict[OfferKey, _Machine]:
    """The machines of these keys, without walking over the rows of other types."""
    rows = np.flatnonzero(_named(catalogue.instance_type, {key.instance_type for key in keys}))
    columns = (
        (catalogue.provider, {key.provider for key in keys}),
        (catalogue.region, {key.region for key in keys}),
        (catalogue.zone, {key.zone for key in keys}),
    )
    for labels, wanted in columns:
        rows = rows[_named(labels.take(rows), wanted)]
    found = {}
    for row in rows.tolist():
        key = catalogue.key(row)
        if key in keys:
            found[key] = _machine(catalogue, row, key)
    return found


def _named(labels: Labels, wanted: set[str]) -> NDArray[np.bool_]:
    """Which rows have one of these names; the code -1 of a row without one finds the last."""
    table = np.array([name in wanted for name in (*labels.names, "")], dtype=bool)
    return table[labels.codes]


def _machine(catalogue: Catalogue, row: int, key: OfferKey) -> _Machine:
    hazard = float(catalogue.hazard_per_hour[row])
    if key.market is not Market.SPOT:
        hazard = 0.0
    elif isnan(hazard):  # the list does not know
        hazard = PRIORS.get(key.provider, ANY_PROVIDER).middle
    return _Machine(
        key=key,
        arch=catalogue.arch[row],
        vcpu_milli=int(catalogue.vcpu_milli[row]),
        memory_bytes=int(catalogue.memory_bytes[row]),
        gpus=int(catalogue.gpus[row]),
        gpu_kind=catalogue.gpu_kind[row],
        price_pico=int(catalogue.price_pico[row]),
        hazard_per_hour=_exact(hazard),
    )


def _exact(number: float) -> Decimal:
    """What a person wrote for this float: 0.3 is three tenths."""
    return Decimal(repr(float(number)))


def _expected(priced: _Priced, workload: Workload) -> Decimal:
    lost = workload.interruption.lost_work_seconds + workload.interruption.restart_seconds
    total = Decimal(0)
    for pool, machine in priced:
        again = machine.hazard_per_hour * lost / SECONDS_PER_HOUR
        node = usd_from_pico(machine.price_pico) + sum(node_usd(pool.key, workload))
        total += pool.nodes * node * (1 + again)
    return total


def _placed(pools: Iterable[PoolPlan], workload: Workload) -> dict[str, int]:
    placed = {shape.name: 0 for shape in workload.shapes}
    for pool in pools:
        for packing in pool.packings:
            for name, workers in packing.workers.items():
                placed[name] = placed.get(name, 0) + packing.nodes * workers
    return placed


def _spot_pools(priced: _Priced) -> Counter[OfferKey]:
    milli: Counter[OfferKey] = Counter()
    for pool, machine in priced:
        if pool.key.market is Market.SPOT:
            milli[pool.key] += pool.nodes * machine.vcpu_milli
    return milli


def _price_violations(priced: _Priced) -> Iterator[str]:
    for pool, machine in priced:
        if pool.usd_per_hour_each != usd_from_pico(machine.price_pico):
            yield (
                f"{pool.key} is planned at ${pool.usd_per_hour_each} an hour; "
                f"its price is ${usd_text(machine.price_pico)}"
            )


def _offer_violations(priced: _Priced, workload: Workload) -> Iterator[str]:
    """Machines that the rules of place, machine and market do not allow at all."""
    where, rules, market = workload.where, workload.machines, workload.market
    for key, machine in {pool.key: machine for pool, machine in priced}.items():
        if where.providers and key.provider not in where.providers:
            yield f"{key}: provider {key.provider} is not one of {', '.join(where.providers)}"
        regions = where.regions.get(key.provider)
        if regions is not None and key.region not in regions:
            yield f"{key}: region {key.region} is not one of {', '.join(regions)}"
        if key.market not in market.allow:
            yield f"{key}: market {key.market} is not allowed"
        if machine.arch not in rules.arch:
            yield f"{key}: architecture {machine.arch} is not one of {', '.join(rules.arch)}"
        if rules.include and not _matches(key.instance_type, rules.include):
            yield f"{key}: type {key.instance_type} is not included"
        if _matches(key.instance_type, rules.exclude):
            yield f"{key}: type {key.instance_type} is excluded"
        if not rules.burstable and _is_burstable(key):
            yield f"{key}: type {key.instance_type} sells a fraction of its vCPU"
        if rules.max_vcpu is not None and machine.vcpu_milli > 1000 * _exact(rules.max_vcpu):
            yield f"{key}: {machine.vcpu_milli / 1000} vCPU is above max_vcpu {rules.max_vcpu}"
        most = market.max_hazard_per_hour
        if most is not None and machine.hazard_per_hour > _exact(most):
            yield f"{key}: hazard {float(machine.hazard_per_hour):.6g} an hour is above {most}"


def _suspect_violations(priced: _Priced, catalogue: Catalogue, workload: Workload) -> Iterator[str]:
    """Prices so far below those of the same machine elsewhere that they must be mistakes."""
    share = _exact(workload.machines.suspect_share)
    kinds = {(m.key.provider, m.key.instance_type, m.key.market) for _, m in priced}
    of_types = np.flatnonzero(_named(catalogue.instance_type, {kind[1] for kind in kinds}))
    likes: dict[tuple[str, str, Market], list[int]] = {kind: [] for kind in kinds}
    for row in of_types.tolist() if share else ():
        key = catalogue.key(row)
        kind = (key.provider, key.instance_type, key.market)
        if kind in likes:
            likes[kind].append(int(catalogue.price_pico[row]))
    for machine in {m.key: m for _, m in priced}.values() if share else ():
        key = machine.key
        usual = median_high(likes[key.provider, key.instance_type, key.market])
        if machine.price_pico < share * usual:
            yield (
                f"{key}: ${usd_text(machine.price_pico)} is below {share} of ${usd_text(usual)}, "
                "the median of its type and market"
            )


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_burstable(key: OfferKey) -> bool:
    family = _BURSTABLE.get(key.provider)
    return family is not None and family.fullmatch(key.instance_type) is not None


def _fit_violations(priced: _Priced, workload: Workload) -> Iterator[str]:
    """Workers that are on a machine they may not use, or that has too little for them."""
    shapes = {shape.name: shape for shape in workload.shapes}
    for pool, machine in priced:
        for packing in pool.packings:
            if packing.nodes < 1 or min(packing.workers.values(), default=0) < 0:
                yield f"{pool.key}: {packing} counts below its least"
            for name, workers in packing.workers.items():
                if name not in shapes:
                    yield f"{pool.key}: {name!r} is not in the workload"
                elif workers > 0:
                    yield from _refusals(shapes[name], machine)
            yield from _overfull(packing, shapes, machine, workload.overhead)


def _refusals(shape: WorkerShape, machine: _Machine) -> Iterator[str]:
    key = machine.key
    if shape.markets and key.market not in shape.markets:
        yield f"{key}: {shape.name!r} may not run in market {key.market}"
    if shape.need.gpus:
        kinds = shape.gpu_kinds or ((shape.need.gpu_kind,) if shape.need.gpu_kind else ())
        if not machine.gpu_kind or (kinds and machine.gpu_kind not in kinds):
            yield (
                f"{key}: {shape.name!r} needs GPU kind {' or '.join(kinds) or 'known'}, "
                f"the machine has {machine.gpu_kind or 'none'}"
            )


def _overfull(
    packing: Packing, shapes: Mapping[str, WorkerShape], machine: _Machine, overhead: Overhead
) -> Iterator[str]:
    share = (machine.memory_bytes * _exact(overhead.memory_share)).to_integral_value(ROUND_CEILING)
    kept = max(int(share), overhead.memory_floor_bytes)
    there = [(n, shapes[name].need) for name, n in packing.workers.items() if name in shapes]
    sizes = (
        ("milli-vCPU", sum(n * need.vcpu_milli for n, need in there), machine.vcpu_milli,
         overhead.vcpu_milli),
        ("bytes of memory", sum(n * need.memory_bytes for n, need in there), machine.memory_bytes,
         kept),
        ("GPUs", sum(n * need.gpus for n, need in there), machine.gpus, 0),
    )  # fmt: skip
    for unit, used, has, system in sizes:
        if used > max(has - system, 0):
            yield (
                f"{machine.key}: workers need {used} {unit}, "
                f"the machine has {has} and the system keeps {system}"
            )


def _placement_violations(placed: Mapping[str, int], workload: Workload) -> Iterator[str]:
    for shape in workload.shapes:
        if placed[shape.name] != shape.count:
            yield f"{placed[shape.name]} of {shape.count} {shape.name!r} workers are placed"


def _share_violations(
    pool_milli: Mapping[OfferKey, int], vcpu_milli: int, workload: Workload
) -> Iterator[str]:
    market = workload.market
    spot = sum(pool_milli.values())
    if spot > vcpu_milli * (_exact(market.spot_max_share) + CLOSE):
        yield (
            f"{spot / 1000} of {vcpu_milli / 1000} vCPU are on spot, a share of "
            f"{spot / vcpu_milli:.6f}; spot_max_share is {market.spot_max_share}"
        )
    for key, milli in sorted(pool_milli.items()):
        if milli > vcpu_milli * (_exact(market.pool_max_share) + CLOSE):
            yield (
                f"{key} has {milli / 1000} of {vcpu_milli / 1000} vCPU, a share of "
                f"{milli / vcpu_milli:.6f}; pool_max_share is {market.pool_max_share}"
            )
    firm, base = vcpu_milli - spot, market.on_demand_base_vcpu_milli
    if firm < base:
        yield f"{firm / 1000} vCPU are not on spot; on_demand_base_vcpu is {base / 1000}"


def _limit_violations(priced: _Priced, workload: Workload, billed: Decimal) -> Iterator[str]:
    """`billed` is what the nodes cost; what traffic adds depends on where all of them are."""
    budget = workload.budget_pico_per_hour
    if budget is not None and billed > usd_from_pico(budget):
        yield f"the fleet costs ${billed.normalize():f} an hour; the budget is ${usd_text(budget)}"
    nodes, most = sum(pool.nodes for pool, _ in priced), workload.limits.max_nodes
    if most is not None and nodes > most:
        yield f"the fleet has {nodes} nodes; max_nodes is {most}"


def _quota_violations(priced: _Priced, workload: Workload) -> Iterator[str]:
    for number, quota in enumerate(workload.limits.quotas):
        under = [(pool, machine) for pool, machine in priced if _falls_under(pool.key, quota)]
        nodes = sum(pool.nodes for pool, _ in under)
        milli = sum(pool.nodes * machine.vcpu_milli for pool, machine in under)
        if quota.nodes is not None and nodes > quota.nodes:
            yield f"quota {number} allows {quota.nodes} nodes; the fleet has {nodes} of its kind"
        if quota.vcpu_milli is not None and milli > quota.vcpu_milli:
            yield (
                f"quota {number} allows {quota.vcpu_milli / 1000} vCPU; "
                f"the fleet has {milli / 1000} of its kind"
            )


def _falls_under(key: OfferKey, quota: Quota) -> bool:
    return (
        quota.provider in (None, key.provider)
        and quota.region in (None, key.region)
        and quota.market in (None, key.market)
        and (not quota.instance_types or _matches(key.instance_type, quota.instance_types))
    )


def _place_violations(pools: Iterable[PoolPlan], workload: Workload) -> Iterator[str]:
    where = workload.where
    keys = [pool.key for pool in pools]
    regions = sorted({f"{key.provider}/{key.region}" for key in keys})
    if (where.single_region or where.single_zone) and len(regions) > 1:
        yield f"machines are in {len(regions)} regions, single_region is set: {', '.join(regions)}"
    zones = sorted({f"{key.provider}/{key.region}/{key.zone}" for key in keys})
    if where.single_zone and len(zones) > 1:
        yield f"machines are in {len(zones)} zones, single_zone is set: {', '.join(zones)}"
