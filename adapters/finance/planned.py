"""What plans expected, as the table `plans` of a book."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from costplan.adapters.finance.book import USD, Book, naive
from costplan.planner.finance.expected import Stretch

PLANS = (
    ("start_at", "TIMESTAMP"),
    ("end_at", "TIMESTAMP"),
    ("provider", "VARCHAR"),
    ("region", "VARCHAR"),
    ("instance_type", "VARCHAR"),
    ("market", "VARCHAR"),
    ("vcpu", "DECIMAL(18,3)"),
    ("nodes", "BIGINT"),
    ("usd_per_hour", USD),
)
"""Machines that plans expected to run during [start_at, end_at), a row an offer and price; `vcpu`
and `usd_per_hour` are of one machine. A time for which none was expected has a row of none."""


def add_plans(book: Book, stretches: Sequence[Stretch], until: datetime) -> None:
    """Makes the table of stretches in the order of time; the last goes on to `until`."""
    names = ", ".join(f'"{name}" {kind}' for name, kind in PLANS)
    book.db.execute(f"CREATE OR REPLACE TABLE plans ({names})")
    ends = [*(each.start for each in stretches[1:]), until]
    rows: list[tuple[object, ...]] = []
    for stretch, end in zip(stretches, ends, strict=True):
        if stretch.start >= end:
            continue
        span = (naive(stretch.start), naive(end))
        rows += [
            (*span, e.provider, e.region, e.instance_type, e.market, e.vcpu, e.nodes,
             e.usd_per_hour)
            for e in stretch.fleet
        ] or [(*span, "", "", "", "", 0, 0, 0)]  # fmt: skip
    if not rows:
        return
    import pyarrow as pa

    columns = list(zip(*rows, strict=True))
    table = pa.table({name: values for (name, _), values in zip(PLANS, columns, strict=True)})
    book.db.register("batch", table)
    book.db.execute("INSERT INTO plans SELECT * FROM batch")
    book.db.unregister("batch")
