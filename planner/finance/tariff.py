"""What a provider bills a machine as, and at which rates under commitments of dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol

from costplan.planner.commitments.values import Product

SERVICES = {"aws": "ec2", "gcp": "compute", "azure": "virtual-machines"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that was used, at its price on demand."""

    provider: str
    account: str
    region: str
    zone: str
    instance_type: str
    vcpu: Fraction
    memory_gib: Fraction
    gpus: int
    usd_per_hour: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """What of a machine is billed together: so many units, at a price and rates for each."""

    product: Product
    units: Fraction
    usd_per_unit: Fraction
    rates: Mapping[str, Fraction]


class Priced(Protocol):
    """What says how machines are billed."""

    def billed(self, machine: Machine) -> tuple[Billed, ...]:
        """The machine as its provider bills it."""
        ...


def _none() -> Mapping[tuple[str, str, str], Mapping[str, Fraction]]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Rates of commitments of dollars by provider, region ('' for all) and type, and what the
    units of a resource cost where a provider bills those apart.

    `rates` are by kind, or kind and term, of commitment: 'compute_sp', 'compute_sp_3y'.
    `units` are dollars of a 'vcpu' and of a GiB of 'memory' an hour by provider, region and machine
    series: a machine that has them there, and no GPU, is billed as both, in parts that add up to
    its price.
    """

    rates: Mapping[tuple[str, str, str], Mapping[str, Fraction]] = field(default_factory=_none)
    units: Mapping[tuple[str, str, str], Mapping[str, Fraction]] = field(default_factory=_none)

    def billed(self, machine: Machine) -> tuple[Billed, ...]:
        """The machine as its provider bills it."""
        series = machine.instance_type.partition("-")[0].lower()
        product = Product(
            provider=machine.provider,
            service=SERVICES.get(machine.provider, ""),
            region=machine.region,
            zone=machine.zone,
            instance_type=machine.instance_type,
            machine_series=series if machine.provider == "gcp" else "",
        )
        apart = self.units.get((machine.provider, machine.region, series))
        if apart and not machine.gpus:
            return _apart(machine, product, apart)
        rates: dict[str, Fraction] = {}
        for region in ("", machine.region):
            rates.update(self.rates.get((machine.provider, region, machine.instance_type), {}))
        whole = Billed(
            product=product, units=Fraction(1), usd_per_unit=machine.usd_per_hour, rates=rates
        )
        return (whole,)


def _apart(machine: Machine, product: Product, usd: Mapping[str, Fraction]) -> tuple[Billed, ...]:
    """vCPU and memory; their prices are scaled so that they add up to the machine's."""
    listed = {"vcpu": machine.vcpu, "memory": machine.memory_gib}
    total = sum((amount * usd[name] for name, amount in listed.items()), Fraction(0))
    scale = machine.usd_per_hour / total if total else Fraction(0)
    return tuple(
        Billed(
            product=replace(product, resource=name),
            units=amount,
            usd_per_unit=usd[name] * scale,
            rates={},
        )
        for name, amount in listed.items()
        if amount
    )
