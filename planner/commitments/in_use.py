"""What machines that ran use of commitments: this hour as it runs now, and the month so far.

The bill of each hour says it. Machines that run through a whole hour and are equal are one line of
it, so that a month of a thousand machines is some hundred short bills.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from types import MappingProxyType

from costplan.planner.commitments.bill import bill
from costplan.planner.commitments.metering import Run, charged, hour_start, span_usage
from costplan.planner.commitments.sizes import family_of
from costplan.planner.commitments.spend import listed_rate
from costplan.planner.commitments.values import (
    PROVIDERS,
    Commitment,
    CommitmentUse,
    Hour,
    HourBill,
    Kind,
    Owner,
    Product,
    Rules,
    Scope,
    Usage,
)
from costplan.planner.nodes import Node
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import GIB

SERVICES = {"aws": "ec2", "gcp": "compute", "azure": "virtual-machines"}
_PLAN_OF = {"aws": Kind.COMPUTE_SP, "azure": Kind.AZURE_SAVINGS_PLAN}
_TERMS = (("1y", Market.COMMITMENT_1Y), ("3y", Market.COMMITMENT_3Y))
_HOUR = timedelta(hours=1)
_GIB_PER_VCPU = Fraction("7.46")
"""So many GiB cost what a vCPU does on Google Cloud's price list of N1, N2 and E2 (0.031611 $
and 0.004237 $ an hour in us-central1): a machine's price is split by it."""

PriceOf = Callable[[OfferKey], Fraction | None]
"""Dollars an hour of an offer, None where nobody knows."""
RatesOf = Callable[[Product], Mapping[str, Fraction]]
"""Dollars an hour of a machine under commitments, by kind, or by kind and term."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was used of a commitment in some hours, and what was not, in its own unit."""

    used_quantity: Fraction = Fraction(0)
    unused_quantity: Fraction = Fraction(0)
    used_usd: Fraction = Fraction(0)
    unused_usd: Fraction = Fraction(0)

    @property
    def used_share(self) -> Fraction | None:
        """Utilisation, None where there was nothing to use."""
        whole = self.used_quantity + self.unused_quantity
        return self.used_quantity / whole if whole else None

    def and_of(self, use: CommitmentUse) -> Spent:
        """With another hour."""
        return Spent(
            used_quantity=self.used_quantity + use.used_quantity,
            unused_quantity=self.unused_quantity + use.unused_quantity,
            used_usd=self.used_usd + use.used_usd,
            unused_usd=self.unused_usd + use.unused_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """What is used of each commitment, by id: in the hour from `hour` on, in which what runs goes
    on, and from `since` to its end.

    `machines` run now. `coverage` is the share of what machines on demand would have cost without
    commitments that those covered, None where there was none. `unknown` says of a commitment why
    its use is not known.
    """

    hour: datetime
    since: datetime
    machines: int
    this_hour: Mapping[str, Spent]
    month: Mapping[str, Spent]
    coverage: Fraction | None
    unknown: Mapping[str, str]


def in_use(  # noqa: PLR0913 - each is a fact of the question
    nodes: Iterable[Node],
    held: Sequence[Commitment],
    price_of: PriceOf,
    now: datetime,
    owner: Owner | None = None,
    rules: Rules | None = None,
    *,
    rates_of: RatesOf | None = None,
) -> InUse:
    """What these machines use of what is held; `owner` is the account that they are of.

    Without an owner all that is held counts as of the account of the machines. `rates_of` comes
    before the committed prices of `price_of`.
    """
    rules = rules or Rules(sustained_use=False)
    hour = hour_start(now)
    since, until = hour.replace(day=1, hour=0), hour + _HOUR
    ran = [node for node in nodes if node.launched_at is not None and node.launched_at < now]
    lasted = [each for each in ran if each.ended_at is None or each.ended_at > since]
    runs = [
        run for node in lasted for run in _runs_of(node, price_of, held, until, owner or Owner())
    ]
    if rates_of is not None:
        runs = [run if run.is_spot else _rated(run, rates_of(run.product)) for run in runs]
    shared = list(held)
    if owner is None:
        shared = [replace(each, owner=Owner(), scope=Scope.SHARED) for each in held]
    hours = _hours(runs, shared, rules, since, until)
    bills = bill(hours, rules)
    last = bills[-1]
    month: dict[str, Spent] = {}
    for made in bills:
        for use in made.commitments:
            month[use.commitment_id] = month.get(use.commitment_id, Spent()).and_of(use)
    return InUse(
        hour=hour,
        since=since,
        machines=sum(1 for node in lasted if node.ended_at is None or node.ended_at > now),
        this_hour=MappingProxyType(
            {use.commitment_id: Spent().and_of(use) for use in last.commitments}
        ),
        month=MappingProxyType(month),
        coverage=_coverage(hours, bills),
        unknown=MappingProxyType(dict(_unknown(hours, bills, shared, month))),
    )


def _rated(run: Run, rates: Mapping[str, Fraction]) -> Run:
    """The machine with rates that are known better; parts of a machine have none."""
    if not rates or run.product.resource:
        return run
    return replace(run, rates=MappingProxyType({**run.rates, **rates}))


def _runs_of(
    node: Node, price_of: PriceOf, held: Sequence[Commitment], until: datetime, owner: Owner
) -> Iterator[Run]:
    """The machine, or its resources where the cloud bills those."""
    key = node.key
    is_spot = key.market is Market.SPOT
    on_demand = replace(key, market=Market.ON_DEMAND)
    usd = price_of(key if is_spot else on_demand) or Fraction(0)
    rates = {}
    plan = _PLAN_OF.get(key.provider)
    for term, market in _TERMS if plan is not None and not is_spot else ():
        rate = price_of(replace(key, market=market))
        if rate is not None:
            rates[f"{plan}_{term}"] = rate
    start, end = node.launched_at, node.ended_at or until
    if start is None or start >= end:
        return
    machine = Run(
        run_id=node.node_id,
        product=_product(key, held),
        start=start,
        end=end,
        usd_per_hour=usd,
        rates=MappingProxyType(rates),
        owner=owner,
        is_spot=is_spot,
    )
    yield from _resources(machine, node) if key.provider == "gcp" else (machine,)


def _product(key: OfferKey, held: Sequence[Commitment]) -> Product:
    made = Product(
        provider=key.provider,
        service=SERVICES.get(key.provider, ""),
        region=key.region,
        zone=key.zone,
        instance_type=key.instance_type,
        machine_series=key.instance_type.partition("-")[0] if key.provider == "gcp" else "",
    )
    if key.provider != "azure":
        return made
    # The ratio of a size is known where that size is held.
    for each in held:
        if each.product.instance_type.lower() == key.instance_type.lower():
            return replace(
                made, size_group=each.product.size_group, size_ratio=each.product.size_ratio
            )
    return made


def _resources(machine: Run, node: Node) -> Iterator[Run]:
    vcpus = Fraction(node.resources.vcpu_milli, 1000)
    gib = Fraction(node.resources.memory_bytes, GIB)
    per_gib = machine.usd_per_hour / (vcpus * _GIB_PER_VCPU + gib)
    parts = [("vcpu", vcpus, per_gib * _GIB_PER_VCPU), ("memory", gib, per_gib)]
    if node.resources.gpu_kind is not None:
        parts.append((node.resources.gpu_kind.lower(), Fraction(node.resources.gpus), Fraction(0)))
    for resource, count, usd in parts:
        if count:
            yield replace(
                machine,
                run_id=f"{machine.run_id}/{resource}",
                product=replace(machine.product, resource=resource),
                count=count,
                usd_per_hour=usd,
            )


def _hours(
    runs: Sequence[Run],
    held: Sequence[Commitment],
    rules: Rules,
    since: datetime,
    until: datetime,
) -> tuple[Hour, ...]:
    """The hours from `since` to `until`; equal machines that run through one are one line of it."""
    count = (until - since) // _HOUR
    starts = [since + number * _HOUR for number in range(count)]
    alike: dict[tuple[object, ...], tuple[Run, list[Fraction]]] = {}
    parts: list[list[Usage]] = [[] for _ in starts]
    for run in runs:
        start, end = charged(run, rules)
        start, end = max(start, since), min(end, until)
        if start >= end:
            continue
        first, last = -((since - start) // _HOUR), (end - since) // _HOUR
        _, counts = alike.setdefault(_kind(run), (run, [Fraction(0)] * count))
        for number in range(first, last):
            counts[number] += run.count
        for number in {(start - since) // _HOUR, (end - since) // _HOUR} - {*range(first, last)}:
            begin = max(start, since + number * _HOUR)
            stop = min(end, since + (number + 1) * _HOUR)
            if begin < stop:
                parts[number].append(span_usage(run, starts[number], begin, stop))
    for run, counts in alike.values():
        for number, each in enumerate(counts):
            if each:
                together = replace(run, run_id=f"{run.run_id} and alike", count=each)
                start = starts[number]
                parts[number].append(span_usage(together, start, start, start + _HOUR))
    return tuple(
        Hour(usage=tuple(usage), commitments=tuple(held), start=start)
        for start, usage in zip(starts, parts, strict=True)
    )


def _kind(run: Run) -> tuple[object, ...]:
    rates = tuple(sorted(run.rates.items()))
    return run.product, run.usd_per_hour, rates, run.owner, run.is_spot


def _coverage(hours: Sequence[Hour], bills: Sequence[HourBill]) -> Fraction | None:
    """The share of the price on demand that is covered."""
    whole = covered = Fraction(0)
    for hour, made in zip(hours, bills, strict=True):
        price = {each.usage_id: each.usd_per_unit for each in hour.usage if not each.is_spot}
        for line in made.lines:
            if line.usage_id in price and not line.is_idle:
                usd = line.quantity * price[line.usage_id]
                whole += usd
                covered += usd if line.covered_by is not None else 0
    return covered / whole if whole else None


def _unknown(
    hours: Sequence[Hour],
    bills: Sequence[HourBill],
    held: Sequence[Commitment],
    month: Mapping[str, Spent],
) -> Iterator[tuple[str, str]]:
    """Plans of which the bill may say too little: something is left for them, and its rate is not
    known. What a narrow plan would take first of a broad one makes that one's use unknown too."""
    left = {
        kind: _left_for(hours, bills, {each.commitment_id for each in held if each.kind in after})
        for kind, after in _AFTER.items()
    }
    for plan in held:
        spent = month.get(plan.commitment_id)
        if plan.kind not in _AFTER or plan.discount is not None or spent is None:
            continue
        types = sorted({
            each.product.instance_type
            for each in left[plan.kind]
            if _may_cover(plan, each.product) and listed_rate(each, plan) is None
        })  # fmt: skip
        if not types or not spent.unused_quantity:
            continue
        yield plan.commitment_id, f"no rate of {', '.join(types)} under {plan.kind} is known"
        for other in held:
            if other.kind in _AFTER[plan.kind] and month.get(other.commitment_id, Spent()).used_usd:
                yield other.commitment_id, f"{plan.commitment_id} may take some of its usage first"


_AFTER: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.EC2_INSTANCE_SP: (Kind.COMPUTE_SP,),
    Kind.COMPUTE_SP: (),
    Kind.FLEXIBLE_CUD: (),
    Kind.AZURE_SAVINGS_PLAN: (),
}
"""Plans, and those that are applied after them."""


def _left_for(
    hours: Sequence[Hour], bills: Sequence[HourBill], later: Collection[str]
) -> list[Usage]:
    """Usage that nothing covers, or only commitments that are applied later."""
    found = []
    for hour, made in zip(hours, bills, strict=True):
        names = {
            line.usage_id
            for line in made.lines
            if line.covered_by is None or line.covered_by in later
        }
        found += [each for each in hour.usage if each.usage_id in names and not each.is_spot]
    return found


def _may_cover(plan: Commitment, used: Product) -> bool:
    if used.provider != PROVIDERS.get(plan.kind, "aws"):
        return False
    if plan.kind is not Kind.EC2_INSTANCE_SP:
        return True
    return (family_of(used), used.region) == (family_of(plan.product), plan.product.region)
