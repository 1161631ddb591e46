"""Whole nodes for the first steps: what is asked for now cannot be bought by the half.

The first steps are a horizon of their own, in which a node that is there at the end is worth what
the relaxation says it is (the multiplier of its flow row), and budgets are what the later steps
leave. It is solved in whole nodes near those of the relaxation and over the patterns that lose
least there; then the later steps are solved again behind it.

A relaxation of a small program that is whole in its first steps is the answer itself: where each
machine has room for one worker and no limit binds, it mostly is.
"""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
from numpy.typing import NDArray

from costplan.planner.horizon.inner import DUAL, Inner, Point
from costplan.planner.horizon.model import Horizon, Window
from costplan.planner.optimize.problem import Bools, Floats, Ints

NEAR = 3
"""How many nodes of an offer more or less than the relaxation has."""
PATTERNS_A_STEP = 80
GAP = 1e-4
"""What whole nodes may cost too much, as a share of the whole plan's cost."""
MOST_TREE_NODES = 200
MOST_ROUNDED = 300
NEARLY = 0.9
"""What part of a node is rounded up at once."""
WHOLE = 1e-6
OPTIMAL = highspy.HighsModelStatus.kOptimal
MOST_COLUMNS = 1_500
"""Up to so many columns the first steps are sought together with the later ones: what a node is
worth later is then no price at the margin, which says nothing of the ones before it."""


def make_whole(inner: Inner, point: Point, steps: int) -> Point | None:
    """The plan with whole nodes in the first `steps`, None where the search found none.

    Where there was something to search for, leaves the program with these steps fixed.
    """
    if steps == 0:
        return point
    if inner.fleets.solver.getNumCol() <= MOST_COLUMNS:
        return _together(inner, point, steps)
    part = Inner(_first(inner.horizon, inner, point, steps))
    part.add_offers(inner.fleets.offers)
    classes, patterns = inner.known()
    part.add_patterns(classes, patterns)
    part.use(_chosen(inner, point, steps))
    values = _search(inner, part, point, steps)
    if values is None:
        return None
    _fix(inner, part, values, steps)
    return inner.solve()


def _together(inner: Inner, point: Point, steps: int) -> Point | None:
    """The plan with whole nodes in the first steps, found with all later ones in one program."""
    solver, fleets = inner.fleets.solver, inner.fleets
    later = steps - min(steps, fleets.reach)
    early = inner.columns[inner.step_of < steps]
    starts = np.array(fleets.offer_column, dtype=np.int64)[:, None]
    nodes = (starts + np.arange(steps)).ravel()
    begun = (starts + inner.horizon.steps + np.arange(later)).ravel()
    places = np.concatenate([nodes, begun, early]).astype(np.int32)
    relaxed = np.array(solver.getSolution().col_value)[places]
    if np.abs(relaxed - np.rint(relaxed)).max(initial=0.0) <= WHOLE:
        return point
    _seek_whole(solver, max(GAP * point.cost, 1e-9))
    _declare(solver, places, highspy.HighsVarType.kInteger)
    solver.run()
    solution = solver.getSolution()
    values = np.rint(np.array(solution.col_value)[places]) if solution.value_valid else None
    _declare(solver, places, highspy.HighsVarType.kContinuous)
    for option, value in (("solver", "simplex"), ("presolve", "off"), ("simplex_strategy", DUAL)):
        solver.setOptionValue(option, value)
    if values is None:
        return None
    solver.changeColsBounds(len(places), places, values, values)
    return inner.solve()


def _declare(solver: highspy.Highs, places: NDArray[np.int32], kind: highspy.HighsVarType) -> None:
    """Makes columns whole or divided ones."""
    solver.changeColsIntegrality(len(places), places, np.full(len(places), kind))


def _seek_whole(solver: highspy.Highs, off_usd: float) -> None:
    """Sets the search for whole nodes, which ends within `off_usd` of the cheapest."""
    for option, value in (
        ("solver", "choose"),
        ("presolve", "on"),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", off_usd),
        ("mip_max_nodes", MOST_TREE_NODES),
        # Few cuts, no restarts: the tree of such a small program costs less than they do.
        ("mip_heuristic_run_feasibility_jump", False),
        ("mip_allow_restart", False),
        ("mip_lp_age_limit", 5),
        ("mip_pool_soft_limit", 100),
    ):
        solver.setOptionValue(option, value)


def _first(horizon: Horizon, inner: Inner, point: Point, steps: int) -> Horizon:
    """The first steps by themselves; windows have what the later steps leave."""
    prices, boots, offers = horizon.prices(), horizon.boots(), inner.fleets.offers
    later = np.arange(horizon.steps) >= steps
    windows = []
    for window in horizon.windows:
        inside = np.zeros(horizon.steps)
        inside[window.first : window.stop] = 1.0
        run = (inside * horizon.hours * later)[:, None] * prices[:, offers] * point.nodes
        booted = ((boots * inside) @ prices[:, offers]) * later[:, None] * point.starts
        if window.first < steps:
            left = max(0.0, window.usd - float(run.sum() + booted.sum()))
            stop = min(window.stop, steps)
            windows.append(Window(first=window.first, stop=stop, usd=left))
    factor = horizon.price_factor
    return replace(
        horizon,
        hours=horizon.hours[:steps],
        demand=horizon.demand[:steps],
        price_factor=None if factor is None else factor[:steps],
        windows=tuple(windows),
    )


def _chosen(inner: Inner, point: Point, steps: int) -> Bools:
    """Which patterns [P, steps] the search may use: those in use, and those that lose least."""
    classes, patterns = inner.known()
    chosen = np.zeros((len(classes), steps), dtype=bool)
    early = inner.step_of < steps
    columns = np.flatnonzero(early)
    loss = point.node[inner.step_of[columns], classes[inner.pattern_of[columns]]]
    worth = (patterns[inner.pattern_of[columns]] * point.pi[inner.step_of[columns]]).sum(axis=1)
    rank = np.where(point.configured[columns] > 1e-9, -np.inf, loss - worth)
    for t in range(steps):
        mine = np.flatnonzero(inner.step_of[columns] == t)
        best = mine[np.argsort(rank[mine], kind="stable")[:PATTERNS_A_STEP]]
        best = np.union1d(best, mine[np.isneginf(rank[mine])])
        chosen[inner.pattern_of[columns[best]], t] = True
    return chosen


def _search(inner: Inner, part: Inner, point: Point, steps: int) -> Floats | None:
    """Values of the part's columns in whole nodes, None where none were found."""
    solver = part.fleets.solver
    width = 2 * steps - part.fleets.reach
    whole = [part.columns]
    for b, column in enumerate(part.fleets.offer_column):
        near = point.nodes[:steps, b]
        cells = np.arange(column, column + steps, dtype=np.int32)
        low = np.maximum(np.floor(near) - NEAR, 0.0)
        solver.changeColsBounds(steps, cells, low, np.ceil(near) + NEAR)
        last = column + steps - 1
        cost = solver.getLp().col_cost_[last]
        if steps < inner.horizon.steps:
            offer = part.fleets.offers[b]
            cost += inner.horizon.stop_usd[offer] - point.kept[steps, b]
        solver.changeColCost(last, cost)
        whole.append(np.arange(column, column + width))
    off, places = max(GAP * point.cost, 1e-9), np.concatenate(whole).astype(np.int32)
    program = solver.getLp()
    bounds = np.array(program.col_lower_)[places], np.array(program.col_upper_)[places]
    values = _dive(solver, places, bounds, off)
    if values is None:
        _bound(solver, places, *bounds)
        _seek_whole(solver, off)
        _declare(solver, places, highspy.HighsVarType.kInteger)
        solver.run()
        solution = solver.getSolution()
        if not solution.value_valid:
            return None
        values = np.array(solution.col_value)
    values[places] = np.rint(values[places])
    return values


def _dive(
    solver: highspy.Highs, places: NDArray[np.int32], bounds: tuple[Floats, Floats], off_usd: float
) -> Floats | None:
    """Values of all columns with whole ones at `places`, None where those that were found cost
    `off_usd` more than divided ones do. Leaves the bounds that it came to.

    Columns that are nearly whole are rounded up together, else the one that is nearest, and the
    others follow; one that costs too much is rounded down instead. That is a few linear programs
    of some hundred columns instead of a search tree.
    """
    low, high = bounds[0], bounds[1].copy()
    most = np.inf
    tried = np.zeros(0, dtype=np.int64)
    for _ in range(MOST_ROUNDED):
        solver.run()
        cost = float(solver.getInfo().objective_function_value)
        if solver.getModelStatus() == OPTIMAL and cost <= most:
            most = min(most, cost + off_usd)
            values = np.array(solver.getSolution().col_value)
            floor = np.floor(values[places] + WHOLE)
            above = values[places] - floor
            if above.max(initial=0.0) <= WHOLE:
                return values
            tried = np.flatnonzero(above >= min(float(above.max()), NEARLY))
            _bound(solver, places[tried], floor[tried] + 1, high[tried])
        elif not len(tried):
            break
        elif len(tried) > 1:
            _bound(solver, places[tried], floor[tried], high[tried])
            tried = tried[above[tried].argmax()][None]
            _bound(solver, places[tried], floor[tried] + 1, high[tried])
        else:
            _bound(solver, places[tried], np.minimum(low, floor)[tried], floor[tried])
            high[tried] = floor[tried]
            tried = tried[:0]
    return None


def _bound(solver: highspy.Highs, places: NDArray[np.int32], low: Floats, high: Floats) -> None:
    solver.changeColsBounds(len(places), places, low, np.maximum(low, high))


def _fix(inner: Inner, part: Inner, values: Floats, steps: int) -> None:
    """Fixes nodes, starts and patterns of the first steps in the whole program."""
    places: list[Ints] = []
    fixed: list[Floats] = []
    nodes, starts = part.fleets.nodes(values)
    reach = inner.fleets.reach
    for b, column in enumerate(inner.fleets.offer_column):
        places.append(np.arange(column, column + steps))
        fixed.append(nodes[:, b])
        first = column + inner.horizon.steps
        places.append(np.arange(first, first + max(0, steps - reach)))
        fixed.append(starts[reach:, b])
    configured = {
        (int(p), int(t)): float(values[c])
        for p, t, c in zip(part.pattern_of, part.step_of, part.columns, strict=True)
    }
    early = np.flatnonzero(inner.step_of < steps)
    places.append(inner.columns[early])
    fixed.append(
        np.array(
            [configured.get((int(inner.pattern_of[i]), int(inner.step_of[i])), 0.0) for i in early]
        )
    )
    all_places, all_fixed = np.concatenate(places).astype(np.int32), np.concatenate(fixed)
    inner.fleets.solver.setOptionValue("simplex_strategy", DUAL)
    inner.fleets.solver.changeColsBounds(len(all_places), all_places, all_fixed, all_fixed)
