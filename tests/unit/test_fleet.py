"""From counts to pools: surplus places stay empty, idle nodes go unless a limit needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from costplan.planner.optimize.fleet import pools
from costplan.planner.optimize.rounding import Fleet
from costplan.planner.types import Market, PoolPlan, WorkerShape
from costplan.planner.workload import MarketRules
from tests.worlds import Row, catalogue, problem, shape, workload

FIRM = Row(instance_type="m.large", vcpu=4, gib=16, usd="0.20")
SPOT = replace(FIRM, market=Market.SPOT, usd="0.06")
SPOT_B = replace(SPOT, zone="us-east-1b", usd="0.07")

Found = list[tuple[str, int, list[tuple[int, dict[str, int]]]]]


def found(
    rows: Sequence[Row],
    shapes: Sequence[WorkerShape],
    bought: dict[Row, int],
    patterns: Sequence[tuple[Row, tuple[int, ...], int]],
    **rules: Any,
) -> Found:
    """Pools of so many nodes of each row, with so many of each pattern on its class."""
    prices = catalogue(rows)
    world = problem(prices, workload(*shapes, **rules))
    place = {prices.key(int(row)): offer for offer, row in enumerate(world.row)}
    nodes = np.zeros(world.offers, dtype=np.int64)
    for row, count in bought.items():
        nodes[place[row.key]] = count
    fleet = Fleet(
        bought=nodes,
        classes=np.array([world.klass[place[row.key]] for row, _, _ in patterns]),
        patterns=np.array([pattern for _, pattern, _ in patterns], dtype=np.int64),
        configured=np.array([count for _, _, count in patterns], dtype=np.int64),
        cost=float(world.cost @ nodes),
    )
    return [_summary(pool) for pool in pools(world, fleet, prices)]


def _summary(pool: PoolPlan) -> tuple[str, int, list[tuple[int, dict[str, int]]]]:
    packings = [(packing.nodes, dict(packing.workers)) for packing in pool.packings]
    name = f"{pool.key.market} {pool.key.zone[-1]}"
    return name, pool.nodes, packings


def test_places_beyond_the_demand_stay_empty() -> None:
    """Three nodes of four places for ten workers: two are full, and one has two."""
    shapes = [shape(count=10, gib=4)]
    assert found([FIRM], shapes, {FIRM: 3}, [(FIRM, (4,), 3)]) == [
        ("on_demand a", 3, [(2, {"work": 4}), (1, {"work": 2})])
    ]


def test_surplus_is_taken_off_each_shape() -> None:
    """Two nodes hold four a and two b; three a and one b are wanted."""
    shapes = [shape("a", 3, vcpu=1, gib=4), shape("b", 1, vcpu=2, gib=4)]
    ((_, nodes, packings),) = found([FIRM], shapes, {FIRM: 2}, [(FIRM, (2, 1), 2)])
    assert nodes == sum(count for count, _ in packings) == 2
    placed = {
        name: sum(count * held.get(name, 0) for count, held in packings) for name in ("a", "b")
    }
    assert placed == {"a": 3, "b": 1}


def test_nodes_of_surplus_alone_are_dropped() -> None:
    """Three nodes have places for twelve, five are wanted: two nodes do."""
    shapes = [shape(count=5, gib=4)]
    assert found([FIRM], shapes, {FIRM: 3}, [(FIRM, (4,), 3)]) == [
        ("on_demand a", 2, [(1, {"work": 4}), (1, {"work": 1})])
    ]


def test_idle_nodes_are_dropped() -> None:
    shapes = [shape(count=4, gib=4)]
    assert found([FIRM, SPOT], shapes, {FIRM: 2, SPOT: 1}, [(SPOT, (4,), 1)]) == [
        ("on_demand a", 1, [(1, {"work": 4})])
    ]


def test_an_idle_node_stays_where_a_base_needs_it() -> None:
    """8 vCPU off spot are two nodes, and the third is one too many."""
    base = MarketRules(on_demand_base_vcpu_milli=8000)
    shapes = [shape(count=4, gib=4)]
    assert found([FIRM], shapes, {FIRM: 3}, [(FIRM, (4,), 1)], market=base) == [
        ("on_demand a", 2, [(1, {"work": 4}), (1, {})])
    ]


def test_an_idle_node_stays_where_a_share_needs_it() -> None:
    """Half on spot: the worker that may run there only wants an idle node beside it."""
    half = MarketRules(spot_max_share=0.5)
    spotty = [shape(count=1, gib=4, markets=(Market.SPOT,)), shape("any", 1, gib=4)]
    patterns = [(SPOT, (1, 1), 1)]
    assert found([FIRM, SPOT], spotty, {FIRM: 2, SPOT: 1}, patterns, market=half) == [
        ("on_demand a", 1, [(1, {})]),
        ("spot a", 1, [(1, {"work": 1, "any": 1})]),
    ]


def test_an_idle_node_stays_where_a_pool_needs_it() -> None:
    """No pool above half: two nodes with one pool each, though one has no worker."""
    half = MarketRules(pool_max_share=0.5)
    shapes = [shape(count=4, gib=4)]
    bought = {SPOT: 1, SPOT_B: 1}
    kept = found([SPOT, SPOT_B], shapes, bought, [(SPOT, (4,), 1)], market=half)
    assert [(name, nodes) for name, nodes, _ in kept] == [("spot a", 1), ("spot b", 1)]
    assert sum(sum(held.values()) for _, _, packings in kept for _, held in packings) == 4


def test_one_pattern_is_spread_over_the_offers_of_its_class() -> None:
    shapes = [shape(count=12, gib=4)]
    assert found([SPOT, SPOT_B], shapes, {SPOT: 1, SPOT_B: 2}, [(SPOT, (4,), 3)]) == [
        ("spot a", 1, [(1, {"work": 4})]),
        ("spot b", 2, [(2, {"work": 4})]),
    ]


def test_pools_come_in_the_order_of_their_keys() -> None:
    shapes = [shape(count=12, gib=4)]
    bought = {SPOT_B: 1, FIRM: 1, SPOT: 1}
    names = [name for name, _, _ in found([SPOT_B, SPOT, FIRM], shapes, bought, [(SPOT, (4,), 3)])]
    assert names == ["on_demand a", "spot a", "spot b"]
