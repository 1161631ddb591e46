"""Recorded jobs: what columns are understood, what is left out, and how wrong files end."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costplan.adapters.backtest.jobs import TraceJob, read_jobs
from costplan.planner.errors import InputError

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "jobs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_jobs_are_read_in_order_of_arrival(tmp_path: Path) -> None:
    path = csv(tmp_path, "submit_s,duration_s,num_gpus", "50,10,2", "0,20,1")
    found = read_jobs(path, days=1)
    assert found.unit == "gpu"
    assert found.jobs == (
        TraceJob(at_seconds=0, seconds=20, units=1),
        TraceJob(at_seconds=50, seconds=10, units=2),
    )
    assert found.unit_hours == pytest.approx(40 / 3600)
    assert found.begins == "second 0"
    assert found.notes == ()


def test_instants_are_seconds_after_the_first(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    times = [MONDAY + timedelta(minutes=5), MONDAY]
    pq.write_table(pa.table({"submit_time": times, "duration_s": [60, 30], "nodes": [1, 3]}), path)
    found = read_jobs(path, days=1)
    assert found.unit == "node"
    assert [(job.at_seconds, job.units) for job in found.jobs] == [(0, 3), (300, 1)]
    assert found.begins == "2026-01-05 00:00:00"


def test_a_duration_may_be_a_start_and_an_end_and_counts_may_be_fractions(tmp_path: Path) -> None:
    path = csv(tmp_path, "create_s,scheduled_s,delete_s,num_gpu", "0,5,65,0.5", "9,,70,1")
    found = read_jobs(path, days=1)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=60, units=1),)
    assert found.notes == ("1 job without a time or a count left out",)


def test_start_and_end_are_understood_as_they_are_called(tmp_path: Path) -> None:
    found = read_jobs(csv(tmp_path, "submit,start,end,gpus", "0,5,65,1"), days=1)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=60, units=1),)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As `--demand <(zcat jobs.csv.gz)` gives it, and /dev/stdin."""
    end, start = os.pipe()
    with os.fdopen(start, "w") as pipe:
        pipe.write("submit;duration;gpus\n0;60;1\n")
    try:
        found = read_jobs(Path(f"/dev/fd/{end}"), days=1)
    finally:
        os.close(end)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=60, units=1),)


def test_who_begins_with_days_of_little_work_is_told_where_to_begin(tmp_path: Path) -> None:
    """Four days of one GPU-hour and six of twenty: 3.2 % of the work in 40 % of the time."""
    rows = [f"{day * 86400},3600,{1 if day < 4 else 20}" for day in range(10)]
    path = csv(tmp_path, "submit,duration,gpus", *rows)
    said = "the first 4 days hold 3.2 % of the work; --skip-days 4 begins after that"
    assert read_jobs(path, days=10).notes == (said,)
    said = "the first 2 days hold 1.6 % of the work; --skip-days 4 begins after that"
    assert read_jobs(path, days=8, skip_days=2).notes == (said,)
    assert read_jobs(path, days=6, skip_days=4).notes == ()
    even = csv(tmp_path, "submit,duration,gpus", *(f"{day * 86400},3600,2" for day in range(10)))
    assert read_jobs(even, days=10).notes == ()


def test_jobs_beyond_the_days_are_cut_and_those_of_nothing_left_out(tmp_path: Path) -> None:
    path = csv(tmp_path, "submit,duration,cpus", "0,1,1", "86400,1,1", "90000,90000,4", "90001,5,0")
    found = read_jobs(path, days=1, skip_days=1)
    assert found.unit == "cpu"
    assert found.jobs == (
        TraceJob(at_seconds=0, seconds=1, units=1),
        TraceJob(at_seconds=3600, seconds=82800, units=4),
    )
    assert found.notes == (
        "1 job of no cpu or no duration left out",
        "1 job cut at the end of the day",
    )


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "t0,secs,n,gpus", "0,10,2,8")
    found = read_jobs(path, days=1, columns={"submit": "t0", "duration": "secs", "cpu": "n"})
    assert (found.unit, found.jobs[0].units) == ("cpu", 2)


@pytest.mark.parametrize(
    ("lines", "columns", "said"),
    [
        (("a,b", "1,2"), {}, "no column says how many GPUs"),
        (("submit,gpus", "1,2"), {}, "no column says how long a job ran"),
        (("duration,gpus", "1,2"), {}, "no column says when a job was submitted"),
        (("submit,duration,gpus", "1,1,1", "x,1,1"), {}, "submit: row 2 has 'x', which is no num"),
        (("submit,duration,gpus", "1,10min,1"), {}, "duration: row 1 has '10min', which is no"),
        (("submit,duration,gpus", "1,00:10:00,1"), {}, r"duration: holds time32\[s\], not num"),
        (("submit,duration,gpus", "1,1,1"), {"submit": "t0"}, "has no column t0"),
        (("submit,duration,gpus", "1,1,1"), {"tasks": "gpus"}, "tasks means nothing"),
        (("submit,duration,gpus", "1,-5,1"), {}, "can be run: 1 job of no gpu or no duration"),
        (("submit,duration,gpus", "nan,5,1"), {}, "can be run: 1 job without a time or a count"),
        (
            ("submit,duration,gpus", "2026-01-01T00:00:00Z,5,1", "2026-01-01 00:10,5,1"),
            {},
            "submit: row 2 has '2026-01-01 00:10', which is no instant with an offset from UTC",
        ),
        (("submit,duration,gpus", "2026-01-01,5,1", "soon,5,1"), {}, "row 2 has 'soon', which is"),
        (("submit,duration,gpus",), {}, "has no rows; give a row a job"),
        (("submit,duration,gpus", "1,5,2e9"), {}, "gpus: row 1 has 2,000,000,000, more than"),
        (("submit,duration,gpus,gpus", "1,5,1,2"), {}, "has the column gpus twice"),
        (("submit,duration,gpus", "1,2"), {}, "is no table"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, lines: tuple[str, ...], columns: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_jobs(csv(tmp_path, *lines), days=1, columns=columns)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("jobs.csv", "submit,duration,gpus"),
        ("jobs.CSV", "\ufeffSubmit_Time, Runtime ,GPU_count"),
        ("jobs.tsv", "submitted_at\tduration_sec\tnum_gpus"),
        ("jobs.txt", "arrival_time;run_time;n_gpus"),
    ],
)
def test_csv_is_known_by_content_and_names_in_any_case(
    tmp_path: Path, name: str, head: str
) -> None:
    mark = next(mark for mark in ";\t," if mark in head)
    path = tmp_path / name
    path.write_text("\n".join([head, mark.join(("5", "60", "2"))]) + "\n", encoding="utf-8")
    found = read_jobs(path, days=1)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=60, units=2),)
    assert found.unit == "gpu"


def test_spans_of_time_decimals_and_numbers_as_text_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    spans = [timedelta(minutes=1), timedelta(seconds=30)]
    table = {"submit": ["0", "5"], "duration": spans, "cpus": [Decimal("2"), Decimal("1")]}
    pq.write_table(pa.table(table), path)
    assert read_jobs(path, days=1).jobs == (
        TraceJob(at_seconds=0, seconds=60, units=2),
        TraceJob(at_seconds=5, seconds=30, units=1),
    )


def test_instants_count_from_the_same_moment_in_any_zone(tmp_path: Path) -> None:
    lines = ("2026-01-01T02:00:00+02:00,60,1", "2026-01-01T00:10:00Z,60,1")
    found = read_jobs(csv(tmp_path, "submit,duration,gpus", *lines), days=1)
    assert [job.at_seconds for job in found.jobs] == [0, 600]


def test_instants_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "jobs.parquet"
    came = ["2026-01-01T02:00:00+02:00", None, "2026-01-01T00:10:00Z"]
    pq.write_table(pa.table({"submit": came, "duration": [60] * 3, "gpus": [1] * 3}), path)
    found = read_jobs(path, days=1)
    assert [job.at_seconds for job in found.jobs] == [0, 600]
    assert found.begins == "2026-01-01 00:00:00"


def test_a_job_of_a_trace_of_a_unit_has_a_task(tmp_path: Path) -> None:
    """One of no task would never be done."""
    found = read_jobs(csv(tmp_path, "submit,duration,gpus", "0,60,1e-10"), days=1)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=60, units=1),)


def test_times_may_be_finer_than_microseconds(tmp_path: Path) -> None:
    path, first = tmp_path / "jobs.parquet", 1_767_571_200_123_456_789
    submit = pa.array([first, first + 5_000_000_001], pa.timestamp("ns"))
    spans = pa.array([60_000_000_001, 30_000_000_999], pa.duration("ns"))
    pq.write_table(pa.table({"submit": submit, "duration": spans, "gpus": [1, 1]}), path)
    found = read_jobs(path, days=1)
    assert found.jobs == (
        TraceJob(at_seconds=0, seconds=60, units=1),
        TraceJob(at_seconds=5, seconds=30, units=1),
    )
    lines = ("2026-01-05T00:00:00.123456789,60,1", "2026-01-05T00:00:05.123456789,60,1")
    found = read_jobs(csv(tmp_path, "submit,duration,gpus", *lines), days=1)
    assert [job.at_seconds for job in found.jobs] == [0, 5]


def test_numbers_beyond_what_a_float_tells_apart_are_rounded(tmp_path: Path) -> None:
    lines = ("1767571200123456789,60,1", "1767571200123456790,60,1")
    found = read_jobs(csv(tmp_path, "submit,duration,gpus", *lines), days=1)
    assert [job.at_seconds for job in found.jobs] == [0, 0]


def test_a_job_whose_end_is_a_stand_in_for_never_is_cut(tmp_path: Path) -> None:
    lines = ("2026-01-05 00:00:00,2026-01-05 00:00:00,9999-12-31 00:00:00,1",)
    found = read_jobs(csv(tmp_path, "submit,start_time,end_time,gpus", *lines), days=1)
    assert found.jobs == (TraceJob(at_seconds=0, seconds=86400, units=1),)
    assert found.notes == ("1 job cut at the end of the day",)


def test_jobs_of_other_days_are_told_from_jobs_of_nothing(tmp_path: Path) -> None:
    path = csv(tmp_path, "submit,duration,gpus", "1,5,1")
    with pytest.raises(InputError, match="no job in the 1 days from day 3; choose other days"):
        read_jobs(path, days=1, skip_days=3)


def test_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name a Parquet or CSV file in it"):
        read_jobs(tmp_path, days=1)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_jobs(tmp_path / "none.parquet", days=1)
