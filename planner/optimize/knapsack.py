"""The dearest set of workers that fits on a machine: exact, for all classes at once.

With a worth pi_s for each worker shape, V_k = max { pi . a : needs' a <= capacity_k, a integer }
is what one node of class k can earn. One dynamic programme over a grid of (CPU, memory) answers
every class that admits the same shapes; GPUs add a layer a GPU. The grid's unit is the greatest
common divisor of the needs, so nothing is rounded; where that would make the grid too large, the
unit is coarsened, patterns come from needs rounded up (they fit for sure) and the upper bound of
V_k comes from duality instead.

Without a grid, V_k <= min { y . capacity_k : y >= 0, needs y >= pi } for any such y, by linear
programming duality. That cheap bound also tells which classes need no programme at all.

The grid holds float32: the sums of a pattern's worth are then off by at most n * 2^-24 of the
value for n workers on a node, and `Priced.upper` is raised by that much to stay a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.optimize.problem import Bools, Floats, Ints, Problem

MOST_CELLS = 4_000_000
_ROUNDING = 2.0**-24

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Classes that admit the same shapes, with needs and capacities in units of their grid."""

    classes: Ints
    shapes: Ints
    needs: Ints
    capacity: Ints
    exact: bool
    most_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A family's grid for one worth vector, up to the capacities that were asked for."""

    family: Family
    members: Ints
    capacity: Ints
    kept: Ints
    grid: Grid


class Priced:
    """What nodes can earn at one worth vector. `upper` [K] bounds V_k from above."""

    def __init__(self, worth: Floats, upper: Floats, filled: tuple[Filled, ...]) -> None:
        self.worth, self.upper, self._filled = worth, upper, filled

    def patterns(self, node_cost: Floats, *, per_shape: int) -> tuple[Ints, Ints]:
        """Classes [P] and patterns [P, S]: the best of each class, and for each shape the best
        that hold it at least once, on the `per_shape` classes where that loses least."""
        return self._collect(node_cost, per_shape, None)

    def near(self, node_cost: Floats, *, slack: float, most: int) -> tuple[Ints, Ints]:
        """Classes [P] and patterns [P, S] that hold one shape for sure, are best besides, and
        earn all but `slack` of their node's cost; in each family the `most` that lose least."""
        return self._collect(node_cost, most, slack)

    def _collect(self, node_cost: Floats, most: int, slack: float | None) -> tuple[Ints, Ints]:
        classes, patterns = [np.zeros(0, dtype=np.int64)], []
        for filled in self._filled:
            start, pinned, place = _starts(filled, self.worth, node_cost, most, slack)
            pattern = _unpack(filled, self.worth, start)
            held = pinned >= 0
            pattern[np.flatnonzero(held), pinned[held]] += 1
            classes.append(filled.members[place])
            patterns.append(pattern)
        if not patterns:
            return classes[0], np.zeros((0, len(self.worth)), dtype=np.int64)
        return np.concatenate(classes), np.concatenate(patterns)


class Knapsack:
    """Prices node patterns for the classes of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.needs, self.capacity = problem.needs, problem.capacity
        self.families = _families(problem)

    def bound(self, worth: Floats) -> Floats:
        """An upper bound of V_k for every class, from duality, without a grid."""
        bound = np.zeros(len(self.capacity))
        for family in self.families:
            prices = _dual_prices(self.needs[family.shapes].astype(float), worth[family.shapes])
            bound[family.classes] = (self.capacity[family.classes] @ prices.T).min(axis=1)
        return bound

    def price(self, worth: Floats, upper: Floats, wanted: Bools) -> Priced:
        """The grids of wanted classes; `upper` is the bound of `bound(worth)`, made exact there."""
        upper = upper.copy()
        filled = []
        for family in self.families:
            local = wanted[family.classes]
            if not local.any():
                continue
            sizes, members = family.capacity[local], family.classes[local]
            kept = _undominated(family, worth)
            grid = _fill(family, kept, sizes, worth)
            filled.append(
                Filled(family=family, members=members, capacity=sizes, kept=kept, grid=grid)
            )
            if family.exact:
                value = grid[sizes[:, 2], sizes[:, 0], sizes[:, 1]].astype(np.float64)
                value *= 1.0 + _ROUNDING * (family.most_workers + 1)
                upper[members] = np.minimum(upper[members], value)
        return Priced(worth, upper, tuple(filled))


def _families(problem: Problem) -> tuple[Family, ...]:
    fits = problem.fits()
    kinds, family_of = np.unique(problem.admits, axis=0, return_inverse=True)
    used = np.zeros(len(problem.capacity), dtype=bool)
    used[problem.klass] = True
    used &= fits.any(axis=1)
    families = []
    for number, admitted in enumerate(kinds):
        classes = np.flatnonzero((family_of.reshape(-1) == number) & used)
        if not len(classes) or not admitted.any():
            continue
        shapes = np.flatnonzero(admitted & fits[classes].any(axis=0))
        needs, sizes = problem.needs[shapes], problem.capacity[classes]
        units, exact = _units(needs, sizes)
        most_workers = int((sizes[:, :2].max(axis=0) // needs[:, :2].min(axis=0)).min())
        families.append(
            Family(
                classes=classes,
                shapes=shapes,
                needs=-(-problem.needs // units),
                capacity=sizes // units,
                exact=exact,
                most_workers=most_workers,
            )
        )
    return tuple(families)


def _units(needs: Ints, capacity: Ints) -> tuple[Ints, bool]:
    """The grid's units on each axis, and whether nothing is rounded by them."""
    units = np.array([math.gcd(*(int(n) for n in needs[:, axis])) or 1 for axis in range(3)])
    units[2] = 1
    most = capacity.max(axis=0)
    exact = True
    for axis in (1, 0):
        cells = math.prod(int(m // u) + 1 for m, u in zip(most, units, strict=True))
        if cells > MOST_CELLS:
            units[axis] *= -(-cells // MOST_CELLS)
            exact = False
    return units, exact


def _dual_prices(needs: Floats, worth: Floats) -> Floats:
    """Prices [P, 3] of (CPU, memory, GPU), each of which covers every shape's worth.

    The (CPU, memory) part runs over the corners of { y >= 0 : needs y >= worth } of the shapes
    without a GPU (pairwise crossings and the axes); the GPU's price is then the least that
    covers the others. Any of them bounds V_k from above.
    """
    plain = needs[:, 2] == 0
    worth = np.maximum(worth, 0.0)
    cpu, memory, value = needs[plain, 0], needs[plain, 1], worth[plain]
    gpu_needs, gpu_worth = needs[~plain], worth[~plain]
    by_cpu, by_memory = (worth / needs[:, 0]).max(), (worth / needs[:, 1]).max()
    corners = np.array([(0.0, 0.0), (by_cpu, 0.0), (0.0, by_memory)])
    if len(value):
        axes = np.array([((value / cpu).max(), 0.0), (0.0, (value / memory).max())])
        first, second = np.triu_indices(len(value), 1)
        cross = cpu[first] * memory[second] - cpu[second] * memory[first]
        apart = np.abs(cross) > 1e-9 * cpu[first] * memory[second]
        first, second, cross = first[apart], second[apart], cross[apart]
        pair_cpu = (value[first] * memory[second] - value[second] * memory[first]) / cross
        pair_memory = (value[second] * cpu[first] - value[first] * cpu[second]) / cross
        pairs = np.stack([pair_cpu, pair_memory], axis=1)
        corners = np.concatenate([corners, axes, pairs[(pairs >= 0).all(axis=1)]])
        slack = corners @ np.stack([cpu, memory]) - value
        # A corner that misses by rounding is lifted until it covers.
        missing = np.maximum(-slack / np.maximum(value, 1e-300), 0.0).max(axis=1)
        near = missing <= 1e-9
        corners = corners[near] * (1.0 + 2.0 * missing[near, None])
    gpu = np.zeros(len(corners))
    if len(gpu_worth):
        short = gpu_worth - corners @ gpu_needs[:, :2].T
        gpu = np.maximum(short / gpu_needs[:, 2], 0.0).max(axis=1)
    return np.column_stack([corners, gpu])


def _undominated(family: Family, worth: Floats) -> Ints:
    """Shapes worth something that no other one replaces at less need and no less worth."""
    shapes = family.shapes[worth[family.shapes] > 0]
    needs, value = family.needs[shapes], worth[shapes]
    smaller = (needs[:, None, :] <= needs[None, :, :]).all(axis=2)
    better = smaller & (value[:, None] >= value[None, :])
    # Of two that are the same in all, the earlier one stays.
    same = better & better.T
    better &= ~same | (np.arange(len(shapes))[:, None] < np.arange(len(shapes))[None, :])
    np.fill_diagonal(better, False)
    return shapes[~better.any(axis=0)]


def _fill(family: Family, kept: Ints, capacity: Ints, worth: Floats) -> Grid:
    """V on the grid [GPUs + 1, CPU + 1, memory + 1], up to the largest capacity asked for."""
    most = capacity.max(axis=0)
    grid = np.zeros((int(most[2]) + 1, int(most[0]) + 1, int(most[1]) + 1), dtype=np.float32)
    rows, columns = grid.shape[1:]
    scratch = np.empty(rows * columns, dtype=np.float32)
    plain = [s for s in kept.tolist() if not family.needs[s, 2]]
    with_gpu = [s for s in kept.tolist() if family.needs[s, 2]]
    for s in plain:
        cpu, memory = int(family.needs[s, 0]), int(family.needs[s, 1])
        if memory >= columns:
            continue
        gain, width = np.float32(worth[s]), columns - memory
        # A block of `cpu` rows only looks at the block above it, so one pass takes any number.
        for start in range(cpu, rows, cpu):
            stop = min(start + cpu, rows)
            better = scratch[: (stop - start) * width].reshape(stop - start, width)
            np.add(grid[0, start - cpu : stop - cpu, :width], gain, out=better)
            target = grid[0, start:stop, memory:]
            np.maximum(target, better, out=target)
    for gpus in range(1, len(grid)):
        grid[gpus] = grid[gpus - 1]
        for s in with_gpu:
            cpu, memory, need = (int(n) for n in family.needs[s])
            if need > gpus or cpu >= rows or memory >= columns:
                continue
            height, width = rows - cpu, columns - memory
            better = scratch[: height * width].reshape(height, width)
            np.add(grid[gpus - need, :height, :width], np.float32(worth[s]), out=better)
            target = grid[gpus, cpu:, memory:]
            np.maximum(target, better, out=target)
    return grid


def _starts(
    filled: Filled, worth: Floats, node_cost: Floats, most: int, slack: float | None
) -> tuple[Ints, Ints, Ints]:
    """Capacities [P, 3] to pack, the shape pinned beforehand (-1: none), and whose class it is."""
    sizes, shapes = filled.capacity, filled.family.shapes
    rest = sizes[:, None, :] - filled.family.needs[shapes][None]
    possible = (rest >= 0).all(axis=2)
    inside = np.maximum(rest, 0)
    value = filled.grid[inside[..., 2], inside[..., 0], inside[..., 1]] + worth[shapes]
    cost = node_cost[filled.members]
    if slack is None:
        score = np.where(possible, value / np.maximum(cost, 1e-12)[:, None], -1.0)
        order = np.argsort(-score, axis=0, kind="stable")[:most]
        place, shape = order.reshape(-1), np.tile(np.arange(len(shapes)), len(order))
        good = score[place, shape] > 0
        place, shape = place[good], shape[good]
        start = np.concatenate([sizes, rest[place, shape]])
        pinned = np.concatenate([np.full(len(sizes), -1), shapes[shape]])
        return start, pinned, np.concatenate([np.arange(len(sizes)), place])
    loss = np.where(possible, cost[:, None] - value, np.inf)
    place, shape = np.nonzero(loss <= slack)
    least = np.sort(np.argsort(loss[place, shape], kind="stable")[:most])
    place, shape = place[least], shape[least]
    return rest[place, shape], shapes[shape], place


def _unpack(filled: Filled, worth: Floats, start: Ints) -> Ints:
    """One best pattern [P, S] for each capacity, walked back through the grid together."""
    kept = filled.kept
    pattern = np.zeros((len(start), len(worth)), dtype=np.int64)
    if not len(kept) or not len(start):
        return pattern
    size, gain = filled.family.needs[kept], worth[kept].astype(np.float32)
    flat, (_, rows, columns) = filled.grid.reshape(-1), filled.grid.shape
    step = (size[:, 2] * rows + size[:, 0]) * columns + size[:, 1]
    cpu, memory, gpus = (start[:, axis].copy() for axis in range(3))
    live = np.arange(len(start))
    with_gpu = bool(size[:, 2].any())
    while len(live):
        possible = (cpu[live, None] >= size[:, 0]) & (memory[live, None] >= size[:, 1])
        if with_gpu:
            possible &= gpus[live, None] >= size[:, 2]
        here = (gpus[live] * rows + cpu[live]) * columns + memory[live]
        score = flat[np.maximum(here[:, None] - step, 0)] + gain
        score[~possible] = -1.0
        pick = score.argmax(axis=1)
        going = possible[np.arange(len(live)), pick]
        live, pick = live[going], pick[going]
        pattern[live, kept[pick]] += 1
        cpu[live] -= size[pick, 0]
        memory[live] -= size[pick, 1]
        gpus[live] -= size[pick, 2]
    return pattern
