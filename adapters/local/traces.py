"""Recorded spot availability as capacity over time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from costplan.adapters.local.scenario_models import TraceSection
from costplan.planner.config_fields import shown
from costplan.planner.errors import InputError

_COLUMNS = ("trace_id", "tick", "gap_s", "n_available")


def capacity_steps(trace: TraceSection, folder: Path) -> list[tuple[float, int]]:
    """(seconds, machines) from each instant of a recorded trace on, as the scenario asks.

    The file is Parquet with one row a run of equal ticks: `trace_id`, `tick` (the first of the
    run), `gap_s` (seconds a tick) and `n_available`. Raises InputError where it is not.
    """
    path = folder / trace.file
    try:
        # Not read_table: that imports the dataset machinery, half a second of it.
        table = pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(columns=list(_COLUMNS))
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error
    except pa.ArrowException as error:
        raise InputError(str(path), "is not a Parquet file of traces") from error
    missing = [column for column in _COLUMNS if column not in table.column_names]
    if missing:
        raise InputError(str(path), f"has no column {missing[0]!r}", "see docs/local-provider.md")
    rows = [row for row in table.to_pylist() if row["trace_id"] == trace.trace]
    if not rows:
        known = sorted({str(name) for name in table["trace_id"].unique().to_pylist()})
        raise InputError(str(path), f"has no trace {shown(trace.trace)}", f"one is {known[0]!r}")
    steps: list[tuple[float, int]] = []
    for row in sorted(rows, key=lambda row: int(row["tick"])):
        at = (float(row["tick"]) * float(row["gap_s"]) - trace.start) / trace.speed
        machines = int(row["n_available"])
        if at <= 0:
            steps = [(0.0, machines)]
        elif not steps or steps[-1][1] != machines:
            steps.append((at, machines))
    return steps
