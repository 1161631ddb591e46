"""Commitments applied to what machines used, hour by hour, and the dollars of each part.

The exact bill of `planner/commitments` says how much of each use a commitment covers. Machines of a
kind at one price are one use to it; which of them is covered is by name, as it would do. Dollars
are rounded once, so that what was used and what was not of a commitment add up to its price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from costplan.planner.advice.types import UPFRONT_SHARE
from costplan.planner.commitments.bill import bill_hour
from costplan.planner.commitments.metering import hour_start
from costplan.planner.commitments.sustained import NEW_MONTH
from costplan.planner.commitments.values import (
    HOURS_OF_TERM,
    SPEND_KINDS,
    BilledLine,
    Commitment,
    Hour,
    HourBill,
    Kind,
    Owner,
    Rules,
    Span,
    Usage,
)
from costplan.planner.finance.held_tariff import Billed, HeldTariff, Machine
from costplan.planner.units import PICO_PER_USD

HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """`count` machines of a kind that ran in [start_us, end_us) microseconds of an hour."""

    machine: int
    start_us: int
    end_us: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of what machines of a kind used in an hour, that a commitment covers.

    `from_us` and `to_us` are places in their machine-time, one machine after the other. `share` is
    the part of their price that it is about: 1 for whole machines, less for their vCPU.
    `effective_pico` is what it costs of the commitment, `units` what it takes of it.
    """

    hour: datetime
    machine: int
    commitment: int
    from_us: Fraction
    to_us: Fraction
    share: Fraction
    effective_pico: int
    units: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A commitment's hour: what it costs in all, what is billed for it then, and what of it was
    not used, in dollars and in its unit."""

    hour: datetime
    commitment: int
    billed_pico: int
    effective_pico: int
    unused_pico: int
    quantity: Fraction
    unused: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Capacity that was reserved in an hour and stood idle: paid as machines are, or by a plan."""

    hour: datetime
    commitment: int
    billed_pico: int
    effective_pico: int
    units: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """An hour with commitments applied."""

    segments: tuple[Segment, ...]
    fees: tuple[Fee, ...]
    idle: tuple[Idle, ...]


def cover_hours(
    hours: Iterable[tuple[datetime, Sequence[Use]]],
    machines: Mapping[int, Machine],
    commitments: Sequence[Commitment],
    tariff: HeldTariff,
    rules: Rules,
) -> Iterator[Covered]:
    """Each hour, in their order, with the commitments (by their places) applied to it."""
    known: dict[int, tuple[Billed, ...]] = {}
    for start, uses in hours:
        parts: dict[str, tuple[int, Billed]] = {}
        usage = []
        of_machine = defaultdict[int, list[Use]](list)
        for use in uses:
            of_machine[use.machine].append(use)
        for number in sorted(of_machine):
            machine = machines[number]
            if number not in known:
                known[number] = tariff.billed(machine)
            for place, billed in enumerate(known[number]):
                name = f"{number:09d}/{place}"
                parts[name] = number, billed
                usage.append(_usage(name, machine, billed, of_machine[number]))
        hour = Hour(usage=tuple(usage), commitments=tuple(commitments), start=start)
        bill, _ = bill_hour(hour, rules, NEW_MONTH)
        yield _covered(start, bill, parts, machines, commitments)


def _usage(name: str, machine: Machine, billed: Billed, uses: Sequence[Use]) -> Usage:
    spans = tuple(
        Span(
            start_seconds=Fraction(use.start_us, 10**6),
            end_seconds=Fraction(use.end_us, 10**6),
            count=use.count * billed.units,
        )
        for use in uses
    )
    return Usage(
        usage_id=name,
        product=billed.product,
        quantity=sum((span.hours for span in spans), Fraction(0)),
        usd_per_unit=billed.usd_per_unit,
        unit="hours",
        rates=billed.rates,
        owner=Owner(account=machine.account),
        spans=spans,
    )


def _covered(
    start: datetime,
    bill: HourBill,
    parts: Mapping[str, tuple[int, Billed]],
    machines: Mapping[int, Machine],
    commitments: Sequence[Commitment],
) -> Covered:
    places = {each.commitment_id: place for place, each in enumerate(commitments)}
    done: dict[str, Fraction] = defaultdict(Fraction)
    raw: dict[str, list[tuple[Segment | BilledLine, Fraction]]] = defaultdict(list)
    idle = []
    for line in bill.lines:
        if line.is_idle and line.covered_by is None:
            pico = round(line.usd * PICO_PER_USD)
            idle.append(_idle(start, places[line.usage_id], line.quantity, pico, pico))
        elif line.is_idle and line.covered_by is not None:
            raw[line.covered_by].append((line, line.usd))
        elif line.covered_by is not None and line.quantity:
            number, billed = parts[line.usage_id]
            begin = done[line.usage_id]
            done[line.usage_id] += line.quantity / billed.units
            bought, price = commitments[places[line.covered_by]], machines[number].usd_per_hour
            segment = Segment(
                hour=start,
                machine=number,
                commitment=places[line.covered_by],
                from_us=begin * HOUR_US,
                to_us=done[line.usage_id] * HOUR_US,
                share=billed.units * billed.usd_per_unit / price if price else Fraction(1),
                effective_pico=0,
                units=line.usd / bought.unit_usd if bought.unit_usd else line.quantity,
            )
            raw[line.covered_by].append((segment, line.usd))
    segments, fees = [], []
    for use in bill.commitments:
        place = places[use.commitment_id]
        found = raw.get(use.commitment_id, [])
        *used, unused = whole_pico([*(usd for _, usd in found), use.unused_usd])
        for (part, _), pico in zip(found, used, strict=True):
            if isinstance(part, Segment):
                segments.append(replace(part, effective_pico=pico))
            else:
                idle.append(_idle(start, places[part.usage_id], part.quantity, 0, pico))
        fees.append(
            Fee(
                hour=start,
                commitment=place,
                billed_pico=round(_billed_usd(commitments[place], start) * PICO_PER_USD),
                effective_pico=sum(used) + unused,
                unused_pico=unused,
                quantity=use.used_quantity + use.unused_quantity,
                unused=use.unused_quantity,
            )
        )
    fees += _paid_ahead(start, commitments, {fee.commitment for fee in fees})
    return Covered(segments=tuple(segments), fees=tuple(fees), idle=tuple(idle))


def _paid_ahead(
    start: datetime, commitments: Sequence[Commitment], in_force: Collection[int]
) -> Iterator[Fee]:
    """What is paid upfront in an hour for commitments that are in force from the next one on."""
    for place, bought in enumerate(commitments):
        usd = _upfront_usd(bought, start)
        if usd and place not in in_force:
            yield Fee(
                hour=start,
                commitment=place,
                billed_pico=round(usd * PICO_PER_USD),
                effective_pico=0,
                unused_pico=0,
                quantity=bought.capacity,
                unused=Fraction(0),
            )


def _idle(hour: datetime, place: int, units: Fraction, billed: int, effective: int) -> Idle:
    return Idle(
        hour=hour, commitment=place, billed_pico=billed, effective_pico=effective, units=units
    )


def _billed_usd(bought: Commitment, hour: datetime) -> Fraction:
    """What is paid for a commitment in an hour in which it is in force."""
    if bought.kind is Kind.CAPACITY_RESERVATION:
        return Fraction(0)
    rate = bought.usd_per_hour or Fraction(0)
    if bought.kind in SPEND_KINDS:
        by_hour = rate * (1 - UPFRONT_SHARE.get(bought.payment, Fraction(0)))
    else:
        by_hour = rate * (bought.count or 0)
    return by_hour + _upfront_usd(bought, hour)


def _upfront_usd(bought: Commitment, hour: datetime) -> Fraction:
    """What is paid at once for a commitment, in the hour that it begins in."""
    if bought.start is None or hour_start(bought.start) != hour:
        return Fraction(0)
    if bought.kind in SPEND_KINDS:
        share = UPFRONT_SHARE.get(bought.payment, Fraction(0))
        return (bought.usd_per_hour or 0) * share * HOURS_OF_TERM.get(bought.term, 0)
    return (bought.count or 0) * bought.upfront_usd


def whole_pico(usd: Sequence[Fraction]) -> list[int]:
    """Amounts in whole pico-dollars that add up to their rounded sum, by largest remainder; equal
    remainders go by place."""
    exact = [amount * PICO_PER_USD for amount in usd]
    found = [amount.__floor__() for amount in exact]
    missing = round(sum(exact, Fraction(0))) - sum(found)
    order = sorted(range(len(exact)), key=lambda place: (found[place] - exact[place], place))
    for place in order[:missing]:
        found[place] += 1
    return found
