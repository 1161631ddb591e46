"""Whole nodes from divided ones: a cover of the demand that loses next to nothing.

With the relaxation's prices, a fleet costs its lower bound plus what it loses: for each node the
cost less the worth pi . a of its workers, and pi for each place that no worker takes. The
relaxation's nodes are rounded down, and the residual demand, a few dozen workers, is covered by
a beam search over patterns that lose little. Then parts of the fleet are taken out and searched
again, as long as that helps. Everything is counted in steps, nothing in seconds, and the only
dice are seeded: the same input gives the same fleet on any machine at any load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.dive import Dive
from costplan.planner.optimize.pool import Pool
from costplan.planner.optimize.problem import Floats, Ints

SEED = 20_261
WIDTH = 16
PATIENCE = 24
MOST_REPAIRS = 100
FEWEST_REPAIRS = 25
MOST_WORK = 4_000_000
NODES_A_REPAIR = 9
Small = NDArray[np.float32]


def cover(
    pool: Pool, demand: Ints, start: Floats, *, good_enough: float, tolerable: float, effort: float
) -> Ints | None:
    """Nodes by column [P], cheap and whole, that cover `demand` [S]; near `start` [P].

    Stops at a cost of `good_enough`, and soon after the start at one that is `tolerable`; None
    where the pool's lots do not suffice. `effort` 0 to 1 is the share of repairs to try.
    """
    search = _Search(pool)
    nodes = np.floor(start + 1e-6).astype(np.int64)
    _trim(pool, nodes, demand)
    nodes = _within_lots(pool, nodes)
    dived = Dive(pool).run(_residual(pool, nodes, demand), pool.group_nodes(nodes))
    if dived is None:
        return None
    nodes = nodes + dived
    best, dice, idle = pool.cost(nodes), np.random.default_rng(SEED), 0
    repairs = np.clip(MOST_WORK // pool.patterns.size, FEWEST_REPAIRS, MOST_REPAIRS)
    for number in range(math.ceil(MOST_REPAIRS * effort)):
        if best <= good_enough or idle == PATIENCE or (number >= repairs and best <= tolerable):
            break
        idle += 1
        trial = nodes - np.bincount(_removal(pool, nodes, demand, dice), minlength=len(nodes))
        residual, kept = _residual(pool, trial, demand), pool.group_nodes(trial)
        most = best - pool.lots.cost(kept) - float(residual @ pool.worth)
        found = search.run(residual, kept, most - 1e-9)
        if found is None:
            continue
        trial += np.bincount(found, minlength=len(nodes))
        cost = pool.cost(trial)
        if cost < best - 1e-9:
            nodes, best, idle = trial, cost, 0
    return nodes


def _residual(pool: Pool, nodes: Ints, demand: Ints) -> Ints:
    return np.maximum(demand - nodes @ pool.patterns, 0)


def _trim(pool: Pool, nodes: Ints, demand: Ints) -> None:
    """Takes out nodes whose every worker has a place elsewhere; changes `nodes`."""
    for column in np.flatnonzero(nodes):
        spare = nodes @ pool.patterns - demand
        held = pool.patterns[column] > 0
        surplus = int((spare[held] // pool.patterns[column][held]).min(initial=0))
        if surplus > 0:
            nodes[column] -= min(surplus, int(nodes[column]))


def _within_lots(pool: Pool, nodes: Ints) -> Ints:
    """Nodes by column, less those of a group beyond all its lots (dearest columns first)."""
    over = pool.group_nodes(nodes) - pool.lots.nodes.sum(axis=1)
    if not (over > 0).any():
        return nodes
    nodes = nodes.copy()
    value = pool.patterns @ pool.worth
    for group in np.flatnonzero(over > 0):
        columns = np.flatnonzero((pool.groups == group) & (nodes > 0))
        for column in columns[np.argsort(value[columns], kind="stable")]:
            drop = min(int(nodes[column]), int(over[group]))
            nodes[column] -= drop
            over[group] -= drop
    return nodes


def _removal(pool: Pool, nodes: Ints, demand: Ints, dice: np.random.Generator) -> Ints:
    """Columns of nodes to take out together: those that lose most, and some by chance."""
    used = np.flatnonzero(nodes)
    price = pool.lots.rest(np.maximum(pool.group_nodes(nodes) - 1, 0))[1][pool.groups[used]]
    price = np.where(np.isfinite(price), price, 0.0)
    spare = np.maximum(nodes @ pool.patterns - demand, 0)
    wasted = (np.minimum(pool.patterns[used], spare) > 0) @ (pool.worth * (spare > 0))
    loss = np.maximum(price - pool.patterns[used] @ pool.worth + 0.5 * wasted, 0.0)
    weight = loss * nodes[used]
    weight = 0.7 * weight / max(float(weight.sum()), 1e-12) + 0.3 / len(used)
    count = min(NODES_A_REPAIR, int(nodes.sum()))
    drawn = dice.choice(used, size=4 * count, p=weight / weight.sum())
    taken: list[int] = []
    for column in drawn.tolist():
        if len(taken) < count and taken.count(column) < nodes[column]:
            taken.append(column)
    return np.array(taken, dtype=np.int64)


class _Search:
    """Beam search for patterns that cover a small residual with the least loss."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        # What must be off the spot market comes first: few columns give it.
        order = np.argsort(-pool.worth, kind="stable")
        last = len(pool.worth) - 1
        self.order = np.r_[last, order[order != last]]
        self.patterns = pool.patterns.astype(np.float32)
        self.worth = pool.worth.astype(np.float32)

    def run(self, residual: Ints, kept: Ints, most: float) -> Ints | None:
        """Columns that cover `residual` [S] and lose less than `most`, the best that was found.

        `kept` [G] nodes are bought already, so the lots begin behind them.
        """
        if not residual.any():
            return np.zeros(0, dtype=np.int64)
        if most <= 0:
            return None
        room, price, behind = self.pool.lots.rest(kept)
        rows = np.flatnonzero(residual)
        # A column that loses too much on all of the residual loses more on a part of it.
        full = np.minimum(self.patterns[:, rows], residual[rows]) @ self.worth[rows]
        useful = np.flatnonzero(price[self.pool.groups] - full < most)
        view = _View(
            columns=useful,
            groups=self.pool.groups[useful],
            patterns=self.patterns[np.ix_(useful, rows)],
            worth=self.worth[rows],
            order=np.array([p for s in self.order for p in np.flatnonzero(rows == s)]),
        )
        best, answer = most, None
        left = residual[None, rows].astype(np.float32)
        lost, used = np.zeros(1), np.zeros((1, len(kept)), dtype=np.int16)
        trail: list[tuple[Ints, Ints]] = []
        value = float(residual @ self.pool.worth)
        rate = min(most, 0.02 * value) / max(value, 1e-12)
        while True:
            cost = np.where(used < room, price, behind)[:, view.groups]
            parent, column, lost, left = _expand(view, left, lost, cost, best, rate)
            if not len(parent):
                return answer
            used = used[parent]
            used[np.arange(len(parent)), view.groups[column]] += 1
            trail.append((parent, column))
            done = ~left.any(axis=1)
            if done.any():
                winner = int(np.flatnonzero(done)[np.argmin(lost[done])])
                if lost[winner] < best:
                    best, answer = float(lost[winner]), useful[_walk(trail, winner)]
                lost = np.where(done, np.inf, lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The columns and the rows of a pool that matter to one residual."""

    columns: Ints
    groups: Ints
    patterns: Small
    worth: Small
    order: Ints


def _expand(
    view: _View, left: Small, lost: Floats, cost: Floats, best: float, rate: float
) -> tuple[Ints, Ints, Floats, Small]:
    """The best WIDTH successors: parents [B], columns [B], losses [B], residuals [B, S].

    Each state is covered where it is hardest, so that no set of columns is reached twice.
    """
    alive = np.flatnonzero(lost < best)
    targets = view.order[(left[alive][:, view.order] > 0).argmax(axis=1)]
    parents, columns, losses = [], [], []
    for s in np.unique(targets):
        mine = alive[targets == s]
        holders = np.flatnonzero(view.patterns[:, s])
        gain = np.minimum(view.patterns[holders][None], left[mine][:, None]) @ view.worth
        loss = lost[mine][:, None] + (cost[np.ix_(mine, holders)] - gain)
        row, place = np.nonzero(loss < best)
        parents.append(mine[row])
        columns.append(holders[place])
        losses.append(loss[row, place])
    if not parents:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros(0), left[:0]
    parent, column, loss = map(np.concatenate, (parents, columns, losses))
    after = np.maximum(left[parent] - view.patterns[column], 0)
    score = loss + rate * (after @ view.worth)
    if len(score) > 4 * WIDTH:
        cut = np.argpartition(score, 4 * WIDTH)[: 4 * WIDTH]
        cut.sort()
        parent, column, loss = parent[cut], column[cut], loss[cut]
        after, score = after[cut], score[cut]
    rank = np.argsort(score, kind="stable")
    seen: set[bytes] = set()
    keep = []
    for place in rank.tolist():
        key = after[place].tobytes()
        if key not in seen:
            seen.add(key)
            keep.append(place)
            if len(keep) == WIDTH:
                break
    return parent[keep], column[keep], loss[keep], after[keep]


def _walk(trail: list[tuple[Ints, Ints]], last: int) -> Ints:
    columns = []
    for parent, column in reversed(trail):
        columns.append(int(column[last]))
        last = int(parent[last])
    return np.array(columns, dtype=np.int64)
