"""The ledger: what it costs to keep and to open, and how far it is from the cloud's own bill.

    python -m tests.bench.ledger              the append of a tick, and a month of 1 million entries
    python -m tests.bench.ledger --large      10 million as well
    python -m tests.bench.ledger --month      30 simulated days of 500 machines, and their bill

Each month is opened in a process of its own, first from the store and then from its archive.
Times are of the clock and, in brackets, of all processors; memory is the most that it took.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

from costplan.adapters.finance.archive import archive_month
from costplan.adapters.finance.ledger_changes import close
from costplan.adapters.finance.open_book import open_book
from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import Known, Recording, write_entries
from tests.bench.ledger_month import compare, make_month
from tests.bench.ledger_months import START, write_month
from tests.finance.ledgers import QUARTER, SPOT, entry

MONTH = "2026-10"
NOW = START + timedelta(days=40)
BY = "workload, instance_type, market, purpose, date_trunc('day', start_at)"
SUMS = "sum(billed_usd), sum(effective_usd), sum(on_demand_usd), sum(micros)"


def opened(path: Path) -> None:
    """Opens October and sums it by five dimensions; prints what that took as JSON."""
    began, cpu = time.monotonic(), time.process_time()
    with open_book(path, month=MONTH) as book:
        open_seconds = time.monotonic() - began
        rows = book.rows(f"SELECT {BY}, {SUMS} FROM lines GROUP BY ALL ORDER BY ALL")  # noqa: S608
        [(lines, usd)] = book.rows("SELECT count(*), sum(billed_usd) FROM lines")
    print(json.dumps({
        "open": open_seconds, "all": time.monotonic() - began, "cpu": time.process_time() - cpu,
        "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": len(rows), "lines": lines, "usd": str(usd),
    }))  # fmt: skip


def opened_apart(path: Path, what: str) -> None:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.ledger", "--open", str(path)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = json.loads(done.stdout)
    print(
        f"  {what:10} opened in {said['open']:.1f} s, with sums {said['all']:.1f} s "
        f"({said['cpu']:.1f} s), {said['mib']:,.0f} MiB, {said['lines']:,} lines, ${said['usd']}"
    )


def month_of(entries: int, folder: Path) -> None:
    """A month of so many entries, from the store and from its archive."""
    path = folder / f"{entries}.db"
    write_month(path, entries)
    print(f"{entries:,} entries, {path.stat().st_size / 2**20:,.0f} MiB")
    opened_apart(path, "store")
    close(path, MONTH, NOW)
    began = time.monotonic()
    archive_month(path, MONTH, NOW)
    size = sum(file.stat().st_size for file in path.with_name(f"{path.name}.archive").iterdir())
    print(f"  archived in {time.monotonic() - began:.1f} s, {size / 2**20:,.0f} MiB")
    opened_apart(path, "archive")


def append(folder: Path, nodes: int = 1_000, ticks: int = 20) -> None:
    """Ticks in which every machine has an entry, on disk as a daemon has it."""
    path, known = folder / "append.db", Known()
    spent, used = list[float](), list[float]()
    with closing(connect(path, read_only=False)) as db:
        for number in range(ticks):
            at = START + number * QUARTER
            entries = [
                entry(f"n-{n:04d}", at, key=SPOT, usd_per_hour=f"0.{80 + n % 10}", busy=1e3)
                for n in range(nodes)
            ]
            began, cpu = time.monotonic(), time.process_time()
            db.execute("BEGIN IMMEDIATE")
            write_entries(db, entries, Recording(at=at + QUARTER, tick_id=f"t{number}"), known)
            db.execute("COMMIT")
            spent.append(1000 * (time.monotonic() - began))
            used.append(1000 * (time.process_time() - cpu))
        size = db.execute("SELECT sum(length(data)) FROM entries").fetchone()[0] / ticks / nodes
    print(
        f"a tick of {nodes:,} entries: {statistics.median(spent[1:]):.0f} ms "
        f"({statistics.median(used[1:]):.0f} ms) in the median; the first, which names them all, "
        f"{spent[0]:.0f} ms ({used[0]:.0f} ms); {size:.0f} bytes an entry"
    )


def month_against_bill(nodes: int, days: int, folder: Path) -> None:
    """A simulated month under commitments against the cloud's own bill."""
    month = make_month(folder / "month.db", nodes=nodes, days=days)
    began = time.monotonic()
    month.run()
    print(f"{nodes} machines for {days} days, simulated in {time.monotonic() - began:.0f} s")
    found = compare(month)
    for each in fields(found):
        print(f"  {each.name:22} {getattr(found, each.name)}")


def main() -> None:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="10 million entries as well")
    parser.add_argument("--month", action="store_true", help="only the month against its bill")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.open is not None:
        opened(chosen.open)
        return
    with tempfile.TemporaryDirectory(prefix="costplan-bench-") as name:
        if chosen.month:
            month_against_bill(chosen.nodes, chosen.days, Path(name))
            return
        append(Path(name))
        for entries in (1_000_000, 10_000_000) if chosen.large else (1_000_000,):
            month_of(entries, Path(name))


if __name__ == "__main__":
    main()
