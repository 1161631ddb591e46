"""Google Cloud: resource commitments, flexible ones, and sustained use of what is left.

Sources: https://cloud.google.com/compute/docs/instances/signing-up-committed-use-discounts,
https://cloud.google.com/docs/cuds-spend-based and
https://cloud.google.com/compute/docs/sustained-use-discounts
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from costplan.planner.commitments.open import (
    OWNER_FIRST,
    OpenLine,
    Pool,
    Profile,
    by_end,
    moments,
)
from costplan.planner.commitments.spend import apply_plans, listed_rate
from costplan.planner.commitments.values import Commitment, Kind, Product, Usage

_FLEXIBLE_RESOURCES = ("", "vcpu", "memory")


def apply(lines: list[OpenLine], pools: Sequence[Pool]) -> None:
    """Covers the lines in Google's order, but for sustained use, which needs the month."""
    eligible = [line for line in lines if not line.usage.is_spot]
    reserved = by_end(pool for pool in pools if pool.commitment.kind is Kind.RESOURCE_CUD)
    for kind in sorted({_what(pool.commitment.product) for pool in reserved}):
        of_kind = [pool for pool in reserved if _what(pool.commitment.product) == kind]
        fitting = [line for line in eligible if _what(line.usage.product) == kind]
        _cover_at_each_moment(sorted(fitting, key=_dearest_first), of_kind)
    before = {line.usage.usage_id: line.left for line in eligible}
    flexible = by_end(pool for pool in pools if pool.commitment.kind is Kind.FLEXIBLE_CUD)
    apply_plans(eligible, flexible, _flexible_rate, OWNER_FIRST)
    for line in eligible:
        whole = before[line.usage.usage_id]
        if line.left != whole:
            share = line.left / whole
            line.profile = [(a, b, width * share) for a, b, width in line.profile if share]


def _what(product: Product) -> tuple[str, str, str]:
    return product.region, product.machine_series, product.resource


def _dearest_first(line: OpenLine) -> tuple[Fraction, str]:
    """Custom machine types before predefined ones, whose price is lower."""
    return -line.usage.usd_per_unit, line.usage.usage_id


def _cover_at_each_moment(lines: Sequence[OpenLine], pools: Sequence[Pool]) -> None:
    """Covers what runs at a time up to what is committed: a commitment of 8 cores covers 8 of 16
    that run for half the hour, and not all of them."""
    rest: dict[str, Profile] = {line.usage.usage_id: [] for line in lines}
    for start, end, running in moments({line.usage.usage_id: line.profile for line in lines}):
        free = [pool.commitment.capacity for pool in pools]
        for in_round in OWNER_FIRST:
            for line in lines:
                usage_id = line.usage.usage_id
                for place, pool in enumerate(pools):
                    units = min(running.get(usage_id, Fraction(0)), free[place])
                    if units and in_round(line, pool):
                        pool.cover(line, Fraction(1), units * (end - start) / 3600)
                        running[usage_id] -= units
                        free[place] -= units
        for usage_id, units in running.items():
            if units:
                rest[usage_id].append((start, end, units))
    for line in lines:
        line.profile = rest[line.usage.usage_id]


def _flexible_rate(usage: Usage, plan: Commitment) -> Fraction | None:
    """The rate of the line, else its price less the plan's discount where it is eligible."""
    if plan.product.service not in ("", usage.product.service):
        return None
    rate = listed_rate(usage, plan)
    if rate is None and plan.discount is not None:
        is_eligible = usage.product.resource in _FLEXIBLE_RESOURCES
        rate = usage.usd_per_unit * (1 - plan.discount) if is_eligible else None
    return rate
