"""Jobs by the clock: which steps they fall into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costplan.planner.calendar import ScheduledJob, runs, scheduled
from costplan.planner.foretell import ENDS_SECONDS

MONDAY = datetime(2024, 5, 6, tzinfo=UTC)
HOUR = 3600
NIGHTLY = ScheduledJob(
    name="nightly", kind="a", workers=20, start_minute=120, duration_seconds=3 * HOUR
)


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def test_half_of_the_hour_before_a_job_has_begun_is_free() -> None:
    ends = [HOUR * n for n in range(1, 7)]
    assert scheduled([NIGHTLY], "a", at(1.5), ends) == [10, 20, 20, 10, 0, 0]
    assert scheduled([NIGHTLY], "b", at(1.5), ends) == [0] * 6


def test_a_job_that_began_yesterday_still_runs() -> None:
    late = ScheduledJob(
        name="late", kind="a", workers=2, start_minute=23 * 60, duration_seconds=4 * HOUR, days=(6,)
    )
    assert scheduled([late], "a", at(0), [HOUR, 4 * HOUR]) == pytest.approx([2, 4 / 3])
    assert scheduled([late], "a", at(24), [HOUR, 4 * HOUR]) == [0, 0]


def test_jobs_of_one_time_add_up() -> None:
    assert scheduled([NIGHTLY, NIGHTLY], "a", at(2), [HOUR]) == [40]


def test_a_job_runs_on_its_days_only() -> None:
    job = ScheduledJob(
        name="w", kind="a", workers=1, start_minute=60, duration_seconds=HOUR, days=(1, 3)
    )
    assert [begin for begin, _ in runs(job, at(0), at(7 * 24))] == [at(25), at(73)]
    # Half-open: one that ends when the time begins does not run in it.
    assert runs(job, at(26), at(27)) == []
    assert runs(job, at(24), at(25)) == []


@given(
    st.integers(0, 1439),
    st.integers(60, 86400),
    st.sets(st.integers(0, 6), min_size=1),
    st.floats(0, 7 * 24),
)
def test_worker_seconds_of_the_steps_are_those_of_the_runs(
    minute: int, seconds: int, days: set[int], hours: float
) -> None:
    job = ScheduledJob(
        name="j", kind="a", workers=3, start_minute=minute, duration_seconds=seconds,
        days=tuple(sorted(days)),
    )  # fmt: skip
    now, end = at(hours), at(hours) + timedelta(days=1)
    means = scheduled([job], "a", now, ENDS_SECONDS)
    widths = [b - a for a, b in pairwise((0, *ENDS_SECONDS))]
    ran = sum(
        (min(last, end) - max(first, now)).total_seconds() for first, last in runs(job, now, end)
    )
    assert sum(m * w for m, w in zip(means, widths, strict=True)) == pytest.approx(3 * ran)
    assert all(0 <= mean <= 6 + 1e-9 for mean in means)  # of two days at most
