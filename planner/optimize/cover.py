"""Whole nodes from divided ones: a cover of the demand that loses next to nothing.

With the relaxation's prices, a fleet costs its lower bound plus what it loses: for each node the
cost less the worth pi . a of its workers, and pi for each place that no worker takes. The
relaxation's nodes are rounded down, and the residual demand, a few dozen workers, is covered by
a beam search over patterns that lose little. Then parts of the fleet are taken out and searched
again, as long as that helps. Everything is counted in steps, nothing in seconds, and the only
dice are seeded: the same input gives the same fleet on any machine at any load.

Nodes come in *groups* (a class in or off the spot market), and a group is bought in *lots*: so
many nodes at one price, then more at the next, because a spot pool may only hold its share. The
cost of n nodes of a group is the sum of its n cheapest. What must be bought off the spot market
is one more row of the demand, in milli-vCPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.problem import Floats, Ints

SEED = 20_261
WIDTH = 24
PATIENCE = 14
NODES_A_REPAIR = 12
Small = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lots:
    """For each group [G] its lots in order of price: nodes [G, T] at dollars each [G, T].

    A group with fewer lots is padded with lots of no nodes at infinite price.
    """

    nodes: Ints
    price: Floats

    def taken(self, group_nodes: Ints) -> Ints:
        """Nodes of each lot [G, T] when so many of each group are bought, the cheapest first."""
        before = np.cumsum(self.nodes, axis=1) - self.nodes
        return np.clip(group_nodes[:, None] - before, 0, self.nodes)

    def cost(self, group_nodes: Ints) -> float:
        """Dollars for so many nodes of each group [G], infinite where there are not as many."""
        taken = self.taken(group_nodes)
        if (taken.sum(axis=1) < group_nodes).any():
            return float("inf")
        used = taken > 0
        return float((taken[used] * self.price[used]).sum())

    def rest(self, group_nodes: Ints) -> tuple[Ints, Floats, Floats]:
        """What is left after so many nodes: the next lot's nodes and price, and the price of
        the lot behind it [G]."""
        left = self.nodes - self.taken(group_nodes)
        rows = np.arange(len(left))
        first = (left > 0).argmax(axis=1)
        some = left[rows, first] > 0
        now = np.where(some, left[rows, first], 0)
        price = np.where(some, self.price[rows, first], np.inf)
        behind = left.copy()
        behind[rows, first] = 0
        second = (behind > 0).argmax(axis=1)
        more = behind[rows, second] > 0
        return now, price, np.where(more, self.price[rows, second], np.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Columns to cover with: groups [P] and patterns [P, S]; `worth` [S] is pi."""

    groups: Ints
    patterns: Ints
    worth: Floats
    lots: Lots

    def group_nodes(self, nodes: Ints) -> Ints:
        """Nodes by group [G] of nodes by column [P]."""
        return np.bincount(self.groups, weights=nodes, minlength=len(self.lots.nodes)).astype(
            np.int64
        )

    def cost(self, nodes: Ints) -> float:
        """Dollars for nodes by column [P]."""
        return self.lots.cost(self.group_nodes(nodes))


def cover(pool: Pool, demand: Ints, start: Floats, *, good_enough: float) -> Ints:
    """Nodes by column [P], cheap and whole, that cover `demand` [S]; near `start` [P].

    Stops early at a cost of `good_enough`. The pool must be able to cover the demand.
    """
    search = _Search(pool)
    nodes = np.floor(start + 1e-6).astype(np.int64)
    _trim(pool, nodes, demand)
    nodes = _within_lots(pool, nodes)
    added = search.run(_residual(pool, nodes, demand), pool.group_nodes(nodes), np.inf)
    if added is None:
        added = search.greedy(_residual(pool, nodes, demand))
    np.add.at(nodes, added, 1)
    best, dice, idle = pool.cost(nodes), np.random.default_rng(SEED), 0
    while best > good_enough and idle < PATIENCE:
        idle += 1
        trial = nodes - np.bincount(_removal(pool, nodes, demand, dice), minlength=len(nodes))
        residual, kept = _residual(pool, trial, demand), pool.group_nodes(trial)
        most = best - pool.lots.cost(kept) - float(residual @ pool.worth)
        added = search.run(residual, kept, most - 1e-9)
        if added is None:
            continue
        np.add.at(trial, added, 1)
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
    weight = (loss / max(float(price.max()), 1e-12) + 0.02) * np.sqrt(nodes[used])
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
        self.order = np.argsort(-pool.worth, kind="stable")
        last = len(pool.worth) - 1
        self.order = np.r_[last, self.order[self.order != last]]
        self.worth = pool.worth.astype(np.float32)
        self.holders = [np.flatnonzero(pool.patterns[:, s]) for s in range(len(pool.worth))]
        self.columns = [pool.patterns[h].astype(np.float32) for h in self.holders]
        self.groups = [pool.groups[h] for h in self.holders]

    def run(self, residual: Ints, kept: Ints, most: float) -> Ints | None:
        """Columns that cover `residual` [S] and lose less than `most`, the best that was found.

        `kept` [G] nodes are bought already, so the lots begin behind them.
        """
        if not residual.any():
            return np.zeros(0, dtype=np.int64)
        room, price, behind = self.pool.lots.rest(kept)
        best, answer = most, None
        left = residual[None].astype(np.float32)
        lost, used = np.zeros(1), np.zeros((1, len(kept)), dtype=np.int16)
        trail: list[tuple[Ints, Ints]] = []
        value = float(residual @ self.pool.worth)
        rate = max(min(most, 0.02 * value), 1e-9) / max(value, 1e-12)
        for _ in range(int(residual.sum())):
            cost = np.where(used < room, price, behind)
            parent, column, lost, left = self._expand(left, lost, cost, best, rate)
            if not len(parent):
                break
            used = used[parent]
            used[np.arange(len(parent)), self.pool.groups[column]] += 1
            trail.append((parent, column))
            done = ~left.any(axis=1)
            if done.any():
                winner = int(np.flatnonzero(done)[np.argmin(lost[done])])
                if lost[winner] < best:
                    best, answer = float(lost[winner]), _walk(trail, winner)
                lost = np.where(done, np.inf, lost)
        return answer

    def _expand(
        self, left: Small, lost: Floats, cost: Floats, best: float, rate: float
    ) -> tuple[Ints, Ints, Floats, Small]:
        """The best WIDTH successors: parents [B], columns [B], losses [B], residuals [B, S]."""
        alive = np.flatnonzero(lost < best)
        targets = self.order[(left[alive][:, self.order] > 0).argmax(axis=1)]
        parents, columns, losses = [], [], []
        for s in np.unique(targets):
            mine = alive[targets == s]
            gain = np.minimum(self.columns[s][None], left[mine][:, None]) @ self.worth
            loss = lost[mine][:, None] + (cost[mine][:, self.groups[s]] - gain)
            row, place = np.nonzero(loss < best)
            parents.append(mine[row])
            columns.append(self.holders[s][place])
            losses.append(loss[row, place])
        if not parents:
            none = np.zeros(0, dtype=np.int64)
            return none, none, np.zeros(0), left[:0]
        parent, column, loss = map(np.concatenate, (parents, columns, losses))
        after = np.maximum(left[parent] - self.pool.patterns[column], 0).astype(np.float32)
        score = loss + rate * (after @ self.worth)
        if len(score) > 8 * WIDTH:
            cut = np.argpartition(score, 8 * WIDTH)[: 8 * WIDTH]
            cut.sort()
            parent, column, loss = parent[cut], column[cut], loss[cut]
            after, score = after[cut], score[cut]
        rank = np.argsort(score, kind="stable")
        _, first = np.unique(after[rank], axis=0, return_index=True)
        keep = rank[np.sort(first)[:WIDTH]]
        return parent[keep], column[keep], loss[keep], after[keep]

    def greedy(self, residual: Ints) -> Ints:
        """Columns that cover the residual one after the other, each the best for its price."""
        left, taken = residual.astype(np.float64), []
        price = self.pool.lots.price[self.pool.groups, 0]
        while left.any():
            gain = np.minimum(self.pool.patterns, left[None]) @ self.pool.worth
            taken.append(int(np.argmax(gain / price)))
            left = np.maximum(left - self.pool.patterns[taken[-1]], 0)
        return np.array(taken, dtype=np.int64)


def _walk(trail: list[tuple[Ints, Ints]], last: int) -> Ints:
    columns = []
    for parent, column in reversed(trail):
        columns.append(int(column[last]))
        last = int(parent[last])
    return np.array(columns, dtype=np.int64)
