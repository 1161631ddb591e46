"""Which commitment covers what, for whole series of hours at once.

A second reading of the providers' order beside `planner/commitments`, which bills one hour exactly:
both must come to the same dollars. Here an hour is even, usage is one owner's, and sustained use
is not discounted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np

from costplan.planner.advice.types import Floats, Line
from costplan.planner.commitments.sizes import family_of, normalization_factor, reserved_ratio
from costplan.planner.commitments.spend import listed_rate
from costplan.planner.commitments.values import (
    PROVIDERS,
    SPEND_KINDS,
    Commitment,
    Kind,
    Product,
)

ORDER = tuple(kind for kind in Kind if kind is not Kind.CAPACITY_RESERVATION)
"""Kinds in the order in which they are applied. Capacity reservations take nothing off a price."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_LONGEST_FIRST = ("3y", "1y", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a line at one price: what must run on demand, or what may run on spot machines."""

    line: Line
    share: float
    usd_per_unit: float
    is_spot: bool

    @property
    def name(self) -> tuple[str, bool]:
        """Its place among equals."""
        return self.line.usage_id, self.is_spot


@dataclass(frozen=True, slots=True)
class Step:
    """A commitment comes to a part, and takes `ratio` of its own units for each of the part's."""

    pool: int
    part: int
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Commitments over an horizon: the steps in which they are applied, and how much of each there
    is, by pool and hour."""

    steps: tuple[Step, ...]
    rooms: tuple[Floats, ...]
    usd: float
    """What the commitments cost over the horizon, used or not."""

    def cover(
        self,
        left: Floats,
        used: Floats | None = None,
        prices: Floats | None = None,
        worth: Floats | None = None,
    ) -> Floats:
        """What of `left` [part, hour] nothing covers; it is changed in place.

        `used` [pool] takes up what was used of each commitment, and `worth` [pool] what that would
        have cost at `prices` [part].
        """
        rooms: dict[int, Floats] = {}
        for step in self.steps:
            room = rooms.get(step.pool)
            if room is None:
                room = rooms[step.pool] = self.rooms[step.pool].copy()
            units = left[step.part]
            taken = np.minimum(units * step.ratio, room)
            room -= taken
            units -= taken / step.ratio
            if used is not None:
                used[step.pool] += taken.sum()
            if worth is not None and prices is not None:
                worth[step.pool] += prices[step.part] * taken.sum() / step.ratio
        return left


def parts_of(lines: Sequence[Line]) -> tuple[Part, ...]:
    """The lines cut by price; a part that is nothing is left out."""
    found = []
    for line in lines:
        spot = line.spot_share if line.spot_usd is not None else 0.0
        if spot < 1:
            price = float(line.usd_per_unit)
            found.append(Part(line=line, share=1 - spot, usd_per_unit=price, is_spot=False))
        if spot > 0:
            price = min(float(line.spot_usd or 0), float(line.usd_per_unit))
            found.append(Part(line=line, share=spot, usd_per_unit=price, is_spot=True))
    return tuple(found)


def book_of(
    parts: Sequence[Part], held: Sequence[Commitment], now: datetime, horizon_hours: int
) -> Book:
    """What is held over the horizon, until each ends."""
    kept = [each for each in held if each.kind in ORDER]
    rooms, usd = [], 0.0
    for each in kept:
        on = _in_force(each, now, horizon_hours)
        rooms.append(float(each.capacity) * on)
        usd += float(each.hourly_usd) * float(on.sum())
    return Book(steps=tuple(steps_of(parts, kept)), rooms=tuple(rooms), usd=usd)


def steps_of(parts: Sequence[Part], held: Sequence[Commitment]) -> list[Step]:
    """The order in which the providers apply commitments to usage."""
    places = sorted(
        range(len(held)),
        key=lambda place: (held[place].end or _NEVER, held[place].commitment_id),
    )
    steps = []
    for kind in ORDER:
        pools = [place for place in places if held[place].kind is kind]
        steps += (_plans if kind in SPEND_KINDS else _machines)(parts, held, pools)
    return steps


def ratio_of(part: Part, bought: Commitment) -> float | None:
    """Units of a commitment that one of a part takes; None where it is not covered."""
    ratio = _ratio(part.line, bought)
    return None if ratio is None or ratio <= 0 else float(ratio)


def _in_force(bought: Commitment, now: datetime, horizon_hours: int) -> Floats:
    hour = timedelta(hours=1)
    first = 0 if bought.start is None else max(-((now - bought.start) // hour), 0)
    last = horizon_hours if bought.end is None else max(-((now - bought.end) // hour), 0)
    on = np.zeros(horizon_hours)
    on[first:last] = 1.0
    return on


def _machines(
    parts: Sequence[Part], held: Sequence[Commitment], pools: Sequence[int]
) -> list[Step]:
    found = []
    for place in sorted(range(len(parts)), key=lambda place: _rank(parts[place])):
        for pool in pools:
            ratio = ratio_of(parts[place], held[pool])
            if ratio is not None:
                found.append(Step(pool, place, ratio))
    return found


def _rank(part: Part) -> tuple[float, tuple[str, bool]]:
    """AWS and Azure serve the smallest size first, Google Cloud the dearest."""
    product = part.line.product
    if product.provider == "gcp":
        return -part.usd_per_unit, part.name
    if product.provider == "azure":
        return float(product.size_ratio or 0), part.name
    factor = normalization_factor(product.instance_type)
    return (1e9 if factor is None else float(factor)), part.name


def _plans(parts: Sequence[Part], held: Sequence[Commitment], pools: Sequence[int]) -> list[Step]:
    """Pairs of a plan and a part by saving, as `commitments/spend.py` ranks them."""
    pairs = []
    for order, pool in enumerate(pools):
        for place, part in enumerate(parts):
            ratio = ratio_of(part, held[pool])
            if ratio is not None:
                price = part.usd_per_unit
                saving = 1 - ratio / price if price else 0.0
                azure = held[pool].kind is Kind.AZURE_SAVINGS_PLAN
                term = _LONGEST_FIRST.index(held[pool].term) if azure else 0
                rank = (term, -saving, ratio, part.name, order)
                pairs.append((rank, Step(pool, place, ratio)))
    return [step for _, step in sorted(pairs, key=lambda pair: pair[0])]


def _ratio(line: Line, bought: Commitment) -> Fraction | None:
    if PROVIDERS.get(bought.kind, "aws") != line.product.provider:
        return None
    covers = _COVERS.get(bought.kind)
    return None if covers is None else covers(line, bought)


def _zonal(line: Line, bought: Commitment) -> Fraction | None:
    used, of = line.product, bought.product
    same = (used.instance_type, used.os, used.tenancy, used.zone)
    is_it = _is_ec2(used) and same == (of.instance_type, of.os, of.tenancy, of.zone)
    return Fraction(1) if is_it else None


def _regional(line: Line, bought: Commitment) -> Fraction | None:
    used, of = line.product, bought.product
    is_it = _is_ec2(used) and used.region == of.region
    return reserved_ratio(used, of) if is_it else None


def _resource(line: Line, bought: Commitment) -> Fraction | None:
    used, of = line.product, bought.product
    what = (used.region, used.machine_series, used.resource)
    return Fraction(1) if what == (of.region, of.machine_series, of.resource) else None


def _of_family(line: Line, bought: Commitment) -> Fraction | None:
    used, of = line.product, bought.product
    is_it = _is_ec2(used) and (family_of(used), used.region) == (family_of(of), of.region)
    return _rate(line, bought) if is_it else None


def _is_ec2(used: Product) -> bool:
    return used.provider == "aws" and used.service == "ec2" and bool(used.instance_type)


def _rate(line: Line, plan: Commitment) -> Fraction | None:
    return listed_rate(line.usage(Fraction(0)), plan)


def _flexible_rate(line: Line, plan: Commitment) -> Fraction | None:
    if plan.product.service not in ("", line.product.service):
        return None
    rate = _rate(line, plan)
    if rate is None and plan.discount is not None:
        is_eligible = line.product.resource in ("", "vcpu", "memory")
        rate = line.usd_per_unit * (1 - plan.discount) if is_eligible else None
    return rate


def _lower_rate(line: Line, plan: Commitment) -> Fraction | None:
    rate = _rate(line, plan)
    return None if rate is None else min(rate, line.usd_per_unit)


def _azure_ratio(line: Line, bought: Commitment) -> Fraction | None:
    used, of = line.product, bought.product
    if (used.region, used.service) != (of.region, of.service):
        return None
    if used.instance_type.lower() == of.instance_type.lower():
        return Fraction(1)
    same_group = bool(of.size_group) and used.size_group == of.size_group
    sizes = used.size_ratio, of.size_ratio
    if not (bought.is_size_flexible and same_group) or sizes[0] is None or sizes[1] is None:
        return None
    return sizes[0] / sizes[1]


_COVERS: Mapping[Kind, Callable[[Line, Commitment], Fraction | None]] = {
    Kind.ZONAL_RI: _zonal,
    Kind.REGIONAL_RI: _regional,
    Kind.EC2_INSTANCE_SP: _of_family,
    Kind.COMPUTE_SP: _rate,
    Kind.RESOURCE_CUD: _resource,
    Kind.FLEXIBLE_CUD: _flexible_rate,
    Kind.AZURE_RESERVATION: _azure_ratio,
    Kind.AZURE_SAVINGS_PLAN: _lower_rate,
}
