"""What a cover is made of: columns (a pattern on a group of nodes) and what nodes cost.

Nodes come in *groups* (a class in or off the spot market), and a group is bought in *lots*: so
many nodes at one price, then more at the next, because a spot pool may only hold its share. The
cost of n nodes of a group is the sum of its n cheapest. What must be bought off the spot market
is one more row of the demand, in milli-vCPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costplan.planner.optimize.problem import Floats, Ints


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
