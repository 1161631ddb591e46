"""Months of ledger entries made up for measurements: quarter-hours of machines, written at once."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from costplan.adapters.store.database import connect
from costplan.adapters.store.entries import ROW, USES, micros
from costplan.planner.ledger import Use
from costplan.planner.spans import amount_usd
from costplan.planner.units import pico_from_usd, usd_from_pico

START = datetime(2026, 10, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
QUARTERS = 30 * 96
FORM = np.dtype([
    ("item", "<u4"), ("rate", "<u4"), ("kind", "u1"), ("use", "u1"), ("start", "<i8"),
    ("end", "<i8"), ("pico", "<i8"), ("busy", "<f8"), ("thread", "<f8"),
])  # fmt: skip


def write_month(path: Path, entries: int, *, seed: int = 1) -> None:
    """A store with about so many entries of October 2026, of 30 days: the same machines all month,
    half of them on spot, whose prices change; nearly all ready, and partly idle."""
    dice = np.random.default_rng(seed)
    machines = max(1, entries // QUARTERS)
    with closing(connect(path, read_only=False)) as db:
        db.execute("BEGIN")
        _write_names(db, machines)
        prices = np.array([pico_from_usd(usd_from_pico(10**9 * (50 + n))) for n in range(100)])
        first = 1
        for number in range(QUARTERS):
            at = START + number * QUARTER
            rate = (np.arange(machines) * 7 + number // 16) % 100
            rows = np.zeros(machines, FORM)
            rows["item"] = np.arange(machines) + 1
            rows["rate"] = rate + 1
            rows["use"] = np.where(dice.random(machines) < 0.03, USES.index(Use.BOOT),
                                   USES.index(Use.READY))  # fmt: skip
            rows["start"], rows["end"] = micros(at), micros(at + QUARTER)
            amounts = [pico_from_usd(amount_usd(usd_from_pico(int(p)), at, at + QUARTER))
                       for p in prices]  # fmt: skip
            rows["pico"] = np.array(amounts)[rate]
            is_ready = rows["use"] == USES.index(Use.READY)
            rows["thread"] = np.where(is_ready, 3600.0, 0.0)
            rows["busy"] = np.where(is_ready, dice.random(machines) * 5000.0, 0.0)
            _write(db, first, at, rows)
            first += machines
        db.execute("COMMIT")


def _write(db: sqlite3.Connection, first: int, at: datetime, rows: np.ndarray) -> None:
    assert FORM.itemsize == ROW.size
    recorded = (at + QUARTER).isoformat(timespec="microseconds")
    db.execute(
        "INSERT INTO entries VALUES (?, ?, '2026-10', ?, ?, 'plan', '', ?, ?, ?, ?)",
        (first, len(rows), recorded, f"tick-{first}", micros(at), micros(at + QUARTER),
         int(rows["pico"].sum()), zlib.compress(rows.tobytes(), 1)),
    )  # fmt: skip


def _write_names(db: sqlite3.Connection, machines: int) -> None:
    db.executemany(
        """INSERT INTO items (node_id, resource_id, provider, account, region, zone, instance_type,
        market, vcpu_milli, memory_bytes, gpus, charge, workload)
        VALUES (?, ?, 'aws', '111122223333', 'us-east-1', ?, ?, ?, 4000, 17179869184, 0, 'machine',
        ?)""",
        [
            (f"node-{n:06d}", f"i-{n:017x}", f"us-east-1{'abc'[n % 3]}",
             ("m5.xlarge", "c5.xlarge", "r5.xlarge", "m6i.xlarge")[n % 4],
             ("spot", "on_demand")[n % 2], ("fraud", "ads", "search")[n % 3])
            for n in range(machines)
        ],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO rates (usd_per_hour, on_demand_usd_per_hour, source, is_estimate) "
        "VALUES (?, ?, 'bench', 0)",
        [(str(usd_from_pico(10**9 * (50 + n))), str(usd_from_pico(10**9 * 192)))
         for n in range(100)],
    )  # fmt: skip
