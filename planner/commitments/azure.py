"""Azure: reservations, then savings plans; narrow scopes before wide ones.

Sources: https://learn.microsoft.com/azure/cost-management-billing/ with
reservations/benefit-application-order, manage/understand-vm-reservation-charges and
savings-plan/discount-application, and
https://learn.microsoft.com/azure/virtual-machines/reserved-vm-instance-size-flexibility
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from costplan.planner.commitments.open import OpenLine, Pool, Round, by_end, fill, is_owners
from costplan.planner.commitments.spend import apply_plans, listed_rate
from costplan.planner.commitments.values import Commitment, Kind, Scope, Usage

_LONGEST_FIRST = ("3y", "1y", "")


def apply(lines: list[OpenLine], pools: Sequence[Pool]) -> None:
    """Covers the lines in Azure's order; spot machines take neither."""
    eligible = sorted(
        (line for line in lines if not line.usage.is_spot),
        key=lambda line: (line.usage.product.size_ratio or 0, line.usage.usage_id),
    )
    reservations = by_end(p for p in pools if p.commitment.kind is Kind.AZURE_RESERVATION)
    fill(eligible, reservations, _ratio, _ROUNDS)
    plans = by_end(p for p in pools if p.commitment.kind is Kind.AZURE_SAVINGS_PLAN)
    for in_round in _ROUNDS:
        for term in _LONGEST_FIRST:
            of_term = [plan for plan in plans if plan.commitment.term == term]
            apply_plans(eligible, of_term, _lower_rate, (in_round,))


def _in_group(line: OpenLine, pool: Pool) -> bool:
    return pool.commitment.scope is Scope.RESOURCE_GROUP and (
        line.usage.owner == pool.commitment.owner
    )


def _in_subscription(line: OpenLine, pool: Pool) -> bool:
    return pool.commitment.scope is Scope.ACCOUNT and is_owners(line, pool)


def _anywhere(_: OpenLine, pool: Pool) -> bool:
    return pool.commitment.scope is Scope.SHARED


_ROUNDS: tuple[Round, ...] = (_in_group, _in_subscription, _anywhere)


def _ratio(line: OpenLine, pool: Pool) -> Fraction | None:
    """By the published ratios within a group of sizes; else only the size that was bought."""
    used, bought = line.usage.product, pool.commitment.product
    if used.region != bought.region or used.service != bought.service:
        return None
    if used.instance_type.lower() == bought.instance_type.lower():
        return Fraction(1)
    same_group = bool(bought.size_group) and used.size_group == bought.size_group
    if not (pool.commitment.is_size_flexible and same_group):
        return None
    if used.size_ratio is None or bought.size_ratio is None:
        return None
    return used.size_ratio / bought.size_ratio


def _lower_rate(usage: Usage, plan: Commitment) -> Fraction | None:
    """A price without the plan that is lower than the plan's is the one that counts."""
    rate = listed_rate(usage, plan)
    return None if rate is None else min(rate, usage.usd_per_unit)
