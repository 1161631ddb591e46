"""Files of FOCUS with one defect each, made from a right one: what the checks have to catch."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from costplan.adapters.finance.book import Book
from costplan.adapters.finance.focus import Wanted, write_focus
from costplan.planner.finance.focus_columns import Version
from tests.finance.focus_books import COMMITMENTS, all_kinds

Row = dict[str, str]
Rows = list[Row]

ON_DEMAND, SPOT, DISK, COVERED, RESERVED, FEE, UNUSED, UPFRONT, CREDIT, TAKEN_BACK, LATE = (
    "1", "2", "3", "6", "8", "10", "11", "13", "14", "15", "21",
)  # fmt: skip
"""Lines of the right file, by their x_LineId."""
IDLE_CAPACITY = "30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One thing that is wrong: `columns` are where it may be reported."""

    name: str
    columns: tuple[str, ...]
    make: Callable[[Rows], Rows]


def written(folder: Path, version: Version, kind: str = "csv") -> Path:
    """The right file with all kinds of rows."""
    with Book() as book:
        book.add(all_kinds())
        write_focus(book, Wanted(version=version, kind=kind, commitments=COMMITMENTS), folder)
    return folder / f"cost-and-usage.{kind}"


def read(path: Path) -> Rows:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def save(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Rows as CSV; the sign for an empty text is written as quotes."""
    lines = [",".join(rows[0])]
    lines += [",".join(_cell(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


EMPTY = "\0"
"""Stands for an empty text, which is not null."""


def _cell(value: str) -> str:
    if value == EMPTY:
        return '""'
    return '"' + value.replace('"', '""') + '"' if value else ""


def put(line: str, **values: str) -> Callable[[Rows], Rows]:
    """Other values in the row of a line."""

    def make(rows: Rows) -> Rows:
        found = [row for row in rows if row["x_LineId"] == line]
        assert len(found) == 1, line
        found[0].update(values)
        return rows

    return make


def _each(change: Callable[[Row], Row]) -> Callable[[Rows], Rows]:
    return lambda rows: [change(row) for row in rows]


def without(name: str) -> Callable[[Rows], Rows]:
    """No such column."""
    return _each(lambda row: {key: value for key, value in row.items() if key != name})


def renamed(name: str, other: str) -> Callable[[Rows], Rows]:
    """The column under another name."""
    return _each(lambda row: {other if key == name else key: value for key, value in row.items()})


def _first(name: str) -> Callable[[Rows], Rows]:
    return _each(lambda row: {name: row[name], **row})


def _row_twice(rows: Rows) -> Rows:
    return [*rows, dict(rows[0])]


_SHOWN_AT = {
    "BilledCost": ("EffectiveCost",),
    "ChargeClass": ("ChargePeriodStart",),
    "ListUnitPrice": ("ListCost",),
    "PricingQuantity": ("ListCost",),
}
"""Of two columns that do not fit each other, the one that is reported."""


def _of(column: str, line: str, value: str, name: str = "") -> Defect:
    return Defect(
        name=name or f"{column} of {line} is {value or 'null'}",
        columns=(column, *_SHOWN_AT.get(column, ())),
        make=put(line, **{column: value}),
    )


NAMES = (
    Defect(name="no BilledCost", columns=("BilledCost",), make=without("BilledCost")),
    Defect(name="no ChargeClass", columns=("ChargeClass",), make=without("ChargeClass")),
    Defect(name="small letters", columns=("billedcost", "BilledCost"),
           make=renamed("BilledCost", "billedcost")),
    Defect(name="own column without x_", columns=("Team",), make=renamed("x_Team", "Team")),
    Defect(name="own column first", columns=("x_Team",), make=_first("x_Team")),
    Defect(name="a row twice", columns=("x_LineId",), make=_row_twice),
)  # fmt: skip

VALUES = (
    _of("BillingAccountId", ON_DEMAND, ""),
    _of("BillingAccountId", ON_DEMAND, EMPTY, "an empty account"),
    _of("BilledCost", ON_DEMAND, ""),
    _of("BilledCost", ON_DEMAND, "+0.192"),
    _of("BilledCost", ON_DEMAND, "$0.192"),
    _of("EffectiveCost", ON_DEMAND, "1,000.5"),
    _of("ListCost", ON_DEMAND, "NaN"),
    _of("ServiceCategory", ON_DEMAND, "Computing"),
    _of("ServiceSubcategory", ON_DEMAND, "Block Storage"),
    _of("ServiceSubcategory", DISK, "Disks"),
    _of("ChargeCategory", ON_DEMAND, "usage"),
    _of("ChargeCategory", ON_DEMAND, ""),
    _of("ChargeClass", ON_DEMAND, "None"),
    _of("ChargeClass", ON_DEMAND, "Correction"),
    _of("ChargeClass", LATE, ""),
    _of("ChargeFrequency", ON_DEMAND, "Hourly"),
    _of("ChargeFrequency", FEE, "Usage-Based"),
    _of("ChargeFrequency", ON_DEMAND, "One-Time"),
    _of("BillingCurrency", ON_DEMAND, "US$"),
    _of("BillingCurrency", ON_DEMAND, "usd"),
    _of("PricingCurrency", SPOT, "EUR "),
    _of("InvoiceId", ON_DEMAND, EMPTY, "an empty invoice"),
    _of("ResourceName", ON_DEMAND, "N/A"),
    _of("RegionName", ON_DEMAND, " us-east-1"),
    _of("PricingUnit", ON_DEMAND, "hours"),
    _of("PricingUnit", ON_DEMAND, "Hrs"),
    _of("ConsumedUnit", SPOT, "hour"),
    _of("CommitmentDiscountUnit", RESERVED, "h"),
    _of("Tags", ON_DEMAND, "cluster=trainer"),
    _of("Tags", ON_DEMAND, '["trainer"]'),
    _of("Tags", ON_DEMAND, '{"a": "1", "a": "2"}'),
    _of("Tags", ON_DEMAND, '{"a": {"b": 1}}'),
    _of("SkuPriceDetails", ON_DEMAND, '{"Cores": 4}'),
    _of("SkuPriceDetails", ON_DEMAND, '{"CoreCount": "four"}'),
)

TIMES = (
    _of("ChargePeriodStart", ON_DEMAND, "2026-10-05 10:00:00"),
    _of("ChargePeriodStart", ON_DEMAND, "2026-10-05T10:00:00+02:00"),
    _of("ChargePeriodStart", ON_DEMAND, "2026-13-05T10:00:00Z"),
    _of("ChargePeriodEnd", ON_DEMAND, "2026-10-05T09:00:00Z"),
    _of("ChargePeriodEnd", ON_DEMAND, "2026-10-05T10:00:00Z"),
    _of("ChargePeriodEnd", ON_DEMAND, "2026-11-01T00:00:01Z"),
    _of("ChargePeriodStart", ON_DEMAND, "2026-09-30T23:59:59Z"),
    _of("BillingPeriodStart", ON_DEMAND, "2026-10-02T00:00:00Z"),
    _of("BillingPeriodEnd", ON_DEMAND, "2026-10-31T00:00:00Z"),
)

MONEY = (
    _of("BilledCost", COVERED, "0.048"),
    _of("BilledCost", UNUSED, "0.0664"),
    _of("EffectiveCost", FEE, "0.1"),
    _of("EffectiveCost", UPFRONT, "876"),
    _of("EffectiveCost", ON_DEMAND, "0.19"),
    _of("BilledCost", SPOT, "0.192"),
    _of("EffectiveCost", CREDIT, "0"),
    _of("ListCost", ON_DEMAND, "0.1920001"),
    _of("ContractedCost", SPOT, "0.0574"),
    _of("ListUnitPrice", ON_DEMAND, "0.2"),
    _of("ContractedUnitPrice", DISK, "-0.0022"),
    _of("PricingQuantity", ON_DEMAND, "2"),
    _of("PricingCurrencyEffectiveCost", ON_DEMAND, "0.2"),
    _of("PricingCurrencyListUnitPrice", ON_DEMAND, "0.2"),
    _of("EffectiveCost", COVERED, "0.0335"),
    _of("EffectiveCost", UNUSED, "0.0665"),
    _of("CommitmentDiscountQuantity", COVERED, "0.03"),
    _of("EffectiveCost", TAKEN_BACK, "0.096"),
    Defect(name="a credit above zero", columns=("BilledCost",),
           make=put(CREDIT, BilledCost="0.05", EffectiveCost="0.05")),
)  # fmt: skip

NULLS = (
    _of("SkuId", ON_DEMAND, ""),
    _of("SkuPriceId", ON_DEMAND, ""),
    _of("SkuMeter", ON_DEMAND, ""),
    _of("PricingCategory", ON_DEMAND, ""),
    _of("PricingQuantity", ON_DEMAND, ""),
    _of("PricingUnit", ON_DEMAND, ""),
    _of("ListUnitPrice", SPOT, ""),
    _of("ContractedUnitPrice", SPOT, ""),
    _of("ConsumedQuantity", ON_DEMAND, ""),
    _of("ConsumedUnit", ON_DEMAND, ""),
    Defect(name="nothing consumed", columns=("ConsumedQuantity",),
           make=put(ON_DEMAND, ConsumedQuantity="", ConsumedUnit="")),
    Defect(name="no quantity", columns=("PricingQuantity",),
           make=put(ON_DEMAND, PricingQuantity="", PricingUnit="")),
    _of("RegionName", ON_DEMAND, ""),
    _of("ResourceName", ON_DEMAND, ""),
    _of("ResourceType", ON_DEMAND, ""),
    _of("SubAccountName", ON_DEMAND, ""),
    _of("CommitmentDiscountName", COVERED, ""),
    _of("CommitmentDiscountType", COVERED, ""),
    _of("CommitmentDiscountCategory", COVERED, ""),
    _of("CommitmentDiscountQuantity", COVERED, ""),
    _of("CommitmentDiscountUnit", COVERED, ""),
    _of("CommitmentDiscountStatus", COVERED, ""),
    _of("CapacityReservationStatus", IDLE_CAPACITY, ""),
    Defect(name="a zone without its region", columns=("AvailabilityZone",),
           make=put(ON_DEMAND, RegionId="", RegionName="")),
)  # fmt: skip

KINDS = (
    _of("CommitmentDiscountStatus", COVERED, "Active"),
    _of("CommitmentDiscountStatus", ON_DEMAND, "Used"),
    _of("CommitmentDiscountStatus", FEE, "Unused"),
    _of("CommitmentDiscountCategory", COVERED, "Usage"),
    _of("CommitmentDiscountUnit", COVERED, "Hours"),
    _of("CapacityReservationStatus", ON_DEMAND, "Used"),
    _of("PricingCategory", FEE, "Committed"),
    _of("PricingCategory", COVERED, "Standard"),
    _of("PricingCategory", ON_DEMAND, "Committed"),
    _of("PricingCategory", SPOT, "Spot"),
    _of("ResourceId", UNUSED, "i-0a1b2c"),
    _of("ResourceId", COVERED, "sp-1"),
    _of("ServiceCategory", ON_DEMAND, "Other", "a service of two categories"),
    Defect(name="use of no use", columns=("ConsumedQuantity",),
           make=put(UNUSED, ConsumedQuantity="1", ConsumedUnit="Hours")),
    Defect(name="consumed by a purchase", columns=("ConsumedQuantity",),
           make=put(FEE, ConsumedQuantity="1", ConsumedUnit="Hours")),
    Defect(name="another issuer", columns=("BilledCost",),
           make=put(ON_DEMAND, InvoiceIssuerName="Reseller")),
)  # fmt: skip

DEFECTS = (*NAMES, *VALUES, *TIMES, *MONEY, *NULLS, *KINDS)

ONLY_1_4 = (
    Defect(name="a column of 1.2", columns=("ProviderName",),
           make=_each(lambda row: {"ProviderName": "AWS", **row})),
    Defect(name="no HostProviderName", columns=("HostProviderName",),
           make=without("HostProviderName")),
    _of("ServiceProviderName", ON_DEMAND, ""),
    _of("ContractApplied", COVERED, '{"Elements": []}'),
    _of("ContractApplied", COVERED, '{"Elements": [{"ContractId": "sp-1"}]}'),
    _of("InvoiceDetailId", ON_DEMAND, "d-1"),
    _of("AllocatedMethodId", SPOT, ""),
    _of("AllocatedResourceName", SPOT, ""),
    _of("SkuPriceId", CREDIT, "x", "the price of a credit"),
)  # fmt: skip
