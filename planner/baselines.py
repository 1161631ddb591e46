"""What else one would buy for the same workers: one machine type for all, or one a group.

This is what Dask's cluster classes and most people do: pick a type and ask for as many as it
takes. The workers are packed first-fit-decreasing, and the same clouds, regions, machines and
markets are allowed as for the plan, but no cap counts against them (shares, quotas, budget, nodes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.held.machines import Tariff, machine_at
from costplan.planner.held.price import fleet_cover
from costplan.planner.held.values import NOTHING_HELD
from costplan.planner.optimize.greedy import open_nodes
from costplan.planner.optimize.offers import Candidates, candidates
from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem, build
from costplan.planner.place import extra_pico
from costplan.planner.plan import Baseline
from costplan.planner.types import Market
from costplan.planner.units import PICO_PER_USD, usd_from_pico
from costplan.planner.workload import Limits, MarketRules, Workload

PICO = Decimal("1e-12")
_WORDS = {Market.ON_DEMAND: "on-demand", Market.SPOT: "spot"}


def baselines(catalogue: Catalogue, chosen: Candidates, workload: Workload) -> tuple[Baseline, ...]:
    """The cheapest single on-demand and spot types, and one on-demand type per worker group."""
    firm = _problem(catalogue, chosen, workload, Market.ON_DEMAND)
    spot = _problem(catalogue, chosen, workload, Market.SPOT)
    return (
        _single_type(catalogue, firm, Market.ON_DEMAND, workload),
        _single_type(catalogue, spot, Market.SPOT, workload),
        _type_per_group(catalogue, firm, workload),
    )


def single_type_baseline(catalogue: Catalogue, workload: Workload, market: Market) -> Baseline:
    """The cheapest one type in one region and market that alone holds every worker."""
    chosen = candidates(catalogue, workload)
    problem = _problem(catalogue, chosen, workload, market)
    return _single_type(catalogue, problem, market, workload)


def type_per_group_baseline(catalogue: Catalogue, workload: Workload) -> Baseline:
    """Each worker group on the on-demand type that is cheapest for it, in the region (or zone,
    where the rules ask for one) where that costs least together."""
    chosen = candidates(catalogue, workload)
    problem = _problem(catalogue, chosen, workload, Market.ON_DEMAND)
    return _type_per_group(catalogue, problem, workload)


def _problem(
    catalogue: Catalogue, chosen: Candidates, workload: Workload, market: Market
) -> Problem:
    """The problem without caps over one market, with the cheapest zone of each type only."""
    rows = chosen.rows[catalogue.market[chosen.rows] == MARKETS.index(market)]
    free = replace(
        workload,
        market=MarketRules(),
        limits=Limits(),
        budget_pico_per_hour=None,
        held=NOTHING_HELD,
    )
    if not workload.where.single_zone:
        rows = rows[_cheapest_zones(catalogue, rows)]
    return build(catalogue, replace(chosen, rows=rows), free)


def _cheapest_zones(catalogue: Catalogue, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places in `rows` of the cheapest row of each provider, region and type; ties by order."""
    types = len(catalogue.instance_type.names)
    key = catalogue.provider.codes[rows].astype(np.int64) * len(catalogue.region.names)
    key = (key + catalogue.region.codes[rows]) * types + catalogue.instance_type.codes[rows]
    order = np.lexsort((rows, catalogue.price_pico[rows], key))
    first = np.ones(len(order), dtype=bool)
    first[1:] = key[order][1:] != key[order][:-1]
    return np.sort(order[first])


def _single_type(
    catalogue: Catalogue, problem: Problem, market: Market, workload: Workload
) -> Baseline:
    name = f"cheapest single {_WORDS[market]} type"
    holds_all: Bools = np.all(problem.fits(), axis=1)
    once = problem.site_usd[problem.site]
    least = np.full(len(problem.capacity), np.inf)
    fewest = np.where(holds_all, _fewest_nodes(problem), np.inf)
    cost = problem.price * fewest[problem.klass] + once
    np.minimum.at(least, problem.klass, cost)
    best: tuple[float, int, int] | None = None
    for klass in np.argsort(least, kind="stable").tolist():
        if not np.isfinite(least[klass]) or (best is not None and least[klass] >= best[0]):
            break
        nodes = _nodes_packed(problem, klass)
        offers = np.flatnonzero(problem.klass == klass)
        whole = problem.price[offers] * nodes + once[offers]
        if best is None or whole.min() < best[0]:
            best = (float(whole.min()), int(offers[np.argmin(whole)]), nodes)
    if best is None:
        return Baseline(name=name, usd_per_hour=None, detail=_why_none(problem, market))
    _, offer, nodes = best
    return Baseline(
        name=name,
        usd_per_hour=_usd(catalogue, problem, {offer: nodes}, workload),
        detail=f"{_bought(catalogue, int(problem.row[offer]), nodes)}, all workers packed "
        "first-fit-decreasing",
    )


def _usd(
    catalogue: Catalogue, problem: Problem, nodes: Mapping[int, int], workload: Workload
) -> Decimal:
    """Expected dollars an hour of so many nodes by offer, with disks, addresses, reading the data
    and the work that interruptions make be done again."""
    rows = problem.row[list(nodes)]
    pico = catalogue.price_pico[rows] + extra_pico(catalogue, rows, workload.extras)
    billed = sum(int(each) * count for each, count in zip(pico, nodes.values(), strict=True))
    once = float(problem.site_usd[problem.site[next(iter(nodes))]])
    if workload.held.is_any:
        # Whatever is bought, the provider applies what is held.
        fleet = [
            (machine_at(catalogue, int(row)), count)
            for row, count in zip(rows, nodes.values(), strict=True)
        ]
        saved = fleet_cover(fleet, Tariff(catalogue, workload.held)).saved_usd
        billed -= round(saved * PICO_PER_USD)
    offers = list(nodes)
    again = (problem.cost[offers] - problem.price[offers]) @ np.array(list(nodes.values()))
    return usd_from_pico(billed) + Decimal(repr(once + float(again))).quantize(PICO)


def _fewest_nodes(problem: Problem) -> Floats:
    """No fewer nodes of each class than this hold all workers [K]: the demand, divisible."""
    demand = (problem.needs * problem.count[:, None]).sum(axis=0)
    size = np.maximum(problem.capacity, 1)
    fewest: Floats = np.ceil(demand / size).max(axis=1)
    return fewest


def _nodes_packed(problem: Problem, klass: int) -> int:
    """Nodes of one class that hold all workers, packed first-fit-decreasing."""
    alone = replace(
        problem,
        capacity=problem.capacity[klass : klass + 1],
        admits=problem.admits[klass : klass + 1],
    )
    groups = open_nodes(alone, np.ones(1, dtype=bool))
    return sum(nodes for _, nodes in groups or ())


def _why_none(problem: Problem, market: Market) -> str:
    word = _WORDS[market]
    if not problem.offers:
        return f"the rules leave no {word} type that holds any of the workers"
    here = np.unique(problem.klass)
    alone = problem.fits()[here].any(axis=0)
    if not alone.all():
        names = [problem.shape_names[s] for s in np.flatnonzero(~alone)]
        return f"no {word} type that the rules allow holds a worker of {', '.join(names)}"
    return f"no one {word} type holds workers of every group: {', '.join(problem.shape_names)}"


def _type_per_group(catalogue: Catalogue, problem: Problem, workload: Workload) -> Baseline:
    name = "one on-demand type per worker group"
    together = problem.site_usd.copy()
    costs, counts = [], []
    for shape in range(len(problem.count)):
        nodes = _nodes_for_group(problem, shape)[problem.klass]
        cost = np.where(nodes > 0, problem.price * nodes, np.inf)
        least = np.full(len(problem.sites), np.inf)
        np.minimum.at(least, problem.site, cost)
        together += least
        costs.append(cost)
        counts.append(nodes)
    site = int(np.argmin(together)) if problem.offers else 0
    if not problem.offers or not np.isfinite(together[site]):
        alone = _why_none(problem, Market.ON_DEMAND)
        if alone.startswith("no one "):
            alone = "no place that the rules allow has an on-demand type for every worker group"
        return Baseline(name=name, usd_per_hour=None, detail=alone)
    bought: dict[int, int] = {}
    parts = []
    for shape, (cost, nodes) in enumerate(zip(costs, counts, strict=True)):
        offer = int(np.argmin(np.where(problem.site == site, cost, np.inf)))
        row = int(problem.row[offer])
        bought[offer] = bought.get(offer, 0) + int(nodes[offer])
        text = _bought(catalogue, row, int(nodes[offer]))
        parts.append(f"{problem.shape_names[shape]}: {text}")
    usd = _usd(catalogue, problem, bought, workload)
    return Baseline(name=name, usd_per_hour=usd, detail="; ".join(parts))


def _nodes_for_group(problem: Problem, shape: int) -> Ints:
    """Nodes of each class for all workers of one shape alone [K], 0 where none fits."""
    need = problem.needs[shape]
    asked = need > 0
    each = (problem.capacity[:, asked] // need[asked]).min(axis=1)
    each = np.where(problem.admits[:, shape], each, 0)
    nodes: Ints = np.where(each > 0, -(-problem.count[shape] // np.maximum(each, 1)), 0)
    return nodes


def _bought(catalogue: Catalogue, row: int, nodes: int) -> str:
    """What is bought, in words: '12 x m5.large in aws/us-east-1'; spot prices are of a zone."""
    key = catalogue.key(row)
    place = key.zone if key.zone and key.market is Market.SPOT else key.region
    return f"{nodes} x {key.instance_type} in {key.provider}/{place}"
