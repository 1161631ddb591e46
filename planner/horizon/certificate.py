"""The certificate: a lower bound on the cost of every plan, which trusts no solver.

Take any multipliers >= 0, with pi_ts <= g_s h_t. What a node of offer o costs in step t, less what
it can earn there, is

    r_ot = h_t (c_ot + m_t p_ot) - theta_t e_ot,
    e_ot = V_k(o)(pi_t) - lam_t.A_o - vcpu_o (sigma_ot - share * sum_q sigma_qt),

with m_t the sum of mu over the windows of step t. Each node is on or off: F_o is the cheapest way
through the steps of a node of the fleet (on at first), N_o of a node yet to be bought (off at
first), starts and stops paid, found by a Viterbi recursion over two states. Any theta in [0, 1]^T
with N_o >= 0 for every offer gives

    cost  >=  sum_t theta_t (pi_t.n_t - lam_t.b_t) - mu.usd + sum_o fleet_o F_o.

theta = 0 will always do; it is lowered from 1 only in steps where some way through would pay for
itself, which is when the multipliers are not yet those of the optimum. All offers of the price
list are looked at, so neither a pruned offer nor a pattern that was never made can break it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costplan.planner.horizon.model import Horizon
from costplan.planner.horizon.outer import Worth
from costplan.planner.horizon.program import Rents
from costplan.planner.optimize.problem import Floats, Ints

MOST_LOWERED = 30
MOST_HALVED = 30
SAFE = 1e-9
"""By how much theta is lowered for the rounding of the recursion's own sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The bound's data: `cost` [T, O] and `earned` [T, O] of nodes, `begin` [T, O] of a start
    (infinite before the reach), and the constants `worth` [T] and `windows`, in dollars."""

    cost: Floats
    earned: Floats
    begin: Floats
    worth: Floats
    windows: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The bound in dollars, and `value` [O], what the best way of a new node of each offer costs
    at the multipliers as they came; below 0 it would pay for itself."""

    bound: float
    value: Floats


def _rent(horizon: Horizon, rents: Rents) -> Floats:
    """What a node of each offer pays for limits and pools [T, O]."""
    problem = horizon.problem
    rent = np.zeros((horizon.steps, problem.offers))
    for j, limit in enumerate(problem.limits):
        rent += rents.lam[:, j, None] * limit.per_node
    if rents.sigma.any():
        rent -= problem.pool_share * rents.sigma.sum(axis=1)[:, None] * problem.vcpu
        rent[:, rents.pools] += rents.sigma * problem.vcpu[rents.pools]
    return rent


def best_ways(run: Floats, begin: Floats, stop: Floats, *, is_on: bool) -> Floats:
    """The least that a node of each offer [O] costs over all ways through the steps.

    `run` [T, O] is paid in a step that it is on, `begin` [T, O] when it starts with one, `stop`
    [O] when it ends; what is on at the end ends for nothing.
    """
    on = np.zeros(run.shape[1]) if is_on else np.full(run.shape[1], np.inf)
    off = np.full(run.shape[1], np.inf) if is_on else np.zeros(run.shape[1])
    for rent, start in zip(run, begin, strict=True):
        on, off = np.minimum(on, off + start) + rent, np.minimum(off, on + stop)
    best: Floats = np.minimum(on, off)
    return best


def best_way(run: Floats, begin: Floats, stop: Floats) -> NDArray[np.bool_]:
    """Steps [T, N] in which the cheapest new nodes of best_ways are on, offer by offer."""
    steps, offers = run.shape
    on, off = np.full(offers, np.inf), np.zeros(offers)
    stayed, ended = np.zeros((2, steps, offers), dtype=bool)
    for t in range(steps):
        stayed[t] = on <= off + begin[t]
        ended[t] = on + stop < off
        on, off = np.minimum(on, off + begin[t]) + run[t], np.minimum(off, on + stop)
    is_on = np.zeros((steps, offers), dtype=bool)
    state = on < off
    for t in reversed(range(steps)):
        is_on[t] = state
        state = np.where(state, stayed[t], ended[t])
    return is_on


class Certifier:
    """Bounds of one horizon; what does not depend on the multipliers is computed once."""

    def __init__(self, horizon: Horizon) -> None:
        self.horizon = horizon
        self._run = horizon.hours[:, None] * horizon.costs()
        self._begin = horizon.start_usd + horizon.boots() @ horizon.prices()
        self._begin[: horizon.reach] = np.inf

    def terms(self, worth: Worth) -> Terms:
        """The bound's data at these multipliers."""
        horizon, rents = self.horizon, worth.rents
        earned = worth.upper[:, horizon.problem.klass]
        if rents.lam.any() or rents.sigma.any():
            earned -= _rent(horizon, rents)
        cost, begin = self._run, self._begin
        dear = np.zeros(horizon.steps)
        for multiplier, window in zip(rents.mu, horizon.windows, strict=True):
            dear[window.first : window.stop] += multiplier
        if dear.any():
            billed = horizon.prices()
            cost = cost + (horizon.hours * dear)[:, None] * billed
            begin = begin + (horizon.boots() * dear) @ billed
        constant = (worth.pi * horizon.demand).sum(axis=1)
        constant -= (rents.lam * horizon.limits_most()).sum(axis=1)
        windows = sum(float(m) * w.usd for m, w in zip(rents.mu, horizon.windows, strict=True))
        return Terms(cost=cost, earned=earned, begin=begin, worth=constant, windows=windows)

    def certify(self, worth: Worth) -> Certificate:
        """The bound at these multipliers."""
        horizon = self.horizon
        data, stop = self.terms(worth), horizon.stop_usd
        value = best_ways(data.cost - data.earned, data.begin, stop, is_on=False)
        # No worker is worth more than its shortage costs, not even by the solver's tolerance.
        most = np.outer(horizon.hours, horizon.shortage_usd)
        above = (worth.pi / np.maximum(most, 1e-300)).max(axis=1)
        theta = _safe(data, stop, (1.0 - SAFE) / np.maximum(above, 1.0))
        kept = np.flatnonzero(horizon.fleet)
        run = data.cost[:, kept] - theta[:, None] * data.earned[:, kept]
        there = best_ways(run, data.begin[:, kept], stop[kept], is_on=True)
        bound = float(theta @ data.worth) - data.windows + float(horizon.fleet[kept] @ there)
        return Certificate(bound=max(bound, 0.0), value=value)


def _safe(data: Terms, stop: Floats, theta: Floats) -> Floats:
    """theta, lowered until no new node of any offer pays for itself.

    Ways that paid once are lowered by themselves: all offers are looked at only between.
    """
    watched = np.zeros(len(stop), dtype=bool)
    for _ in range(MOST_LOWERED):
        ways = best_ways(data.cost - theta[:, None] * data.earned, data.begin, stop, is_on=False)
        if (ways >= 0).all():
            return theta
        watched |= ways < 0
        some = np.flatnonzero(watched)
        few = Terms(
            cost=data.cost[:, some],
            earned=data.earned[:, some],
            begin=data.begin[:, some],
            worth=data.worth,
            windows=data.windows,
        )
        for _ in range(MOST_LOWERED):
            run = few.cost - theta[:, None] * few.earned
            paying = np.flatnonzero(best_ways(run, few.begin, stop[some], is_on=False) < 0)
            if not len(paying):
                break
            theta = (1.0 - SAFE) * _lowered(few, stop[some], theta, paying)
    return theta * _share(data, stop, theta)


def _lowered(data: Terms, stop: Floats, theta: Floats, paying: Ints) -> Floats:
    """theta, lowered in each step by as much as the ways through it of `paying` offers need."""
    earned, begin = data.earned[:, paying], data.begin[:, paying]
    run = data.cost[:, paying] - theta[:, None] * earned
    is_on = best_way(run, begin, stop[paying])
    begun = is_on & ~np.vstack([np.zeros((1, len(paying)), dtype=bool), is_on[:-1]])
    ended = ~is_on & np.vstack([np.zeros((1, len(paying)), dtype=bool), is_on[:-1]])
    paid = np.where(is_on, data.cost[:, paying], 0.0) + np.where(begun, begin, 0.0)
    total = paid.sum(axis=0) + stop[paying] * ended.sum(axis=0)
    gained = np.where(is_on, theta[:, None] * earned, 0.0).sum(axis=0)
    share = np.clip(total / np.maximum(gained, 1e-300), 0.0, 1.0)
    least = np.where(is_on, share, 1.0).min(axis=1)
    lowered: Floats = theta * least
    return lowered


def _share(data: Terms, stop: Floats, theta: Floats) -> float:
    """The largest share of theta, to one part in 2^30, at which no new node pays for itself."""
    low, high, share = 0.0, 1.0, 1.0
    for _ in range(MOST_HALVED):
        run = data.cost - share * theta[:, None] * data.earned
        if (best_ways(run, data.begin, stop, is_on=False) >= 0).all():
            low = share
            if share == 1.0:
                break
        else:
            high = share
        share = (low + high) / 2
    return low
