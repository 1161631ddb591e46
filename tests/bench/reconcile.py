"""How long a month's reconciliation takes: `python -m tests.bench.reconcile [ROWS] [ENTRIES]`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from costplan.adapters.finance.actuals import import_actuals
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.finance.reconcile import reconcile
from tests.bench.ledger_months import START, write_month

HOURS = 30 * 24


def write_bill(file: Path, rows: int, known: list[str]) -> None:
    """A CUR of about so many rows: every known machine in each hour, and others as many as it
    takes. A tenth of a percent of the hours is dearer."""
    machines = max(len(known), rows // HOURS)
    names = [*known, *(f"i-f{number:016x}" for number in range(machines - len(known)))]
    hours = np.arange(HOURS).repeat(machines)
    starts = np.datetime64(START.replace(tzinfo=None), "us") + hours.astype("timedelta64[h]")
    count = len(hours)
    cost = np.where(np.arange(count) % 1000, 0.05, 0.06)
    same = {
        "line_item_line_item_type": "Usage",
        "line_item_currency_code": "USD",
        "line_item_usage_account_id": "111122223333",
    }
    kinds = ("m5.xlarge", "c5.xlarge", "r5.xlarge", "m6i.xlarge")
    meters = [f"{('SpotUsage', 'BoxUsage')[n % 2]}:{kinds[n % 4]}" for n in range(machines)]
    table = pa.table({
        "identity_line_item_id": pa.array(np.arange(count)).cast(pa.string()),
        "line_item_usage_start_date": pa.array(starts),
        "line_item_usage_end_date": pa.array(starts + np.timedelta64(1, "h")),
        "line_item_resource_id": pa.array(names * HOURS),
        "line_item_usage_type": pa.array(meters * HOURS),
        "line_item_usage_amount": pa.array(np.ones(count)),
        "line_item_unblended_cost": pa.array(cost),
        **{name: pa.array([value] * count) for name, value in same.items()},
    })  # fmt: skip
    pq.write_table(table, file)


def main(rows: int = 1_000_000, entries: int = 1_000_000) -> None:
    """Prints the CPU time of each step, and the most memory."""
    with tempfile.TemporaryDirectory(prefix="costplan-bench-") as folder:
        path, file = Path(folder) / "s.db", Path(folder) / "cur.parquet"
        write_month(path, entries)
        span = {"start": START, "end": START + timedelta(days=31)}
        with open_book(path, **span) as book:
            known = [name for (name,) in book.rows(
                "SELECT DISTINCT CASE resource_id WHEN '' THEN node_id ELSE resource_id END "
                "FROM lines ORDER BY 1")]  # fmt: skip
        write_bill(file, rows, known)
        begin = time.process_time()
        with open_book(path, **span) as book:
            opened = time.process_time()
            source = import_actuals(book.db, [str(file)], "2026-10")
            read = time.process_time()
            made = reconcile(book, source, "2026-10")
        end = time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{made.source.rows:,} rows against {entries:,} entries of {len(known):,} machines")
    print(f"open the ledger {opened - begin:.1f} s, read the bill {read - opened:.1f} s, "
          f"match {end - read:.1f} s; {memory:,.0f} MiB")  # fmt: skip
    print({each.state.value: each.count for each in made.states}, "untied", made.untied_usd)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
