"""What the same would have cost otherwise, in words, at prices of the same ledger.

Each alternative has a band: what is not certain is decided for the alternative at its low end and
against it at its high one. What was paid is amortised: the fees of commitments are in it by what
they covered and by what of them nobody used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from costplan.planner.units import rounded_usd

ON_DEMAND = "everything on demand"
BEFORE = "the fleet before"
ADAPTIVE = "Dask Adaptive on one type"

_ZERO = Decimal(0)
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """Another way to have bought the same: its dollars with their band, None where not known.

    `paid_usd` is what was paid for what it is compared with.
    """

    name: str
    words: str
    paid_usd: Decimal
    usd: Decimal | None = None
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None

    @property
    def saved_usd(self) -> Decimal | None:
        """What was saved against it, below zero where it would have cost less."""
        return None if self.usd is None else self.usd - self.paid_usd

    @property
    def saved_low_usd(self) -> Decimal | None:
        """The least that was saved."""
        return None if self.low_usd is None else self.low_usd - self.paid_usd

    @property
    def saved_high_usd(self) -> Decimal | None:
        """The most that was saved."""
        return None if self.high_usd is None else self.high_usd - self.paid_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemand:
    """The lines that have an on-demand price: its dollars, by what the time did, and what was
    paid for them. `unknown` are types without one, which are on neither side;
    `total_usd` is what was paid in all."""

    usd: Decimal
    recompute_usd: Decimal
    churn_usd: Decimal
    paid_usd: Decimal
    total_usd: Decimal
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A type that ran in the period, with its on-demand price: the mean, least and most that the
    ledger has of it."""

    provider: str
    region: str
    instance_type: str
    vcpu: Decimal
    gpus: int
    usd_per_hour: Decimal
    least_usd_per_hour: Decimal
    most_usd_per_hour: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """What ran in a clock hour, in vCPU-hours and GPU-hours: what worked, what was ready (work and
    idle), and all of it."""

    work_vcpu: Decimal
    ready_vcpu: Decimal
    all_vcpu: Decimal
    work_gpu: Decimal
    ready_gpu: Decimal
    all_gpu: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The fleet that ran before: `count` machines, all the time. Without a price the ledger's
    on-demand price of the type is taken."""

    instance_type: str
    count: int
    usd_per_hour: Decimal | None = None


def on_demand(seen: OnDemand) -> Otherwise:
    """The same machines for the same time at on-demand prices.

    On demand nobody interrupts, so what ran again is left out; the low end leaves out boot and
    drain too, as if no machine ever came or went, and the high end leaves nothing out.
    """
    words = (
        "The same machines, disks and addresses for the same time at the on-demand price of each "
        "at that time, without the work that ran again after interruptions; from a fleet that "
        "never boots or drains to one that is interrupted just the same"
    )
    if seen.unknown:
        words += f"; without {_named(seen.unknown)}, of which no on-demand price is known"
    if not seen.usd or seen.paid_usd * 2 < seen.total_usd:
        words = f"{words}: of too much to compare the rest"
        return Otherwise(name=ON_DEMAND, words=words, paid_usd=seen.paid_usd)
    usd = seen.usd - seen.recompute_usd
    return Otherwise(
        name=ON_DEMAND, words=words, paid_usd=seen.paid_usd, usd=usd,
        low_usd=usd - seen.churn_usd, high_usd=seen.usd,
    )  # fmt: skip


def fleet_before(
    before: Before, types: Sequence[Type], period: tuple[datetime, datetime], hours_used: int,
    paid_usd: Decimal,
) -> Otherwise:  # fmt: skip
    """So many machines of one type over the whole period.

    The low end has them in those clock hours alone in which any machine ran here, and both ends
    the least and the most that the type cost on demand.
    """
    start, end = period
    hours = Decimal(int((end - start).total_seconds())) / 3600
    if before.usd_per_hour is not None:
        least = price = most = before.usd_per_hour
        origin = "as given"
    else:
        alike = [each for each in types if each.instance_type == before.instance_type]
        if not alike:
            words = (
                f"{before.count} {before.instance_type} all the time: no on-demand price of it is "
                "in the ledger, so give one (reports.before.usd_per_hour)"
            )
            return Otherwise(name=BEFORE, words=words, paid_usd=paid_usd)
        price = min(each.usd_per_hour for each in alike)
        least = min(each.least_usd_per_hour for each in alike)
        most = max(each.most_usd_per_hour for each in alike)
        origin = "on demand, as the ledger has it"
    words = (
        f"{before.count} {before.instance_type} for {hours:,.0f} hours without a break, at "
        f"${_price(price)}/h each {origin}; the low end stops them in hours without any machine "
        "here"
    )
    used = min(Decimal(hours_used), hours)
    return Otherwise(
        name=BEFORE, words=words, paid_usd=paid_usd,
        usd=rounded_usd(before.count * price * hours),
        low_usd=rounded_usd(before.count * least * used),
        high_usd=rounded_usd(before.count * most * hours),
    )  # fmt: skip


def adaptive(hours: Sequence[Hour], types: Sequence[Type], paid_usd: Decimal) -> Otherwise:
    """Stock Adaptive with workers of the cheapest one on-demand type that ran here.

    In each hour it has whole machines for the vCPU and GPUs that were ready. The low end pays for
    what worked alone, in parts of a machine; the high end for all that ran, boots and drains
    too. Memory is not looked at, which is in its favour.
    """
    base = "What was ready in each hour, in whole machines of the cheapest one on-demand type"
    needs_gpu = any(hour.all_gpu for hour in hours)
    fit = [each for each in types if each.vcpu > 0 and (each.gpus > 0 or not needs_gpu)]
    if not hours or not fit:
        words = f"{base}: no on-demand price of a type that holds it all is in the ledger"
        return Otherwise(name=ADAPTIVE, words=words, paid_usd=paid_usd)
    costs = []
    for each in fit:
        middle = sum((_machines(h.ready_vcpu, h.ready_gpu, each) for h in hours), _ZERO)
        costs.append((middle * each.usd_per_hour, each.usd_per_hour, each.instance_type, each))
    cost, *_, best = min(costs, key=lambda found: found[:3])
    low = sum((_parts(h.work_vcpu, h.work_gpu, best) for h in hours), _ZERO)
    high = sum((_machines(h.all_vcpu, h.all_gpu, best) for h in hours), _ZERO)
    words = (
        f"{base} that ran here ({best.instance_type} in {best.region or best.provider} at "
        f"${_price(best.usd_per_hour)}/h), as Dask's Adaptive would hold it; from paying for work "
        "alone in parts of a machine to paying for boots and drains as well; memory not looked at"
    )
    return Otherwise(
        name=ADAPTIVE, words=words, paid_usd=paid_usd, usd=rounded_usd(cost),
        low_usd=rounded_usd(min(low * best.usd_per_hour, cost)),
        high_usd=rounded_usd(high * best.usd_per_hour),
    )  # fmt: skip


def _parts(vcpu: Decimal, gpu: Decimal, of: Type) -> Decimal:
    by_gpu = gpu / of.gpus if of.gpus else _ZERO
    return max(vcpu / of.vcpu, by_gpu, _ZERO)


def _machines(vcpu: Decimal, gpu: Decimal, of: Type) -> Decimal:
    return _parts(vcpu, gpu, of).to_integral_value(ROUND_CEILING)


def _price(usd: Decimal) -> str:
    return f"{usd:.6f}".rstrip("0").ljust(len(f"{usd:.0f}") + 3, "0")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
