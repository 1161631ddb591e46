"""Workers of one shape and no limit: which machines to buy is a knapsack, solved to the end.

With machines that hold h workers for c dollars, the cheapest fleet for n workers is

    f(n) = min over machines of c + f(max(0, n - h)),      f(0) = 0.

Let s workers be on the machine that is cheapest a worker. Of any s other machines some hold a
multiple of s workers together, and as many of the best one cost no more. So a cheapest fleet has
fewer than s others, which hold less than s x the largest, and all the rest is the best machine:
f is only worked out for what is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One that can be bought: it holds so many workers for `cost` dollars an hour; `row` names
    it."""

    row: int
    holds: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What `cost` dollars an hour buy: (row, workers on each, nodes), row by row, the fullest
    first."""

    nodes: tuple[tuple[int, int, int], ...]
    cost: float


def worth_looking_at(machines: Iterable[Machine]) -> tuple[Machine, ...]:
    """The machines of which none that costs no more holds as many, the smallest first."""
    found: list[Machine] = []
    for machine in sorted(machines, key=lambda m: (m.cost, m.row)):
        if machine.holds > (found[-1].holds if found else 0):
            found.append(machine)
    return tuple(found)


def cheapest(sites: Iterable[Sequence[Machine]], count: int) -> Bought | None:
    """The cheapest fleet for so many workers, all of it at one site; None where no machine holds
    one. The machines of each site are those that are worth looking at."""
    best: Bought | None = None
    for machines in sites:
        found = _cover(machines, count) if machines else None
        if found is not None and (best is None or found.cost < best.cost):
            best = found
    return best


def _cover(machines: Sequence[Machine], count: int) -> Bought:
    """The cheapest fleet from these machines."""
    # Of those that hold all there is the first is the cheapest.
    enough = next((n for n, m in enumerate(machines) if m.holds >= count), len(machines))
    sizes = {m.row: min(m.holds, count) for m in machines[: enough + 1]}
    usable = sorted(machines[: enough + 1], key=lambda m: -m.holds)
    best = min(usable, key=lambda m: (m.cost / sizes[m.row], -m.holds))
    size = sizes[best.row]
    others = (size - 1) * sizes[usable[0].row]
    many = max(0, count - others) // size
    left = count - many * size
    least, chosen = [0.0] * (left + 1), [best] * (left + 1)
    for wanted in range(1, left + 1):
        cost = math.inf
        for machine in usable:
            total = machine.cost + least[max(0, wanted - sizes[machine.row])]
            if total < cost:
                cost, chosen[wanted] = total, machine
        least[wanted] = cost
    bought = {best: many} if many else {}
    while left > 0:
        machine = chosen[left]
        bought[machine] = bought.get(machine, 0) + 1
        left -= sizes[machine.row]
    return Bought(
        nodes=_placed([(m.row, sizes[m.row], n) for m, n in bought.items()], count),
        cost=sum(machine.cost * nodes for machine, nodes in bought.items()),
    )


def _placed(full: list[tuple[int, int, int]], count: int) -> tuple[tuple[int, int, int], ...]:
    """Machines with the workers that there are: the smallest lose what is too much."""
    spare = sum(size * nodes for _, size, nodes in full) - count
    found = []
    for row, size, nodes in sorted(full, key=lambda each: (each[1], each[0])):
        empty, missing = divmod(min(spare, size * nodes), size)
        spare -= empty * size + missing
        whole = nodes - empty - (1 if missing else 0)
        found += [(row, size, whole)] if whole else []
        found += [(row, size - missing, 1)] if missing else []
    return tuple(sorted(found, key=lambda each: (each[0], -each[1])))
