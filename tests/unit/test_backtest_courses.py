"""Recorded spot prices: what is read of them, and how a pool's price follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costplan.adapters.backtest.courses import Course, course_of, read_courses
from costplan.adapters.sim.clock import MICROS
from costplan.planner.errors import InputError

BEGIN = datetime(2021, 3, 2, tzinfo=UTC)


def written(path: Path, rows: list[tuple[float, str, str, float]]) -> Path:
    hours, zones, kinds, usd = zip(*rows, strict=True)
    table = pa.table(
        {
            "timestamp": [BEGIN + timedelta(hours=hour) for hour in hours],
            "zone": zones,
            "instance_type": kinds,
            "spot_usd_h": usd,
        }
    )
    pq.write_table(table, path)
    return path


def test_a_series_is_its_ratio_to_its_mean_over_time(tmp_path: Path) -> None:
    # 1.00 for an hour and 2.00 for three: 1.75 in the mean. How long 9.00 lasted is not known.
    rows = [(4.0, "a", "m5", 9.0), (0.0, "a", "m5", 1.0), (1.0, "a", "m5", 2.0)]
    (found,) = read_courses(written(tmp_path / "prices.parquet", rows))
    assert found.ratios == (round(1 / 1.75, 6), round(2 / 1.75, 6))
    assert (found.from_seconds, found.seconds) == ((0.0, 3600.0), 4 * 3600.0)


def test_a_price_moves_around_the_listed_one_and_begins_again() -> None:
    course = Course(
        instance_type="m5", zone="a", from_seconds=(0.0, 10.0), ratios=(0.5, 1.5), seconds=20.0
    )
    usd = list(islice(course.around(Decimal("0.40")).changes(), 4))
    assert [micros / MICROS for micros, _ in usd] == [0, 10, 20, 30]
    low, high = Decimal("0.2"), Decimal("0.6")
    assert [value for _, value in usd] == [low, high, low, high]


def test_a_pool_follows_its_own_type_where_there_is_one(tmp_path: Path) -> None:
    rows = [
        (hour, zone, kind, usd * (1 + hour))
        for kind, usd in (("c5", 1.0), ("m5", 2.0))
        for zone in ("a", "b")
        for hour in (0.0, 1.0, 2.0)
    ]
    courses = read_courses(written(tmp_path / "prices.parquet", rows))
    names = [(course.instance_type, course.zone) for course in courses]
    assert names == [("c5", "a"), ("c5", "b"), ("m5", "a"), ("m5", "b")]
    assert course_of(courses, "m5", 0, 2) is courses[2]
    assert course_of(courses, "p3", 1, 2) is courses[3]
    assert course_of(courses, "p3", 2, 2) is courses[0]


def test_a_series_that_never_moves_is_left_out(tmp_path: Path) -> None:
    rows = [(0.0, "a", "m5", 1.0), (1.0, "a", "m5", 1.0)]
    with pytest.raises(InputError, match="has no price that changes"):
        read_courses(written(tmp_path / "prices.parquet", rows))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "prices.parquet", [(0.0, "a", "m5", 1.0), (1.0, "a", "m5", -1.0)])
    with pytest.raises(InputError, match=r"row 2: has .*; give an instant"):
        read_courses(path)
    with pytest.raises(InputError, match="there is no such file"):
        read_courses(tmp_path / "none.parquet")
    pq.write_table(pa.table({"zone": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="a file of spot prices is Parquet with"):
        read_courses(tmp_path / "other.parquet")


def test_no_price_falls_to_nothing(tmp_path: Path) -> None:
    rows = [(0.0, "a", "m5", 1.0), (1.0, "a", "m5", 1e-9), (2.0, "a", "m5", 1.0)]
    (course,) = read_courses(written(tmp_path / "prices.parquet", rows))
    assert course.around(Decimal("0.1")).values == (Decimal("0.2"), Decimal("0.000001"))
