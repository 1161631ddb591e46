"""What of the deliveries is due: a look that costs little, in the daemon and before each round."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from costplan.adapters.store.outbox import Outbox
from costplan.planner.cron import next_fire
from costplan.planner.daemon_config import DaemonConfig
from costplan.planner.finance.delivery import Schedule

BUDGETS, ANOMALIES = "budgets", "anomalies"
"""Marks of alerts; those of schedules are `schedule/` and their key."""

BUDGETS_EVERY = timedelta(minutes=15)
"""As often as the ledger has new entries of machines that run on."""
DAY_IS_WHOLE = timedelta(hours=1)
"""How long after midnight yesterday's entries are all there."""

Marks = Mapping[str, datetime]


def mark_of(schedule: Schedule) -> str:
    """The name of what is known of a schedule."""
    return f"schedule/{schedule.key}"


def is_schedule_due(schedule: Schedule, marks: Marks, now: datetime) -> bool:
    """True where it has fired since it was last looked at, or is new."""
    seen = marks.get(mark_of(schedule))
    if seen is None:
        return True
    fire = next_fire(schedule.cron, seen)
    return fire is not None and fire <= now


def are_budgets_due(config: DaemonConfig, marks: Marks, now: datetime) -> bool:
    """True where it is time to look at budgets for alerts."""
    alerts = config.alerts
    wanted = bool(alerts.thresholds) or alerts.forecast
    budget = config.settings.budget
    has_limit = budget.usd_per_day is not None or budget.usd_per_month is not None
    if not (alerts.channels and wanted and has_limit):
        return False
    seen = marks.get(BUDGETS)
    # A clock that was set back is no reason to be silent until it has caught up.
    return seen is None or not now - BUDGETS_EVERY < seen <= now


def are_anomalies_due(config: DaemonConfig, marks: Marks, now: datetime) -> bool:
    """True where a day has become whole since days were last judged."""
    if not (config.alerts.channels and config.alerts.anomalies):
        return False
    seen = marks.get(ANOMALIES)
    return seen is None or (seen - DAY_IS_WHOLE).date() != (now - DAY_IS_WHOLE).date()


def is_round_due(config: DaemonConfig, outbox: Outbox, now: datetime) -> bool:
    """True where a round would have something to do."""
    marks = outbox.marks()
    return (
        any(is_schedule_due(each, marks, now) for each in config.reports.schedules)
        or are_budgets_due(config, marks, now)
        or are_anomalies_due(config, marks, now)
        or outbox.has_due(now)
    )
