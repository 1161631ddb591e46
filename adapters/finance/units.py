"""What a unit costs: a run, 1,000 tasks of a prefix, a million rows, an hour of a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from costplan.adapters.finance.book import Book

_PICO = Decimal(1).scaleb(-12)

_RUNS = """
SELECT run, sum(effective_usd), 1 FROM lines
WHERE run != '' AND purpose IN ('work', 'recompute') GROUP BY run ORDER BY run"""

_TASKS = """
WITH spent AS (
    SELECT prefix, sum(effective_usd) AS usd FROM lines
    WHERE prefix != '' AND purpose IN ('work', 'recompute') GROUP BY prefix
), done AS (
    SELECT prefix, sum(tasks)::DECIMAL(38,0) AS tasks FROM work
    WHERE prefix != '' AND node_id != '' GROUP BY prefix
)
SELECT prefix, usd, tasks * 0.001 FROM spent JOIN done USING (prefix) WHERE tasks > 0
ORDER BY prefix"""

_ROWS = """
WITH reported AS (
    SELECT span, sum(rows)::DECIMAL(38,0) AS told FROM work WHERE rows > 0 GROUP BY span
), spent AS (
    SELECT r.span, sum(l.effective_usd) AS usd FROM reported r JOIN lines l
    ON l.span = r.span OR starts_with(l.span, r.span || '/')
    WHERE l.purpose IN ('work', 'recompute') GROUP BY r.span
)
SELECT span, usd, told * 0.000001 FROM reported JOIN spent USING (span) ORDER BY span"""
"""Rows that a span's program reported; what its inner spans cost is its own."""

_GPU_HOURS = """
SELECT instance_type, sum(effective_usd),
    sum(CASE WHEN billed_usd < 0 THEN -micros ELSE micros END * gpus)::DECIMAL(38,0)
    * 0.000000000277777778
FROM lines WHERE gpus > 0 AND kind IN ('usage', 'correction') GROUP BY instance_type
ORDER BY instance_type"""

_UNITS = (
    ("run", _RUNS),
    ("1,000 tasks", _TASKS),
    ("million rows", _ROWS),
    ("GPU-hour", _GPU_HOURS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCost:
    """What one `unit` of `name` cost: `usd` for `quantity` of them, effective dollars.

    Runs, tasks and rows count work and what of it ran again; hours of GPUs count all that their
    machines cost.
    """

    unit: str
    name: str
    usd: Decimal
    quantity: Decimal

    @property
    def usd_per_unit(self) -> Decimal:
        """Dollars for each."""
        return (self.usd / self.quantity).quantize(_PICO, rounding=ROUND_HALF_EVEN)


def unit_costs(book: Book) -> Iterator[UnitCost]:
    """All that is known of what units cost, by unit and name."""
    for unit, query in _UNITS:
        for name, usd, quantity in book.rows(query):
            if quantity:
                yield UnitCost(
                    unit=unit, name=name, usd=Decimal(usd), quantity=Decimal(str(quantity))
                )
