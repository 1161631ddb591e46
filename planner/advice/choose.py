"""How much of what to buy: a linear program over levels, with cuts for the bad end.

Amounts a_o of offers, levels d_pk of pools (0 <= d_pk <= y_k - y_k-1), for pools p and scenarios s:

    minimise    E[C] + w t
    C_s       = base_s + H sum_o price_o a_o - sum_pk slope_pks d_pk
    t        >= the mean of C_s over the dearest 1 - risk of the scenarios      (cuts, when broken)
    sum_o a_o / scale_o = sum_k d_pk    for each pool
    sum_o upfront_o a_o <= upfront budget,  sum_o monthly_o a_o <= monthly budget
    E[C]     <= E[base]                 a purchase pays for itself on the average

Curves are concave, so that levels are filled from the bottom without being told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import highspy
import numpy as np

from costplan.planner.advice.tables import Curves, Pool
from costplan.planner.advice.types import Floats, Purchase, Settings
from costplan.planner.errors import InvariantBroken

_MOST_CUTS = 60
_TOLERANCE = 1e-7
_INF = highspy.kHighsInf


def tail_mean(costs: Floats, risk: float) -> float:
    """CVaR: the mean cost of the dearest 1 - `risk` of equally likely scenarios."""
    return float(costs @ tail_weights(costs, risk))


def tail_weights(costs: Floats, risk: float) -> Floats:
    """The weight of each scenario in the CVaR; the one at its edge counts in part."""
    order = np.argsort(-costs, kind="stable")
    size = (1 - risk) * len(costs)
    weights = np.zeros(len(costs))
    weights[order] = np.clip(size - np.arange(len(costs)), 0.0, 1.0) / size
    return weights


def aim(costs: Floats, settings: Settings) -> float:
    """What is minimised: expected cost + weight x CVaR."""
    return float(costs.mean()) + settings.risk_weight * tail_mean(costs, settings.risk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may still be paid: upfront, and each month; infinite where nobody said."""

    upfront_usd: float
    usd_per_month: float

    def less(self, purchases: Sequence[Purchase]) -> Budget:
        """What is left after these."""
        return Budget(
            upfront_usd=self.upfront_usd - float(sum(each.upfront_usd for each in purchases)),
            usd_per_month=self.usd_per_month - float(sum(each.usd_per_month for each in purchases)),
        )


def budget_of(settings: Settings) -> Budget:
    """The budget that was set."""
    upfront, monthly = settings.upfront_usd, settings.usd_per_month
    return Budget(
        upfront_usd=np.inf if upfront is None else float(upfront),
        usd_per_month=np.inf if monthly is None else float(monthly),
    )


def choose(
    pools: Sequence[Pool], curves: Curves, settings: Settings, budget: Budget
) -> tuple[Purchase, ...]:
    """What to buy of the pools' offers, in whole units as they are sold, within the budget."""
    program = _Program(pools, curves, settings, budget)
    return program.rounded(program.solved())


class _Program:
    """The linear program; columns are the levels, then the offers, then t."""

    def __init__(
        self, pools: Sequence[Pool], curves: Curves, settings: Settings, budget: Budget
    ) -> None:
        self.pools, self.curves, self.settings, self.budget = pools, curves, settings, budget
        self.sold = [(place, *each) for place, pool in enumerate(pools) for each in pool.offers]
        width = np.diff(curves.levels, axis=1)
        rise = np.diff(curves.value, axis=1)
        safe = np.where(width > 0, width, 1.0)
        self.slope = np.where(width[:, :, None] > 0, rise / safe[:, :, None], 0.0)
        self.slope = self.slope.reshape(-1, len(curves.base))
        self.width = width.ravel()
        # The price of a pool's unit over the horizon.
        self.price = np.array([
            settings.usd_per_used_hour(offer) * settings.horizon_hours * float(scale)
            for _, offer, scale in self.sold
        ])  # fmt: skip
        self.upfront = np.array([float(o.unit_upfront_usd * n) for _, o, n in self.sold])
        self.monthly = np.array([float(o.unit_usd_per_month * n) for _, o, n in self.sold])
        self.place = np.array([place for place, _, _ in self.sold], dtype=np.int64)

    def solved(self) -> Floats:
        """The amount of each offer, in units of its pool."""
        weight, curves = self.settings.risk_weight, self.curves
        solver = highspy.Highs()  # type: ignore[no-untyped-call]
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("threads", 1)
        levels, offers = len(self.width), len(self.sold)
        scale = max(float(np.abs(curves.base).mean()), 1.0)
        gain = self.slope.mean(axis=1)
        cost = np.concatenate([-gain, self.price, [weight * scale]]) / scale
        lower = np.concatenate([np.zeros(levels + offers), [-_INF]])
        upper = np.concatenate([self.width, np.full(offers, _INF), [_INF]])
        if not weight:
            lower[-1] = upper[-1] = 0.0
        none = np.zeros(0, dtype=np.int32)
        solver.addCols(len(cost), cost, lower, upper, 0, none, none, np.zeros(0))
        per_pool = levels // len(self.pools)
        for place in range(len(self.pools)):
            mine = np.flatnonzero(self.place == place)
            columns = np.concatenate([np.arange(per_pool) + place * per_pool, levels + mine])
            row = np.concatenate([-np.ones(per_pool), np.ones(len(mine))])
            _add(solver, 0.0, 0.0, columns, row)
        amounts = levels + np.arange(offers)
        for most, each in (
            (self.budget.upfront_usd, self.upfront),
            (self.budget.usd_per_month, self.monthly),
        ):
            if np.isfinite(most):
                _add(solver, -_INF, max(most, 0.0), amounts, each)
        _add(solver, -_INF, 0.0, np.arange(levels + offers), cost[:-1])
        if not weight:
            return self._amounts(solver)[1]
        costs = curves.base
        for _ in range(_MOST_CUTS):
            tail = tail_weights(costs, self.settings.risk)
            row = np.concatenate([self.slope.dot(tail), -self.price, [scale]]) / scale
            _add(solver, float(curves.base @ tail) / scale, _INF, np.arange(len(cost)), row)
            filled, found, told = self._amounts(solver)
            costs = self.costs(filled, found)
            if tail_mean(costs, self.settings.risk) <= (told + _TOLERANCE) * scale:
                break
        return found

    def _amounts(self, solver: highspy.Highs) -> tuple[Floats, Floats, float]:
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise InvariantBroken(f"what to buy was not found: {solver.getModelStatus()}")
        found = np.array(solver.getSolution().col_value)
        levels = len(self.width)
        return found[:levels], found[levels:-1].clip(0.0), float(found[-1])

    def costs(self, levels: Floats, amounts: Floats) -> Floats:
        """The cost of each scenario."""
        return self.curves.base + float(self.price @ amounts) - levels @ self.slope

    def rounded(self, amounts: Floats) -> tuple[Purchase, ...]:
        """Amounts in units that are sold: down, and up again where that is better and paid for."""
        scales = np.array([float(scale) for _, _, scale in self.sold])
        steps = self.curves.step[self.place] / scales
        whole = np.floor(amounts / steps + 1e-6)
        best = self._aim(whole * steps)
        for place in np.argsort(-(amounts / steps - whole), kind="stable"):
            if amounts[place] / steps[place] - whole[place] < 1e-6:
                break
            more = whole.copy()
            more[place] += 1
            if self._is_paid(more * steps) and (worth := self._aim(more * steps)) < best:
                whole, best = more, worth
        least = [Fraction(self.curves.step[place]).limit_denominator(1000) for place in self.place]
        return tuple(
            Purchase(offer=offer, amount=int(count) * step)
            for (_, offer, _), count, step in zip(self.sold, whole, least, strict=True)
            if count
        )

    def _is_paid(self, amounts: Floats) -> bool:
        upfront, monthly = float(self.upfront @ amounts), float(self.monthly @ amounts)
        if upfront > self.budget.upfront_usd or monthly > self.budget.usd_per_month:
            return False
        costs = self._costs_of(amounts)
        return bool(costs.mean() <= self.curves.base.mean())

    def _aim(self, amounts: Floats) -> float:
        return aim(self._costs_of(amounts), self.settings)

    def _costs_of(self, amounts: Floats) -> Floats:
        totals = np.bincount(self.place, amounts, minlength=len(self.pools))
        width = self.width.reshape(len(self.pools), -1)
        filled = np.clip(totals[:, None] - self.curves.levels[:, :-1], 0.0, width)
        return self.costs(filled.ravel(), amounts)


def _add(
    solver: highspy.Highs, low: float, high: float, columns: Floats | np.ndarray, row: Floats
) -> None:
    solver.addRow(low, high, len(columns), columns.astype(np.int32), np.asarray(row, np.float64))
