"""What machines emit while they run: watts of their parts, the data centre's overhead, the grid.

    kWh = (vCPU-hours × watts + GiB-hours × 0.392 × 1.0737 + GPU-hours × watts) × PUE / 1000
    g CO2e = kWh × grams per kWh of the region's grid

Coefficients are those that Cloud Carbon Footprint publishes (methodology, appendices I and III,
as of 2022): watts of a vCPU and a card at rest and at full load, 0.392 watts for a GB of memory,
and each provider's power usage effectiveness. Time that worked is taken at full load and time
that did not at rest; the band has the former at half load (its authors' average of data centres)
and all of it at full load. What it took to make the machines is not in it, nor disks and networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from costplan.planner.finance.grid import Grid, grid_of

COEFFICIENTS = "Cloud Carbon Footprint, energy coefficients"
COEFFICIENTS_YEAR = 2022

_VCPU_WATTS = {
    "aws": (Decimal("0.74"), Decimal("3.5")),
    "gcp": (Decimal("0.71"), Decimal("4.26")),
    "azure": (Decimal("0.78"), Decimal("3.76")),
}
"""At rest and at full load."""

_PUE = {"aws": Decimal("1.135"), "gcp": Decimal("1.1"), "azure": Decimal("1.125")}
_MEMORY_WATTS_PER_GIB = Decimal("0.392") * Decimal(2**30) / Decimal(10**9)
_CARDS = {
    "K80": (35, 306), "M60": (35, 306), "T4": (8, 71), "V100": (35, 306), "A100": (46, 407),
    "A10G": (18, 153),
}  # fmt: skip
"""Watts of a card at rest and at full load."""

_CARD_OF = (
    ("aws", "p2.", "K80"), ("aws", "p3.", "V100"), ("aws", "p3dn.", "V100"),
    ("aws", "p4d.", "A100"), ("aws", "p4de.", "A100"), ("aws", "g3.", "M60"),
    ("aws", "g3s.", "M60"), ("aws", "g4dn.", "T4"), ("aws", "g5.", "A10G"),
    ("gcp", "a2-", "A100"), ("azure", "Standard_NC4as_T4", "T4"),
    ("azure", "Standard_NC8as_T4", "T4"), ("azure", "Standard_NC16as_T4", "T4"),
    ("azure", "Standard_NC64as_T4", "T4"), ("azure", "Standard_NC6s_v3", "V100"),
    ("azure", "Standard_NC12s_v3", "V100"), ("azure", "Standard_NC24s_v3", "V100"),
    ("azure", "Standard_NC24rs_v3", "V100"), ("azure", "Standard_ND96asr", "A100"),
)  # fmt: skip
"""Which card a type has, by how its name begins: types of other names have none that is known."""

_SCALE = Decimal("0.000001")
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A size of machine at a place."""

    provider: str
    region: str
    instance_type: str
    vcpu: Decimal
    memory_gib: Decimal
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Watts and grams of CO2e an hour of one machine: at rest, at half and at full load."""

    rest_watts: Decimal
    half_watts: Decimal
    full_watts: Decimal
    grid: Grid

    def grams_per_hour(self, watts: Decimal) -> Decimal:
        """What so many watts emit in an hour, to a millionth of a gram."""
        grams = watts * self.grid.grams_per_kwh / 1000
        return grams.quantize(_SCALE, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceEmission:
    """Machines of a region: what they drew and emitted, and by which grid."""

    provider: str
    region: str
    kwh: Decimal
    grams: Decimal
    grid: Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Of all machines that the tables know. `gaps` are those they do not, in words, and what they
    ran: `gap_node_hours` of `node_hours`."""

    kwh: Decimal
    grams: Decimal
    grams_low: Decimal
    grams_high: Decimal
    places: tuple[PlaceEmission, ...]
    gaps: tuple[str, ...]
    node_hours: Decimal
    gap_node_hours: Decimal


def rates_of(machine: Machine) -> Rates | str:
    """The rates of a machine, or in words what is not known of it."""
    grid = grid_of(machine.provider, machine.region)
    where = f"{machine.provider} {machine.region}".strip()
    if grid is None or machine.provider not in _VCPU_WATTS:
        return f"no grid intensity is known of {where or 'a machine without a region'}"
    if machine.vcpu <= 0:
        return f"the size of {machine.instance_type or 'a machine'} is not known"
    card = _card(machine)
    if machine.gpus and card is None:
        return f"no power is known of the GPUs of {machine.instance_type}"
    rest, full = _VCPU_WATTS[machine.provider]
    card_rest, card_full = card or (Decimal(0), Decimal(0))
    pue = _PUE[machine.provider]

    def watts(load: Decimal) -> Decimal:
        cpu = machine.vcpu * (rest + load * (full - rest))
        gpu = machine.gpus * (card_rest + load * (card_full - card_rest))
        whole = (cpu + gpu + machine.memory_gib * _MEMORY_WATTS_PER_GIB) * pue
        return whole.quantize(_SCALE, rounding=ROUND_HALF_EVEN)

    return Rates(
        rest_watts=watts(Decimal(0)), half_watts=watts(_HALF), full_watts=watts(Decimal(1)),
        grid=grid,
    )  # fmt: skip


def _card(machine: Machine) -> tuple[Decimal, Decimal] | None:
    for provider, begin, card in _CARD_OF:
        if machine.provider == provider and machine.instance_type.startswith(begin):
            rest, full = _CARDS[card]
            return Decimal(rest), Decimal(full)
    return None
