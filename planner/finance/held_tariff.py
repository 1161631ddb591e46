"""Machines of the ledger billed as the planner bills those it chooses from: one set of rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from costplan.planner.catalogue import Catalogue
from costplan.planner.commitments.values import Commitment, Product
from costplan.planner.held import machines
from costplan.planner.held.values import Held
from costplan.planner.types import Market, OfferKey
from costplan.planner.units import GIB


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


class HeldTariff:
    """What is held, and the lines that a machine is billed as; prices are the ledger's own.

    The price list says the rates that nobody gave, and on Google Cloud how a price is shared out
    between vCPU and memory.
    """

    def __init__(self, catalogue: Catalogue, held: Held) -> None:
        self._tariff = machines.Tariff(catalogue, held)

    @cached_property
    def commitments(self) -> tuple[Commitment, ...]:
        """What is held, with Azure's groups of sizes as machines name them."""
        return tuple(map(self._tariff.grouped, self._tariff.held.commitments))

    def billed(self, machine: Machine) -> tuple[Billed, ...]:
        """The machine as its provider bills it."""
        listed = machines.Machine(
            key=OfferKey(
                provider=machine.provider,
                region=machine.region,
                zone=machine.zone,
                instance_type=machine.instance_type,
                market=Market.ON_DEMAND,
            ),
            vcpu_milli=round(machine.vcpu * 1000),
            memory_bytes=round(machine.memory_gib * GIB),
            gpus=machine.gpus,
            usd_per_hour=machine.usd_per_hour,
        )
        return tuple(
            Billed(
                product=line.product,
                units=line.quantity,
                usd_per_unit=line.usd_per_unit,
                rates=line.rates,
            )
            for line in self._tariff.lines(listed, 1, "")
        )
