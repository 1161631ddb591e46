"""AWS: zonal reservations, regional ones, EC2 Instance Savings Plans, Compute Savings Plans.

Sources: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/apply_ri.html,
https://docs.aws.amazon.com/savingsplans/latest/userguide/sp-applying.html and
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/capacity-reservations-pricing-billing.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from costplan.planner.commitments.open import (
    OWNER_FIRST,
    OpenLine,
    Pool,
    Profile,
    by_end,
    fill,
)
from costplan.planner.commitments.packing import Rest, moments_of, packed, scale_of
from costplan.planner.commitments.sizes import family_of, normalization_factor, reserved_ratio
from costplan.planner.commitments.spend import apply_plans, listed_rate
from costplan.planner.commitments.values import Commitment, Kind, Product, Usage

_EC2 = "ec2"


def apply(lines: list[OpenLine], pools: Sequence[Pool]) -> None:
    """Covers the lines in AWS's order; adds a line for each capacity reservation that is idle."""
    lines.extend(_idle_lines(lines, _of(pools, Kind.CAPACITY_RESERVATION)))
    eligible = [line for line in lines if not line.usage.is_spot]
    instances = sorted((line for line in eligible if _is_ec2(line.usage)), key=_smallest_first)
    busy = [line for line in instances if not line.usage.is_idle]
    fill(busy, _of(pools, Kind.ZONAL_RI), _zonal_ratio, OWNER_FIRST)
    fill(instances, _of(pools, Kind.REGIONAL_RI), _regional_ratio, OWNER_FIRST)
    apply_plans(instances, _of(pools, Kind.EC2_INSTANCE_SP), _family_rate, OWNER_FIRST)
    apply_plans(eligible, _of(pools, Kind.COMPUTE_SP), listed_rate, OWNER_FIRST)


def _of(pools: Sequence[Pool], kind: Kind) -> list[Pool]:
    return by_end(pool for pool in pools if pool.commitment.kind is kind)


def _is_ec2(usage: Usage) -> bool:
    return usage.product.service == _EC2 and bool(usage.product.instance_type)


def _smallest_first(line: OpenLine) -> tuple[bool, Fraction, str]:
    """Running instances by size; sizes that are not known last, for they match only themselves."""
    factor = normalization_factor(line.usage.product.instance_type)
    return line.usage.is_idle, Fraction(10**9) if factor is None else factor, line.usage.usage_id


def _same_machine(used: Product, bought: Product) -> bool:
    """True where type, platform, tenancy and zone are the same."""
    return (used.instance_type, used.os, used.tenancy, used.zone) == (
        bought.instance_type,
        bought.os,
        bought.tenancy,
        bought.zone,
    )


def _zonal_ratio(line: OpenLine, pool: Pool) -> Fraction | None:
    same = _same_machine(line.usage.product, pool.commitment.product)
    return Fraction(1) if same else None


def _regional_ratio(line: OpenLine, pool: Pool) -> Fraction | None:
    used, bought = line.usage.product, pool.commitment.product
    return reserved_ratio(used, bought) if used.region == bought.region else None


def _family_rate(usage: Usage, plan: Commitment) -> Fraction | None:
    used, bought = usage.product, plan.product
    if (family_of(used), used.region) != (family_of(bought), bought.region):
        return None
    return listed_rate(usage, plan)


def _idle_lines(lines: Sequence[OpenLine], pools: Sequence[Pool]) -> list[OpenLine]:
    """The unused part of each capacity reservation as a line: it costs what instances cost.

    Instances that it holds are paid as they are. Reservations of the same machine share them:
    what one does not hold, the next may.
    """
    idle = []
    busy = [line for line in lines if _is_ec2(line.usage) and not line.usage.is_spot]
    free = {line.usage.usage_id: line.profile for line in busy}
    for pool in pools:
        fitting = sorted(
            line.usage.usage_id
            for line in busy
            if _same_machine(line.usage.product, pool.commitment.product)
            and any(in_round(line, pool) for in_round in OWNER_FIRST)
        )
        free.update(_held(pool, {usage_id: free[usage_id] for usage_id in fitting}))
        if pool.left > 0:
            idle.append(OpenLine(_idle_usage(pool)))
    return idle


def _held(pool: Pool, profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """Takes from the pool what runs in it at each moment; gives what runs besides."""
    listed, window = list(profiles.values()), pool.window_seconds
    scale = scale_of(listed, [pool.commitment.capacity], window)
    capacity = scale.whole_units(pool.commitment.capacity)
    begin, until = (int(edge * scale.seconds) for edge in window)
    rest, held = Rest(len(listed), scale), 0
    for moment in moments_of(listed, scale, window):
        room = capacity if begin <= moment.start and moment.end <= until else 0
        (inside,), besides = packed(moment.units, [room])
        held += int(inside.sum()) * (moment.end - moment.start)
        rest.note(moment.start, moment.end, besides)
    pool.left -= scale.hours(held)
    return dict(zip(profiles, rest.profiles(), strict=True))


def _idle_usage(pool: Pool) -> Usage:
    bought = pool.commitment
    return Usage(
        usage_id=bought.commitment_id,
        product=replace(bought.product, service=_EC2),
        quantity=pool.left,
        usd_per_unit=bought.usd_per_hour or Fraction(0),
        unit="hours",
        rates=bought.idle_rates,
        owner=bought.owner,
        is_idle=True,
    )
