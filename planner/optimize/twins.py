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

    `gaps` are what is held and cannot be counted on.
    """

    is_twin: Bools
    whole: Floats
    gaps: tuple[Gap, ...] = ()

    def take(self, offers: NDArray[np.intp]) -> Twins:
        """The same of these offers."""
        return replace(self, is_twin=self.is_twin[offers], whole=self.whole[offers])


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


def slack(problem: Problem) -> float:
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


def room(problem: Problem, most: Ints) -> Ints:
    """`most` [O] nodes of each offer, or what commitments pay for of its twins, rounded up."""
    if problem.twins is None:
        return most
    found = most.astype(np.float64)
    for limit in filter(is_commitment, problem.limits):
        used = limit.per_node > 0
        whole = np.ceil(limit.most / limit.per_node[used] - CLOSE)
        found[used] = np.minimum(found[used], whole)
    return found.astype(np.int64)


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
