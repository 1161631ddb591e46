"""Which machines of a price list each commitment pays for, and how many: the optimizer's reading.

Commitments that pay for the same machines at the same rates are one *pool*. A machine that a pool
pays for takes `units` of it, and what is `left` of its price is still to be paid. Sizes that are
flexible count in the provider's own units, so that they share a pool.

This shares no rule of application with the bill, by which a plan is priced in the end: here any
machine may have what is left of a pool, and the program says which ones do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from costplan.planner.catalogue import MARKETS, Labels
from costplan.planner.commitments.sizes import family_of, normalization_factor, reserved_ratio
from costplan.planner.commitments.values import Commitment, Kind
from costplan.planner.held.machines import MEMORY, VCPU, Tariff, azure_group, machine_at, series_of
from costplan.planner.types import Gap, Market
from costplan.planner.units import GIB, PICO_PER_USD
from costplan.planner.wording import counted, plain

Rows = NDArray[np.intp]
Floats = NDArray[np.float64]

_LIKE_OURS = ("linux", "shared")
"""System and tenancy of the machines that are planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Commitments by name, and how many units of all of them there are; `unit` is in words.

    `scales` are units of the pool in one of each commitment's own.
    """

    names: tuple[str, ...]
    most: float
    unit: str
    scales: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """Machines that pools pay for: rows of the price list, `left_usd` of each that is still to be
    paid an hour, and what each takes of pools, by their places."""

    rows: Rows
    left_usd: Floats
    units: tuple[tuple[int, Floats], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """All pools, what they pay for, and what of that is not known."""

    pools: tuple[Pool, ...] = ()
    paid: tuple[Paid, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A pool while it is put together."""

    unit: str
    names: list[str] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    most: Fraction = Fraction(0)


def reach_of(tariff: Tariff, rows: Rows) -> Reach:
    """What the commitments of a tariff pay for of these rows of its price list."""
    listed = tariff.catalogue
    firm = rows[listed.market[rows] == MARKETS.index(Market.ON_DEMAND)]
    builder = _Builder(tariff, firm)
    for pool, bought in enumerate(builder.members):
        if bought.kind is not Kind.RESOURCE_CUD:
            builder.add(pool, bought)
    builder.add_resources()
    return Reach(
        pools=tuple(
            Pool(
                names=tuple(draft.names),
                most=float(draft.most),
                unit=draft.unit,
                scales=tuple(draft.scales),
            )
            for draft in builder.drafts.values()
        ),
        paid=tuple(builder.paid),
        gaps=tuple(builder.gaps()),
    )


class _Builder:
    """The pools of a tariff, one by one; `members` is a commitment of each, for its rules."""

    def __init__(self, tariff: Tariff, rows: Rows) -> None:
        self.tariff, self.rows, self.listed = tariff, rows, tariff.catalogue
        self.drafts: dict[tuple[object, ...], _Draft] = {}
        self.members: list[Commitment] = []
        self.paid: list[Paid] = []
        self.unknown: dict[int, int] = {}
        self.reached: set[int] = set()
        self.price = self.listed.price_pico[rows] / PICO_PER_USD
        for bought in sorted(tariff.commitments, key=lambda each: each.commitment_id):
            key, scale, unit = _pool_key(bought)
            if key not in self.drafts:
                self.drafts[key] = _Draft(unit)
                self.members.append(bought)
            draft = self.drafts[key]
            draft.names.append(bought.commitment_id)
            draft.scales.append(float(scale))
            draft.most += bought.capacity * scale

    def _here(self, labels: Labels, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the rows have one of these names."""
        table = np.zeros(len(labels.names) + 1, dtype=bool)
        for name in names:
            code = labels.code_of(name)
            if code >= 0:
                table[code] = True
        return np.asarray(table[labels.codes[self.rows]])

    def _types(self, wanted: Sequence[str]) -> NDArray[np.bool_]:
        return self._here(self.listed.instance_type, wanted)

    def add(self, pool: int, bought: Commitment) -> None:
        """The machines that a pool pays for alone."""
        if (bought.product.os, bought.product.tenancy) != _LIKE_OURS:
            return
        match bought.kind:
            case Kind.ZONAL_RI:
                here = self._here(self.listed.zone, [bought.product.zone])
                mine = self._of("aws") & here & self._types([bought.product.instance_type])
                self._pay(pool, np.flatnonzero(mine), np.ones(int(mine.sum())))
            case Kind.REGIONAL_RI | Kind.AZURE_RESERVATION:
                self._add_sizes(pool, bought)
            case _:
                self._add_plan(pool, bought)

    def _of(self, provider: str) -> NDArray[np.bool_]:
        return self._here(self.listed.provider, [provider])

    def _add_sizes(self, pool: int, bought: Commitment) -> None:
        """Reserved machines of a region, in units of a size."""
        is_aws = bought.kind is Kind.REGIONAL_RI
        mine = self._of("aws" if is_aws else "azure")
        places = np.flatnonzero(mine & self._here(self.listed.region, [bought.product.region]))
        units = np.zeros(len(places))
        known: dict[tuple[int, int, int], float] = {}
        codes = self.listed.instance_type.codes[self.rows[places]]
        for place, (row, code) in enumerate(zip(self.rows[places], codes, strict=True)):
            sizes = int(self.listed.vcpu_milli[row]), int(self.listed.memory_bytes[row])
            like = (int(code), *sizes)
            if like not in known:
                name = self.listed.instance_type[int(row)]
                known[like] = (
                    _aws_units(name, bought) if is_aws else _azure_units(name, sizes, bought)
                )
            units[place] = known[like]
        self._pay(pool, places[units > 0], units[units > 0])

    def _add_plan(self, pool: int, plan: Commitment) -> None:
        """Plans of dollars an hour: each machine takes its rate."""
        provider = {Kind.FLEXIBLE_CUD: "gcp", Kind.AZURE_SAVINGS_PLAN: "azure"}
        mine = self._of(provider.get(plan.kind, "aws"))
        if plan.kind is Kind.EC2_INSTANCE_SP:
            mine &= self._here(self.listed.region, [plan.product.region])
            family = family_of(plan.product)
            names = self.listed.instance_type.names
            mine &= self._types([name for name in names if name.partition(".")[0] == family])
        places = np.flatnonzero(mine)
        rates = self._rates(plan, places)
        if plan.kind is Kind.AZURE_SAVINGS_PLAN:
            rates = np.minimum(rates, self.price[places])
        known = np.isfinite(rates) & (rates > 0)
        if plan.kind is not Kind.FLEXIBLE_CUD or plan.discount is None:
            names_of = self.listed.instance_type.codes[self.rows[places[~known]]]
            self.unknown[pool] = len(np.unique(names_of))
        self._pay(pool, places[known], rates[known])

    def _rates(self, plan: Commitment, places: Rows) -> Floats:
        """Dollars an hour of a plan that machines take, not a number where nobody says."""
        listed, rows = self.listed, self.rows[places]
        like = listed.provider.codes[rows].astype(np.int64) * len(listed.region.names)
        like = (like + listed.region.codes[rows]) * len(listed.instance_type.names)
        like += listed.instance_type.codes[rows]
        _, first, inverse = np.unique(like, return_index=True, return_inverse=True)
        names = (f"{plan.kind}_{plan.term}", str(plan.kind))
        each = np.full(len(first), np.nan)
        for place, row in enumerate(rows[first].tolist()):
            of_machine = self.tariff.rates(
                listed.provider[row], listed.instance_type[row], listed.region[row]
            )
            rate = of_machine.get(names[0], of_machine.get(names[1]))
            if rate is not None:
                each[place] = float(rate)
        rates: Floats = each[inverse]
        if plan.kind is Kind.FLEXIBLE_CUD and plan.discount is not None:
            without_gpus = listed.gpus[rows] == 0
            discounted = self.price[places] * (1 - float(plan.discount))
            rates = np.where(np.isnan(rates) & without_gpus, discounted, rates)
        return rates

    def _pay(self, pool: int, places: Rows, units: Floats) -> None:
        """A pool pays for machines in full."""
        if len(places):
            self.reached.add(pool)
            none = np.zeros(len(places))
            self.paid.append(Paid(rows=self.rows[places], left_usd=none, units=((pool, units),)))

    def add_resources(self) -> None:
        """Google's commitments to vCPU and memory: either part of a machine, or both, the other
        one paid by a flexible commitment where there is one."""
        found: dict[tuple[str, str], dict[str, int]] = {}
        for pool, bought in enumerate(self.members):
            of = bought.product
            if bought.kind is Kind.RESOURCE_CUD and of.resource in (VCPU, MEMORY):
                found.setdefault((of.region, of.machine_series), {})[of.resource] = pool
        names = self.listed.instance_type.names
        for (region, series), pools in found.items():
            mine = self._of("gcp") & self._here(self.listed.region, [region])
            mine &= self._types([name for name in names if series_of(name) == series])
            mine &= self.listed.gpus[self.rows] == 0
            self._add_parts(np.flatnonzero(mine), pools)

    def _add_parts(self, places: Rows, pools: dict[str, int]) -> None:
        parts = [
            self.tariff.parts_usd(machine_at(self.listed, int(row))) for row in self.rows[places]
        ]
        known = np.array([each is not None for each in parts], dtype=bool)
        for pool in pools.values():
            self.unknown[pool] = int(np.count_nonzero(~known))
        places = places[known]
        if not len(places):
            return
        usd = np.array([[float(p) for p in each] for each in parts if each is not None])
        rows = self.rows[places]
        sizes = {
            VCPU: self.listed.vcpu_milli[rows] / 1000,
            MEMORY: self.listed.memory_bytes[rows] / GIB,
        }
        of_part = {VCPU: usd[:, 0], MEMORY: usd[:, 1]}
        plans = [
            (pool, plan) for pool, plan in enumerate(self.members) if plan.kind is Kind.FLEXIBLE_CUD
        ]
        rates = {pool: self._rates(plan, places) / self.price[places] for pool, plan in plans}
        for part, pool in pools.items():
            self.reached.add(pool)
            other = MEMORY if part == VCPU else VCPU
            units = (pool, sizes[part])
            self.paid.append(Paid(rows=rows, left_usd=of_part[other], units=(units,)))
            for plan, share in rates.items():
                ok = np.isfinite(share)
                if ok.any():
                    taken = (plan, (share * of_part[other])[ok])
                    kept = (pool, sizes[part][ok])
                    none = np.zeros(int(ok.sum()))
                    self.paid.append(Paid(rows=rows[ok], left_usd=none, units=(kept, taken)))
        if len(pools) > 1:
            both = tuple((pool, sizes[part]) for part, pool in pools.items())
            self.paid.append(Paid(rows=rows, left_usd=np.zeros(len(rows)), units=both))

    def gaps(self) -> Iterator[Gap]:
        """What is held and cannot be counted on here."""
        for pool, draft in enumerate(self.drafts.values()):
            kind, missing = self.members[pool].kind, self.unknown.get(pool, 0)
            why = ""
            if pool not in self.reached:
                why = "it pays for no machine that may be bought here"
            if missing:
                types = counted(missing, "machine type")
                why = f"its rate for {types} is not known, which count as not paid for; "
                why += "add commitment_rates"
                if kind is Kind.RESOURCE_CUD:
                    why = f"{types} of the series cannot be told apart in vCPU and memory"
            if why:
                yield Gap(
                    kind="commitment", subject=", ".join(map(plain, draft.names)), assumed=why
                )


def _pool_key(bought: Commitment) -> tuple[tuple[object, ...], Fraction, str]:
    """What commitments of one pool have in common, units of the pool in one of its own, and what
    they are called."""
    of, kind = bought.product, bought.kind
    like = (kind, of.os, of.tenancy, of.region)
    match kind:
        case Kind.REGIONAL_RI | Kind.AZURE_RESERVATION:
            key, scale, unit = _sizes_key(bought)
        case Kind.ZONAL_RI:
            key, scale, unit = (of.zone, of.instance_type), Fraction(1), "node"
        case Kind.RESOURCE_CUD:
            unit = {VCPU: "vCPU", MEMORY: "GiB"}.get(of.resource, of.resource)
            key, scale = (of.machine_series, of.resource), Fraction(1)
        case Kind.EC2_INSTANCE_SP:
            key, scale, unit = (family_of(of), bought.term), Fraction(1), "USD/h"
        case _:
            terms = (of.service, bought.term, str(bought.discount))
            key, scale, unit = terms, Fraction(1), "USD/h"
    return (*like, *key), scale, unit


def _sizes_key(bought: Commitment) -> tuple[tuple[str, ...], Fraction, str]:
    """The same of reserved machines, in units of size where other sizes may have them."""
    of = bought.product
    if bought.kind is Kind.AZURE_RESERVATION:
        if of.size_group and of.size_ratio is not None and bought.is_size_flexible:
            return (of.size_group, ""), of.size_ratio, "vCPU of its series"
        return ("", of.instance_type.lower()), Fraction(1), "node"
    factor = normalization_factor(of.instance_type)
    if factor is None or not _is_flexible(bought):
        return ("", of.instance_type), Fraction(1), "node"
    return (family_of(of), ""), factor, "normalised unit"


def _is_flexible(bought: Commitment) -> bool:
    """True where other sizes of the family may use it."""
    of = bought.product
    family, name = family_of(of), of.instance_type
    size = "xlarge" if name != f"{family}.xlarge" else "2xlarge"
    return reserved_ratio(replace(of, instance_type=f"{family}.{size}"), of) is not None


def _aws_units(name: str, bought: Commitment) -> float:
    """Units of the pool that an instance takes; 0 where it is not paid for."""
    of = bought.product
    factor = normalization_factor(of.instance_type)
    if factor is None or not _is_flexible(bought):
        return 1.0 if name == of.instance_type else 0.0
    own = normalization_factor(name)
    return float(own) if own is not None and name.partition(".")[0] == family_of(of) else 0.0


def _azure_units(name: str, sizes: tuple[int, int], bought: Commitment) -> float:
    of = bought.product
    if of.size_group and bought.is_size_flexible:
        same = azure_group(name, *sizes) == of.size_group
        return sizes[0] / 1000 if same else 0.0
    return 1.0 if name.lower() == of.instance_type.lower() else 0.0
