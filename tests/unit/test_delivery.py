"""When schedules fire, what is told of budgets and unusual days, and how long a retry waits."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from costplan.planner.cron import fires, next_fire
from costplan.planner.finance.anomalies import Anomaly, Cause
from costplan.planner.finance.budgets import Burn
from costplan.planner.finance.delivery import (
    Alert,
    Alerts,
    Month,
    Schedule,
    anomaly_alerts,
    budget_alerts,
    folder_of,
    retry_seconds,
    runs,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 6 3 * *", ["2026-11-03T06:00", "2026-12-03T06:00"]),
        ("30 5 * * 0", ["2026-11-01T05:30", "2026-11-08T05:30"]),  # cron's Sunday
        ("30 5 * * 7", ["2026-11-01T05:30", "2026-11-08T05:30"]),
        ("0 0 * * 1-5", ["2026-11-02T00:00", "2026-11-03T00:00"]),
        ("0 0 * * sun", ["2026-11-01T00:00", "2026-11-08T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("*/45 8 1 * *", ["2026-11-01T08:00", "2026-11-01T08:45"]),
    ],
)
def test_a_line_fires(line: str, expected: list[str]) -> None:
    first = next_fire(line, at("2026-10-31T23:59:59"))
    assert first is not None
    assert [first, next_fire(line, first)] == [at(text) for text in expected]


def test_an_instant_belongs_to_one_look() -> None:
    noon, next_noon = at("2026-11-01T12:00"), at("2026-11-02T12:00")
    assert fires("0 12 * * *", noon, next_noon) == (next_noon,)
    assert fires("0 12 * * *", at("2026-11-01T11:59:59.999999"), noon) == (noon,)


def schedule(month: Month, cron: str = "0 6 3 * *") -> Schedule:
    return Schedule(
        cron=cron, month=month, formats=("csv",), by=(), view="amortised", to="r/{cluster}/{month}"
    )


def test_each_month_that_was_missed_is_due_once() -> None:
    since, until = at("2026-10-04T00:00"), at("2027-01-05T00:00")
    found = runs(schedule(Month.PREVIOUS), since, until)
    assert [run.month for run in found] == ["2026-10", "2026-11", "2026-12"]
    assert folder_of(schedule(Month.PREVIOUS), found[-1], "fraud") == "r/fraud/2026-12"
    daily = runs(schedule(Month.CURRENT, "0 20 * * *"), at("2026-11-28T21:00"), at("2026-12-03"))
    assert [(run.month, run.fire) for run in daily] == [
        ("2026-11", at("2026-11-30T20:00")), ("2026-12", at("2026-12-02T20:00")),
    ]  # fmt: skip
    assert runs(schedule(Month.PREVIOUS), until, until) == ()


def burn(burnt: str, forecast: str, limit: str | None = "1000") -> Burn:
    return Burn(
        name="month", start=at("2026-11-01"), end=at("2026-12-01"), burnt_usd=Decimal(burnt),
        limit_usd=None if limit is None else Decimal(limit), forecast_usd=Decimal(forecast),
        low_usd=Decimal(forecast) - 50, high_usd=Decimal(forecast) + 50,
        passed_on=date(2026, 11, 28),
    )  # fmt: skip


DEFAULTS = Alerts()


def told(*burns: Burn, alerts: Alerts = DEFAULTS) -> dict[str, Alert]:
    found = budget_alerts("fraud", burns, alerts)
    return {each.key.partition("/1000/")[2]: each for each in found if not each.is_covered}


def test_the_highest_threshold_that_is_reached_is_told() -> None:
    assert told(burn("499.99", "900")) == {}
    assert set(told(burn("500", "900"))) == {"0.5"}
    assert set(told(burn("812.30", "1050.20"))) == {"0.8", "forecast"}
    assert set(told(burn("1000.01", "1050.20"))) == {"1"}  # passed: nothing is foretold any more
    assert told(burn("1000.01", "1050.20", None)) == {}
    assert set(told(burn("812.30", "1050.20"), alerts=Alerts(forecast=False))) == {"0.8"}
    said = told(burn("812.30", "1050.20"))["forecast"]
    assert said.title == "fraud: the month's budget is expected to be passed"
    assert said.text == (
        "$812.30 of $1,000.00 (81%) since 2026-11-01. Forecast for its end: $1,050.20 "
        "($1,000.20 to $1,100.20). The limit will be passed on 2026-11-28."
    )


def test_unusual_days_of_the_last_three_are_told_with_what_explains_them() -> None:
    cause = Cause(
        dimension="instance_type", name="p4d.24xlarge", usd=Decimal(90), usual_usd=Decimal(10),
        share=Decimal("0.8"),
    )  # fmt: skip
    days = [
        Anomaly(
            day=date(2026, 11, day), usd=Decimal(200), usual_usd=Decimal(100),
            low_usd=Decimal(-3), high_usd=Decimal(120), likes="3 other Mondays", cause=cause,
        )
        for day in (5, 9, 10)
    ]  # fmt: skip
    (only,) = anomaly_alerts("fraud", days, date(2026, 11, 10))
    assert only == Alert(
        key="anomaly/2026-11-09",
        title="fraud: 2026-11-09 cost $100.00 more than usual",
        text="$200.00, where 3 other Mondays have $100.00 ($0.00 to $120.00). 80% of it is "
        "instance type p4d.24xlarge: $90.00 instead of $10.00.",
    )


def test_retries_wait_three_times_as_long_up_to_an_hour() -> None:
    assert [retry_seconds(n) for n in (1, 2, 3, 6, 7, 99)] == [10, 30, 90, 2430, 3600, 3600]
