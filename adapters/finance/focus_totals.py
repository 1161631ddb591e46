"""Control totals: what a file of charges adds up to, counted from the rows that are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


@dataclass(slots=True)
class Totals:
    """Rows and sums of what was written, by ChargeCategory."""

    rows: dict[str, int] = field(default_factory=dict)
    usd: dict[str, dict[str, Decimal]] = field(default_factory=dict)

    def add(self, table: pyarrow.Table) -> None:
        """Counts a step of rows in, exactly."""
        asked = [(name, "sum") for name in COSTS] + [("BilledCost", "count")]
        for row in table.group_by("ChargeCategory").aggregate(asked).to_pylist():
            category = row["ChargeCategory"]
            self.rows[category] = self.rows.get(category, 0) + row["BilledCost_count"]
            sums = self.usd.setdefault(category, dict.fromkeys(COSTS, Decimal(0)))
            for name in COSTS:
                sums[name] += row[f"{name}_sum"]

    @property
    def row_count(self) -> int:
        """Rows of all categories."""
        return sum(self.rows.values())

    def of(self, name: str) -> Decimal:
        """The sum of an amount over all categories."""
        return sum((sums[name] for sums in self.usd.values()), Decimal(0))

    def document(self) -> dict[str, Any]:
        """As it is written beside the file: amounts as text, exact."""
        return {
            "BillingCurrency": "USD",
            "Rows": self.row_count,
            **{name: f"{self.of(name):f}" for name in COSTS},
            "ByChargeCategory": {
                category: {
                    "Rows": self.rows[category],
                    **{name: f"{usd:f}" for name, usd in self.usd[category].items()},
                }
                for category in sorted(self.rows)
            },
        }
