"""What is new to be delivered: reports whose time has come, and alerts, as rows of the outbox."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from costplan.adapters.finance.ask import ask
from costplan.adapters.store.cluster import Cluster
from costplan.adapters.store.outbox import New, Outbox
from costplan.cli.budget_status import burns_of
from costplan.cli.deliver_due import (
    ANOMALIES,
    BUDGETS,
    DAY_IS_WHOLE,
    are_anomalies_due,
    are_budgets_due,
    is_schedule_due,
    mark_of,
)
from costplan.cli.statement import opened_book, period_of, question_of
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.errors import CostplanError
from costplan.planner.finance.anomalies import Anomaly
from costplan.planner.finance.delivery import (
    NEWS_DAYS,
    Alert,
    Channel,
    Run,
    Schedule,
    anomaly_alerts,
    budget_alerts,
    file_name,
    folder_of,
    runs,
    tables_of,
)
from costplan.planner.finance.statement import Period
from costplan.planner.spending import day_end, month_end

REPORT, ALERT = "report", "alert"


def take_in(
    cluster: Cluster, config: DaemonConfig, outbox: Outbox, now: datetime
) -> Iterator[CostplanError]:
    """Puts into the outbox what is new, each kind with the mark that it was looked for; gives
    what is wrong. What could not be found out is looked for again."""
    marks = outbox.marks()
    name = config.settings.cluster
    for schedule in config.reports.schedules:
        if is_schedule_due(schedule, marks, now):
            # A new schedule begins now: what it would have done before is not made up for.
            since = marks.get(mark_of(schedule), now)
            outbox.add(_reports(schedule, name, since, now), {mark_of(schedule): now}, now)
    try:
        if are_budgets_due(config, marks, now):
            burns = [
                burn
                for period in _ended_since(marks.get(BUDGETS), now)
                for burn in burns_of(cluster, period)[0]
                if burn.end <= now
            ]
            burns += burns_of(cluster)[0]
            found = budget_alerts(name, burns, config.alerts)
            outbox.add(_alerts(found, config.alerts.channels), {BUDGETS: now}, now)
    except CostplanError as error:
        yield error
    try:
        if are_anomalies_due(config, marks, now):
            today = (now - DAY_IS_WHOLE).date()
            odd = anomaly_alerts(name, _anomalies(cluster, today, now), today)
            outbox.add(_alerts(odd, config.alerts.channels), {ANOMALIES: now}, now)
    except CostplanError as error:
        yield error


def _reports(schedule: Schedule, cluster: str, since: datetime, now: datetime) -> Iterator[New]:
    for run in runs(schedule, since, now):
        for output in schedule.formats:
            yield _report(schedule, run, cluster, output)


def _report(schedule: Schedule, run: Run, cluster: str, output: str) -> New:
    body = {
        "month": run.month,
        "format": output,
        "view": schedule.view,
        "to": folder_of(schedule, run, cluster),
        "file": file_name(cluster, run.month, output),
    }
    by = tables_of(schedule, output)
    if by is not None:
        body["by"] = by
    return New(
        key=f"{REPORT}/{schedule.key}/{run.fire.isoformat()}/{run.month}/{output}",
        kind=REPORT,
        channel=Channel.FILE,
        title=f"report of {run.month} as {output}",
        body=body,
    )


def _alerts(alerts: Sequence[Alert], channels: Sequence[Channel]) -> Iterator[New]:
    for alert in alerts:
        for channel in channels:
            yield New(
                key=f"{alert.key}/{channel}",
                kind=ALERT,
                channel=channel,
                title=alert.title,
                body={"text": alert.text},
                is_covered=alert.is_covered,
            )


def _ended_since(seen: datetime | None, now: datetime) -> Iterator[Period]:
    """Months up to the end of each of the last days that has ended since budgets were looked at,
    and of the last month that has: what passed a limit after that look was seen by none."""
    if seen is None:
        return
    midnights = [day_end(now) - timedelta(days=ago) for ago in range(1, NEWS_DAYS + 1)]
    for at in sorted({*midnights, month_end(now - timedelta(days=now.day))}):
        if seen < at <= now:
            yield period_of(f"{at - timedelta(microseconds=1):%Y-%m}", at)


def _anomalies(cluster: Cluster, today: date, now: datetime) -> tuple[Anomaly, ...]:
    """Unusual days of the months of the last three days; a month without lines has none."""
    days = (today - timedelta(days=ago) for ago in range(1, NEWS_DAYS + 1))
    found = list[Anomaly]()
    for month in sorted({f"{day:%Y-%m}" for day in days}):
        period = period_of(month, now)
        with opened_book(cluster, period) as book:
            if book.rows("SELECT 1 FROM lines WHERE month = ? LIMIT 1", period.name):
                found += ask(book, question_of(cluster, period)).anomalies
    return tuple(found)
