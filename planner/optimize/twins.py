"""Machines that a commitment pays for, as offers of their own.

An offer that commitments may pay for has *twins*: the same machine at what is left of its price,
each of which takes so many units of a commitment. What there is of a commitment is a limit like
any other,

    sum_o units_jo y_o <= most_j,

so relaxation, certificate and shadow prices know it. Of a fleet of whole nodes any share of a node
may be paid by a commitment, as the providers bill it: a node is whole, its twins need not be.

A twin costs a millionth of the machine's price at least, so that of two that cost nothing the
smaller one is taken, and no cost is zero; bounds are lowered by what that may come to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import highspy
import numpy as np
from numpy.typing import NDArray

from costplan.planner.held.reach import Pool, Reach
from costplan.planner.optimize.quiet import quiet_solver, run_to_optimum
from costplan.planner.types import Gap

if TYPE_CHECKING:
    from costplan.planner.optimize.problem import Bools, Floats, Ints, Limit, Problem

LIMIT = "commitments."
"""How the names of limits begin that are commitments."""
LEAST_SHARE = 1e-6
CLOSE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Which offers [O] are twins, and what each costs where no commitment pays, `whole` [O].

    `pool` [O] is the commitment of which a twin takes the least share of all there is, its place
    among the limits that are commitments, and `units` [O] how many units; -1 where it is no twin.
    `sets` [O] are alike for twins of the same commitments, and `amounts` [O] for those that take as
    much of each. `gaps` are what is held and cannot be counted on.
    """

    is_twin: Bools
    whole: Floats
    pool: Ints
    units: Floats
    sets: Ints
    amounts: Ints
    gaps: tuple[Gap, ...] = ()

    def take(self, offers: NDArray[np.intp]) -> Twins:
        """The same of these offers."""
        return replace(
            self,
            is_twin=self.is_twin[offers],
            whole=self.whole[offers],
            pool=self.pool[offers],
            units=self.units[offers],
            sets=self.sets[offers],
            amounts=self.amounts[offers],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Twins to be made: of which place each is a copy [T], dollars of it that are left [T], and
    units of the pools [J, T]."""

    of: NDArray[np.intp]
    left_usd: Floats
    pools: tuple[Pool, ...]
    units: Floats


def copies_of(reach: Reach, rows: NDArray[np.intp]) -> Copies:
    """The twins of what commitments pay for; `rows` are the offers', in rising order."""
    places = [np.searchsorted(rows, paid.rows) for paid in reach.paid]
    total = sum(len(each) for each in places)
    units = np.zeros((len(reach.pools), total))
    begin = 0
    for paid in reach.paid:
        for pool, taken in paid.units:
            units[pool, begin : begin + len(taken)] = taken
        begin += len(paid.rows)
    left = [paid.left_usd for paid in reach.paid]
    return Copies(
        of=np.concatenate([np.zeros(0, dtype=np.intp), *places]),
        left_usd=np.concatenate([np.zeros(0), *left]),
        pools=reach.pools,
        units=units,
    )


def twins_of(copies: Copies, copy: NDArray[np.intp], whole: Floats, gaps: tuple[Gap, ...]) -> Twins:
    """The twins among offers, whose places among the copies are `copy` [O], below 0 for none."""
    units, is_copy, place = copies.units, copy >= 0, np.maximum(copy, 0)
    if not units.size:
        none = np.zeros(len(copy), dtype=np.int64)
        return Twins(is_twin=is_copy, whole=whole, pool=none - 1, units=none.astype(np.float64),
                     sets=none, amounts=none, gaps=gaps)  # fmt: skip
    most = np.array([pool.most for pool in copies.pools])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(units > 0, most[:, None] / units, np.inf)
    pool = np.argmin(share, axis=0)
    # Sums with weights that nothing else adds up to name what a twin takes.
    weights = np.sqrt(np.arange(len(units)) + 2.0)
    codes = []
    for taken in ((units > 0).astype(np.float64), units):
        _, code = np.unique(weights @ taken, return_inverse=True)
        codes.append(np.where(is_copy, code[place] + 1, 0))
    return Twins(
        is_twin=is_copy,
        whole=whole,
        pool=np.where(is_copy, pool[place], -1),
        units=np.where(is_copy, units[pool, np.arange(units.shape[1])][place], 0.0),
        sets=codes[0],
        amounts=codes[1],
        gaps=gaps,
    )


def ways(problem: Problem, offers: Ints, way: Ints, *, exactly: bool) -> Ints:
    """Ways of being limited of some offers, told apart by the commitments that pay for them and,
    where `exactly`, by how much each takes."""
    if problem.twins is None:
        return way
    code = (problem.twins.amounts if exactly else problem.twins.sets)[offers]
    _, both = np.unique(way * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    return np.asarray(both)


def is_commitment(limit: Limit) -> bool:
    """Whether a limit is what there is of a commitment."""
    return limit.name.startswith(LIMIT)


def is_twin(problem: Problem) -> Bools:
    """Which offers [O] a commitment pays for."""
    none = np.zeros(problem.offers, dtype=bool)
    return none if problem.twins is None else problem.twins.is_twin


def scale_of(problem: Problem) -> Floats:
    """What offers [O] cost where no commitment pays: what savings are measured by."""
    return problem.cost if problem.twins is None else problem.twins.whole


def most_paid(problem: Problem) -> Floats:
    """What commitments can take off the cost of any fleet of each site [Q], at the most."""
    found = np.zeros(len(problem.sites))
    if problem.twins is None:
        return found
    saved = problem.twins.whole - problem.cost
    for limit in filter(is_commitment, problem.limits):
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(limit.per_node > 0, saved / limit.per_node, 0.0)
        best = np.zeros(len(problem.sites))
        np.maximum.at(best, problem.site, each)
        found += best * limit.most
    return found


def stake(problem: Problem) -> float:
    """About what commitments take off the cost of a fleet, in dollars an hour: a gap is small by
    what the fleet would cost without them, for with them it may cost next to nothing."""
    if problem.twins is None or not problem.offers:
        return 0.0
    fits, size = problem.fits(), np.maximum(problem.capacity, 1)
    share = np.where(fits, (problem.needs[None] / size[:, None]).max(axis=2), np.inf)
    each = np.full(len(problem.count), np.inf)
    for shape in range(len(each)):
        each[shape] = (share[problem.klass, shape] * problem.twins.whole).min()
    listed = float((each * problem.count).sum())
    paid = float(most_paid(problem).max())
    return min(listed, paid) if np.isfinite(listed) else paid


def unseen(problem: Problem) -> float:
    """By how much the least costs of twins may raise the cost of a fleet, in dollars an hour."""
    if problem.twins is None:
        return 0.0
    least = np.where(problem.twins.is_twin, LEAST_SHARE * problem.twins.whole, 0.0)
    found = 0.0
    for limit in filter(is_commitment, problem.limits):
        used = limit.per_node > 0
        if used.any():
            found += limit.most * float((least[used] / limit.per_node[used]).max())
    return found


def paid_nodes(problem: Problem, offers: Ints, nodes: Floats, unlimited: int) -> Ints:
    """How many nodes of each offer [O] there are where commitments pay for those `nodes` of
    `offers` that are twins, rounded up."""
    found = np.full(problem.offers, unlimited, dtype=np.int64)
    if problem.twins is not None:
        found[problem.twins.is_twin] = 0
        twin = problem.twins.is_twin[offers]
        found[offers[twin]] = np.ceil(nodes[twin] - CLOSE).astype(np.int64)
    return found


def plain(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """The limits that are no commitments."""
    return tuple(limit for limit in limits if not is_commitment(limit))


def settled(problem: Problem, bought: Ints) -> tuple[Ints, float]:
    """The fleet with twins counted as the machines that they are, and the least that it costs
    with what commitments pay of it."""
    if problem.twins is None:
        return bought, float(problem.cost @ bought)
    merged = merge(problem, bought)
    return merged, float(problem.cost @ shares(problem, merged))


def shares(problem: Problem, merged: Ints) -> Floats:
    """Nodes of a fleet by offer [O], as commitments pay most of them; they may be fractions."""
    found = np.zeros(problem.offers)
    used = np.flatnonzero(merged)
    if not len(used):
        return found
    offers = siblings(problem, used)
    rows = {int(problem.row[offer]): place for place, offer in enumerate(used)}
    limits = [limit for limit in problem.limits if is_commitment(limit)]
    solver = quiet_solver()
    for nodes in merged[used].tolist():
        solver.addRow(float(nodes), float(nodes), 0, [], [])
    for limit in limits:
        solver.addRow(-highspy.kHighsInf, limit.most, 0, [], [])
    for offer in offers.tolist():
        taken = [j for j, limit in enumerate(limits) if limit.per_node[offer]]
        places = [rows[int(problem.row[offer])], *(len(rows) + j for j in taken)]
        values = [1.0, *(float(limits[j].per_node[offer]) for j in taken)]
        cost = float(problem.cost[offer])
        solver.addCol(cost, 0.0, highspy.kHighsInf, len(places), places, values)
    run_to_optimum(solver)
    found[offers] = solver.getSolution().col_value
    return found


def merge(problem: Problem, bought: Ints) -> Ints:
    """Nodes [O] of each machine, counted at its plain offer."""
    if problem.twins is None:
        return bought
    alone = np.flatnonzero(~problem.twins.is_twin)
    order = np.argsort(problem.row[alone], kind="stable")
    used = np.flatnonzero(bought)
    found = np.searchsorted(problem.row[alone][order], problem.row[used])
    merged = np.zeros_like(bought)
    np.add.at(merged, alone[order][found], bought[used])
    return merged


def within(problem: Problem, bought: Ints, close: float) -> bool:
    """Whether a fleet keeps all limits. What commitments pay is no more than there is by itself,
    but under a budget it must be known to be there."""
    limits = problem.limits
    if problem.twins is not None and not any(limit.unit == "USD/h" for limit in plain(limits)):
        limits = plain(limits)
    return all(float(limit.per_node @ bought) <= limit.most + close for limit in limits)


def siblings(problem: Problem, offers: Ints) -> Ints:
    """These offers, and all that are the same machines."""
    if problem.twins is None:
        return offers
    return np.flatnonzero(np.isin(problem.row, problem.row[offers]))
