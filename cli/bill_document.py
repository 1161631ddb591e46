"""The bill of commitments as JSON, rounded so that what is written adds up to the last place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from costplan.planner.commitments.values import BilledLine, CommitmentUse, HourBill
from costplan.planner.units import PICO_PER_USD, usd_text


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLine:
    """A billed line with its dollars and quantity in units of 1e-12."""

    line: BilledLine
    usd_pico: int
    quantity_pico: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenUse:
    """The use of a commitment in units of 1e-12."""

    use: CommitmentUse
    used_pico: int
    unused_pico: int
    used_quantity_pico: int
    unused_quantity_pico: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenHour:
    """An hour's bill in whole units of 1e-12, which add up.

    The dollars of the lines of a commitment are those that it used; those of the lines of none are
    `on_demand_pico`; with what is unused they are `total_pico`. The quantities of the lines of a
    usage are its quantity.
    """

    bill: HourBill
    lines: tuple[WrittenLine, ...]
    uses: tuple[WrittenUse, ...]
    on_demand_pico: int

    @property
    def unused_pico(self) -> int:
        """What was paid for nothing."""
        return sum(use.unused_pico for use in self.uses)

    @property
    def total_pico(self) -> int:
        """Everything."""
        return self.on_demand_pico + self.unused_pico + sum(use.used_pico for use in self.uses)


def written(bill: HourBill) -> WrittenHour:
    """The bill in whole units of 1e-12; no figure is off by more than one of them."""
    usd, quantities = [0] * len(bill.lines), [0] * len(bill.lines)
    covers = [line.covered_by for line in bill.lines]
    usages = [(line.usage_id, line.is_idle) for line in bill.lines]
    for places in _same(covers):
        _spread(usd, places, [bill.lines[place].usd for place in places])
    for places in _same(usages):
        _spread(quantities, places, [bill.lines[place].quantity for place in places])
    lines = tuple(
        WrittenLine(line=line, usd_pico=usd[place], quantity_pico=quantities[place])
        for place, line in enumerate(bill.lines)
    )
    return WrittenHour(
        bill=bill,
        lines=lines,
        uses=tuple(_use(use, lines) for use in bill.commitments),
        on_demand_pico=sum(each.usd_pico for each in lines if each.line.covered_by is None),
    )


def document_text(bills: Sequence[HourBill], notes: Sequence[str]) -> str:
    """The bill as JSON: money and quantities as decimal text."""
    hours = [written(bill) for bill in bills]
    document = {
        "hours": [_hour(hour) for hour in hours],
        "totals": {
            "on_demand_usd": usd_text(sum(hour.on_demand_pico for hour in hours)),
            "unused_usd": usd_text(sum(hour.unused_pico for hour in hours)),
            "total_usd": usd_text(sum(hour.total_pico for hour in hours)),
        },
        "notes": list(notes),
    }
    return json.dumps(document, indent=2) + "\n"


def quantity_text(pico: int) -> str:
    """A quantity without digits that say nothing: '4', '2.857142857143'."""
    return usd_text(pico).rstrip("0").removesuffix(".")


def _hour(hour: WrittenHour) -> dict[str, Any]:
    start = hour.bill.start
    return {
        "start": None if start is None else f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "lines": [_line(each) for each in hour.lines],
        "commitments": [_commitment(each) for each in hour.uses],
        "on_demand_usd": usd_text(hour.on_demand_pico),
        "unused_usd": usd_text(hour.unused_pico),
        "total_usd": usd_text(hour.total_pico),
    }


def _line(each: WrittenLine) -> dict[str, Any]:
    return {
        "usage": each.line.usage_id,
        "covered_by": each.line.covered_by,
        "quantity": quantity_text(each.quantity_pico),
        "unit": each.line.unit or None,
        "usd_per_unit": usd_text(_pico(each.line.usd_per_unit)),
        "usd": usd_text(each.usd_pico),
        "idle": each.line.is_idle,
    }


def _commitment(each: WrittenUse) -> dict[str, Any]:
    return {
        "id": each.use.commitment_id,
        "kind": str(each.use.kind),
        "unit": each.use.unit,
        "used_usd": usd_text(each.used_pico),
        "unused_usd": usd_text(each.unused_pico),
        "used_quantity": quantity_text(each.used_quantity_pico),
        "unused_quantity": quantity_text(each.unused_quantity_pico),
    }


def _use(use: CommitmentUse, lines: Iterable[WrittenLine]) -> WrittenUse:
    used = sum(each.usd_pico for each in lines if each.line.covered_by == use.commitment_id)
    quantity = _pico(use.used_quantity)
    return WrittenUse(
        use=use,
        used_pico=used,
        unused_pico=_pico(use.used_usd + use.unused_usd) - used,
        used_quantity_pico=quantity,
        unused_quantity_pico=_pico(use.used_quantity + use.unused_quantity) - quantity,
    )


def _pico(amount: Fraction) -> int:
    return round(amount * PICO_PER_USD)


def _same(keys: Sequence[object]) -> Iterator[list[int]]:
    """The places of each key, by first place."""
    places: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    yield from places.values()


def _spread(into: list[int], places: Sequence[int], amounts: Sequence[Fraction]) -> None:
    """Rounds amounts so that they add up to their rounded sum: what is missing goes to the largest
    remainders, the first of equals."""
    scaled = [amount * PICO_PER_USD for amount in amounts]
    floors = [amount.__floor__() for amount in scaled]
    missing = round(sum(scaled, Fraction(0))) - sum(floors)
    order = sorted(range(len(places)), key=lambda each: (floors[each] - scaled[each], each))
    for each, place in enumerate(places):
        into[place] = floors[each] + (each in order[:missing])
