"""Small horizons, and their cheapest plans by trying all of them.

Nothing of the horizon's solver is used: plans are all sequences of whole fleets, each priced step
by step, and what a fleet holds is found by filling its nodes one after another.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from costplan.planner.horizon.model import Horizon
from costplan.planner.types import Market
from tests.worlds import Row, catalogue, problem, shape, workload

SMALL = Row(instance_type="m2", vcpu=2, gib=4, usd="0.10")
PRICES = catalogue(
    [
        SMALL,
        Row(instance_type="m3", vcpu=3, gib=6, usd="0.13"),
        replace(SMALL, market=Market.SPOT, usd="0.03", hazard=0.05),
    ]
)
SHAPES = (shape("light", 6, 1, 2), shape("heavy", 2, 2, 2))

Fleet = tuple[int, ...]
Way = tuple[float, tuple[float, ...]]


def horizon(demand: Any, *, rules: Any = None, **more: Any) -> Horizon:
    """A horizon of `demand` [T, S] over steps of an hour, nodes that start and stop for nothing.

    The fleet is empty and a worker short costs a dollar an hour, unless `more` says otherwise.
    """
    world = problem(PRICES, workload(*SHAPES, **(rules or {})))
    wanted = np.array(demand, dtype=np.int64)
    values = {
        "problem": world,
        "hours": np.ones(len(wanted)),
        "demand": wanted,
        "shortage_usd": np.ones(wanted.shape[1]),
        "fleet": np.zeros(world.offers, dtype=np.int64),
        "start_usd": np.zeros(world.offers),
        "stop_usd": np.zeros(world.offers),
    }
    return Horizon(**{**values, **{name: as_array(value) for name, value in more.items()}})


def as_array(value: Any) -> Any:
    """Lists of numbers as arrays, anything else as it is."""
    return np.array(value) if isinstance(value, list) else value


def cheapest(wanted: Horizon, most_nodes: int) -> float:
    """The least that any plan costs of up to `most_nodes` whole nodes of each offer.

    Step by step, for each fleet the ways to it that no other beats in cost and in what is billed
    for each window. Boots are no longer than a step here.
    """
    fleets = list(itertools.product(range(most_nodes + 1), repeat=wanted.problem.offers))
    most = np.array([window.usd for window in wanted.windows])
    start = tuple(wanted.fleet.tolist())
    ways: dict[Fleet, list[Way]] = {start: [(0.0, (0.0,) * len(most))]}
    for t in range(wanted.steps):
        reached: dict[Fleet, list[Way]] = {}
        for fleet in fleets:
            if not _is_allowed(wanted, fleet):
                continue
            run, billed = _running(wanted, t, fleet), _billed(wanted, t, fleet)
            for before, known in ways.items():
                switch = _switching(wanted, t, before, fleet)
                if switch is None:
                    continue
                for cost, paid in known:
                    total = np.array(paid) + billed + switch[1]
                    if (total <= most + 1e-9).all():
                        way = (cost + run + switch[0], tuple(total.tolist()))
                        reached.setdefault(fleet, []).append(way)
        ways = {fleet: _unbeaten(found) for fleet, found in reached.items()}
    return min(cost for known in ways.values() for cost, _ in known)


def _unbeaten(ways: list[Way]) -> list[Way]:
    kept: list[Way] = []
    for cost, paid in sorted(ways):
        if not any(all(a <= b for a, b in zip(other, paid, strict=True)) for _, other in kept):
            kept.append((cost, paid))
    return kept


def _billed(wanted: Horizon, t: int, fleet: Fleet) -> np.ndarray[Any, Any]:
    """What a fleet is billed for in a step, by window."""
    usd = float(wanted.hours[t] * (np.array(fleet) @ wanted.prices()[t]))
    return np.array([usd if w.first <= t < w.stop else 0.0 for w in wanted.windows])


def _running(wanted: Horizon, t: int, fleet: Fleet) -> float:
    """Dollars for a fleet through a step, and for the workers that have no place on it."""
    cost = wanted.costs()[t] @ np.array(fleet)
    loads = _loads(
        tuple(map(tuple, wanted.problem.needs.tolist())),
        tuple(
            (tuple(wanted.problem.capacity[k].tolist()), tuple(wanted.problem.admits[k].tolist()))
            for o, nodes in enumerate(fleet)
            for k in [int(wanted.problem.klass[o])] * nodes
        ),
        tuple(wanted.demand[t].tolist()),
    )
    short = min(
        float(np.maximum(wanted.demand[t] - np.array(load), 0) @ wanted.shortage_usd)
        for load in loads
    )
    return float(wanted.hours[t] * (cost + short))


@cache
def _loads(needs: Any, nodes: Any, most: Any) -> frozenset[tuple[int, ...]]:
    """Every mix of workers, up to `most` of each shape, that fits on these nodes together."""
    if not nodes:
        return frozenset([tuple(0 for _ in most)])
    room, admits = nodes[0]
    mixes = [
        mix
        for mix in itertools.product(*(range(n + 1) for n in most))
        if all(a or not n for a, n in zip(admits, mix, strict=True))
        and all(
            sum(n * need[i] for n, need in zip(mix, needs, strict=True)) <= room[i]
            for i in range(3)
        )
    ]
    others = _loads(needs, nodes[1:], most)
    return frozenset(
        tuple(min(a + b, m) for a, b, m in zip(mix, other, most, strict=True))
        for mix in mixes
        for other in others
    )


def _is_allowed(wanted: Horizon, fleet: Fleet) -> bool:
    world, nodes = wanted.problem, np.array(fleet)
    vcpu = world.vcpu * nodes
    pools = (vcpu * world.is_spot <= world.pool_share * vcpu.sum() + 1e-9).all()
    return bool(pools and all(lim.per_node @ nodes <= lim.most + 1e-9 for lim in world.limits))


def _switching(
    wanted: Horizon, t: int, before: Fleet, fleet: Fleet
) -> tuple[float, np.ndarray[Any, Any]] | None:
    """Dollars for starts and stops, and what is billed of them by window; None where nodes would
    work too soon. A node boots in the step before it works."""
    change = np.array(fleet) - np.array(before)
    started, stopped = np.maximum(change, 0), np.maximum(-change, 0)
    if started.any() and t == 0 and wanted.boot_hours > 0:
        return None
    boot = wanted.boot_hours * float(started @ wanted.prices()[t - 1])
    billed = np.array([boot if w.first <= t - 1 < w.stop else 0.0 for w in wanted.windows])
    return boot + float(started @ wanted.start_usd + stopped @ wanted.stop_usd), billed
