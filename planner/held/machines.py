"""Machines as the lines that a provider bills, with their rates under commitments.

A price list has one price a machine. AWS and Azure bill it as such; Google Cloud bills vCPU and
memory, whose prices follow from those of machines of the same series and region with different
memory for each vCPU. What cannot be told apart stays one line, which no resource commitment covers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from costplan.planner.catalogue import MARKETS, Catalogue
from costplan.planner.commitments.bill import bill_hour
from costplan.planner.commitments.values import Commitment, Hour, Kind, Product, Usage
from costplan.planner.held.values import Held, less
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import GIB, PICO_PER_USD

SERVICES = {"aws": "ec2", "gcp": "compute", "azure": "virtual-machines"}
VCPU, MEMORY = "vcpu", "memory"
WITH_GPU = "machine with gpus"
"""The resource of a machine that no commitment to vCPU or memory covers alone."""

_LISTED = {"aws": Kind.COMPUTE_SP, "azure": Kind.AZURE_SAVINGS_PLAN}
"""Whose rates the committed prices of a price list are."""
_TERMS = {Market.COMMITMENT_1Y: "1y", Market.COMMITMENT_3Y: "3y"}
_CLOSE = 0.01
"""A machine is the sum of its parts where that misses its price by no more than this share."""
_SHARED_CORE = re.compile(r"-(micro|small|medium)$")
_AZURE = re.compile(r"Standard_([A-Z]+)\d+([a-z]*)((?:_[A-Za-z0-9]+)*)")
_BY_CREDITS = "B"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that can be bought, and its price an hour as it is listed."""

    key: OfferKey
    vcpu_milli: int
    memory_bytes: int
    gpus: int
    usd_per_hour: Fraction

    @property
    def gib(self) -> Fraction:
        """Its memory."""
        return Fraction(self.memory_bytes, GIB)


def machine_at(catalogue: Catalogue, row: int) -> Machine:
    """The machine of a row of a price list."""
    return Machine(
        key=catalogue.key(row),
        vcpu_milli=int(catalogue.vcpu_milli[row]),
        memory_bytes=int(catalogue.memory_bytes[row]),
        gpus=int(catalogue.gpus[row]),
        usd_per_hour=Fraction(int(catalogue.price_pico[row]), PICO_PER_USD),
    )


def series_of(instance_type: str) -> str:
    """'n2' of n2-standard-4."""
    return instance_type.partition("-")[0].lower()


def azure_group(instance_type: str, vcpu_milli: int, memory_bytes: int) -> str:
    """Sizes of Azure that share reservations: the same series with the same memory a vCPU, '' where
    that does not say so.

    Azure publishes groups and ratios as a list; those of its series go by vCPU, but for bursting
    sizes and a few others of unlike memory, which are left out.
    """
    match = _AZURE.fullmatch(instance_type)
    if match is None or match.group(1) == _BY_CREDITS or not vcpu_milli:
        return ""
    letters, features, version = match.groups()
    return f"{letters}/{features}{version}/{memory_bytes // vcpu_milli}"


class Tariff:
    """How machines of a price list are billed, and the commitments that are held for them."""

    def __init__(self, catalogue: Catalogue, held: Held) -> None:
        self.catalogue, self.held = catalogue, held
        self._parts: dict[tuple[str, str], tuple[float, float] | None] = {}
        self._kinds = {str(each.kind) for each in held.commitments}

    @cached_property
    def commitments(self) -> tuple[Commitment, ...]:
        """What is held, as machines of ours may use it.

        Azure's groups of sizes are named as here. Capacity that is reserved is paid whether
        machines run in it or not: it is to them what reserved instances of its zone are, and what
        other commitments pay of it while it is idle is taken off them.
        """
        held = self.held.commitments
        if any(each.kind is Kind.CAPACITY_RESERVATION for each in held):
            idle, _ = bill_hour(Hour(usage=(), commitments=held))
            used = {each.commitment_id: each.used_quantity for each in idle.commitments}
            held = tuple(
                replace(each, kind=Kind.ZONAL_RI)
                if each.kind is Kind.CAPACITY_RESERVATION
                else less(each, used[each.commitment_id])
                for each in held
            )
        return tuple(map(self.grouped, held))

    def grouped(self, bought: Commitment) -> Commitment:
        """The commitment with the group of sizes that its machine is in here."""
        if bought.kind is not Kind.AZURE_RESERVATION:
            return bought
        name = bought.product.instance_type
        rows = np.flatnonzero(
            self.catalogue.instance_type.codes == self.catalogue.instance_type.code_of(name)
        )
        group, ratio = "", None
        if len(rows):
            milli = int(self.catalogue.vcpu_milli[rows[0]])
            group = azure_group(name, milli, int(self.catalogue.memory_bytes[rows[0]]))
            ratio = Fraction(milli, 1000) if group else None
        return replace(bought, product=replace(bought.product, size_group=group, size_ratio=ratio))

    @cached_property
    def listed_rates(self) -> Mapping[tuple[str, str, str], Mapping[str, Fraction]]:
        """Rates by provider, type and region: those that are given, then those of the list."""
        found: dict[tuple[str, str, str], dict[str, Fraction]] = {}
        listed = self.catalogue
        for provider, kind in _LISTED.items():
            code = listed.provider.code_of(provider)
            for market, term in _TERMS.items() if str(kind) in self._kinds else ():
                rows = (listed.provider.codes == code) & (listed.market == MARKETS.index(market))
                for row in np.flatnonzero(rows).tolist():
                    key = (provider, listed.instance_type[row], listed.region[row])
                    usd = Fraction(int(listed.price_pico[row]), PICO_PER_USD)
                    rates = found.setdefault(key, {})
                    name = f"{kind}_{term}"
                    rates[name] = min(usd, rates.get(name, usd))
        return found

    @cached_property
    def given_rates(self) -> Mapping[tuple[str, str, str], Mapping[str, Fraction]]:
        """Rates that are given, by provider, type and region, '' for all of them."""
        found: dict[tuple[str, str, str], dict[str, Fraction]] = {}
        for each in self.held.rates:
            key = (each.provider, each.instance_type, each.region)
            found.setdefault(key, {}).update(each.rates)
        return found

    def rates(self, provider: str, instance_type: str, region: str) -> dict[str, Fraction]:
        """Dollars an hour of a machine by kind of commitment: the region's before those of all,
        and what is given before what is listed."""
        return {
            **self.listed_rates.get((provider, instance_type, region), {}),
            **self.given_rates.get((provider, instance_type, ""), {}),
            **self.given_rates.get((provider, instance_type, region), {}),
        }

    def parts_usd(self, machine: Machine) -> tuple[Fraction, Fraction] | None:
        """What the vCPU and the memory of a machine of Google Cloud cost, None where unknown."""
        key = machine.key
        if machine.gpus or _SHARED_CORE.search(key.instance_type):
            return None
        unit = self._unit_usd(key.region, series_of(key.instance_type))
        if unit is None:
            return None
        vcpu, gib = machine.vcpu_milli / 1000, float(machine.gib)
        usd = float(machine.usd_per_hour)
        if abs(unit[0] * vcpu + unit[1] * gib - usd) > _CLOSE * usd:
            return None
        of_vcpu = Fraction(round(unit[0] * 1e9), 10**9) * Fraction(machine.vcpu_milli, 1000)
        of_memory = machine.usd_per_hour - of_vcpu
        return (of_vcpu, of_memory) if of_memory > 0 else None

    def _unit_usd(self, region: str, series: str) -> tuple[float, float] | None:
        """Dollars of a vCPU and of a GiB, from the machines of a series in a region."""
        key = (region, series)
        if key not in self._parts:
            self._parts[key] = self._fitted(region, series)
        return self._parts[key]

    def _fitted(self, region: str, series: str) -> tuple[float, float] | None:
        listed = self.catalogue
        names = listed.instance_type.names
        mine = np.array(
            [series_of(n) == series and not _SHARED_CORE.search(n) for n in names], dtype=bool
        )
        rows = np.flatnonzero(
            (listed.provider.codes == listed.provider.code_of("gcp"))
            & (listed.region.codes == listed.region.code_of(region))
            & (listed.market == MARKETS.index(Market.ON_DEMAND))
            & (listed.gpus == 0)
            & mine[listed.instance_type.codes]
        )
        vcpu, gib = listed.vcpu_milli[rows] / 1000, listed.memory_bytes[rows] / GIB
        if not len(rows) or np.ptp(gib / np.maximum(vcpu, 1e-9)) < 1e-6:
            return None
        usd = listed.price_pico[rows] / PICO_PER_USD
        sizes = np.stack([vcpu, gib], axis=1) / usd[:, None]
        (of_vcpu, of_gib), *_ = np.linalg.lstsq(sizes, np.ones(len(rows)), rcond=None)
        return (float(of_vcpu), float(of_gib)) if min(of_vcpu, of_gib) > 0 else None

    def lines(self, machine: Machine, nodes: int, name: str) -> tuple[Usage, ...]:
        """What so many nodes are billed as for an hour; the lines' names begin with `name`."""
        key = machine.key
        product = Product(
            provider=key.provider,
            service=SERVICES.get(key.provider, ""),
            region=key.region,
            zone=key.zone,
            instance_type=key.instance_type,
        )
        if key.provider == "gcp":
            return self._google_lines(machine, nodes, name, product)
        if key.provider == "azure":
            group = azure_group(key.instance_type, machine.vcpu_milli, machine.memory_bytes)
            ratio = Fraction(machine.vcpu_milli, 1000) if group else None
            product = replace(product, size_group=group, size_ratio=ratio)
        return (self._line(machine, Fraction(nodes), machine.usd_per_hour, name, product),)

    def _google_lines(
        self, machine: Machine, nodes: int, name: str, product: Product
    ) -> tuple[Usage, ...]:
        product = replace(product, machine_series=series_of(machine.key.instance_type))
        parts = self.parts_usd(machine)
        if parts is None:
            resource = WITH_GPU if machine.gpus else ""
            whole = replace(product, resource=resource)
            return (self._line(machine, Fraction(nodes), machine.usd_per_hour, name, whole),)
        sizes = (Fraction(machine.vcpu_milli, 1000), machine.gib)
        return tuple(
            self._line(
                machine, nodes * size, usd / size, f"{name}/{resource}",
                replace(product, resource=resource),
            )
            for resource, size, usd in zip((VCPU, MEMORY), sizes, parts, strict=True)
        )  # fmt: skip

    def _line(
        self, machine: Machine, quantity: Fraction, usd: Fraction, name: str, product: Product
    ) -> Usage:
        key = machine.key
        rates = self.rates(key.provider, key.instance_type, key.region)
        share = usd / machine.usd_per_hour
        return Usage(
            usage_id=name,
            product=product,
            quantity=quantity,
            usd_per_unit=usd,
            unit=product.resource or "hours",
            rates={kind: rate * share for kind, rate in rates.items()},
            owner=self.held.owner,
            is_spot=key.market is Market.SPOT,
        )
