"""Recorded jobs from a Parquet or CSV file: when they came, how long they ran, on how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from costplan.planner.errors import InputError

UNITS = ("gpu", "cpu", "node")
"""What a job may count: the kinds of unit that demand files have."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "submit": ("submit", "submit_s", "submit_time", "submitted", "create_s", "arrival_s"),
    "duration": ("duration", "duration_s", "duration_seconds", "run_s"),
    "start": ("start_s", "start_time", "scheduled_s", "started"),
    "end": ("end_s", "end_time", "delete_s", "finished"),
    "gpu": ("gpus", "num_gpus", "num_gpu"),
    "cpu": ("cpus", "num_cpus", "num_cpu"),
    "node": ("nodes", "num_nodes"),
}
"""Column names that are understood without being told, by what they mean."""

_GUIDE = "docs/simulate.md"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJob:
    """`units` machines' worth of work that came `at_seconds` after the begin, for `seconds`."""

    at_seconds: float
    seconds: float
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJobs:
    """Jobs in order of arrival, the unit that they count, and what was left out, in words."""

    jobs: tuple[TraceJob, ...]
    unit: str
    notes: tuple[str, ...]

    @property
    def unit_hours(self) -> float:
        """Work in unit-hours."""
        return sum(job.seconds * job.units for job in self.jobs) / 3600


def read_jobs(
    path: Path, *, days: float, skip_days: float = 0.0, columns: Mapping[str, str] | None = None
) -> TraceJobs:
    """The jobs of `days` days of a file, from `skip_days` after its first submission.

    `columns` names the column of 'submit', 'duration' (or 'start' and 'end') and of 'gpu', 'cpu'
    or 'node' where the file calls them something that is not in `NAMES`. A job that would run
    beyond the end is cut there, so that all policies end about when the trace does. Raises
    InputError that names the column or the row.
    """
    table = _table(path)
    found = _columns(path, table.column_names, columns or {})
    unit = next((unit for unit in UNITS if unit in found), None)
    if unit is None or "submit" not in found:
        lacking = "when a job was submitted" if unit else "how many GPUs, CPUs or nodes a job has"
        raise InputError(
            str(path),
            f"no column says {lacking}; it has {', '.join(table.column_names)}",
            f"name it, as in --columns submit=COLUMN,{unit or 'gpu'}=COLUMN ({_GUIDE})",
        )
    submit = _seconds(path, table, found["submit"])
    seconds = _durations(path, table, found)
    units = _numbers(path, table, found[unit])
    notes = []
    known = np.isfinite(submit) & np.isfinite(seconds) & np.isfinite(units)
    if not known.all():
        notes.append(f"{int((~known).sum()):,} jobs without a time or a count left out")
    begin = submit[known].min() + skip_days * 86400 if known.any() else 0.0
    works = known & (seconds > 0) & (units > 0)
    if (known & ~works).any():
        notes.append(f"{int((known & ~works).sum()):,} jobs of no {unit} or no duration left out")
    at = submit - begin
    here = works & (at >= 0) & (at < days * 86400)
    if not here.any():
        raise InputError(
            str(path), f"no job in the {days:g} days from day {skip_days:g}", "choose other days"
        )
    ends = np.minimum(at + seconds, days * 86400)
    cut = int((here & (at + seconds > days * 86400)).sum())
    if cut:
        notes.append(f"{cut:,} jobs cut at the end of the {days:g} days")
    order = np.argsort(at[here], kind="stable")
    jobs = tuple(
        TraceJob(at_seconds=float(a), seconds=float(e - a), units=math.ceil(u - 1e-9))
        for a, e, u in zip(at[here][order], ends[here][order], units[here][order], strict=True)
        if e > a
    )
    return TraceJobs(jobs=jobs, unit=unit, notes=tuple(notes))


def _table(path: Path) -> pa.Table:
    try:
        if path.suffix == ".csv":
            return pacsv.read_csv(path)
        return pq.read_table(path)
    except FileNotFoundError as error:
        raise InputError(str(path), "there is no such file") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(
            str(path), f"is no table: {said}", "give Parquet, or CSV as .csv"
        ) from None


def _columns(path: Path, names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    for what, name in given.items():
        if what not in NAMES:
            raise InputError(
                f"--columns {what}={name}", f"{what} means nothing", "use " + ", ".join(NAMES)
            )
        if name not in names:
            raise InputError(
                f"--columns {what}={name}", f"{path} has no column {name}", "it has "
                + ", ".join(names)
            )  # fmt: skip
    found = dict(given)
    for what, known in NAMES.items():
        if what not in found:
            there = next((name for name in known if name in names), None)
            if there is not None:
                found[what] = there
    if any(unit in given for unit in UNITS):
        for unit in UNITS:
            if unit not in given:
                found.pop(unit, None)
    return found


def _durations(path: Path, table: pa.Table, found: Mapping[str, str]) -> Floats:
    if "duration" in found:
        return _numbers(path, table, found["duration"])
    if "start" in found and "end" in found:
        return _seconds(path, table, found["end"]) - _seconds(path, table, found["start"])
    raise InputError(
        str(path),
        f"no column says how long a job ran; it has {', '.join(table.column_names)}",
        f"name it, as in --columns duration=COLUMN ({_GUIDE})",
    )


def _seconds(path: Path, table: pa.Table, name: str) -> Floats:
    """A column of instants or of seconds, as seconds; what is missing is NaN."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        micros = pc.cast(column, pa.timestamp("us", tz=column.type.tz)).cast(pa.int64())
        return _floats(micros) / 1e6
    return _numbers(path, table, name)


def _numbers(path: Path, table: pa.Table, name: str) -> Floats:
    column = table[name]
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if not is_number:
        raise InputError(
            f"{path}: {name}",
            f"holds {column.type}, not numbers",
            "give seconds or counts as numbers, and instants as timestamps",
        )
    return _floats(column)


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(
        pc.fill_null(pc.cast(column, pa.float64()), math.nan).to_numpy(), dtype=np.float64
    )
