"""Google Cloud: resource commitments, flexible ones, and sustained use of what is left.

Sources: https://cloud.google.com/compute/docs/instances/signing-up-committed-use-discounts,
https://cloud.google.com/docs/cuds-spend-based and
https://cloud.google.com/compute/docs/sustained-use-discounts
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from costplan.planner.commitments.open import (
    OWNER_FIRST,
    OpenLine,
    Pool,
    by_end,
)
from costplan.planner.commitments.packing import Numbers, Rest, moments_of, packed, scale_of
from costplan.planner.commitments.spend import apply_plans, listed_rate
from costplan.planner.commitments.values import Commitment, Kind, Product, Scope, Usage

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
    that run for half the hour, and not all of them.

    The owner's usage comes first. Where some of it is left all that the owner holds is used up, so
    that in the second round nothing meets what it has met in the first.
    """
    profiles = [line.profile for line in lines]
    scale = scale_of(profiles, [pool.commitment.capacity for pool in pools])
    rooms = [scale.whole_units(pool.commitment.capacity) for pool in pools]
    owners = {
        account: (
            [place for place, line in enumerate(lines) if line.usage.owner.account == account],
            [place for place, pool in enumerate(pools) if pool.commitment.owner.account == account],
        )
        for account in sorted({pool.commitment.owner.account for pool in pools})
    }
    shared = [place for place, pool in enumerate(pools) if pool.commitment.scope is Scope.SHARED]
    covered: list[Numbers] = [np.zeros(len(lines), dtype=scale.dtype) for _ in pools]
    rest = Rest(len(lines), scale)
    for moment in moments_of(profiles, scale):
        left, free = moment.units.copy(), list(rooms)
        length = moment.end - moment.start
        for mine, held in owners.values():
            parts, left[mine] = packed(left[mine], [free[place] for place in held])
            for place, part in zip(held, parts, strict=True):
                covered[place][mine] += part * length
                free[place] -= int(part.sum())
        parts, left = packed(left, [free[place] for place in shared])
        for place, part in zip(shared, parts, strict=True):
            covered[place] += part * length
        rest.note(moment.start, moment.end, left)
    for place, pool in enumerate(pools):
        for number in np.flatnonzero(covered[place]).tolist():
            pool.cover(lines[number], Fraction(1), scale.hours(covered[place][number]))
    for line, profile in zip(lines, rest.profiles(), strict=True):
        line.profile = profile


def _flexible_rate(usage: Usage, plan: Commitment) -> Fraction | None:
    """The rate of the line, else its price less the plan's discount where it is eligible."""
    if plan.product.service not in ("", usage.product.service):
        return None
    rate = listed_rate(usage, plan)
    if rate is None and plan.discount is not None:
        is_eligible = usage.product.resource in _FLEXIBLE_RESOURCES
        rate = usage.usd_per_unit * (1 - plan.discount) if is_eligible else None
    return rate
