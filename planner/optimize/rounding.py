"""From a relaxation to a fleet of whole nodes: cover the demand, then buy the nodes.

The fleet's vCPU is held at the relaxation's while covering, and set to the cover's for the next
pass: with it fixed, a pool's share is a number of nodes, and the share of spot is an amount of
vCPU that must be bought off the spot market.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costplan.planner.optimize.assign import assign, class_vcpu
from costplan.planner.optimize.bound import reduced_costs
from costplan.planner.optimize.columns import Relaxation
from costplan.planner.optimize.cover import cover
from costplan.planner.optimize.pool import Lots, Pool
from costplan.planner.optimize.problem import Floats, Ints, Limit, Problem
from costplan.planner.optimize.twins import paid_nodes, settled, unseen, within

WIDEST_POOL = 3000
MOST_LOTS = 12
GOOD_ENOUGH = 2e-4
TOLERABLE = 4e-3
PASSES = 2
HASTY = 0.5
UNLIMITED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Whole nodes: `bought` [O] by offer, `configured` [P] by pattern, with the patterns'
    classes [P] and workers [P, S]; `cost` is expected dollars per hour, and `close` says that
    it is as close to the bound as was asked for."""

    bought: Ints
    classes: Ints
    patterns: Ints
    configured: Ints
    cost: float
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prices:
    """Prices by offer [O] for covering, and what the row of firm vCPU is worth a milli-vCPU.

    `net` has all multipliers in it and ranks offers; `lot` leaves out a pool's own rent and
    what firm (not spot) vCPU earns, since lots and the firm row account for those. `room_worth`
    is what a vCPU of fleet is worth for the room that it gives to pools. `most` [O] is how many
    nodes of an offer there are: of a twin as many as the relaxation has commitments pay for.
    """

    net: Floats
    lot: Floats
    firm_worth: float
    room_worth: float
    most: Ints


def round_up(problem: Problem, relaxation: Relaxation, *, effort: float = 1.0) -> Fleet | None:
    """A whole fleet near the relaxation, None where none was found that keeps the limits.

    An `effort` of 0.1 is content with ten times the gap and tries a tenth of the repairs.
    """
    near, nothing = GOOD_ENOUGH / effort, unseen(problem)
    prices = _prices(problem, relaxation)
    best: Fleet | None = None
    vcpu = float(problem.vcpu[relaxation.offers] @ relaxation.nodes)
    also = relaxation.offers[relaxation.nodes > 1e-6]
    pool = _pool(problem, relaxation, prices, vcpu)
    start = _start(problem, relaxation, pool)
    for _ in range(PASSES if effort > HASTY else 1):
        demand = np.append(problem.count, _firm_need(problem, vcpu))
        least = float(pool.worth @ demand) - prices.room_worth * vcpu
        nodes = cover(
            pool,
            demand,
            start,
            good_enough=least + near * relaxation.value + nothing,
            tolerable=least + max(near, TOLERABLE) * relaxation.value + nothing,
            effort=effort,
        )
        if nodes is None:
            break
        fleet = _buy(problem, pool, nodes, also, prices)
        if fleet is not None and (best is None or fleet.cost < best.cost):
            best = fleet
        if best is not None and best.cost <= relaxation.bound * (1 + 2.5 * near) + nothing:
            return replace(best, close=True)
        vcpu = float(class_vcpu(problem)[pool.groups // 2] @ nodes)
        start = nodes.astype(np.float64)
        pool = Pool(
            groups=pool.groups,
            patterns=pool.patterns,
            worth=pool.worth,
            lots=_lots(problem, prices, vcpu)[0],
        )
    return best


def _is_firm(limit: Limit) -> bool:
    return limit.name in ("market.spot_max_share", "market.on_demand_base_vcpu")


def _prices(problem: Problem, relaxation: Relaxation) -> _Prices:
    duals = relaxation.duals
    net = reduced_costs(problem, duals).cost
    lot = net.copy()
    lot[duals.pool_offers] -= duals.sigma * problem.vcpu[duals.pool_offers]
    firm_worth = sum(
        float(multiplier)
        for multiplier, limit in zip(duals.lam, problem.limits, strict=True)
        if _is_firm(limit)
    )
    lot += firm_worth * np.where(problem.is_spot, 0.0, problem.vcpu)
    room_worth = problem.pool_share * float(duals.sigma.sum())
    return _Prices(
        net=net,
        lot=lot,
        firm_worth=firm_worth / 1000,
        room_worth=room_worth,
        most=paid_nodes(problem, relaxation.offers, relaxation.nodes, UNLIMITED),
    )


def _firm_need(problem: Problem, vcpu: float) -> int:
    """Milli-vCPU that a fleet of `vcpu` must have off the spot market."""
    need = 0.0
    for limit in problem.limits:
        if _is_firm(limit):
            need = max(need, -limit.most if limit.share is None else (1 - limit.share) * vcpu)
    return int(np.ceil(need * 1000 - 1e-6))


def _pool(problem: Problem, relaxation: Relaxation, prices: _Prices, vcpu: float) -> Pool:
    """The columns that lose least, as many as a search can look at, each off and on spot."""
    lots, _ = _lots(problem, prices, vcpu)
    groups = np.concatenate([2 * relaxation.classes, 2 * relaxation.classes + 1])
    firm = class_vcpu(problem)[relaxation.classes] * 1000
    off_spot = np.concatenate([np.rint(firm).astype(np.int64), np.zeros_like(relaxation.classes)])
    patterns = np.column_stack([np.tile(relaxation.patterns, (2, 1)), off_spot])
    worth = np.append(relaxation.duals.pi, prices.firm_worth)
    used = np.tile(relaxation.configured > 1e-9, 2)
    loss = lots.price[groups, 0] - patterns @ worth
    rank = np.where(used & np.isfinite(loss), -np.inf, loss)
    order = np.argsort(rank, kind="stable")
    order = order[np.isfinite(loss[order])][: 2 * WIDEST_POOL]
    seen = np.column_stack([groups[order], patterns[order]])
    _, first = np.unique(seen, axis=0, return_index=True)
    order = np.sort(order[np.sort(first)[:WIDEST_POOL]])
    return Pool(groups=groups[order], patterns=patterns[order], worth=worth, lots=lots)


def _start(problem: Problem, relaxation: Relaxation, pool: Pool) -> Floats:
    """The relaxation's nodes by column of the pool: each class split as its offers are."""
    on_spot = np.zeros((len(problem.capacity), 2))
    offers = relaxation.offers
    place = problem.is_spot[offers].astype(np.int64)
    np.add.at(on_spot, (problem.klass[offers], place), relaxation.nodes)
    share = on_spot / np.maximum(on_spot.sum(axis=1, keepdims=True), 1e-12)
    wanted = {
        (int(k), row.tobytes()): float(x)
        for k, row, x in zip(
            relaxation.classes, relaxation.patterns, relaxation.configured, strict=True
        )
        if x > 1e-9
    }
    start = np.zeros(len(pool.groups))
    for column, group in enumerate(pool.groups.tolist()):
        klass, spot = divmod(group, 2)
        nodes = wanted.get((klass, pool.patterns[column, :-1].tobytes()))
        if nodes is not None:
            start[column] = nodes * share[klass, spot]
    return start


def _lots(problem: Problem, prices: _Prices, vcpu: float) -> tuple[Lots, Ints]:
    """The lots of each group for a fleet of `vcpu`, and the offer [G, T] behind each lot."""
    room = np.full(problem.offers, UNLIMITED, dtype=np.int64)
    if problem.pool_share < 1:
        whole = np.floor(problem.pool_share * vcpu / problem.vcpu + 1e-9).astype(np.int64)
        room = np.where(problem.is_spot, whole, room)
    room, price = np.minimum(room, prices.most), prices.lot
    offers = np.flatnonzero(room > 0)
    group = 2 * problem.klass + problem.is_spot
    offers = offers[np.lexsort((price[offers], group[offers]))]
    mine = group[offers]
    starts = np.flatnonzero(np.r_[True, mine[1:] != mine[:-1]]) if len(mine) else mine
    place = np.arange(len(mine)) - np.repeat(starts, np.diff(np.r_[starts, len(mine)]))
    first = place < MOST_LOTS
    shape = (2 * len(problem.capacity), MOST_LOTS)
    lots = Lots(nodes=np.zeros(shape, dtype=np.int64), price=np.full(shape, np.inf))
    lots.nodes[mine[first], place[first]] = room[offers[first]]
    lots.price[mine[first], place[first]] = price[offers[first]]
    behind = np.full(shape, -1, dtype=np.int64)
    behind[mine[first], place[first]] = offers[first]
    return lots, behind


def _buy(problem: Problem, pool: Pool, nodes: Ints, also: Ints, prices: _Prices) -> Fleet | None:
    """The fleet of a cover: its own lots where they keep the limits, or assigned anew."""
    group_nodes = pool.group_nodes(nodes)
    vcpu = float(class_vcpu(problem)[pool.groups // 2] @ nodes)
    lots, behind = _lots(problem, prices, vcpu)
    taken = lots.taken(group_nodes)
    direct = np.zeros(problem.offers, dtype=np.int64)
    place = taken > 0
    direct[behind[place]] = taken[place]
    bought: Ints | None = direct
    whole = (taken.sum(axis=1) == group_nodes).all()
    if not whole or not within(problem, direct, 1e-9):
        class_nodes = group_nodes.reshape(-1, 2).sum(axis=1)
        bought = assign(problem, class_nodes, also, prices.net)
    if bought is None:
        return None
    bought, cost = settled(problem, bought)
    return Fleet(
        bought=bought,
        classes=pool.groups // 2,
        patterns=pool.patterns[:, :-1],
        configured=nodes,
        cost=cost,
    )
