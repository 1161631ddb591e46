"""Recorded spot availability: what is read of it, and how wrong files end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costplan.adapters.backtest.courses import read_courses
from costplan.adapters.backtest.market import read_availability
from costplan.planner.errors import InputError

ROW = {
    "trace_id": "set/zone/type",
    "kind": "availability",
    "gap_s": 300.0,
    "tick": 0,
    "run_ticks": 12,
    "n_available": 1,
}


def written(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist([ROW | row for row in rows]), path)
    return path


def test_a_trace_is_up_while_a_machine_was_to_be_had(tmp_path: Path) -> None:
    rows = ({}, {"tick": 12, "run_ticks": 6, "n_available": 0}, {"kind": "preemption", "gap_s": 0})
    (trace,) = read_availability(written(tmp_path / "traces.parquet", *rows))
    assert (trace.seconds, trace.from_seconds) == (5400.0, (0.0, 3600.0))
    assert [trace.at(second) for second in (0, 3599, 3600, 5399, 5400)] == [
        True,
        True,
        *[False] * 2,
        True,
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"gap_s": None},
        {"gap_s": 0.0},
        {"gap_s": float("nan")},
        {"gap_s": "x"},
        {"gap_s": 1e-9},
        {"gap_s": 1e300},
        {"tick": 10**12},
        {"run_ticks": 0},
        {"tick": -1},
        {"n_available": None},
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"traces.parquet: row 1: has set/zone/type, a gap of"):
        read_availability(written(tmp_path / "traces.parquet", wrong))


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"n_available": 0}, "tick 0 is within the 12 ticks from 0 on"),
        ({"tick": 11}, "tick 11 is within the 12 ticks from 0 on"),
        ({"tick": 12, "gap_s": 60.0}, "has gaps of 300 s and of 60 s"),
    ],
)
def test_runs_that_do_not_follow_each_other_are_no_trace(
    tmp_path: Path, second: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=rf"set/zone/type: {said}; give each"):
        read_availability(written(tmp_path / "traces.parquet", {}, second))


@pytest.mark.parametrize("read", [read_availability, read_courses])
def test_a_file_that_is_none_of_these_is_said(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(InputError, match="is a folder; name a Parquet file in it"):
        read(tmp_path)
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(InputError, match=r"has no column \w+; it has a; a file of spot \w+ is Par"):
        read(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"is no Parquet: .*; a file of spot .* with the columns"):
        read(path)
    with pytest.raises(InputError, match="there is no such file"):
        read(tmp_path / "none.parquet")
