"""Recorded jobs from a Parquet or CSV file: when they came, how long they ran, on how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from costplan.planner.errors import InputError
from costplan.planner.wording import counted, percent

UNITS = ("gpu", "cpu", "node")
"""What a job may count: the kinds of unit that demand files have."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "submit": (
        "submit", "submit_s", "submit_seconds", "submit_time", "submitted", "submitted_at",
        "create_s", "created_at", "arrival", "arrival_s", "arrival_time",
    ),
    "duration": (
        "duration", "duration_s", "duration_sec", "duration_seconds", "run_s", "run_seconds",
        "run_time", "runtime", "runtime_s",
    ),
    "start": ("start", "start_s", "start_time", "scheduled_s", "started", "started_at"),
    "end": ("end", "end_s", "end_time", "delete_s", "finished", "ended_at"),
    "gpu": ("gpus", "gpu", "num_gpus", "num_gpu", "n_gpus", "gpu_count"),
    "cpu": ("cpus", "cpu", "num_cpus", "num_cpu", "n_cpus", "cpu_count", "vcpus"),
    "node": ("nodes", "node_count", "num_nodes", "num_node", "n_nodes"),
}  # fmt: skip
"""Column names that are understood without being told, in any case, by what they mean."""
MOST_UNITS = 100_000
"""A job of more is a mistake of the file: each unit is a task of its own."""

LITTLE = 0.1
"""Days at the begin that hold no more of the work than this, and a fourth of what as many others
do, are told of."""

_GUIDE = "docs/simulate.md"
_MAGIC = b"PAR1"
_INSTANTS = (pa.timestamp("us", "UTC"), pa.timestamp("us"))
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}
_NUMBERS = "give seconds and counts as numbers, and instants as timestamps"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJob:
    """`units` machines' worth of work that came `at_seconds` after the begin, for `seconds`."""

    at_seconds: float
    seconds: float
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceJobs:
    """Jobs in order of arrival, the unit that they count, and what was left out, in words.

    `begins` says which moment of their own clock is second 0.
    """

    jobs: tuple[TraceJob, ...]
    unit: str
    notes: tuple[str, ...]
    begins: str

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
    table = _with_instants(path, table, found)
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
        notes.append(f"{_jobs(~known)} without a time or a count left out")
    begin = submit[known].min() + skip_days * 86400 if known.any() else 0.0
    works = known & (seconds > 0) & (units > 0)
    if (known & ~works).any():
        notes.append(f"{_jobs(known & ~works)} of no {unit} or no duration left out")
    at = submit - begin
    here = works & (at >= 0) & (at < days * 86400)
    if not here.any():
        raise _nothing(path, len(submit), works, f"the {days:g} days from day {skip_days:g}", notes)
    if (here & (units > MOST_UNITS)).any():
        row = int(np.flatnonzero(here & (units > MOST_UNITS))[0])
        raise InputError(
            f"{path}: {found[unit]}",
            f"row {row + 1} has {units[row]:,.0f}, more than the {MOST_UNITS:,} that a job may",
            f"name the column that counts them, as in --columns {unit}=COLUMN",
        )
    ends = np.minimum(at + seconds, days * 86400)
    cut = here & (at + seconds > days * 86400)
    if cut.any():
        notes.append(f"{_jobs(cut)} cut at the end of {_days(days)}")
    order = np.argsort(at[here], kind="stable")
    jobs = tuple(
        TraceJob(at_seconds=float(a), seconds=float(e - a), units=max(1, math.ceil(u - 1e-9)))
        for a, e, u in zip(at[here][order], ends[here][order], units[here][order], strict=True)
        if e > a
    )
    quiet, share = quiet_days(jobs, days)
    if quiet:
        first = "day holds" if quiet == 1 else f"{quiet} days hold"
        notes.append(
            f"the first {first} {percent(share)} of the work; --skip-days {skip_days + quiet:g} "
            "begins after that"
        )
    return TraceJobs(
        jobs=jobs,
        unit=unit,
        notes=tuple(notes),
        begins=_begins(table[found["submit"]], float(begin)),
    )


def quiet_days(jobs: Sequence[TraceJob], days: float) -> tuple[int, float]:
    """How many whole days at the begin have little work, and what share of all they hold.

    Example: 10 days, of which the first 4 have 1 unit-hour each and the others 20: 4 days hold
    3 %, where 40 % of the time would hold 40 %.
    """
    at = np.array([job.at_seconds for job in jobs])
    seconds = np.array([job.seconds for job in jobs])
    units = np.array([job.units for job in jobs])
    total = float((units * seconds).sum())
    quiet, share = 0, 0.0
    for day in range(1, math.ceil(days)):
        done = float((units * np.clip(day * 86400 - at, 0, seconds)).sum()) / total
        if done > LITTLE:
            break
        quiet, share = day, done
    return (quiet, share) if share <= quiet / days / 4 else (0, 0.0)


def _begins(column: pa.ChunkedArray, second: float) -> str:
    if not pa.types.is_timestamp(column.type):
        return f"second {second:,.10g}"
    return str(np.datetime64(round(second), "s")).replace("T", " ")


def _jobs(rows: NDArray[np.bool_]) -> str:
    return counted(int(rows.sum()), "job")


def _days(days: float) -> str:
    return "the day" if days == 1 else f"the {days:g} days"


def _nothing(
    path: Path, rows: int, works: NDArray[np.bool_], days: str, notes: Sequence[str]
) -> InputError:
    """Why a file leaves no job to simulate."""
    if not rows:
        return InputError(str(path), "has no rows", "give a row a job")
    if not works.any():
        return InputError(
            str(path),
            f"has no job that can be run: {', '.join(notes)}",
            "give when each came, a duration and a count above 0",
        )
    return InputError(str(path), f"no job in {days}", "choose other days")


def _table(path: Path) -> pa.Table:
    """The file's columns, Parquet and CSV told apart by content; fields of CSV may be parted by
    commas, semicolons or tabs."""
    if path.is_dir():
        raise InputError(str(path), "is a folder", "name a Parquet or CSV file in it")
    try:
        if path.exists() and not path.is_file():  # a pipe can be read once
            return _parsed(pa.py_buffer(path.read_bytes()))
        return _parsed(path)
    except FileNotFoundError as error:
        raise InputError(str(path), "there is no such file") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise InputError(str(path), f"is no table: {said}", "give Parquet or CSV") from None


def _parsed(source: Path | pa.Buffer) -> pa.Table:
    def opened() -> Path | pa.NativeFile:
        return source if isinstance(source, Path) else pa.BufferReader(source)

    with pa.OSFile(str(source)) if isinstance(source, Path) else pa.BufferReader(source) as file:
        is_parquet = file.read(len(_MAGIC)) == _MAGIC
    if is_parquet:
        return pq.read_table(opened())
    with pa.input_stream(opened()) as stream:
        head = stream.read(4096).partition(b"\n")[0]
    parted = max(",;\t", key=lambda mark: head.count(mark.encode()))
    return pacsv.read_csv(opened(), parse_options=pacsv.ParseOptions(delimiter=parted))


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
    spelt: dict[str, str] = {}
    for name in names:
        spelt.setdefault(name.strip().lower(), name)
    for what, known in NAMES.items():
        if what not in found:
            there = next((spelt[name] for name in known if name in spelt), None)
            if there is not None:
                found[what] = there
    if any(unit in given for unit in UNITS):
        for unit in UNITS:
            if unit not in given:
                found.pop(unit, None)
    twice = next((name for name in found.values() if list(names).count(name) > 1), None)
    if twice is not None:
        raise InputError(str(path), f"has the column {twice} twice", "keep one")
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


def _with_instants(path: Path, table: pa.Table, found: Mapping[str, str]) -> pa.Table:
    """The table with instants where a column of times has them as text, all in one way: with an
    offset from UTC or without; raises InputError that names the first row that is otherwise."""
    for what in ("submit", "start", "end"):
        place = table.column_names.index(found[what]) if what in found else -1
        if place >= 0 and _is_text(table.column(place).type):
            column = table.column(place)
            first = next((str(v) for v in column.drop_null().slice(0, 1).to_pylist()), "")
            kind = None if _is_number(first) else next(filter(_reads(first), _INSTANTS), None)
            if kind is not None:
                read = _read_instants(path, found[what], column, kind)
                table = table.set_column(place, found[what], read)
    return table


def _reads(text: str) -> Callable[[pa.DataType], bool]:
    def reads(kind: pa.DataType) -> bool:
        try:
            pa.scalar(text).cast(kind)
        except pa.ArrowInvalid:
            return False
        return True

    return reads


def _read_instants(
    path: Path, name: str, column: pa.ChunkedArray, kind: pa.DataType
) -> pa.ChunkedArray:
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist(), start=1):
            if value is not None and not _reads(value)(kind):
                offset = "without" if kind.tz is None else "with"
                raise InputError(
                    f"{path}: {name}",
                    f"row {row} has {value!r}, which is no instant {offset} an offset from UTC, as "
                    "those before it are",
                    "write all in one way",
                ) from None
        raise


def _seconds(path: Path, table: pa.Table, name: str) -> Floats:
    """A column of instants or of seconds, as seconds; what is missing is NaN."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        return _timed(column)
    return _numbers(path, table, name)


def _numbers(path: Path, table: pa.Table, name: str) -> Floats:
    """A column of numbers or of spans of time, as numbers and seconds; what is missing is NaN."""
    column = table[name]
    kind = column.type
    if pa.types.is_duration(kind):
        return _timed(column)
    if _is_text(kind):
        return _floats(_spelt_out(path, name, column))
    if not (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    ):
        raise InputError(f"{path}: {name}", f"holds {kind}, not numbers", _NUMBERS)
    return _floats(column)


def _timed(column: pa.ChunkedArray) -> Floats:
    """Instants or spans of any unit as seconds; what is finer than a microsecond is cut off."""
    unit, whole = column.type.unit, pc.cast(column, pa.int64())
    if unit == "ns":
        unit, whole = "us", pc.divide(whole, 1000)
    return _floats(whole) / _PER_SECOND[unit]


def _spelt_out(path: Path, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers that are written as text; raises InputError that names the first that is none."""
    try:
        return pc.cast(column, pa.float64())
    except pa.ArrowInvalid:
        for row, value in enumerate(column.to_pylist(), start=1):
            if value is not None and not _is_number(value):
                raise InputError(
                    f"{path}: {name}", f"row {row} has {value!r}, which is no number", _NUMBERS
                ) from None
        raise InputError(f"{path}: {name}", "holds text, not numbers", _NUMBERS) from None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _floats(column: pa.ChunkedArray) -> Floats:
    # Whole numbers beyond 2^53 are rounded: counts of nanoseconds, ends in the year 9999.
    numbers = pc.cast(column, pa.float64(), safe=False)
    return np.asarray(pc.fill_null(numbers, math.nan).to_numpy(), dtype=np.float64)
