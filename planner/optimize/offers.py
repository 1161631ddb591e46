"""Which offers of a price list a workload may use at all, and why the others may not."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.risk import Hazards, hazards
from costplan.planner.workload import Machines, Workload

BURSTABLE = {
    "aws": ("t1.*", "t2.*", "t3.*", "t3a.*", "t4g.*"),
    "azure": ("Standard_B*", "Basic_A*"),
    "gcp": ("e2-micro", "e2-small", "e2-medium", "f1-micro", "g1-small"),
}
"""Machine types that sell a share of a CPU with credits for bursts, by their families' names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Rows of a catalogue that may be used, with hazards for all rows of the catalogue.

    `left_out` counts the rows that each rule removed, in the order in which the rules apply.
    """

    rows: NDArray[np.intp]
    hazards: Hazards
    left_out: tuple[tuple[str, int], ...]


def matching(names: Sequence[str], patterns: Iterable[str]) -> NDArray[np.bool_]:
    """For each name, whether any of the shell-style patterns matches all of it."""
    wanted = tuple(patterns)
    return np.array([any(fnmatch.fnmatchcase(n, p) for p in wanted) for n in names], dtype=bool)


def _by_name(names: Sequence[str], wanted: Iterable[str]) -> NDArray[np.bool_]:
    chosen = frozenset(wanted)
    return np.array([name in chosen for name in names], dtype=bool)


def _burstable(catalogue: Catalogue) -> NDArray[np.bool_]:
    rows = np.zeros(len(catalogue), dtype=bool)
    for provider, patterns in BURSTABLE.items():
        types = matching(catalogue.instance_type.names, patterns)
        here = catalogue.provider.codes == catalogue.provider.code_of(provider)
        rows |= here & types[catalogue.instance_type.codes]
    return rows


def _refused_types(catalogue: Catalogue, rule: Machines) -> NDArray[np.bool_]:
    names = catalogue.instance_type.names
    refused = matching(names, rule.exclude)
    if rule.include:
        refused |= ~matching(names, rule.include)
    return refused[catalogue.instance_type.codes]


def _elsewhere(catalogue: Catalogue, workload: Workload) -> NDArray[np.bool_]:
    where = workload.where
    outside = np.zeros(len(catalogue), dtype=bool)
    if where.providers:
        allowed = _by_name(catalogue.provider.names, where.providers)
        outside |= ~allowed[catalogue.provider.codes]
    for provider, regions in where.regions.items():
        here = catalogue.provider.codes == catalogue.provider.code_of(provider)
        allowed = _by_name(catalogue.region.names, regions)
        outside |= here & ~allowed[catalogue.region.codes]
    return outside


def _suspect(catalogue: Catalogue, share: float) -> NDArray[np.bool_]:
    """Rows far below the median price of their provider, type and market."""
    key = catalogue.provider.codes.astype(np.int64) * len(catalogue.instance_type.names)
    key = (key + catalogue.instance_type.codes) * len(MARKETS) + catalogue.market
    order = np.argsort(catalogue.price_pico, kind="stable")
    order = order[np.argsort(key[order], kind="stable")]
    sizes = np.bincount(key, minlength=1)
    sizes = sizes[sizes > 0]
    middle = np.cumsum(sizes) - sizes + sizes // 2
    median = np.repeat(catalogue.price_pico[order][middle], sizes)
    suspect = np.zeros(len(catalogue), dtype=bool)
    suspect[order] = catalogue.price_pico[order] < share * median
    return suspect


def candidates(catalogue: Catalogue, workload: Workload) -> Candidates:
    """The rows that a workload's rules leave, and how many each rule took away."""
    hazard = hazards(catalogue)
    machines, market = workload.machines, workload.market
    markets = np.array([m in market.allow for m in MARKETS])
    rules = [
        ("clouds and regions not asked for", _elsewhere(catalogue, workload)),
        ("markets not allowed", ~markets[catalogue.market]),
        (
            "other CPU architectures",
            ~_by_name(catalogue.arch.names, machines.arch)[catalogue.arch.codes],
        ),
        ("machine types not included or excluded", _refused_types(catalogue, machines)),
    ]
    if not machines.burstable:
        rules.append(("burstable machine types", _burstable(catalogue)))
    if machines.max_vcpu is not None:
        most = round(machines.max_vcpu * 1000)
        rules.append(("above max_vcpu", catalogue.vcpu_milli > most))
    if market.max_hazard_per_hour is not None:
        rules.append(("above max_hazard_per_hour", hazard.middle > market.max_hazard_per_hour))
    if machines.suspect_share > 0:
        rules.append(("prices too low to be true", _suspect(catalogue, machines.suspect_share)))
    usable = np.ones(len(catalogue), dtype=bool)
    left_out = []
    for name, refused in rules:
        count = int(np.count_nonzero(usable & refused))
        if count:
            left_out.append((name, count))
        usable &= ~refused
    return Candidates(rows=np.flatnonzero(usable), hazards=hazard, left_out=tuple(left_out))
